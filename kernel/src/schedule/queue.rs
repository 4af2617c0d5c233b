//! The run queue: a list for each of 256 priorities and a bit for each list, so
//! that every operation takes constant time.

use crate::{
    Entered,
    cell::Word,
    list::List,
    object::thread::{InQueue, Thread},
};

/// Threads that are ready, other than the one that runs.
#[repr(C)]
pub struct RunQueue {
    /// The highest priority of a ready thread + 1, or 0. First, so that it is near the
    /// core's address.
    top: Word<u64>,
    occupied: [Word<u64>; 4],
    lists: [List<Thread, InQueue>; 256],
}

impl RunQueue {
    /// Nobody is ready.
    pub const fn empty() -> RunQueue {
        RunQueue {
            lists: [const { List::empty() }; 256],
            occupied: [const { Word::zeroed() }; 4],
            top: Word::zeroed(),
        }
    }

    /// The threads of a priority.
    pub fn of(&self, priority: u8) -> &List<Thread, InQueue> {
        &self.lists[priority as usize]
    }

    /// The highest priority of a ready thread.
    pub fn highest(&self) -> Option<u8> {
        self.top.get().checked_sub(1).map(|priority| priority as u8)
    }

    /// The same + 1, or 0.
    #[inline(always)]
    pub fn top(&self) -> u64 {
        self.top.get()
    }

    fn find_top(&self) -> u64 {
        let highest = (0..4).rev().find_map(|group| {
            let bits = self.occupied[group].get();
            (bits != 0).then(|| group as u64 * 64 + 64 - u64::from(bits.leading_zeros()))
        });
        highest.unwrap_or(0)
    }

    #[inline(always)]
    fn mark(&self, priority: u8, occupied: bool) {
        let group = &self.occupied[priority as usize / 64];
        let bit = 1 << (priority % 64);
        group.set(if occupied {
            group.get() | bit
        } else {
            group.get() & !bit
        });
        let above = u64::from(priority) + 1;
        if occupied {
            self.top.set(self.top.get().max(above));
        } else if self.top.get() == above {
            self.top.set(self.find_top());
        }
    }

    /// Adds a thread behind those of its priority.
    #[inline(always)]
    pub fn push(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        self.of(priority).push(k, thread);
        self.mark(priority, true);
    }

    /// Adds a thread before those of its priority.
    #[inline(always)]
    pub fn push_front(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        self.of(priority).push_front(k, thread);
        self.mark(priority, true);
    }

    /// Takes the first thread of the highest priority.
    pub fn pop<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let thread = self.of(self.highest()?).first(k)?;
        self.remove(k, thread);
        Some(thread)
    }

    /// Takes out a thread that is alone with its priority.
    #[inline(always)]
    pub fn remove_only(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        self.of(priority).pop_first(k, thread);
        self.mark(priority, false);
    }

    /// Takes out a thread that is in the queue.
    pub fn remove(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        let list = self.of(priority);
        list.remove(k, thread);
        if list.is_empty() {
            self.mark(priority, false);
        }
    }
}
