//! Which blocks belong to an inode, and to nobody else.

use super::checksum::crc32c;
use super::layout::{Blocks, Inode, u16_at, u32_at};
use crate::report::{Report, found};
use alloc::vec::Vec;
use core::ops::Range;
use tessera_tools::{IoError, disk::Disk};

/// A bit for each of something.
#[derive(Debug)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    /// None is set. An error if there is not so much memory.
    pub(crate) fn new(count: u64) -> Result<Bits, IoError> {
        let bytes = count.div_ceil(8) as usize;
        let mut bits = Vec::new();
        let reserved = bits.try_reserve_exact(bytes);
        reserved.map_err(|_| too_large())?;
        bits.resize(bytes, 0);
        Ok(Bits(bits))
    }

    pub(crate) fn has(&self, place: u64) -> bool {
        let byte = self.0.get((place / 8) as usize);
        byte.is_some_and(|byte| byte >> (place % 8) & 1 != 0)
    }

    /// Sets one; whether it was not set before.
    pub(crate) fn set(&mut self, place: u64) -> bool {
        let is_new = !self.has(place);
        if let Some(byte) = self.0.get_mut((place / 8) as usize) {
            *byte |= 1 << (place % 8);
        }
        is_new
    }
}

/// Why a file system cannot be checked here.
pub(crate) fn too_large() -> IoError {
    IoError::Failed("it is too large for the memory here".into())
}

/// Magic number of a node of extents, and its parts' sizes.
const EXTENTS: u16 = 0xf30a;
const HEADER: usize = 12;
const ENTRY: usize = 12;
/// Deepest tree: enough for all files.
const DEEPEST: u16 = 5;

/// Walks what an inode says of its blocks.
pub(crate) struct Walk<'w, 'd, D> {
    pub(crate) blocks: &'w mut Blocks<'d, D>,
    pub(crate) owned: &'w mut Bits,
    pub(crate) report: &'w mut Report,
    pub(crate) inode: &'w Inode,
    /// Blocks that it has, those included that tell of others.
    pub(crate) count: u64,
    /// Those that are somebody else's too.
    shared: u64,
    /// Where its bytes are: block of the file, block of the disk, how many.
    pub(crate) runs: Vec<(u64, u64, u64)>,
    /// All that it says makes sense.
    pub(crate) is_sound: bool,
}

impl<'w, 'd, D: Disk> Walk<'w, 'd, D> {
    pub(crate) fn new(
        blocks: &'w mut Blocks<'d, D>,
        owned: &'w mut Bits,
        report: &'w mut Report,
        inode: &'w Inode,
    ) -> Self {
        Walk {
            blocks,
            owned,
            report,
            inode,
            count: 0,
            shared: 0,
            runs: Vec::new(),
            is_sound: true,
        }
    }

    /// Walks all of it.
    pub(crate) fn all(&mut self) -> Result<(), IoError> {
        let map = self.inode.map();
        if self.inode.has_extents() {
            self.extents(map, None, 0..1 << 32)?;
        } else {
            self.block_map(map)?;
        }
        if self.shared > 0 {
            let (number, shared) = (self.inode.number, self.shared);
            found!(
                self.report,
                "inode {number}: {shared} of its blocks belong to others, too"
            );
        }
        Ok(())
    }

    /// A single block that belongs to the inode.
    pub(crate) fn claim(&mut self, block: u64) -> bool {
        self.claim_all(block, 1)
    }

    fn claim_all(&mut self, first: u64, count: u64) -> bool {
        let of = &self.blocks.of;
        let end = first.checked_add(count);
        if first <= of.first_block || end.is_none_or(|end| end > of.blocks) || count == 0 {
            return self.bad("names blocks that there are not");
        }
        self.count += count;
        let owned = &mut self.owned;
        self.shared += (first..first + count)
            .filter(|block| !owned.set(*block))
            .count() as u64;
        true
    }

    fn bad(&mut self, what: &str) -> bool {
        // One is enough of each inode.
        if self.is_sound {
            found!(self.report, "inode {}: {what}", self.inode.number);
        }
        self.is_sound = false;
        false
    }

    /// A node of extents, which may tell of these blocks of the file.
    fn extents(
        &mut self,
        node: &[u8],
        depth: Option<u16>,
        mut range: Range<u64>,
    ) -> Result<(), IoError> {
        let (entries, most, own) = (u16_at(node, 2), u16_at(node, 4), u16_at(node, 6));
        let room = (node.len() - HEADER) / ENTRY;
        let is_right = u16_at(node, 0) == EXTENTS
            && entries <= most
            && usize::from(most) <= room
            && depth.map_or(own <= DEEPEST, |depth| own == depth);
        if !is_right {
            self.bad("has a damaged node of extents");
            return Ok(());
        }
        let tail = HEADER + usize::from(most) * ENTRY;
        if depth.is_some()
            && self.blocks.of.has_checksums()
            && crc32c(self.inode.seed, &node[..tail]) != u32_at(node, tail)
        {
            self.bad("has a node of extents with a wrong checksum");
        }
        for place in (0..usize::from(entries)).map(|entry| HEADER + entry * ENTRY) {
            let first = u64::from(u32_at(node, place));
            if first < range.start || first >= range.end {
                self.bad("has extents that are not in order");
                return Ok(());
            }
            if own == 0 {
                let length = u64::from(u16_at(node, place + 4));
                // Longer ones were not written yet.
                let length = if length > 0x8000 {
                    length - 0x8000
                } else {
                    length
                };
                let high = u64::from(u16_at(node, place + 6)) << 32;
                let start = u64::from(u32_at(node, place + 8)) | high;
                if self.claim_all(start, length) {
                    self.runs.push((first, start, length));
                }
                range.start = first + length.max(1);
                continue;
            }
            let high = u64::from(u16_at(node, place + 8)) << 32;
            let child = u64::from(u32_at(node, place + 4)) | high;
            let is_last = place + ENTRY >= HEADER + usize::from(entries) * ENTRY;
            let end = match is_last {
                true => range.end,
                false => u64::from(u32_at(node, place + ENTRY)),
            };
            range.start = first + 1;
            if self.claim(child) {
                let bytes = self.blocks.read(child)?;
                self.extents(&bytes, Some(own - 1), first..end)?;
            }
        }
        Ok(())
    }

    /// The room for more descriptors: a block that tells of blocks behind the first
    /// descriptors, each of which tells of those with the same place in the copies. All
    /// but the first were claimed with their groups.
    pub(crate) fn reserved(&mut self, block: u64) -> Result<(), IoError> {
        if !self.claim(block) {
            return Ok(());
        }
        let of = self.blocks.of.clone();
        let first = of.first_block + 1 + of.descriptor_blocks();
        let reserved = first..first + of.reserved_descriptors;
        let told = self.blocks.read(block)?;
        for primary in told
            .chunks_exact(4)
            .map(|bytes| u64::from(u32_at(bytes, 0)))
        {
            if primary == 0 {
                continue;
            }
            if !reserved.contains(&primary) {
                self.bad("names blocks that are not reserved");
                continue;
            }
            self.count += 1;
            let copies = self.blocks.read(primary)?;
            for copy in copies
                .chunks_exact(4)
                .map(|bytes| u64::from(u32_at(bytes, 0)))
            {
                if copy == 0 {
                    continue;
                }
                self.count += 1;
                let group = copy.saturating_sub(of.first_block) / of.blocks_per_group;
                let is_copy = group > 0
                    && group < of.groups()
                    && of.has_copy(group)
                    && copy - of.start(group) == primary - of.first_block;
                if !is_copy {
                    self.bad("names blocks that are not reserved");
                }
            }
        }
        Ok(())
    }

    /// Twelve blocks, and three that tell of blocks, of blocks of blocks and so on.
    fn block_map(&mut self, map: &[u8]) -> Result<(), IoError> {
        let mut next = 0;
        for place in 0..15 {
            let level = (place as u32).saturating_sub(11);
            self.mapped(u32_at(map, 4 * place).into(), level, &mut next)?;
        }
        Ok(())
    }

    fn mapped(&mut self, block: u64, level: u32, next: &mut u64) -> Result<(), IoError> {
        let each = self.blocks.of.block as u64 / 4;
        if block == 0 {
            *next += each.pow(level);
            return Ok(());
        }
        let is_there = self.claim(block);
        if level == 0 {
            if is_there {
                self.runs.push((*next, block, 1));
            }
            *next += 1;
            return Ok(());
        }
        if !is_there {
            *next += each.pow(level);
            return Ok(());
        }
        let bytes = self.blocks.read(block)?;
        for pointer in bytes.chunks_exact(4) {
            self.mapped(u32_at(pointer, 0).into(), level - 1, next)?;
        }
        Ok(())
    }
}
