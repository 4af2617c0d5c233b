//! The page cache: what was read and what is still to be written.
//!
//! Its memory is cut into slots, each for one aligned piece of a file, so that
//! what is next to each other in a file goes to the disk in one piece. Each slot
//! knows which of its pages are valid, and which differ from the disk.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Range;

/// Bytes in a page, the unit that is valid or not.
pub const PAGE: u64 = 4096;

/// Pages in a slot.
pub const SLOT_PAGES: u64 = 16;

/// Bytes in a slot.
pub const SLOT: u64 = PAGE * SLOT_PAGES;

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

/// All slots.
#[derive(Debug)]
pub struct Pages {
    memory: Vec<u8>,
    slots: Vec<Slot>,
    by_key: BTreeMap<Key, usize>,
    now: u64,
    dirty: u64,
}

impl Pages {
    /// A cache of so many bytes, at least two slots.
    pub fn new(bytes: usize) -> Self {
        let count = (bytes / SLOT as usize).max(2);
        Pages {
            memory: alloc::vec![0; count * SLOT as usize],
            slots: alloc::vec![Slot::default(); count],
            by_key: BTreeMap::new(),
            now: 0,
            dirty: 0,
        }
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
        let order = |slot: &Slot| (slot.dirty != 0, slot.used);
        let oldest = (0..self.slots.len()).min_by_key(|index| order(&self.slots[*index]));
        let index = oldest.unwrap_or(0);
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

    /// These pages are on the disk.
    pub fn set_clean(&mut self, id: SlotId, pages: Range<u64>) {
        let slot = &mut self.slots[id.0];
        for page in pages {
            self.dirty -= u64::from(slot.dirty & bit(page) != 0);
            slot.dirty &= !bit(page);
        }
    }

    /// The first run of pages that are to be written.
    pub fn dirty_run(&self, id: SlotId) -> Option<Range<u64>> {
        let is_dirty = |page: &u64| self.is_dirty(id, *page);
        let start = (0..SLOT_PAGES).find(is_dirty)?;
        let end = (start..SLOT_PAGES).find(|page| !is_dirty(page));
        Some(start..end.unwrap_or(SLOT_PAGES))
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
            self.set_clean(id, kept..SLOT_PAGES);
            for page in kept..SLOT_PAGES {
                self.slots[index].valid &= !bit(page);
            }
        }
    }

    fn clear(&mut self, id: SlotId) {
        self.set_clean(id, 0..SLOT_PAGES);
        if let Some(key) = self.slots[id.0].key.take() {
            self.by_key.remove(&key);
        }
        self.slots[id.0] = Slot::default();
    }
}

fn bit(page: u64) -> Bits {
    1 << page
}
