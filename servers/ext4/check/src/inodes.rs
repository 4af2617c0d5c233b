//! Every inode that is in use.

use crate::{
    Check, Place, Unchecked,
    blocks::Mapped,
    bytes::{crc32c, joined, u16_at, u32_at},
    superblock::Sums,
};
use alloc::vec::Vec;
use tessera_disk::Disk;

/// The root directory.
pub(crate) const ROOT: u32 = 2;
const BAD_BLOCKS: u32 = 1;
const RESIZE: u32 = 7;

const EXTENTS: u32 = 0x8_0000;
const HUGE: u32 = 0x4_0000;
const INDEXED: u32 = 0x1000;
/// Data in the inode, in other inodes, or encrypted.
const ELSEWHERE: u32 = 0x1000_0000 | 0x20_0000 | 0x800;

const SYMLINK: u8 = 7;

/// What is known of an inode.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inode {
    /// What it is, as names tell it; 0 if it is not in use.
    pub(crate) kind: u8,
    /// How many names it says that it has.
    pub(crate) links: u16,
    /// How many were found.
    pub(crate) found: u16,
    /// It has flags of a directory with an index.
    pub(crate) is_indexed: bool,
}

impl Inode {
    /// Whether it is in use.
    pub(crate) fn is_used(&self) -> bool {
        self.kind != 0
    }

    /// Whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == DIRECTORY
    }
}

/// A directory, as names tell it.
pub(crate) const DIRECTORY: u8 = 2;

/// What names tell of something with this mode; 0 if there is no such thing.
fn kind_of(mode: u16) -> u8 {
    match mode >> 12 {
        0x8 => 1,
        0x4 => DIRECTORY,
        0x2 => 3,
        0x6 => 4,
        0x1 => 5,
        0xc => 6,
        0xa => SYMLINK,
        _ => 0,
    }
}

/// An inode as it is on the disk.
pub(crate) struct Raw<'b> {
    bytes: &'b [u8],
    /// How the checksums of what it owns begin.
    pub(crate) seed: u32,
}

impl Raw<'_> {
    /// Its blocks, or what leads to them.
    pub(crate) fn map(&self) -> &[u8] {
        &self.bytes[0x28..0x64]
    }

    fn flags(&self) -> u32 {
        u32_at(self.bytes, 0x20)
    }

    fn size(&self) -> u64 {
        joined(u32_at(self.bytes, 0x6c), u32_at(self.bytes, 4))
    }

    /// The block with its extended attributes; 0 if it has none.
    fn attributes(&self) -> u64 {
        joined(u16_at(self.bytes, 0x76).into(), u32_at(self.bytes, 0x68))
    }

    /// How many sectors it says that it takes.
    pub(crate) fn sectors(&self, per_block: u64) -> u64 {
        let count = joined(u16_at(self.bytes, 0x74).into(), u32_at(self.bytes, 0x1c));
        match self.flags() & HUGE {
            0 => count,
            _ => count.saturating_mul(per_block),
        }
    }

    /// Whether it leads to blocks.
    fn has_blocks(&self, kind: u8) -> bool {
        match kind {
            1 | DIRECTORY => true,
            // A short one is where others have their blocks.
            SYMLINK => self.flags() & EXTENTS != 0 || self.size() >= 60,
            _ => false,
        }
    }
}

impl<D: Disk> Check<'_, D> {
    /// Looks at all inodes, and claims their blocks.
    pub(crate) fn look_at_inodes(&mut self) -> Result<(), Unchecked> {
        let size = self.geometry.inode_size;
        let per_block = (self.geometry.block / size) as u32;
        for group in 0..self.geometry.groups() {
            let described = &self.groups[group as usize];
            let per_group = self.geometry.inodes_per_group;
            let used = match described.inodes_unused {
                true => 0,
                false => per_group.saturating_sub(described.unused_inodes),
            };
            let table = described.inode_table;
            for index in 0..used.div_ceil(per_block) {
                let block = table.saturating_add(index.into());
                if !self.is_readable(block, 1) {
                    break;
                }
                let bytes = self.block(block)?;
                let first = group * per_group + index * per_block + 1;
                let count = (used - index * per_block).min(per_block) as usize;
                for (number, inode) in (first..).zip(bytes.chunks_exact(size)).take(count) {
                    self.inode(number, inode)?;
                }
            }
        }
        Ok(())
    }

    fn inode(&mut self, number: u32, bytes: &[u8]) -> Result<(), Unchecked> {
        let (mode, links) = (u16_at(bytes, 0), u16_at(bytes, 0x1a));
        let is_reserved = number < self.geometry.first_inode && number != ROOT;
        let place = Place::Inode(number);
        if links == 0 && (number != BAD_BLOCKS || bytes.iter().all(|byte| *byte == 0)) {
            // Removed, at some time; or never there.
            if mode != 0 && u32_at(bytes, 0x14) == 0 && !is_reserved {
                self.problem(place, "it was removed at no time");
            }
            return Ok(());
        }
        let raw = self.raw(number, bytes);
        if !self.has_sum(number, bytes) {
            self.problem(place, "it has not its checksum");
        }
        let kind = kind_of(mode);
        if u32_at(bytes, 0x14) != 0 {
            self.problem(place, "it was removed, and is in use");
        }
        if raw.flags() & INDEXED != 0 && kind != DIRECTORY {
            self.problem(place, "it has an index, and is no directory");
        }
        if kind == 0 && !is_reserved {
            self.problem(place, "it is neither a file nor anything else");
            return Ok(());
        }
        if number == RESIZE && self.geometry.has_resize {
            return self.kept_blocks(number, &raw);
        }
        if !is_reserved {
            self.inodes[number as usize - 1] = Inode {
                kind,
                links,
                found: 0,
                is_indexed: raw.flags() & INDEXED != 0,
            };
        }
        let has_blocks = raw.has_blocks(kind) || is_reserved && mode == 0;
        let mapped = match has_blocks {
            true => self.mapped(number, &raw, true)?,
            false => Mapped::default(),
        };
        self.compare(number, kind, &raw, &mapped);
        match number == self.geometry.journal {
            true => self.journal(number, &mapped),
            false => Ok(()),
        }
    }

    /// Whether what an inode says of its size is what its blocks are.
    fn compare(&mut self, number: u32, kind: u8, raw: &Raw<'_>, mapped: &Mapped) {
        let (place, block) = (Place::Inode(number), self.geometry.block as u64);
        let attributes = raw.attributes();
        if attributes != 0 && !self.attributes.contains(&attributes) {
            self.attributes.push(attributes);
            if !self.claims.claim(attributes) {
                self.problem(
                    place,
                    "the block of its attributes is taken, or there is none such",
                );
            }
        }
        let per_block = block / 512;
        let taken = mapped.blocks + u64::from(attributes != 0);
        if raw.sectors(per_block) != taken * per_block {
            self.problem(place, "it does not have as many blocks as it says");
        }
        let size = raw.size();
        let is_wrong = match kind {
            DIRECTORY => size == 0 || size != mapped.data.len() as u64 * block,
            _ => mapped
                .last_written
                .is_some_and(|last| size < u64::from(last) * block),
        };
        if is_wrong && kind != SYMLINK && kind != 0 {
            self.problem(place, "its size is not that of its blocks");
        }
    }

    /// Where the blocks of a file are.
    fn mapped(&mut self, number: u32, raw: &Raw<'_>, claims: bool) -> Result<Mapped, Unchecked> {
        match raw.flags() {
            flags if flags & ELSEWHERE != 0 => {
                if claims {
                    self.problem(Place::Inode(number), "its data is not as it can be");
                }
                Ok(Mapped::default())
            }
            flags if flags & EXTENTS != 0 => self.extents(number, raw, claims),
            _ => self.numbers(number, raw, claims),
        }
    }

    /// The blocks of a directory, and how their checksums begin.
    pub(crate) fn directory(&mut self, number: u32) -> Result<(Vec<u64>, u32), Unchecked> {
        let size = self.geometry.inode_size;
        let index = number - 1;
        let (group, inside) = (
            index / self.geometry.inodes_per_group,
            (index % self.geometry.inodes_per_group) as usize * size,
        );
        let table = self.groups[group as usize].inode_table;
        let bytes = self.block(table + (inside / self.geometry.block) as u64)?;
        let at = inside % self.geometry.block;
        let raw = self.raw(number, &bytes[at..at + size]);
        let mapped = self.mapped(number, &raw, false)?;
        let blocks = mapped.data.into_iter().map(|(_, block)| block);
        Ok((blocks.collect(), raw.seed))
    }

    fn raw<'b>(&self, number: u32, bytes: &'b [u8]) -> Raw<'b> {
        let seed = match self.geometry.sums {
            Sums::All(seed) => crc32c(crc32c(seed, &number.to_le_bytes()), &bytes[0x64..0x68]),
            _ => 0,
        };
        Raw { bytes, seed }
    }

    fn has_sum(&self, number: u32, bytes: &[u8]) -> bool {
        const LOW: usize = 0x7c;
        const HIGH: usize = 0x82;
        if !matches!(self.geometry.sums, Sums::All(_)) {
            return true;
        }
        // The sum itself counts as zero.
        let sum = crc32c(self.raw(number, bytes).seed, &bytes[..LOW]);
        let sum = crc32c(sum, &[0; 2]);
        let has_high = bytes.len() > 128 && u16_at(bytes, 0x80) >= 4;
        let sum = match has_high {
            true => {
                let sum = crc32c(sum, &bytes[LOW + 2..HIGH]);
                crc32c(crc32c(sum, &[0; 2]), &bytes[HIGH + 2..])
            }
            false => crc32c(sum, &bytes[LOW + 2..]),
        };
        let is_high = !has_high || u16_at(bytes, HIGH) == (sum >> 16) as u16;
        u16_at(bytes, LOW) == sum as u16 && is_high
    }
}
