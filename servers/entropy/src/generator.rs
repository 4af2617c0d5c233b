//! Bytes without end from a seed.
//!
//! Each request is answered from a ChaCha20 stream whose first bytes are the key of
//! the next request's, so that whoever learns a key learns nothing of what was said
//! before it (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017).
//! Fresh bytes of a device are added to the key after it was stepped in this way: who
//! knows only the key, or chose only the bytes, does not know the sum.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Bytes of a key, and of what a device has to say before it counts as a seed.
pub const SEED: usize = 32;

/// Bytes after which a device is asked for more.
pub const STALE: u64 = 64 << 10;

/// The generator.
pub struct Generator {
    key: [u8; SEED],
    /// What a device has said since the last seed, and how much that is.
    fresh: [u8; SEED],
    count: usize,
    seeded: bool,
    /// Bytes that were given out since then.
    given: u64,
}

impl Generator {
    /// One without a seed. `extra` makes two of them differ if nothing else does, and
    /// counts for nothing.
    pub fn new(extra: u64) -> Generator {
        let mut key = [0; SEED];
        key[..8].copy_from_slice(&extra.to_le_bytes());
        Generator {
            key,
            fresh: [0; SEED],
            count: 0,
            seeded: false,
            given: 0,
        }
    }

    /// Takes what a device has said. Enough of it is a seed.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fresh[self.count] = *byte;
            self.count += 1;
            if self.count == SEED {
                self.seed();
            }
        }
    }

    fn seed(&mut self) {
        self.step();
        for (key, fresh) in self.key.iter_mut().zip(&mut self.fresh) {
            *key ^= core::mem::take(fresh);
        }
        (self.count, self.seeded, self.given) = (0, true, 0);
    }

    /// Replaces the key; what comes after it in the old key's stream.
    fn step(&mut self) -> ChaCha20Rng {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream
    }

    /// Whether there was a seed, ever.
    pub fn is_seeded(&self) -> bool {
        self.seeded
    }

    /// Whether there should be a new one.
    pub fn is_stale(&self) -> bool {
        !self.seeded || self.given >= STALE
    }

    /// The bytes of a request of this length, to be taken from the front. `None`
    /// without a seed.
    pub fn request(&mut self, length: usize) -> Option<impl FnMut(&mut [u8])> {
        if !self.seeded {
            return None;
        }
        self.given = self.given.saturating_add(length as u64);
        let mut stream = self.step();
        Some(move |into: &mut [u8]| stream.fill_bytes(into))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    fn take(generator: &mut Generator, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        generator.request(length).unwrap()(&mut bytes);
        bytes
    }

    #[test]
    fn nothing_comes_before_a_whole_seed() {
        let mut generator = Generator::new(7);
        assert!(generator.request(1).is_none());
        generator.add(&[1; SEED - 1]);
        assert!(generator.request(1).is_none() && generator.is_stale());
        generator.add(&[]);
        assert!(!generator.is_seeded());
        generator.add(&[1]);
        assert!(generator.is_seeded() && !generator.is_stale());
        assert!(generator.request(1).is_some());
    }

    #[test]
    fn the_stream_is_chacha20() {
        // RFC 8439, A.1, test vector 1: the key is all zeros, and so is the first
        // seed, which is then the whole of what comes first in that stream.
        let mut generator = Generator::new(0);
        generator.add(&[0; SEED]);
        let expected = [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90];
        assert_eq!(generator.key[..8], expected);
        assert_eq!(
            generator.key[24..],
            [0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7]
        );
    }

    #[test]
    fn every_request_and_every_seed_makes_others() {
        let mut generator = Generator::new(1);
        generator.add(&[9; SEED]);
        let (first, second) = (take(&mut generator, 64), take(&mut generator, 64));
        assert_ne!(first, second);
        // The same past with another device's word goes on otherwise.
        let begin = |extra, word: u8| {
            let mut generator = Generator::new(extra);
            generator.add(&[9; SEED]);
            generator.add(&[word; SEED]);
            take(&mut generator, 64)
        };
        assert_eq!(begin(1, 5), begin(1, 5));
        assert_ne!(begin(1, 5), begin(1, 6));
        assert_ne!(begin(1, 5), begin(2, 5));
        // A device that says the same twice takes nothing back.
        let twice = begin(1, 9);
        assert_ne!(twice, first);
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_taken() {
        let whole = |piece: usize| {
            let mut generator = Generator::new(1);
            generator.add(&[3; SEED]);
            let mut bytes = [0; 300];
            let mut next = generator.request(300).unwrap();
            bytes.chunks_mut(piece).for_each(&mut next);
            bytes
        };
        assert_eq!(whole(300), whole(64));
    }

    #[test]
    fn much_that_was_given_out_asks_for_more() {
        let mut generator = Generator::new(1);
        generator.add(&[3; SEED]);
        take(&mut generator, STALE as usize - 1);
        assert!(!generator.is_stale());
        take(&mut generator, 1);
        assert!(generator.is_stale() && generator.is_seeded());
        generator.add(&[4; SEED]);
        assert!(!generator.is_stale());
    }
}
