//! Lines of threads that wait at an endpoint.

use crate::{
    Entered,
    cell::{Link, Word},
    list::List,
    object::thread::{FirstOfRank, InQueue, Thread},
};

/// Threads that wait at an endpoint, the longest first, and how far the one look
/// through them has come that there is at a time ([`crate::ipc::waits`]).
#[derive(Default)]
pub struct Line {
    threads: List<Thread, InQueue>,
    /// The next one to look at.
    next: Link<Thread>,
}

impl Line {
    /// Whether nobody waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Who waits longest.
    #[inline(always)]
    pub fn first<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        self.threads.first(k)
    }

    /// All of them.
    pub fn iter<'l, 'k: 'l>(&'l self, k: Entered<'k>) -> impl Iterator<Item = &'k Thread> + 'l {
        self.threads.iter(k)
    }

    /// One more waits.
    #[inline(always)]
    pub fn push(&self, k: Entered<'_>, thread: &Thread) {
        self.threads.push(k, thread);
    }

    /// Takes `first`, who waits longest; not during a look.
    #[inline(always)]
    pub fn pop_first(&self, k: Entered<'_>, first: &Thread) {
        self.threads.pop_first(k, first);
    }

    /// One of them waits no more.
    pub fn remove(&self, k: Entered<'_>, thread: &Thread) {
        if self.next.is(thread) {
            self.next.set(self.threads.after(k, thread));
        }
        self.threads.remove(k, thread);
    }

    /// Takes who waits longest.
    pub fn pop<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let first = self.first(k)?;
        self.remove(k, first);
        Some(first)
    }

    /// One more waits, behind `place` or in front.
    fn insert_after(&self, k: Entered<'_>, place: Option<&Thread>, thread: &Thread) {
        self.threads.insert_after(k, place, thread);
    }

    /// Begins to look at all who wait now.
    pub fn begin_look(&self, k: Entered<'_>) {
        self.next.set(self.first(k));
    }

    /// The next of them, if there is one.
    pub fn look<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let thread = self.next.get(k)?;
        self.next.set(self.threads.after(k, thread));
        Some(thread)
    }
}

/// Threads whose calls wait at an endpoint, by rank ([`crate::schedule::inherit`]),
/// and those of one rank in order of arrival.
#[derive(Default)]
pub struct Senders {
    line: Line,
    length: Word<u64>,
    /// The first of each rank there is, so that a place is found in as many steps as
    /// there are ranks.
    firsts: List<Thread, FirstOfRank>,
}

impl Senders {
    /// Whether nobody waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// How many wait.
    pub fn length(&self) -> u64 {
        self.length.get()
    }

    /// Whose turn is next.
    pub fn first<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        self.line.first(k)
    }

    /// All of them.
    pub fn iter<'l, 'k: 'l>(&'l self, k: Entered<'k>) -> impl Iterator<Item = &'k Thread> + 'l {
        self.line.iter(k)
    }

    /// One more waits.
    pub fn push(&self, k: Entered<'_>, thread: &Thread, rank: u8) {
        thread.rank.set(rank);
        self.length.add(1);
        let Some(below) = self.firsts.iter(k).find(|first| first.rank.get() < rank) else {
            let first = self
                .firsts
                .last(k)
                .is_none_or(|last| last.rank.get() != rank);
            self.line.push(k, thread);
            if first {
                self.firsts.push(k, thread);
            }
            return;
        };
        let before = self.line.threads.before(k, below);
        self.line.insert_after(k, before, thread);
        if before.is_none_or(|before| before.rank.get() != rank) {
            let above = self.firsts.before(k, below);
            self.firsts.insert_after(k, above, thread);
        }
    }

    /// One of them waits no more.
    pub fn remove(&self, k: Entered<'_>, thread: &Thread) {
        let rank = thread.rank.get();
        let same = |other: &&Thread| other.rank.get() == rank;
        if self.line.threads.before(k, thread).filter(same).is_none() {
            if let Some(next) = self.line.threads.after(k, thread).filter(same) {
                self.firsts.insert_after(k, Some(thread), next);
            }
            self.firsts.remove(k, thread);
        }
        self.line.remove(k, thread);
        self.length.take(1);
    }

    /// Takes whose turn is next.
    pub fn pop<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        let first = self.first(k)?;
        self.remove(k, first);
        Some(first)
    }

    /// See [`Line::begin_look`].
    pub fn begin_look(&self, k: Entered<'_>) {
        self.line.begin_look(k);
    }

    /// See [`Line::look`].
    pub fn look<'k>(&self, k: Entered<'k>) -> Option<&'k Thread> {
        self.line.look(k)
    }

    /// The first of each rank.
    #[cfg(test)]
    pub(crate) fn firsts<'l, 'k: 'l>(
        &'l self,
        k: Entered<'k>,
    ) -> impl Iterator<Item = &'k Thread> + 'l {
        self.firsts.iter(k)
    }
}
