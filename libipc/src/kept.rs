//! The words of a call in registers, kept in memory for the case that the call has to
//! be made again. Nothing reads them otherwise: to keep one in a register across the
//! system call takes four instructions, to keep it in memory half of one.
#![allow(unsafe_code, reason = "only the words that there are were written")]

use crate::registers::WORDS;
use core::{array, mem::MaybeUninit};

/// See the module.
pub(crate) struct Kept([MaybeUninit<u64>; WORDS]);

impl Kept {
    /// Keeps the first `count` of the words.
    #[inline(always)]
    pub(crate) fn new(words: &[u64; WORDS], count: usize) -> Kept {
        let mut kept = Kept([MaybeUninit::uninit(); WORDS]);
        for (place, word) in kept.0.iter_mut().zip(words).take(count) {
            place.write(*word);
        }
        kept
    }

    /// The words again, `count` as they were kept; others are zero.
    pub(crate) fn words(&self, count: usize) -> [u64; WORDS] {
        array::from_fn(|index| {
            if index < count {
                // SAFETY: `new` wrote the words before `count`.
                unsafe { self.0[index].assume_init() }
            } else {
                0
            }
        })
    }
}
