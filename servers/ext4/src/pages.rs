//! The page cache: what was read and what is still to be written.
//!
//! Its memory is cut into slots, each for one aligned piece of a file, so that
//! what is next to each other in a file goes to the disk in one piece. Who writes a
//! file in order has slots in order, and these are one piece too. Each slot knows
//! which of its pages are valid, and which differ from the disk.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::ops::{DerefMut, Range};

/// What a page cache has its pages in: on the target memory that the disk's driver
/// knows.
pub type Memory = Box<dyn DerefMut<Target = [u8]>>;

/// Bytes in a page, the unit that is valid or not.
pub const PAGE: u64 = 4096;

/// Pages in a slot.
pub const SLOT_PAGES: u64 = 16;

/// Bytes in a slot.
pub const SLOT: u64 = PAGE * SLOT_PAGES;

/// Most pages that are written in one piece.
const LONGEST: u64 = 16 * SLOT_PAGES;

/// One bit for each page of a slot.
type Bits = u16;

/// Which piece of which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The file.
    pub inode: u32,
    /// The piece, in slots.
    pub index: u64,
}

impl Key {
    /// Position of its first byte.
    pub fn start(self) -> u64 {
        self.index * SLOT
    }
}

/// A slot's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(usize);

#[derive(Clone, Debug, Default)]
struct Slot {
    key: Option<Key>,
    valid: Bits,
    dirty: Bits,
    /// When it was last used.
    used: u64,
}

/// Pages of a file that are to be written, next to each other in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where in the file the first begins.
    pub start: u64,
    /// Where in the file the last ends.
    pub end: u64,
    /// The slot of the first.
    slot: usize,
}

impl Run {
    /// Where in the memory this position of the file is.
    fn place(&self, position: u64) -> usize {
        (self.slot as u64 * SLOT + self.start % SLOT + position - self.start) as usize
    }
}

/// All slots.
pub struct Pages {
    memory: Memory,
    slots: Vec<Slot>,
    by_key: BTreeMap<Key, usize>,
    now: u64,
    dirty: u64,
}

impl Pages {
    /// A cache in this memory, which has at least two slots.
    pub fn new(memory: Memory) -> Self {
        let count = memory.len() / SLOT as usize;
        Pages {
            memory,
            slots: alloc::vec![Slot::default(); count],
            by_key: BTreeMap::new(),
            now: 0,
            dirty: 0,
        }
    }

    /// How many of these pages of a piece are not to be written yet.
    pub fn clean(&self, key: Key, pages: Range<u64>) -> u64 {
        let slot = self.by_key.get(&key).map(|slot| SlotId(*slot));
        let is_clean = |page: &u64| slot.is_none_or(|slot| !self.is_dirty(slot, *page));
        pages.filter(is_clean).count() as u64
    }

    /// Number of pages that are to be written.
    pub fn dirty(&self) -> u64 {
        self.dirty
    }

    /// The slot of this piece.
    pub fn find(&mut self, key: Key) -> Option<SlotId> {
        let index = *self.by_key.get(&key)?;
        self.now += 1;
        self.slots[index].used = self.now;
        Some(SlotId(index))
    }

    /// The slot that has been unused for longest, one with nothing to write if
    /// there is one, and the piece in it that has to be written first.
    pub fn oldest(&self) -> (SlotId, Option<Key>) {
        let order = |slot: &Slot| (u64::from(slot.dirty != 0) << 63) | slot.used;
        let mut slots = self.slots.iter().map(order).zip(0..);
        let first = slots.next().unwrap_or_default();
        let (_, index) = slots.fold(first, |oldest, slot| match slot.0 < oldest.0 {
            true => slot,
            false => oldest,
        });
        let slot = &self.slots[index];
        (SlotId(index), slot.key.filter(|_| slot.dirty != 0))
    }

    /// Gives a slot, whatever is in it, to this piece.
    pub fn assign(&mut self, id: SlotId, key: Key) {
        self.clear(id);
        self.now += 1;
        self.slots[id.0] = Slot {
            key: Some(key),
            used: self.now,
            ..Slot::default()
        };
        self.by_key.insert(key, id.0);
    }

    /// The bytes of a slot.
    pub fn bytes(&mut self, id: SlotId) -> &mut [u8] {
        let start = id.0 * SLOT as usize;
        &mut self.memory[start..start + SLOT as usize]
    }

    /// Whether the page is valid.
    pub fn is_valid(&self, id: SlotId, page: u64) -> bool {
        self.slots[id.0].valid & bit(page) != 0
    }

    /// The page holds what the file does.
    pub fn set_valid(&mut self, id: SlotId, page: u64) {
        self.slots[id.0].valid |= bit(page);
    }

    /// The page differs from the disk, whose file it is ahead of.
    pub fn set_dirty(&mut self, id: SlotId, page: u64) {
        let slot = &mut self.slots[id.0];
        self.dirty += u64::from(slot.dirty & bit(page) == 0);
        slot.dirty |= bit(page);
        slot.valid |= bit(page);
    }

    /// Whether the page is to be written.
    pub fn is_dirty(&self, id: SlotId, page: u64) -> bool {
        self.slots[id.0].dirty & bit(page) != 0
    }

    /// The first pages of a piece that are to be written, and those that follow them
    /// in the file and in memory.
    pub fn dirty_run(&self, key: Key) -> Option<Run> {
        let slot = *self.by_key.get(&key)?;
        let first = (0..SLOT_PAGES).find(|page| self.is_dirty(SlotId(slot), *page))?;
        let is_next = |count: &u64| {
            let page = first + count;
            let (ahead, page) = (page / SLOT_PAGES, page % SLOT_PAGES);
            let next = Key {
                index: key.index + ahead,
                ..key
            };
            let other = slot + ahead as usize;
            let other = self.slots.get(other).filter(|one| one.key == Some(next));
            other.is_some_and(|other| other.dirty & bit(page) != 0)
        };
        let count = (1..LONGEST).take_while(is_next).count() as u64 + 1;
        let start = key.start() + first * PAGE;
        Some(Run {
            start,
            end: start + count * PAGE,
            slot,
        })
    }

    /// The bytes of a run between two positions in it.
    pub fn run(&self, run: &Run, positions: Range<u64>) -> &[u8] {
        &self.memory[run.place(positions.start)..run.place(positions.end)]
    }

    /// What a run has between two positions is on the disk.
    pub fn set_run_clean(&mut self, run: &Run, positions: Range<u64>) {
        let first = (run.place(positions.start) / PAGE as usize) as u64;
        for page in first..first + (positions.end - positions.start).div_ceil(PAGE) {
            let id = SlotId((page / SLOT_PAGES) as usize);
            self.set_clean(id, page % SLOT_PAGES);
        }
    }

    fn set_clean(&mut self, id: SlotId, page: u64) {
        let slot = &mut self.slots[id.0];
        self.dirty -= u64::from(slot.dirty & bit(page) != 0);
        slot.dirty &= !bit(page);
    }

    /// The first piece, from this one on, that has something to write.
    pub fn next_dirty(&self, from: Key) -> Option<Key> {
        let mut pieces = self.by_key.range(from..);
        let found = pieces.find(|(_, index)| self.slots[**index].dirty != 0);
        found.map(|(key, _)| *key)
    }

    /// Forgets what lies past the end of a file, written or not.
    pub fn cut(&mut self, inode: u32, size: u64) {
        let first = Key {
            inode,
            index: size / SLOT,
        };
        let last = Key {
            inode,
            index: u64::MAX,
        };
        let found: Vec<_> = self
            .by_key
            .range(first..=last)
            .map(|(k, i)| (*k, *i))
            .collect();
        for (key, index) in found {
            let kept = size.saturating_sub(key.start()).div_ceil(PAGE);
            let id = SlotId(index);
            if kept == 0 {
                self.clear(id);
                continue;
            }
            for page in kept..SLOT_PAGES {
                self.set_clean(id, page);
                self.slots[index].valid &= !bit(page);
            }
        }
    }

    fn clear(&mut self, id: SlotId) {
        self.dirty -= u64::from(self.slots[id.0].dirty.count_ones());
        if let Some(key) = self.slots[id.0].key.take() {
            self.by_key.remove(&key);
        }
        self.slots[id.0] = Slot::default();
    }
}

fn bit(page: u64) -> Bits {
    1 << page
}
