//! The heap: the range that the start page names, whose pages the kernel fills
//! with zeros at first touch.
#![allow(
    unsafe_code,
    reason = "an allocator owns memory that has no other owner"
)]

use crate::sync::RawMutex;
use talc::{TalcLock, source::Manual};

#[global_allocator]
static HEAP: TalcLock<RawMutex, Manual> = TalcLock::new(Manual);

/// Gives the allocator its memory, once.
pub(crate) fn give(address: usize, length: usize) {
    if length > 0 {
        // SAFETY: the start page promises that this range is mapped, readable
        // and writable, and used by nobody else.
        unsafe { HEAP.lock().claim(address as *mut u8, length) };
    }
}
