//! Inodes with a use of their own: the journal, and blocks that are kept for more
//! descriptors of groups.

use crate::{
    Check, Place, Unchecked,
    blocks::Mapped,
    bytes::{crc32c, u32_at},
    inodes::Raw,
};
use core::iter::repeat;
use tessera_disk::Disk;

/// Where the superblock of a journal has what.
const MAGIC: u32 = 0xc03b_3998;
const KIND: usize = 0x4;
const BLOCK: usize = 0xc;
const LENGTH: usize = 0x10;
const INCOMPATIBLE: usize = 0x28;
const READ_ONLY: usize = 0x2c;
const SUM: usize = 0xfc;
const END: usize = 0x400;

/// Superblocks of the first and of the second version.
const FIRST: u32 = 3;
const SECOND: u32 = 4;
/// Revoked blocks, 64 bits, commits that do not wait, three kinds of sums, fast commits.
const KNOWN: u32 = 0x3f;
/// Sums of the second and of the third kind.
const HAS_SUM: u32 = 0x18;
/// Fewer blocks are no journal.
const SHORTEST: u32 = 1024;

impl<D: Disk> Check<'_, D> {
    /// Whether the journal is one, and empty.
    pub(crate) fn journal(&mut self, number: u32, mapped: &Mapped) -> Result<(), Unchecked> {
        let Some((0, first)) = mapped.data.first() else {
            self.problem(Place::Inode(number), "the journal has no blocks");
            return Ok(());
        };
        let bytes = self.block(*first)?;
        // Its numbers are big-endian.
        let field = |at| u32_at(&bytes, at).swap_bytes();
        let length = field(LENGTH);
        let is_second = field(KIND) == SECOND;
        let is_known = !is_second || field(INCOMPATIBLE) & !KNOWN == 0 && field(READ_ONLY) == 0;
        let is_journal = field(0) == MAGIC
            && (is_second || field(KIND) == FIRST)
            && field(BLOCK) as usize == self.geometry.block
            && (SHORTEST..=mapped.data.len() as u32).contains(&length);
        if !is_journal || !is_known {
            self.problem(Place::Inode(number), "the journal is damaged");
        }
        if is_second && field(INCOMPATIBLE) & HAS_SUM != 0 {
            let sum = crc32c(crc32c(!0, &bytes[..SUM]), &[0; 4]);
            if field(SUM) != crc32c(sum, &bytes[SUM + 4..END]) {
                self.problem(Place::Inode(number), "the journal has not its checksum");
            }
        }
        Ok(())
    }

    /// Whether the blocks that are kept behind each copy of the descriptors are those of
    /// this inode, whose only block names the first ones. The groups have claimed all
    /// but that one.
    pub(crate) fn kept_blocks(&mut self, number: u32, inode: &Raw<'_>) -> Result<(), Unchecked> {
        let geometry = &self.geometry;
        let copies = (0..geometry.groups()).filter(|group| geometry.has_copy(*group));
        let sectors = (geometry.block / 512) as u64;
        let taken = 1 + geometry.reserved_descriptors * copies.count() as u64;
        let top = u64::from(u32_at(inode.map(), 4 * 13));
        let mut blocks = inode.map().chunks_exact(4).enumerate();
        let is_alone = blocks.all(|(at, block)| at == 13 || *block == [0; 4]);
        let is_right = is_alone && inode.sectors(sectors) == taken * sectors;
        if !(is_right && self.claims.claim(top) && self.names_kept_blocks(top)?) {
            let what = "it does not have the blocks that are kept for descriptors";
            self.problem(Place::Inode(number), what);
        }
        Ok(())
    }

    /// Whether a block names the blocks behind the first descriptors, and each of these
    /// those at the same place of the other groups.
    fn names_kept_blocks(&mut self, top: u64) -> Result<bool, Unchecked> {
        let bytes = self.block(top)?;
        let geometry = &self.geometry;
        let descriptors = geometry.descriptor_blocks();
        let first = geometry.first_block + 1 + descriptors;
        let (kept, all) = (geometry.reserved_descriptors, geometry.block as u64 / 4);
        // Its entries are numbered as if the descriptors were there too.
        let wanted = |at: u64| match (at + all - descriptors % all) % all {
            index if index < kept => first + index,
            _ => 0,
        };
        if !(0..all).all(|at| u64::from(u32_at(&bytes, 4 * at as usize)) == wanted(at)) {
            return Ok(false);
        }
        for index in 0..kept {
            let bytes = self.block(first + index)?;
            let geometry = &self.geometry;
            let others = (1..geometry.groups()).filter(|group| geometry.has_copy(*group));
            let others = others.map(|group| geometry.start(group) + 1 + descriptors + index);
            let mut named = bytes.chunks_exact(4).zip(others.chain(repeat(0)));
            if !named.all(|(named, wanted)| u64::from(u32_at(named, 0)) == wanted) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
