//! The host: the fake kernel, and a counter of nanoseconds.

use crate::{
    handle::Handle,
    label::Label,
    registers::{CallIn, CallOut, WORDS},
};
use std::{sync::OnceLock, time::Instant};

pub(crate) use crate::fake::{buffer, memory, trap};

/// A system call with one word.
pub(crate) fn brief(handle: Handle, label: Label, word: u64, deadline: u64) -> CallOut {
    let mut words = [0; WORDS];
    words[0] = word;
    trap(&CallIn {
        handle,
        label,
        words,
        deadline,
        request: Handle::NULL,
    })
}

/// Nanoseconds since the first look.
pub(crate) fn ticks() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// An address in the caller's frame.
pub(crate) fn stack_pointer() -> usize {
    let here = 0_u8;
    &raw const here as usize
}
