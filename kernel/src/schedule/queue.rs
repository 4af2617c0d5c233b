//! The run queue: a list for each of 256 priorities and a bit for each list, so
//! that every operation takes constant time. Before them all a place for one thread,
//! as mostly who has to make way comes back before anything else happens.

use crate::{
    Entered,
    cell::{Link, Word},
    list::List,
    object::thread::{InQueue, Thread},
};

/// Threads that are ready, other than the one that runs.
#[repr(C)]
pub struct RunQueue {
    /// The highest priority of a ready thread + 1, or 0. First, so that it is near the
    /// core's address.
    top: Word<u64>,
    /// The same of those in the lists.
    below: Word<u64>,
    /// Comes before all of them, and is in none.
    front: Link<Thread>,
    occupied: [Word<u64>; 4],
    lists: [List<Thread, InQueue>; 256],
}

impl RunQueue {
    /// Nobody is ready.
    pub const fn empty() -> RunQueue {
        RunQueue {
            top: Word::zeroed(),
            below: Word::zeroed(),
            front: Link::none(),
            occupied: [const { Word::zeroed() }; 4],
            lists: [const { List::empty() }; 256],
        }
    }

    fn of(&self, priority: u8) -> &List<Thread, InQueue> {
        &self.lists[priority as usize]
    }

    /// The threads of a priority, in their order.
    #[cfg(test)]
    pub(crate) fn with<'l, 'k: 'l>(
        &'l self,
        k: Entered<'k>,
        priority: u8,
    ) -> impl Iterator<Item = &'k Thread> + 'l {
        let front = self.front.get(k);
        let front = front.filter(|front| front.effective.get() == priority);
        front.into_iter().chain(self.of(priority).iter(k))
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

    /// The thread of the highest priority, if it is alone with it.
    #[inline(always)]
    pub fn only<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        if let Some(front) = self.front.get(k) {
            return (self.below.get() != self.top.get()).then_some(front);
        }
        let list = self.of(self.highest()?);
        list.first(k).filter(|first| list.after(k, first).is_none())
    }

    fn find_top(&self) -> u64 {
        let highest = (0..4).rev().find_map(|group| {
            let bits = self.occupied[group].get();
            (bits != 0).then(|| group as u64 * 64 + 64 - u64::from(bits.leading_zeros()))
        });
        highest.unwrap_or(0)
    }

    /// A list has got its first thread, or lost its last one.
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
            self.below.set(self.below.get().max(above));
        } else if self.below.get() == above {
            self.below.set(self.find_top());
        }
        if self.front.is_none() {
            self.top.set(self.below.get());
        }
    }

    /// Puts the thread before all others, which have no higher priority.
    #[inline(always)]
    fn put_first(&self, k: Entered<'_>, thread: &Thread, above: u64) {
        if let Some(front) = self.front.get(k) {
            self.put_back(k, front);
        }
        self.front.set(Some(thread));
        self.top.set(above);
    }

    /// Another thread comes before this one.
    #[inline(always)]
    fn put_back(&self, k: Entered<'_>, front: &Thread) {
        let priority = front.effective.get();
        self.of(priority).push_front(k, front);
        self.mark(priority, true);
    }

    /// Adds a thread behind those of its priority.
    #[inline(always)]
    pub fn push(&self, k: Entered<'_>, thread: &Thread) {
        let above = thread.effective.bits() + 1;
        if above > self.top.get() {
            return self.put_first(k, thread, above);
        }
        self.push_back(k, thread);
    }

    #[inline(always)]
    fn push_back(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        self.of(priority).push(k, thread);
        self.mark(priority, true);
    }

    /// Adds a thread before those of its priority.
    #[inline(always)]
    pub fn push_front(&self, k: Entered<'_>, thread: &Thread) {
        let above = thread.effective.bits() + 1;
        if above >= self.top.get() {
            return self.put_first(k, thread, above);
        }
        self.put_back(k, thread);
    }

    /// Takes the first thread of the highest priority.
    pub fn pop<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let thread = match self.front.get(k) {
            Some(front) => front,
            None => self.of(self.highest()?).first(k)?,
        };
        self.remove(k, thread);
        Some(thread)
    }

    /// Takes out a thread that is in the queue.
    #[inline(always)]
    pub fn remove(&self, k: Entered<'_>, thread: &Thread) {
        if self.front.is(thread) {
            self.front.set(None);
            self.top.set(self.below.get());
            return;
        }
        self.remove_listed(k, thread);
    }

    #[inline(always)]
    fn remove_listed(&self, k: Entered<'_>, thread: &Thread) {
        let priority = thread.effective.get();
        let list = self.of(priority);
        list.remove(k, thread);
        if list.is_empty() {
            self.mark(priority, false);
        }
    }
}
