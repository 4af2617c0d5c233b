//! The calling thread's message buffer, word by word.
#![allow(unsafe_code, reason = "the kernel's page has no Rust owner")]

use crate::{PAGE, arch};

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
    #[inline]
    pub(crate) fn get(self, index: usize) -> u64 {
        assert!(index < Self::WORDS);
        // SAFETY: the page is mapped while the thread lives, no reference to it
        // exists, and the index is inside.
        unsafe { self.0.wrapping_add(index).read() }
    }

    /// Replaces the word at `index`.
    #[inline]
    pub(crate) fn set(self, index: usize, word: u64) {
        assert!(index < Self::WORDS);
        // SAFETY: as in `get`; the page is writable.
        unsafe { self.0.wrapping_add(index).write(word) }
    }

    /// Copies the words from `index` on.
    #[inline]
    pub(crate) fn read(self, index: usize, into: &mut [u64]) {
        assert!(index <= Self::WORDS && into.len() <= Self::WORDS - index);
        // SAFETY: as in `get`, for all of these words; a slice lies elsewhere.
        unsafe {
            self.0
                .wrapping_add(index)
                .copy_to_nonoverlapping(into.as_mut_ptr(), into.len());
        }
    }

    /// Replaces the words from `index` on.
    #[inline]
    pub(crate) fn write(self, index: usize, words: &[u64]) {
        assert!(index <= Self::WORDS && words.len() <= Self::WORDS - index);
        // SAFETY: as in `set`, for all of these words; a slice lies elsewhere.
        unsafe {
            self.0
                .wrapping_add(index)
                .copy_from_nonoverlapping(words.as_ptr(), words.len());
        }
    }
}
