//! A core's own registers.

#![allow(unsafe_code, reason = "system registers")]

use super::{fp, paging};
use crate::{platform::CORES, schedule::core::Core, start::KERNEL};
use core::{
    arch::{asm, global_asm},
    ops::Range,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed},
};

// SCTLR_EL1 (ARM D19.2.120).
const SCTLR: u64 =
    M | C | I | SA | SA0 | ITD | SED | EOS | DZE | NTWE | WXN | TSCXT | EIS | NO_TRAP;
/// Translation, data and instruction caches.
const M: u64 = 1 << 0;
const C: u64 = 1 << 2;
const I: u64 = 1 << 12;
/// The stack pointer must be aligned, in the kernel and in user programs.
const SA: u64 = 1 << 3;
const SA0: u64 = 1 << 4;
/// 32-bit programs, which there are not, get no extras.
const ITD: u64 = 1 << 7;
const SED: u64 = 1 << 8;
/// Entry and exit are context synchronisation events.
const EOS: u64 = 1 << 11;
const EIS: u64 = 1 << 22;
/// User programs may clear cache lines and wait for events. They may not wait
/// for interrupts (nTWI), read cache types (UCT) or maintain caches (UCI).
const DZE: u64 = 1 << 14;
const NTWE: u64 = 1 << 18;
/// What is writable is not executable.
const WXN: u64 = 1 << 19;
/// No software context number for user programs.
const TSCXT: u64 = 1 << 20;
/// LSMAOE and nTLSMD: reset values, of no concern here.
const NO_TRAP: u64 = 0b11 << 28;
/// SPAN: do not set PAN at a trap. Without PAN it must be 1.
const SPAN: u64 = 1 << 23;

/// CNTKCTL_EL1.EL0VCTEN (ARM D19.12.15): user programs may read the virtual
/// counter and nothing else of the timer.
const EL0VCTEN: u64 = 1 << 1;

/// TCR_EL1.E0PD1 (ARM D19.2.145): the upper half faults for user programs
/// without a look at its tables.
const E0PD1: u64 = 1 << 56;

global_asm!(
    // tessera_adopt(x0: root, x1: SCTLR_EL1, x2: OFFSET). Runs in the lower
    // half, where boot's entry has mapped its own memory, while the upper half
    // goes from one map to the other: a translation must be gone before another
    // of a different size takes its place (ARM D8.16.1).
    ".global tessera_adopt",
    "tessera_adopt:",
    "adr x3, 1f",
    "sub x3, x3, x2",
    "br x3",
    "1:",
    "mrs x4, tcr_el1",
    "orr x5, x4, #(1 << 23)", // EPD1: no walks of the upper half
    "msr tcr_el1, x5",
    "isb",
    "msr ttbr1_el1, x0",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "msr tcr_el1, x4",
    "msr sctlr_el1, x1",
    "isb",
    "ret",
);

unsafe extern "C" {
    fn tessera_adopt(root: u64, sctlr: u64, offset: u64);
    static tessera_vectors: u8;
    static tessera_vectors_alone: u8;
    static emergency_bottom: u8;
    static emergency_top: u8;
}

/// What a core finds at `TPIDR_EL1`, `trap.S` too.
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

pub(super) fn adopt(root: u64) {
    // PAN is bits 23:20 of ID_AA64MMFR1_EL1 (ARM D19.2.65).
    let span = if feature_1() >> 20 & 0xf == 0 {
        SPAN
    } else {
        0
    };
    // SAFETY: the new map has the kernel at the same addresses, and the lower
    // half is boot's.
    unsafe { tessera_adopt(root, SCTLR | span, paging::OFFSET) };
}

pub(super) fn up(core: usize, stack: Range<usize>) {
    let local = &LOCALS[core];
    local.number.store(core, Relaxed);
    let own = &raw const KERNEL.cores[core];
    local.core.store(own.cast_mut(), Relaxed);
    local.stack.store(stack.end, Relaxed);
    local.bounds[0].store(stack.start, Relaxed);
    local.bounds[1].store(stack.end, Relaxed);
    trap_to(&raw const tessera_vectors);
    // SAFETY: only `local` below and `trap.S` read this register.
    unsafe { asm!("msr tpidr_el1, {}", in(reg) local, options(nostack, preserves_flags)) };
    // SAFETY: concerns only what user programs may read.
    unsafe {
        asm!("msr cntkctl_el1, {}", in(reg) EL0VCTEN, options(nomem, nostack, preserves_flags));
    }
    // SAFETY: no debug exceptions (ARM D19.3.20).
    unsafe {
        asm!(
            "msr mdscr_el1, xzr",
            options(nomem, nostack, preserves_flags)
        )
    };
    fp::allow(false);
    if feature_1() >> 20 & 0xf != 0 {
        // SAFETY: `msr pan, #1`: the kernel never uses the lower half.
        unsafe { asm!(".inst 0xd500419f", options(nostack, preserves_flags)) };
    }
    // E0PD is bits 63:60 of ID_AA64MMFR2_EL1 (ARM D19.2.66).
    if feature_2() >> 60 != 0 {
        // SAFETY: concerns only user programs.
        unsafe {
            asm!("mrs {t}, tcr_el1", "orr {t}, {t}, {bit}", "msr tcr_el1, {t}", "isb",
                t = out(reg) _, bit = in(reg) E0PD1, options(nostack, preserves_flags));
        }
    }
}

/// There is no other core.
pub(super) fn alone() {
    trap_to(&raw const tessera_vectors_alone);
}

/// Traps go here, which is one of `trap.S`'s vector tables.
fn trap_to(vectors: *const u8) {
    // SAFETY: above.
    unsafe { asm!("msr vbar_el1, {}", in(reg) vectors, options(nostack, preserves_flags)) };
}

/// Privileged access never, at a trap too, and E0PD.
pub(super) fn guards() -> [(&'static str, Option<bool>); 2] {
    let pan = (feature_1() >> 20 & 0xf != 0).then(|| {
        let (state, control): (u64, u64);
        // SAFETY: reads PSTATE.PAN (ARM C5.2.19), by its number.
        unsafe { asm!("mrs {}, s3_0_c4_c2_3", out(reg) state, options(nomem, nostack)) };
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, sctlr_el1", out(reg) control, options(nomem, nostack)) };
        state & 1 << 22 != 0 && control & SPAN == 0
    });
    let e0pd = (feature_2() >> 60 != 0).then(|| {
        let control: u64;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, tcr_el1", out(reg) control, options(nomem, nostack)) };
        control & E0PD1 != 0
    });
    [("PAN", pan), ("E0PD", e0pd)]
}

/// `ID_AA64MMFR1_EL1`.
fn feature_1() -> u64 {
    let features: u64;
    // SAFETY: reads a register.
    unsafe {
        asm!("mrs {}, id_aa64mmfr1_el1", out(reg) features,
            options(nomem, nostack, preserves_flags));
    }
    features
}

/// `ID_AA64MMFR2_EL1`, by its number, as old assemblers lack the name.
fn feature_2() -> u64 {
    let features: u64;
    // SAFETY: reads a register.
    unsafe {
        asm!("mrs {}, s3_0_c0_c7_2", out(reg) features, options(nomem, nostack, preserves_flags));
    }
    features
}

/// The calling core's; that of the core that boots until `up`.
fn local() -> &'static Local {
    let local: *const Local;
    // SAFETY: reads a register, which boot's entry has cleared.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) local, options(nomem, nostack, preserves_flags)) };
    // SAFETY: null, or what `up` put there.
    unsafe { local.as_ref() }.unwrap_or(&LOCALS[0])
}

pub(super) fn core() -> usize {
    local().number.load(Relaxed)
}

/// `wfi` ends when an interrupt waits even if it is masked (ARM D1.6.2).
pub(super) fn idle() {
    // SAFETY: waits.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Tells whoever shares the processor that this core could let others run.
pub(super) fn pause() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) };
}

#[inline(always)]
pub(super) fn frame_pointer() -> usize {
    let frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    frame
}

/// The frame record (AAPCS64 6.4.6) at `frame`: the caller's, then the return
/// address.
pub(super) fn caller(frame: usize) -> Option<(usize, usize)> {
    let record = frame..frame.checked_add(16)?;
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
