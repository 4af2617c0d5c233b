//! The kernel's map: all RAM and the devices that the kernel drives, each at
//! its physical address plus an offset, with the least rights that will do.

use crate::refusal::Refusal;
use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use tessera_kernel::arch::{Access, ENTRIES};

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;

/// A page table.
#[repr(C, align(4096))]
pub(crate) struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// With nothing in it.
    pub(crate) const fn empty() -> Self {
        Table([const { AtomicU64::new(0) }; ENTRIES])
    }

    /// With these entries alone.
    pub(crate) const fn with(entries: &[(usize, u64)]) -> Self {
        let mut table = Self::empty();
        let mut next = 0;
        while next < entries.len() {
            table.0[entries[next].0] = AtomicU64::new(entries[next].1);
            next += 1;
        }
        table
    }

    /// One entry.
    pub(crate) fn entry(&self, index: usize) -> &AtomicU64 {
        &self.0[index]
    }
}

/// How an architecture writes entries down.
#[derive(Clone, Copy)]
pub(crate) struct Encoding {
    /// From a physical address to where the kernel sees it.
    pub offset: u64,
    /// A page or block of that level, and the rights.
    pub leaf: fn(u64, Access, usize) -> u64,
    /// The next level's table.
    pub table: fn(u64) -> u64,
}

/// A map that is being made.
pub(crate) struct Map<'a> {
    encoding: Encoding,
    /// Tables to use, the root first, and how many are in use.
    tables: &'a [Table],
    used: usize,
}

impl<'a> Map<'a> {
    /// A map of nothing. There must be at least one table.
    pub(crate) fn new(encoding: Encoding, tables: &'a [Table]) -> Self {
        Map {
            encoding,
            tables,
            used: 1,
        }
    }

    /// How many tables the map uses, the root included.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Maps all pages that the range touches.
    pub(crate) fn add(&mut self, range: &Range<u64>, access: Access) -> Result<(), Refusal> {
        let end = range
            .end
            .checked_next_multiple_of(PAGE)
            .filter(|&end| end <= 0u64.wrapping_sub(self.encoding.offset))
            .ok_or(Refusal::Misplaced(
                "memory or a device lies too high to be mapped",
            ))?;
        let mut at = range.start & !(PAGE - 1);
        while at < end {
            at += self.add_leaf(at, end - at, access)?;
        }
        Ok(())
    }

    /// Maps the largest page or block that begins here; returns its size.
    fn add_leaf(&mut self, at: u64, left: u64, access: Access) -> Result<u64, Refusal> {
        let seen = at.wrapping_add(self.encoding.offset);
        let mut table = 0;
        for level in (0..3).rev() {
            let shift = 12 + 9 * level;
            let size = 1 << shift;
            let entry = self.tables[table].entry((seen >> shift) as usize % ENTRIES);
            let leaf = (self.encoding.leaf)(at, access, level);
            match entry.load(Relaxed) {
                0 if level == 0 || at.is_multiple_of(size) && left >= size => {
                    entry.store(leaf, Relaxed);
                    return Ok(size);
                }
                0 => {
                    if self.used == self.tables.len() {
                        return Err(Refusal::TooMany("ranges to map"));
                    }
                    table = self.used;
                    self.used += 1;
                    entry.store(self.link(table), Relaxed);
                }
                // Devices may share a page.
                word if level == 0 && word == leaf => return Ok(size),
                word => {
                    table = (1..self.used)
                        .find(|&table| level > 0 && self.link(table) == word)
                        .ok_or(Refusal::Misplaced("a device lies in RAM"))?;
                }
            }
        }
        unreachable!("level 0 returns")
    }

    /// The entry for the table of that number.
    fn link(&self, table: usize) -> u64 {
        let seen = (&raw const self.tables[table]).addr() as u64;
        (self.encoding.table)(seen.wrapping_sub(self.encoding.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODING: Encoding = Encoding {
        offset: 0xffff_ffc0_0000_0000,
        leaf: |physical, access, level| {
            physical | (level as u64) << 1 | u64::from(access.bits()) << 4 | 1
        },
        table: |physical| physical & 0x00ff_ffff_ffff_f000 | 1 << 11,
    };

    /// What a walk finds at a physical address: the entry and its level.
    fn walk(tables: &[Table], at: u64) -> (u64, usize) {
        let seen = at + ENCODING.offset;
        let mut table = 0;
        for level in (0..3).rev() {
            let shift = 12 + 9 * level;
            let word = tables[table]
                .entry((seen >> shift) as usize % ENTRIES)
                .load(Relaxed);
            if word & 1 << 11 == 0 {
                return (word, level);
            }
            table = (0..tables.len())
                .find(|&table| {
                    let address = (&raw const tables[table]).addr() as u64;
                    (ENCODING.table)(address.wrapping_sub(ENCODING.offset)) == word
                })
                .unwrap();
        }
        unreachable!()
    }

    #[test]
    fn a_range_gets_the_largest_blocks_that_fit() {
        let tables = [const { Table::empty() }; 6];
        let mut map = Map::new(ENCODING, &tables);
        let end = 0xc000_0000 + 0x20_1000;
        map.add(&(0x401f_f000..end), Access::WRITE).unwrap();
        assert_eq!(walk(&tables, 0x401f_e000).0, 0);
        assert_eq!(walk(&tables, 0x401f_f000), (0x401f_f021, 0));
        assert_eq!(walk(&tables, 0x4020_0000), (0x4020_0023, 1));
        assert_eq!(walk(&tables, 0x8000_0000), (0x8000_0025, 2));
        assert_eq!(walk(&tables, end - 1), (0xc020_0021, 0));
        assert_eq!(walk(&tables, end).0, 0);
        assert_eq!(map.used(), 5);
    }

    #[test]
    fn a_table_made_beforehand_has_its_entries_alone() {
        let table = Table::with(&[(1, 7), (511, 9)]);
        let found = (0..ENTRIES).map(|index| table.entry(index).load(Relaxed));
        assert_eq!(found.filter(|&word| word != 0).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(table.entry(1).load(Relaxed), 7);
    }

    #[test]
    fn neighbours_keep_their_own_rights() {
        let tables = [const { Table::empty() }; 3];
        let mut map = Map::new(ENCODING, &tables);
        map.add(&(0x1000..0x2000), Access::EXECUTE).unwrap();
        map.add(&(0x2000..0x3000), Access::READ).unwrap();
        map.add(&(0x4000..0x5000), Access::WRITE).unwrap();
        let found = [1, 2, 3, 4].map(|page| walk(&tables, page << 12).0);
        assert_eq!(found, [0x1041, 0x2011, 0, 0x4021]);
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let tables = [const { Table::empty() }; 3];
        let mut map = Map::new(ENCODING, &tables);
        let high = 1 << 38;
        assert!(map.add(&(high - PAGE..high + 1), Access::WRITE).is_err());
        assert!(map.add(&(high..u64::MAX), Access::WRITE).is_err());
        map.add(&(0x20_0000..0x40_0000), Access::WRITE).unwrap();
        assert!(map.add(&(0x20_0000..0x20_1000), Access::DEVICE).is_err());
        map.add(&(0x1000..0x1001), Access::DEVICE).unwrap();
        map.add(&(0x1100..0x1101), Access::DEVICE).unwrap();
        assert!(map.add(&(0x1000..0x1001), Access::WRITE).is_err());
        let full = map.add(&(0x4000_0000..0x4000_1000), Access::WRITE);
        assert_eq!(full, Err(Refusal::TooMany("ranges to map")));
    }
}
