//! Which request begins when.
//!
//! Requests begin in the order in which they came, as many at a time as the disk
//! takes. A flush begins when nothing is under way, and alone: what came before it
//! has ended then, and what came after it waits.

use crate::disk::Transfer;
use alloc::{collections::VecDeque, vec::Vec};
use libipc::interfaces::block::BlockAction;

/// Most requests that are under way or wait, of all clients.
pub const MOST: usize = 256;

/// A request: what is to happen, with which memory, and what the server does when it
/// has.
#[derive(Debug)]
pub struct Request<O> {
    /// What is to happen.
    pub transfer: Transfer,
    /// Place of the memory among those that are registered.
    pub memory: Option<usize>,
    /// Who asked.
    pub owner: O,
}

/// Requests by their state.
#[derive(Debug)]
pub struct Queue<O> {
    waiting: VecDeque<Request<O>>,
    /// By the number that the disk knows it by.
    under_way: Vec<Option<Request<O>>>,
    /// Numbers that are free.
    free: Vec<usize>,
    flushing: bool,
}

impl<O> Queue<O> {
    /// No requests.
    pub fn new() -> Self {
        Queue {
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            free: Vec::new(),
            flushing: false,
        }
    }

    /// Whether another one may come.
    pub fn has_room(&self) -> bool {
        self.waiting.len() + self.count() < MOST
    }

    /// How many are under way.
    fn count(&self) -> usize {
        self.under_way.len() - self.free.len()
    }

    /// A request has come.
    pub fn add(&mut self, request: Request<O>) {
        self.waiting.push_back(request);
    }

    /// Begins the next request, if it is its turn and `take` takes it under this
    /// number. Whether it did.
    pub fn begin(&mut self, take: impl FnOnce(usize, &mut Request<O>) -> bool) -> bool {
        let (alone, flushing) = (self.count() == 0, self.flushing);
        let Some(next) = self.waiting.front_mut() else {
            return false;
        };
        let flush = next.transfer.action == BlockAction::Flush;
        if flushing || flush && !alone {
            return false;
        }
        let number = self.free.last().copied().unwrap_or(self.under_way.len());
        if !take(number, next) {
            return false;
        }
        self.flushing = flush;
        let next = self.waiting.pop_front();
        match self.free.pop() {
            Some(number) => self.under_way[number] = next,
            None => self.under_way.push(next),
        }
        true
    }

    /// The disk says that a request has ended. `None` if there was none.
    pub fn end(&mut self, number: usize) -> Option<Request<O>> {
        let request = self.under_way.get_mut(number)?.take()?;
        self.free.push(number);
        // It was under way alone.
        self.flushing = false;
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    fn request(action: BlockAction, owner: u32) -> Request<u32> {
        Request {
            transfer: Transfer {
                action,
                sector: 0,
                count: 1,
                offset: 0,
            },
            memory: None,
            owner,
        }
    }

    /// Begins all that can, as long as fewer than `room` are under way.
    fn begin(queue: &mut Queue<u32>, room: usize) -> Vec<(usize, u32)> {
        let mut begun = vec![];
        while queue.count() < room
            && queue.begin(|number, request| {
                begun.push((number, request.owner));
                true
            })
        {}
        begun
    }

    #[test]
    fn a_flush_is_alone_between_what_came_before_and_after() {
        use BlockAction::{Flush, Read, Write};
        let mut queue = Queue::new();
        for (owner, action) in [Write, Read, Flush, Flush, Write].into_iter().enumerate() {
            queue.add(request(action, owner as u32));
        }
        assert_eq!(begin(&mut queue, 9), [(0, 0), (1, 1)]);
        assert_eq!(queue.end(0).map(|one| one.owner), Some(0));
        assert_eq!(begin(&mut queue, 9), []);
        assert_eq!(queue.end(1).map(|one| one.owner), Some(1));
        assert_eq!(begin(&mut queue, 9), [(1, 2)]);
        assert_eq!(queue.end(1).map(|one| one.owner), Some(2));
        assert_eq!(begin(&mut queue, 9), [(1, 3)]);
        // Nothing has that number, and nothing had.
        assert!(queue.end(0).is_none());
        assert!(queue.end(7).is_none());
        assert_eq!(begin(&mut queue, 9), []);
        assert!(queue.end(1).is_some());
        assert_eq!(begin(&mut queue, 9), [(1, 4)]);
    }

    #[test]
    fn what_the_disk_does_not_take_waits() {
        let mut queue = Queue::new();
        (0..MOST as u32).for_each(|owner| queue.add(request(BlockAction::Read, owner)));
        assert!(!queue.has_room());
        assert_eq!(begin(&mut queue, 2), [(0, 0), (1, 1)]);
        assert!(!queue.begin(|_, _| false));
        assert!(!queue.has_room());
        queue.end(0).unwrap();
        assert!(queue.has_room());
        assert_eq!(begin(&mut queue, 2), [(0, 2)]);
    }
}
