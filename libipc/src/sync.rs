//! Locks between the threads of a task.
#![allow(unsafe_code, reason = "a raw lock promises exclusion to its users")]

use crate::{thread, time};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// A lock for short sections.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// What holds a locked [`Mutex`].
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// Waits a little longer with each attempt: first for threads of the same
/// priority, then for any.
pub(crate) fn backoff(attempt: &mut u32) {
    match *attempt {
        0..16 => core::hint::spin_loop(),
        16..32 => thread::yield_now(),
        _ => time::sleep(Duration::from_micros(200)),
    }
    *attempt += 1;
}

/// The lock of a [`Mutex`].
#[derive(Debug)]
pub struct RawMutex(AtomicBool);

// SAFETY: `lock` returns, and `try_lock` succeeds, only for the one caller who
// changed the flag from false; it is false again only after `unlock`.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex(AtomicBool::new(false));

    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        let mut attempt = 0;
        while !self.try_lock() {
            backoff(&mut attempt);
        }
    }

    fn try_lock(&self) -> bool {
        self.0
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}
