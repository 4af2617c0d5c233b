//! What was in registers of a call, kept in memory for the case that the call has to
//! be made again. Nothing reads it otherwise: to keep a word in a register across the
//! system call takes three or four instructions, to keep it in memory half of one.
#![allow(unsafe_code, reason = "only the words that there are were written")]

use crate::{client::Connection, registers::WORDS};
use core::{array, mem::MaybeUninit};

/// See the module.
pub(crate) struct Kept<'a> {
    words: [MaybeUninit<u64>; WORDS],
    /// What the call is made by, if that is in memory anyway.
    pub(crate) connection: Option<&'a Connection>,
}

impl<'a> Kept<'a> {
    /// Keeps the first `count` of the words.
    #[inline(always)]
    pub(crate) fn new(
        words: &[u64; WORDS],
        count: usize,
        connection: Option<&'a Connection>,
    ) -> Kept<'a> {
        let mut kept = Kept {
            words: [MaybeUninit::uninit(); WORDS],
            connection,
        };
        for (place, word) in kept.words.iter_mut().zip(words).take(count) {
            place.write(*word);
        }
        kept
    }

    /// The words again, `count` as they were kept; others are zero.
    pub(crate) fn words(&self, count: usize) -> [u64; WORDS] {
        array::from_fn(|index| {
            if index < count {
                // SAFETY: `new` wrote the words before `count`.
                unsafe { self.words[index].assume_init() }
            } else {
                0
            }
        })
    }
}
