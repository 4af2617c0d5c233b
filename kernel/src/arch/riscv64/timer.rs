//! The counter, and the supervisor's timer: `Sstc`, or SBI's.

#![allow(unsafe_code, reason = "timer registers")]

use super::firmware;
use crate::platform::Platform;
use core::{
    arch::asm,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

static FREQUENCY: AtomicU64 = AtomicU64::new(0);
static SSTC: AtomicBool = AtomicBool::new(false);

pub(super) fn initialise(platform: &Platform) {
    FREQUENCY.store(platform.frequency, Relaxed);
    SSTC.store(platform.sstc, Relaxed);
}

/// `time`, which user programs read too.
pub(super) fn now() -> u64 {
    let ticks: u64;
    // SAFETY: reads a register.
    unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// The same: nothing delays it.
#[inline(always)]
pub(super) fn count() -> u64 {
    now()
}

pub(super) fn frequency() -> u64 {
    FREQUENCY.load(Relaxed)
}

/// `stimecmp` is 0x14d (Sstc 1.0.0).
pub(super) fn set_alarm(deadline: u64) {
    if SSTC.load(Relaxed) {
        // SAFETY: at worst there is an interrupt, which user programs cannot
        // mask and the kernel never takes.
        unsafe { asm!("csrw 0x14d, {}", in(reg) deadline, options(nostack, preserves_flags)) };
    } else {
        firmware::set_timer(deadline);
    }
}
