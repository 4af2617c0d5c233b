//! Bytes in order, in bounded memory.

use alloc::vec::Vec;

/// A queue of bytes with a fixed capacity, seen as slices, so that copies go
/// straight in and out.
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Ring {
    /// An empty ring; `None` if there is no memory for it.
    pub fn new(capacity: usize) -> Option<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity).ok()?;
        bytes.resize(capacity, 0);
        Some(Ring {
            bytes,
            start: 0,
            length: 0,
        })
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that still fit.
    pub fn free(&self) -> usize {
        self.bytes.len() - self.length
    }

    /// The first bytes, as many as lie in one piece.
    pub fn front(&self) -> &[u8] {
        let end = (self.start + self.length).min(self.bytes.len());
        &self.bytes[self.start..end]
    }

    /// Drops `count` bytes at the front, or all.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.start = if self.length == 0 {
            // Empty: begin anew, so that the next piece is as long as can be.
            0
        } else {
            (self.start + count) % self.bytes.len()
        };
    }

    /// Room behind the last byte, as much as lies in one piece. What is written
    /// there counts after `commit`.
    pub fn room(&mut self) -> &mut [u8] {
        let capacity = self.bytes.len();
        let end = self.start + self.length;
        if end < capacity {
            &mut self.bytes[end..]
        } else {
            &mut self.bytes[end - capacity..self.start]
        }
    }

    /// Appends the first `count` bytes of the room.
    pub fn commit(&mut self, count: usize) {
        self.length = (self.length + count).min(self.bytes.len());
    }

    /// Appends as much of `bytes` as fits and returns how much that was.
    pub fn push(&mut self, mut bytes: &[u8]) -> usize {
        let mut pushed = 0;
        while !bytes.is_empty() && self.free() > 0 {
            let room = self.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.commit(count);
            bytes = &bytes[count..];
            pushed += count;
        }
        pushed
    }

    /// Takes the first byte.
    pub fn pop(&mut self) -> Option<u8> {
        let byte = *self.front().first()?;
        self.consume(1);
        Some(byte)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.consume(self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_as_a_queue(
            capacity in 1_usize..9,
            steps in proptest::collection::vec((any::<bool>(), 0_usize..12), 0..64),
        ) {
            let mut ring = Ring::new(capacity).unwrap();
            let mut model = VecDeque::new();
            let mut next = 0_u8;
            for (push, count) in steps {
                if push {
                    let bytes: Vec<u8> = (0..count).map(|i| next.wrapping_add(i as u8)).collect();
                    let pushed = ring.push(&bytes);
                    prop_assert_eq!(pushed, count.min(capacity - model.len()));
                    model.extend(&bytes[..pushed]);
                    next = next.wrapping_add(pushed as u8);
                } else {
                    let front = ring.front().len();
                    prop_assert!(model.is_empty() || front > 0);
                    let count = count.min(front);
                    let expected: Vec<u8> = model.drain(..count).collect();
                    prop_assert_eq!(&ring.front()[..count], &expected[..]);
                    ring.consume(count);
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.free(), capacity - model.len());
            }
            let rest: Vec<u8> = core::iter::from_fn(|| ring.pop()).collect();
            prop_assert_eq!(rest, Vec::from(model));
        }
    }
}
