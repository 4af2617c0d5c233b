//! What is on its way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most frames on their way; more are lost.
const MOST: usize = 1 << 16;

/// A frame on its way to one machine.
pub(super) struct Frame {
    /// When it is to arrive.
    pub(super) due: Instant,
    /// The machine.
    pub(super) to: usize,
    /// The frame.
    pub(super) bytes: Box<[u8]>,
    /// Since when the machine takes nothing.
    pub(super) since: Option<Instant>,
}

/// Frames, by when they are due and the order in which they came.
pub(super) struct Queue {
    inside: Mutex<Inside>,
    news: Condvar,
}

struct Inside {
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    frames: std::collections::BTreeMap<u64, Frame>,
    next: u64,
    ended: bool,
}

impl Queue {
    pub(super) fn new() -> Queue {
        Queue {
            inside: Mutex::new(Inside {
                order: BinaryHeap::new(),
                frames: std::collections::BTreeMap::new(),
                next: 0,
                ended: false,
            }),
            news: Condvar::new(),
        }
    }

    /// A frame sets out.
    pub(super) fn push(&self, frame: Frame) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.frames.len() < MOST {
            let number = inside.next;
            inside.next += 1;
            inside.order.push(Reverse((frame.due, number)));
            inside.frames.insert(number, frame);
            self.news.notify_one();
        }
    }

    /// Waits for the next frame that is due; `None` at the end. It looks for that at
    /// least so often.
    pub(super) fn next(&self, look: Duration) -> Option<Frame> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        while !inside.ended {
            let now = Instant::now();
            let wait = match inside.order.peek() {
                Some(Reverse((due, number))) if *due <= now => {
                    let number = *number;
                    inside.order.pop();
                    if let Some(frame) = inside.frames.remove(&number) {
                        return Some(frame);
                    }
                    continue;
                }
                Some(Reverse((due, _))) => look.min(*due - now),
                None => look,
            };
            let woken = self.news.wait_timeout(inside, wait);
            inside = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    pub(super) fn end(&self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.ended = true;
        self.news.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        let inside = self.inside.lock();
        inside.unwrap_or_else(PoisonError::into_inner).ended
    }
}
