//! The calling thread's message buffer, word by word.
#![allow(unsafe_code, reason = "the kernel's page has no Rust owner")]

use crate::{
    PAGE, arch,
    message_buffer::{LeaseDescriptor, word},
};

/// The message buffer of the thread that asked for it. It cannot be sent to
/// another thread, and the page lives as long as the thread does.
#[derive(Clone, Copy)]
pub(crate) struct Buffer(*mut u64);

impl Buffer {
    const WORDS: usize = PAGE / 8;

    /// The calling thread's.
    #[inline]
    pub(crate) fn current() -> Buffer {
        Buffer(arch::buffer())
    }

    /// A number that no other living thread of the task has, and never zero.
    pub(crate) fn thread_number(self) -> u64 {
        self.0 as u64
    }

    /// The word at `index`.
    #[inline(always)]
    pub(crate) fn get(self, index: usize) -> u64 {
        assert!(index < Self::WORDS);
        // SAFETY: the page is mapped while the thread lives, no reference to it
        // exists, and the index is inside.
        unsafe { self.0.wrapping_add(index).read() }
    }

    /// Replaces the word at `index`.
    #[inline(always)]
    pub(crate) fn set(self, index: usize, word: u64) {
        assert!(index < Self::WORDS);
        // SAFETY: as in `get`; the page is writable.
        unsafe { self.0.wrapping_add(index).write(word) }
    }

    /// The lease at `index`.
    #[inline(always)]
    pub(crate) fn lease(self, index: usize) -> LeaseDescriptor {
        let mut fields = [0; 3];
        self.read(word::LEASE + 3 * index, &mut fields);
        let [address, length, access] = fields;
        LeaseDescriptor {
            address,
            length,
            access,
        }
    }

    /// Copies the words from `index` on.
    #[inline(always)]
    pub(crate) fn read(self, index: usize, into: &mut [u64]) {
        assert!(index <= Self::WORDS && into.len() <= Self::WORDS - index);
        // Four at a time and one by one: if the length is known when this is
        // compiled, plain moves are left and no call of `memcpy`.
        let (fours, rest) = into.as_chunks_mut::<4>();
        let mut place = self.0.wrapping_add(index);
        for four in fours {
            // SAFETY: as in `get`, for each of these words, which are all inside.
            let [a, b, c, d] = unsafe { place.cast::<[u64; 4]>().read() };
            *four = [a, b, c, d];
            place = place.wrapping_add(4);
        }
        for word in rest {
            // SAFETY: as above.
            *word = unsafe { place.read() };
            place = place.wrapping_add(1);
        }
    }

    /// Replaces the words from `index` on.
    #[inline(always)]
    pub(crate) fn write(self, index: usize, words: &[u64]) {
        assert!(index <= Self::WORDS && words.len() <= Self::WORDS - index);
        let (fours, rest) = words.as_chunks::<4>();
        let mut place = self.0.wrapping_add(index);
        for &[a, b, c, d] in fours {
            // SAFETY: as in `set`, for each of these words, which are all inside.
            unsafe { place.cast::<[u64; 4]>().write([a, b, c, d]) };
            place = place.wrapping_add(4);
        }
        for &word in rest {
            // SAFETY: as above.
            unsafe { place.write(word) };
            place = place.wrapping_add(1);
        }
    }
}
