//! The generic timer's virtual counter and timer (ARM D12).

#![allow(unsafe_code, reason = "timer registers")]

use core::arch::asm;

/// `CNTVCT_EL0`, which user programs read too.
pub(super) fn now() -> u64 {
    let ticks: u64;
    // SAFETY: reads a register; `isb` keeps the read from running ahead.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nostack, preserves_flags)) };
    ticks
}

/// As `now`, without the barrier.
#[inline(always)]
pub(super) fn count() -> u64 {
    let ticks: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// `CNTFRQ_EL0`, set by firmware.
pub(super) fn frequency() -> u64 {
    let hertz: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack, preserves_flags)) };
    hertz
}

/// `CNTV_CVAL_EL0`, and in `CNTV_CTL_EL0` the bit ENABLE.
pub(super) fn set_alarm(deadline: u64) {
    let enable = u64::from(deadline != u64::MAX);
    // SAFETY: at worst there is an interrupt, which user programs cannot mask
    // and the kernel never takes.
    unsafe {
        asm!("msr cntv_cval_el0, {}", "msr cntv_ctl_el0, {}", "isb", in(reg) deadline,
            in(reg) enable, options(nostack, preserves_flags));
    }
}
