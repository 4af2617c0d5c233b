//! Whole lines at positions that only grow; the oldest are forgotten first.

use alloc::collections::VecDeque;

/// Lines within a bounded number of bytes.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Position of the first byte.
    start: u64,
}

/// Not even one line fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

impl Ring {
    /// An empty ring.
    pub fn new(capacity: usize) -> Self {
        Ring {
            bytes: VecDeque::with_capacity(capacity),
            capacity,
            start: 0,
        }
    }

    /// Position behind the last line.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Appends a line, which must have no newline in it. One that is longer
    /// than the whole ring is cut.
    pub fn push(&mut self, line: &str) {
        let mut length = line.len().min(self.capacity.saturating_sub(1));
        while !line.is_char_boundary(length) {
            length -= 1;
        }
        while self.bytes.len() + length + 1 > self.capacity && !self.bytes.is_empty() {
            self.forget();
        }
        self.bytes.extend(&line.as_bytes()[..length]);
        self.bytes.push_back(b'\n');
    }

    /// Copies whole lines from `position` on; returns the position of the first
    /// and the number of bytes. A position that is no line's begin, or that
    /// never was, reads from the oldest line or the next.
    pub fn read(&self, position: u64, into: &mut [u8]) -> Result<(u64, usize), TooSmall> {
        let mut skip = match position.checked_sub(self.start) {
            Some(skip) if position <= self.end() => skip as usize,
            _ => 0,
        };
        if skip > 0 && self.bytes[skip - 1] != b'\n' {
            let rest = self.bytes.iter().skip(skip);
            skip += rest.take_while(|&&byte| byte != b'\n').count() + 1;
        }
        let (mut copied, mut whole) = (0, 0);
        for (place, &byte) in into.iter_mut().zip(self.bytes.iter().skip(skip)) {
            *place = byte;
            copied += 1;
            if byte == b'\n' {
                whole = copied;
            }
        }
        if whole == 0 && skip < self.bytes.len() {
            return Err(TooSmall);
        }
        Ok((self.start + skip as u64, whole))
    }

    /// Drops the oldest line.
    fn forget(&mut self) {
        let length = self.bytes.iter().take_while(|&&byte| byte != b'\n').count() + 1;
        self.bytes.drain(..length);
        self.start += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::String, vec, vec::Vec};
    use proptest::prelude::*;

    fn read(ring: &Ring, position: u64, room: usize) -> (u64, String) {
        let mut bytes = vec![0; room];
        let (start, count) = ring.read(position, &mut bytes).unwrap();
        bytes.truncate(count);
        (start, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn lines_stay_whole_and_the_oldest_go() {
        let mut ring = Ring::new(16);
        for line in ["one", "two", "three"] {
            ring.push(line);
        }
        assert_eq!(read(&ring, 0, 99), (0, "one\ntwo\nthree\n".into()));
        assert_eq!(read(&ring, 0, 9), (0, "one\ntwo\n".into()));
        ring.push("four");
        assert_eq!(read(&ring, 0, 99), (4, "two\nthree\nfour\n".into()));
        assert_eq!(read(&ring, ring.end(), 99), (ring.end(), String::new()));
        assert_eq!(ring.read(4, &mut [0; 3]), Err(TooSmall));
    }

    #[test]
    fn odd_positions_read_from_the_next_line() {
        let mut ring = Ring::new(64);
        ring.push("one");
        ring.push("two");
        assert_eq!(read(&ring, 1, 99), (4, "two\n".into()));
        assert_eq!(read(&ring, 7, 99), (8, String::new()));
        assert_eq!(read(&ring, 1000, 99), (0, "one\ntwo\n".into()));
    }

    #[test]
    fn a_line_longer_than_the_ring_is_cut_at_a_character() {
        let mut ring = Ring::new(9);
        ring.push("häääää");
        assert_eq!(read(&ring, 0, 99).1, "häää\n");
    }

    proptest! {
        #[test]
        fn who_keeps_up_reads_everything(
            lines in proptest::collection::vec("[a-zä]{0,20}", 0..60),
            room in 64_usize..200,
        ) {
            let mut ring = Ring::new(256);
            let (mut position, mut text) = (0, String::new());
            for line in &lines {
                ring.push(line);
                let (start, new) = read(&ring, position, room);
                prop_assert_eq!(start, position);
                position = start + new.len() as u64;
                text += &new;
            }
            let expected: Vec<String> = lines.iter().map(|line| line.clone() + "\n").collect();
            prop_assert_eq!(text, expected.concat());
            prop_assert!(ring.bytes.len() <= 256);
        }
    }
}
