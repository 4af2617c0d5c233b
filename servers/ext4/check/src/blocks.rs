//! Which blocks are whose: trees of extents, and blocks of block numbers.

use crate::{
    Check, Place, Unchecked,
    bytes::{crc32c, joined, u16_at, u32_at},
    inodes::Raw,
    superblock::Sums,
};
use alloc::vec::Vec;
use tessera_disk::Disk;

/// Blocks that are taken, each once.
#[derive(Debug)]
pub(crate) struct Claims {
    first: u64,
    last: u64,
    bits: Vec<u64>,
}

impl Claims {
    /// None of the blocks between these; `None` if there is no memory for that.
    pub(crate) fn new(first: u64, last: u64) -> Option<Self> {
        let words = usize::try_from(last.div_ceil(64)).ok()?;
        let bits = crate::with_room(words).ok()?;
        Some(Claims { first, last, bits })
    }

    /// Takes a block. `false` if it is taken, or there is none such.
    pub(crate) fn claim(&mut self, block: u64) -> bool {
        if !(self.first..self.last).contains(&block) {
            return false;
        }
        let (word, bit) = (&mut self.bits[(block / 64) as usize], 1 << (block % 64));
        let was_free = *word & bit == 0;
        *word |= bit;
        was_free
    }

    /// Whether a block, which there is, is taken.
    pub(crate) fn has(&self, block: u64) -> bool {
        self.bits[(block / 64) as usize] >> (block % 64) & 1 != 0
    }

    /// How many are taken, and those before the first one.
    pub(crate) fn count(&self) -> u64 {
        let taken: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        u64::from(taken) + self.first
    }
}

/// What a file's blocks are.
#[derive(Debug, Default)]
pub(crate) struct Mapped {
    /// Blocks of data, and where in the file each is, in order.
    pub(crate) data: Vec<(u32, u64)>,
    /// How many blocks it takes, those of its tree included.
    pub(crate) blocks: u64,
    /// Where in the file the last block is that was ever written.
    pub(crate) last_written: Option<u32>,
}

const EXTENT_MAGIC: u16 = 0xf30a;
/// Bytes of a header, and of an entry.
const ENTRY: usize = 12;
/// Levels that a tree may have: 4 entries at the top, 84 at least in each block.
const DEEPEST: u16 = 5;
/// Extents longer than this are blocks that were never written, so many less.
const LONGEST: u16 = 32768;

/// A part of a tree that is still to be read.
struct Node {
    block: u64,
    /// Levels below it.
    depth: u16,
    /// The first place in the file that it may map.
    from: u32,
}

/// A way through all blocks of a file.
struct Walk {
    number: u32,
    /// Blocks are claimed, and problems told; else they were.
    claims: bool,
    mapped: Mapped,
    /// The last place in the file that is mapped, + 1.
    end: u32,
    /// Still to be read, the last one first.
    nodes: Vec<Node>,
}

impl Walk {
    fn new(number: u32, claims: bool) -> Self {
        Walk {
            number,
            claims,
            mapped: Mapped::default(),
            end: 0,
            nodes: Vec::new(),
        }
    }
}

impl<D: Disk> Check<'_, D> {
    /// Finds the blocks of a file by its extents. Each is claimed if `claims`; else they
    /// were.
    pub(crate) fn extents(
        &mut self,
        number: u32,
        inode: &Raw<'_>,
        claims: bool,
    ) -> Result<Mapped, Unchecked> {
        let mut walk = Walk::new(number, claims);
        let depth = u16_at(inode.map(), 6);
        if depth > DEEPEST {
            self.wrong(&walk, "its extents are too deep");
            return Ok(walk.mapped);
        }
        self.node(&mut walk, inode.map(), depth, 0);
        while let Some(node) = walk.nodes.pop() {
            if !self.take(&walk, node.block) {
                self.wrong(
                    &walk,
                    "a block of its extents is taken, or there is none such",
                );
                continue;
            }
            let bytes = self.block(node.block)?;
            walk.mapped.blocks += 1;
            if !self.has_tail(inode.seed, &bytes) {
                self.wrong(&walk, "a block of its extents has not its checksum");
            }
            self.node(&mut walk, &bytes, node.depth, node.from);
        }
        Ok(walk.mapped)
    }

    /// One node of a tree, which may map what is from `from` on.
    fn node(&mut self, walk: &mut Walk, bytes: &[u8], depth: u16, from: u32) {
        let (count, most) = (u16_at(bytes, 2), u16_at(bytes, 4));
        let fits = usize::from(most) < bytes.len() / ENTRY;
        if u16_at(bytes, 0) != EXTENT_MAGIC || u16_at(bytes, 6) != depth || count > most || !fits {
            return self.wrong(walk, "its extents are damaged");
        }
        if depth > 0 && count == 0 {
            return self.wrong(walk, "a node of its extents is empty");
        }
        let entries = bytes[ENTRY..].chunks_exact(ENTRY).take(count.into());
        let mut next = from.max(walk.end);
        let first_below = walk.nodes.len();
        for entry in entries {
            let first = u32_at(entry, 0);
            if first < next {
                self.wrong(walk, "its extents are not in order");
                break;
            }
            if depth > 0 {
                walk.nodes.push(Node {
                    block: joined(u16_at(entry, 8).into(), u32_at(entry, 4)),
                    depth: depth - 1,
                    from: first,
                });
                next = first.saturating_add(1);
                continue;
            }
            let (length, start) = (u16_at(entry, 4), u32_at(entry, 8));
            let start = joined(u16_at(entry, 6).into(), start);
            let is_written = length <= LONGEST;
            let length = if is_written { length } else { length - LONGEST };
            let last = first.checked_add(length.into());
            let Some(last) = last.filter(|_| length > 0) else {
                self.wrong(walk, "an extent has no blocks, or too many");
                break;
            };
            for (place, block) in (first..last).zip(start..) {
                self.data(walk, place, block);
            }
            if is_written {
                walk.mapped.last_written = Some(last - 1);
            }
            (next, walk.end) = (last, last);
        }
        walk.nodes[first_below..].reverse();
    }

    fn data(&mut self, walk: &mut Walk, place: u32, block: u64) {
        walk.mapped.blocks += 1;
        match self.take(walk, block) {
            true => walk.mapped.data.push((place, block)),
            false => self.wrong(walk, "a block of it is taken, or there is none such"),
        }
    }

    /// Takes a block, or says whether it was taken.
    fn take(&mut self, walk: &Walk, block: u64) -> bool {
        match walk.claims {
            true => self.claims.claim(block),
            false => self.is_readable(block, 1),
        }
    }

    /// Whether a block of a tree of extents has its checksum, behind its entries.
    fn has_tail(&self, seed: u32, bytes: &[u8]) -> bool {
        let at = ENTRY * (1 + usize::from(u16_at(bytes, 4)));
        if !matches!(self.geometry.sums, Sums::All(_)) || at + 4 > bytes.len() {
            return true;
        }
        u32_at(bytes, at) == crc32c(seed, &bytes[..at])
    }

    /// Finds the blocks of a file without extents.
    pub(crate) fn numbers(
        &mut self,
        number: u32,
        inode: &Raw<'_>,
        claims: bool,
    ) -> Result<Mapped, Unchecked> {
        let mut walk = Walk::new(number, claims);
        let per_block = (self.geometry.block / 4) as u64;
        let top = |index: u32| u64::from(u32_at(inode.map(), 4 * index as usize));
        // Still to be read, the last one first: place in the file, block, levels below.
        let mut left: Vec<(u64, u64, u32)> =
            (0..12).map(|place| (place.into(), top(place), 0)).collect();
        let mut first = 12;
        for depth in 1..=3 {
            left.push((first, top(11 + depth), depth));
            first += per_block.pow(depth);
        }
        left.reverse();
        while let Some((place, block, depth)) = left.pop() {
            if block == 0 {
                continue;
            }
            if depth == 0 {
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                self.data(&mut walk, place, block);
                walk.mapped.last_written = Some(place);
                continue;
            }
            if !self.take(&walk, block) {
                self.wrong(
                    &walk,
                    "a block of block numbers is taken, or there is none such",
                );
                continue;
            }
            walk.mapped.blocks += 1;
            let bytes = self.block(block)?;
            let below = bytes
                .chunks_exact(4)
                .map(|entry| u64::from(u32_at(entry, 0)));
            let places = (place..).step_by(per_block.pow(depth - 1) as usize);
            let start = left.len();
            left.extend(
                places
                    .zip(below)
                    .map(|(place, block)| (place, block, depth - 1)),
            );
            left[start..].reverse();
        }
        Ok(walk.mapped)
    }

    /// Tells of a file what is wrong with its blocks, the first time that they are read.
    fn wrong(&mut self, walk: &Walk, what: &'static str) {
        if walk.claims {
            self.problem(Place::Inode(walk.number), what);
        }
    }
}
