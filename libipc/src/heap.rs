//! The heap: the range that start information names, whose pages the kernel fills
//! with zeros at first touch.
#![allow(
    unsafe_code,
    reason = "an allocator owns memory that has no other owner"
)]

use crate::sync::RawMutex;
use talc::{TalcLock, source::Claim};

/// It takes what it is given when the first allocation asks: a program that allocates
/// nothing touches no page of its heap.
#[global_allocator]
static HEAP: TalcLock<RawMutex, Claim> = TalcLock::new(Claim::standby());

/// Gives the allocator its memory, once.
pub(crate) fn give(address: usize, length: usize) {
    // SAFETY: start information promises that this range is mapped, readable and writable,
    // and used by nobody else.
    HEAP.lock().source = unsafe { Claim::new(address as *mut u8, length) };
}
