//! The interrupt controller: PLIC (RISC-V Platform-Level Interrupt Controller
//! Specification 1.0.0), and the core's own pending bits.

#![allow(unsafe_code, reason = "device and interrupt registers")]

use super::{paging, timer};
use crate::{arch::Line, platform::Platform};
use core::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

// Registers. The first array has a word a line, the second a bit a line for
// each context; then two registers a context.
const PRIORITY: u64 = 0x0;
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;
const THRESHOLD: u64 = 0;
const CLAIM: u64 = 4;

/// Lines of the largest PLIC; line 0 means none.
const LINES: u32 = 1024;

// `sip` and `sie` (Priv 4.1.3).
const SOFTWARE: u64 = 1 << 1;
const TIMER: u64 = 1 << 5;
const EXTERNAL: u64 = 1 << 9;

/// Where the registers are, and the context of the core that booted, which gets
/// all lines.
static REGISTERS: AtomicU64 = AtomicU64::new(0);
static BOOT_CONTEXT: AtomicU64 = AtomicU64::new(0);

pub(super) fn initialise(platform: &Platform) {
    REGISTERS.store(platform.interrupts.start, Relaxed);
    BOOT_CONTEXT.store(platform.contexts[0].into(), Relaxed);
    // Where firmware left lines enabled nobody would expect them.
    for line in (0..LINES).step_by(32) {
        write(enable(line), 0);
    }
    write(context() + THRESHOLD, 0);
}

/// Lets the calling core hear its timer, other cores and, on the core that
/// booted, devices.
pub(super) fn core_up(_platform: &Platform, core: usize) {
    let devices = if core == 0 { EXTERNAL } else { 0 };
    // SAFETY: interrupts are taken in user mode alone.
    unsafe { asm!("csrw sie, {}", in(reg) SOFTWARE | TIMER | devices, options(nostack)) };
}

/// The next interrupt by the core's pending bits. A device's line counts as
/// masked until its interrupt is completed, which `unmask` does: completed
/// earlier, the line would be pending again at once.
pub(super) fn claim() -> Option<Line> {
    let pending = pending();
    if pending & TIMER != 0 {
        timer::set_alarm(u64::MAX);
        return Some(Line::Timer);
    }
    if pending & SOFTWARE != 0 {
        clear_core_interrupt();
        return Some(Line::Core);
    }
    if pending & EXTERNAL == 0 {
        return None;
    }
    match read(context() + CLAIM) {
        0 => None,
        line => Some(Line::Device(line)),
    }
}

pub(super) fn clear_core_interrupt() {
    // SAFETY: clears the pending bit.
    unsafe { asm!("csrc sip, {}", in(reg) SOFTWARE, options(nostack)) };
}

pub(super) fn waits() -> bool {
    pending() != 0
}

/// What waits and is enabled.
fn pending() -> u64 {
    let (pending, enabled): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("csrr {}, sip", "csrr {}, sie", out(reg) pending, out(reg) enabled,
            options(nomem, nostack, preserves_flags));
    }
    pending & enabled
}

pub(super) fn unmask(line: u32) -> bool {
    if !(1..LINES).contains(&line) {
        return false;
    }
    // A line that does not exist has no priority: it reads as 0.
    let priority = PRIORITY + u64::from(line) * 4;
    write(priority, 1);
    if read(priority) == 0 {
        return false;
    }
    write(enable(line), read(enable(line)) | 1 << (line % 32));
    write(context() + CLAIM, line);
    true
}

pub(super) fn mask(line: u32) -> bool {
    if !(1..LINES).contains(&line) {
        return false;
    }
    write(enable(line), read(enable(line)) & !(1 << (line % 32)));
    true
}

/// Offset of the word that has the line's enable bit.
fn enable(line: u32) -> u64 {
    ENABLE + BOOT_CONTEXT.load(Relaxed) * ENABLE_STRIDE + u64::from(line / 32) * 4
}

/// Offset of the context's own registers.
fn context() -> u64 {
    CONTEXT + BOOT_CONTEXT.load(Relaxed) * CONTEXT_STRIDE
}

fn register(offset: u64) -> *mut u32 {
    paging::physical(REGISTERS.load(Relaxed) + offset).cast()
}

fn read(offset: u64) -> u32 {
    // SAFETY: a register of the interrupt controller, which boot has mapped.
    unsafe { register(offset).read_volatile() }
}

fn write(offset: u64, value: u32) {
    // SAFETY: a register of the interrupt controller, which boot has mapped; at
    // worst an interrupt comes or stays away.
    unsafe { register(offset).write_volatile(value) };
}
