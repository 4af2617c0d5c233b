//! A line of threads that wait at an endpoint.

use crate::{
    Entered,
    cell::Link,
    list::List,
    object::thread::{InQueue, Thread},
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
