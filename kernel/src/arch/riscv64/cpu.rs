//! A core's own registers.

#![allow(unsafe_code, reason = "control and status registers")]

use crate::{platform::CORES, schedule::core::Core, start::KERNEL};
use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed},
};

/// `sstatus` (Priv 4.1.1): bits that must be 0 when the kernel runs. SIE and
/// SPIE (no interrupts in the kernel; user mode always takes them), SPP (the
/// next `sret` goes to user mode), FS and VS (off until a thread needs them),
/// SUM and MXR (user pages are not for the kernel, and only as their bits say).
const STATUS: u64 = 1 << 1 | 1 << 5 | 1 << 8 | 0b11 << 9 | 0b11 << 13 | 1 << 18 | 1 << 19;

/// `scounteren` (Priv 4.1.5): user programs may read cycle, time and instret.
const COUNTERS: u64 = 0b111;

unsafe extern "C" {
    static tessera_trap: u8;
    static tessera_trap_alone: u8;
    static emergency_bottom: u8;
    static emergency_top: u8;
}

/// What `tp` leads to while the kernel runs, in `trap.S` too.
#[repr(C, align(64))]
pub(super) struct Local {
    /// The core's number.
    number: AtomicUsize,
    /// Where the kernel's stack begins when a trap comes from a user program.
    pub(super) stack: AtomicUsize,
    /// The kernel's own.
    pub(super) core: AtomicPtr<Core>,
    /// Where the kernel's stack begins and ends.
    bounds: [AtomicUsize; 2],
}

static LOCALS: [Local; CORES] = [const {
    Local {
        number: AtomicUsize::new(0),
        stack: AtomicUsize::new(0),
        core: AtomicPtr::new(core::ptr::null_mut()),
        bounds: [const { AtomicUsize::new(0) }; 2],
    }
}; CORES];

pub(super) fn up(core: usize, stack: Range<usize>) {
    let local = &LOCALS[core];
    local.number.store(core, Relaxed);
    let own = &raw const KERNEL.cores[core];
    local.core.store(own.cast_mut(), Relaxed);
    local.stack.store(stack.end, Relaxed);
    local.bounds[0].store(stack.start, Relaxed);
    local.bounds[1].store(stack.end, Relaxed);
    // SAFETY: the handlers in `trap.S` expect `sscratch` to be 0.
    unsafe {
        asm!("csrw sscratch, zero", "mv tp, {}", in(reg) local,
            options(nostack, preserves_flags));
    }
    trap_to(&raw const tessera_trap);
    // SAFETY: concerns user programs, and interrupts that are masked anyway.
    unsafe {
        asm!("csrc sstatus, {}", "csrw scounteren, {}", in(reg) STATUS, in(reg) COUNTERS,
            options(nostack, preserves_flags));
    }
}

/// There is no other core.
pub(super) fn alone() {
    trap_to(&raw const tessera_trap_alone);
}

/// Traps go here, which is one of `trap.S`'s handlers.
fn trap_to(handler: *const u8) {
    // SAFETY: above.
    unsafe { asm!("csrw stvec, {}", in(reg) handler, options(nostack, preserves_flags)) };
}

/// SUM and MXR, which let the kernel into user memory, are off.
pub(super) fn guards() -> [(&'static str, Option<bool>); 2] {
    let status: u64;
    // SAFETY: reads a register.
    unsafe { asm!("csrr {}, sstatus", out(reg) status, options(nomem, nostack)) };
    let off = |bit: u32| Some(status & 1 << bit == 0);
    [("no SUM", off(18)), ("no MXR", off(19))]
}

/// The calling core's; that of the core that boots until `up`.
fn local() -> &'static Local {
    let local: *const Local;
    // SAFETY: reads a register, which boot's entry has cleared.
    unsafe { asm!("mv {}, tp", out(reg) local, options(nomem, nostack, preserves_flags)) };
    // SAFETY: null, or what `up` put there.
    unsafe { local.as_ref() }.unwrap_or(&LOCALS[0])
}

pub(super) fn core() -> usize {
    local().number.load(Relaxed)
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

/// Below `frame`, as compilers lay it out: the caller's frame, then the return
/// address.
pub(super) fn caller(frame: usize) -> Option<(usize, usize)> {
    let record = frame.checked_sub(16)?..frame;
    let emergency = (&raw const emergency_bottom).addr()..(&raw const emergency_top).addr();
    let [start, end] = &local().bounds;
    let own = start.load(Relaxed)..end.load(Relaxed);
    let inside = |stack: Range<usize>| stack.start <= record.start && record.end <= stack.end;
    if !record.start.is_multiple_of(8) || !(inside(own) || inside(emergency)) {
        return None;
    }
    let record: *const [usize; 2] = core::ptr::with_exposed_provenance(record.start);
    // SAFETY: two aligned words in one of this core's stacks.
    let [next, address] = unsafe { record.read() };
    (address != 0).then_some((address, next))
}
