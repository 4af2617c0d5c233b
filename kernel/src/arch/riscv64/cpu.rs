//! A core's own registers.

#![allow(unsafe_code, reason = "control and status registers")]

use core::arch::asm;

/// `sstatus` (Priv 4.1.1): bits that must be 0 when the kernel runs. SIE and
/// SPIE (no interrupts in the kernel; user mode always takes them), SPP (the
/// next `sret` goes to user mode), FS and VS (off until a thread needs them),
/// SUM and MXR (user pages are not for the kernel, and only as their bits say).
const STATUS: u64 = 1 << 1 | 1 << 5 | 1 << 8 | 0b11 << 9 | 0b11 << 13 | 1 << 18 | 1 << 19;

/// `scounteren` (Priv 4.1.5): user programs may read cycle, time and instret.
const COUNTERS: u64 = 0b111;

unsafe extern "C" {
    static tessera_trap: u8;
}

/// `tp` has the core's number while the kernel runs.
pub(super) fn up(core: usize) {
    let trap = &raw const tessera_trap;
    // SAFETY: `trap.S` has the handler there, which expects `sscratch` to be 0.
    unsafe {
        asm!("csrw sscratch, zero", "csrw stvec, {}", "mv tp, {}", in(reg) trap, in(reg) core,
            options(nostack, preserves_flags));
    }
    // SAFETY: concerns user programs, and interrupts that are masked anyway.
    unsafe {
        asm!("csrc sstatus, {}", "csrw scounteren, {}", in(reg) STATUS, in(reg) COUNTERS,
            options(nostack, preserves_flags));
    }
}

pub(super) fn core() -> usize {
    let core: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, tp", out(reg) core, options(nomem, nostack, preserves_flags)) };
    core
}

/// `wfi` ends when an enabled interrupt waits even if `sstatus.SIE` is 0 (Priv
/// 3.3.3).
pub(super) fn idle() {
    // SAFETY: waits.
    unsafe { asm!("wfi", options(nostack, preserves_flags)) };
}

#[inline(always)]
pub(super) fn frame_pointer() -> usize {
    let frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, s0", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    frame
}
