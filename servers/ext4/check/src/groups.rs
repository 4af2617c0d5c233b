//! Where the structures of each group are, and what it says of itself.

use crate::{
    Check, Place, Unchecked,
    bytes::{crc16, crc32c, joined, u16_at, u32_at},
    superblock::Sums,
};
use alloc::vec::Vec;
use tessera_disk::Disk;

const INODES_UNUSED: u16 = 1;
const BLOCKS_UNUSED: u16 = 2;

/// A group, by its descriptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// The block that says which blocks are taken.
    pub(crate) block_bitmap: u64,
    /// The block that says which inodes are taken.
    pub(crate) inode_bitmap: u64,
    /// The first block of inodes.
    pub(crate) inode_table: u64,
    /// How many inodes at the end were never used.
    pub(crate) unused_inodes: u32,
    /// No inode was ever used: their bitmap holds nothing.
    pub(crate) inodes_unused: bool,
    /// The bitmap of blocks holds nothing: only the group's own structures are taken.
    pub(crate) blocks_unused: bool,
    /// What is said to be free.
    pub(crate) free_blocks: u32,
    /// What is said to be free.
    pub(crate) free_inodes: u32,
    /// How many directories are said to be here.
    pub(crate) directories: u32,
    /// The checksums of both bitmaps, and how many bits these have.
    pub(crate) block_sum: (u32, u32),
    /// The same of inodes.
    pub(crate) inode_sum: (u32, u32),
}

impl Group {
    fn of(bytes: &[u8], has_unused: bool) -> Group {
        let is_large = bytes.len() >= 64;
        let high = |at| {
            if is_large {
                u16_at(bytes, at).into()
            } else {
                0
            }
        };
        let high_block = |at| if is_large { u32_at(bytes, at) } else { 0 };
        let low = |at| u32::from(u16_at(bytes, at));
        let flags = if has_unused { u16_at(bytes, 0x12) } else { 0 };
        let bits = if is_large { 32 } else { 16 };
        let count = |at: usize, above: usize| high(above) << 16 | low(at);
        Group {
            block_bitmap: joined(high_block(0x20), u32_at(bytes, 0)),
            inode_bitmap: joined(high_block(0x24), u32_at(bytes, 4)),
            inode_table: joined(high_block(0x28), u32_at(bytes, 8)),
            unused_inodes: if has_unused { count(0x1c, 0x32) } else { 0 },
            inodes_unused: flags & INODES_UNUSED != 0,
            blocks_unused: flags & BLOCKS_UNUSED != 0,
            free_blocks: count(0xc, 0x2c),
            free_inodes: count(0xe, 0x2e),
            directories: count(0x10, 0x30),
            block_sum: (count(0x18, 0x38), bits),
            inode_sum: (count(0x1a, 0x3a), bits),
        }
    }
}

impl<D: Disk> Check<'_, D> {
    /// Reads all descriptors, and claims the blocks of what they describe.
    pub(crate) fn find_groups(&mut self) -> Result<(), Unchecked> {
        let (block, size) = (self.geometry.block, self.geometry.descriptor);
        let count = self.geometry.groups();
        let has_unused = self.geometry.sums != Sums::None;
        let mut bytes = Vec::new();
        for group in 0..count {
            let at = group as usize * size % block;
            if at == 0 {
                let place = group as usize * size / block;
                bytes = self.block(self.geometry.first_block + 1 + place as u64)?;
            }
            let descriptor = &bytes[at..at + size];
            if !self.has_group_sum(group, descriptor) {
                self.problem(Place::Group(group), "its descriptor has not its checksum");
            }
            self.groups.push(Group::of(descriptor, has_unused));
        }
        for group in 0..count {
            self.claim_structures(group);
        }
        Ok(())
    }

    fn has_group_sum(&self, group: u32, descriptor: &[u8]) -> bool {
        const SUM: usize = 0x1e;
        let (number, sum) = (group.to_le_bytes(), u16_at(descriptor, SUM));
        match self.geometry.sums {
            Sums::None => true,
            Sums::Groups(name) => {
                let rest = &descriptor[SUM + 2..];
                sum == crc16(&[&name, &number, &descriptor[..SUM], rest])
            }
            Sums::All(seed) => {
                let found = crc32c(crc32c(seed, &number), &descriptor[..SUM]);
                let found = crc32c(crc32c(found, &[0; 2]), &descriptor[SUM + 2..]);
                sum == found as u16
            }
        }
    }

    fn claim_structures(&mut self, number: u32) {
        let geometry = &self.geometry;
        let table = u64::from(geometry.inodes_per_group) * geometry.inode_size as u64;
        let table = table.div_ceil(geometry.block as u64);
        let copy = match geometry.has_copy(number) {
            true => 1 + geometry.descriptor_blocks() + geometry.reserved_descriptors,
            false => 0,
        };
        let start = geometry.start(number);
        let group = &self.groups[number as usize];
        let copy = copy.min(geometry.blocks_in(number));
        let structures = [
            (
                start,
                copy,
                "its copy of the superblock is not where it can be",
            ),
            (
                group.block_bitmap,
                1,
                "its bitmap of blocks is not where it can be",
            ),
            (
                group.inode_bitmap,
                1,
                "its bitmap of inodes is not where it can be",
            ),
            (
                group.inode_table,
                table,
                "its inodes are not where they can be",
            ),
        ];
        for (first, count, what) in structures {
            let last = first.saturating_add(count);
            let is_there = last <= self.geometry.blocks && first >= self.geometry.first_block;
            let is_free = is_there && (first..last).all(|block| self.claims.claim(block));
            if !is_free {
                self.problem(Place::Group(number), what);
            }
        }
    }

    /// Whether the structures of a group can be read.
    pub(crate) fn is_readable(&self, block: u64, count: u64) -> bool {
        let end = block.checked_add(count);
        block >= self.geometry.first_block && end.is_some_and(|end| end <= self.geometry.blocks)
    }
}
