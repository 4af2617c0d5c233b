//! What is marked as taken, and how much is said to be free.

use crate::{Check, Place, Unchecked, bytes::crc32c, superblock::Sums};
use tessera_disk::Disk;

impl<D: Disk> Check<'_, D> {
    /// Compares all bitmaps and counts with what is in use.
    pub(crate) fn compare_bitmaps(&mut self) -> Result<(), Unchecked> {
        let (mut free_blocks, mut free_inodes) = (0, 0);
        for number in 0..self.geometry.groups() {
            free_blocks += self.compare_blocks(number)?;
            free_inodes += self.compare_inodes(number)?;
        }
        if free_blocks != self.geometry.free_blocks {
            self.problem(Place::FileSystem, "not as many blocks are free as it says");
        }
        if free_inodes != self.geometry.free_inodes {
            self.problem(Place::FileSystem, "not as many inodes are free as it says");
        }
        Ok(())
    }

    /// The blocks of a group; how many are free.
    fn compare_blocks(&mut self, number: u32) -> Result<u64, Unchecked> {
        let place = Place::Group(number);
        let group = self.groups[number as usize].clone();
        let (start, count) = (self.geometry.start(number), self.geometry.blocks_in(number));
        let taken = |check: &Self, index: u64| match index < count {
            true => check.claims.has(start + index),
            // What is past the end is taken, so that nobody looks for it there.
            false => true,
        };
        let free = (0..count).filter(|index| !taken(self, *index)).count() as u64;
        if u64::from(group.free_blocks) != free {
            self.problem(place, "not as many blocks are free as it says");
        }
        if group.blocks_unused || !self.is_readable(group.block_bitmap, 1) {
            return Ok(free);
        }
        let bitmap = self.block(group.block_bitmap)?;
        if !self.has_bitmap_sum(&bitmap, self.geometry.blocks_per_group, group.block_sum) {
            self.problem(place, "its bitmap of blocks has not its checksum");
        }
        let bits = 8 * bitmap.len() as u64;
        if !(0..bits).all(|index| bit(&bitmap, index) == taken(self, index)) {
            self.problem(place, "its bitmap of blocks is not what is taken");
        }
        Ok(free)
    }

    /// The inodes of a group; how many are free.
    fn compare_inodes(&mut self, number: u32) -> Result<u32, Unchecked> {
        let place = Place::Group(number);
        let group = self.groups[number as usize].clone();
        let per_group = self.geometry.inodes_per_group;
        let (first, reserved) = (number * per_group, self.geometry.first_inode - 1);
        let taken = |check: &Self, index: u64| match index < per_group.into() {
            true => {
                let inode = first as usize + index as usize;
                inode < reserved as usize || check.inodes[inode].is_used()
            }
            false => true,
        };
        let all = self.inodes[first as usize..]
            .iter()
            .take(per_group as usize);
        let directories = all.filter(|inode| inode.is_directory()).count() as u32;
        if group.directories != directories {
            self.problem(place, "not as many directories are there as it says");
        }
        let free = (0..per_group.into())
            .filter(|index| !taken(self, *index))
            .count() as u32;
        if group.free_inodes != free {
            self.problem(place, "not as many inodes are free as it says");
        }
        if group.inodes_unused || !self.is_readable(group.inode_bitmap, 1) {
            return Ok(free);
        }
        let bitmap = self.block(group.inode_bitmap)?;
        if !self.has_bitmap_sum(&bitmap, per_group, group.inode_sum) {
            self.problem(place, "its bitmap of inodes has not its checksum");
        }
        let bits = 8 * bitmap.len() as u64;
        if !(0..bits).all(|index| bit(&bitmap, index) == taken(self, index)) {
            self.problem(place, "its bitmap of inodes is not what is in use");
        }
        Ok(free)
    }

    /// Whether a bitmap of so many bits has its checksum.
    fn has_bitmap_sum(&self, bitmap: &[u8], bits: u32, (sum, width): (u32, u32)) -> bool {
        let Sums::All(seed) = self.geometry.sums else {
            return true;
        };
        let found = crc32c(seed, &bitmap[..bits as usize / 8]);
        match width {
            32 => found == sum,
            _ => found as u16 == sum as u16,
        }
    }
}

fn bit(bitmap: &[u8], index: u64) -> bool {
    bitmap[(index / 8) as usize] >> (index % 8) & 1 != 0
}
