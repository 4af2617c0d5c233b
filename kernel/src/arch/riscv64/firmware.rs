//! Firmware calls: SBI (RISC-V Supervisor Binary Interface 1.0.0).

#![allow(unsafe_code, reason = "calls firmware")]

use core::arch::asm;

// Extensions, by their names in ASCII.
const TIME: u64 = 0x5449_4d45;
const IPI: u64 = 0x73_5049;
const RFENCE: u64 = 0x5246_4e43;
const HSM: u64 = 0x48_534d;
const SRST: u64 = 0x5352_5354;

/// Starts a hart, with its own number in `a0`, `argument` in `a1` and its MMU
/// off.
pub(super) fn start_core(hart: u64, entry: u64, argument: usize) -> bool {
    call(HSM, 0, [hart, entry, argument as u64, 0, 0]) == 0
}

pub(super) fn set_timer(deadline: u64) {
    call(TIME, 0, [deadline, 0, 0, 0, 0]);
}

/// A supervisor software interrupt for a hart, after what was written before.
pub(super) fn interrupt(hart: u64) {
    order();
    call(IPI, 0, [1, hart, 0, 0, 0]);
}

/// Makes what was written visible to other harts before firmware speaks to them.
fn order() {
    // SAFETY: orders memory accesses.
    unsafe { asm!("fence rw, rw", options(nostack, preserves_flags)) };
}

/// `fence.i` on the harts of the mask.
pub(super) fn fence_code(harts: u64) {
    order();
    call(RFENCE, 0, [harts, 0, 0, 0, 0]);
}

/// `sfence.vma` on the harts of the mask; they have done it when this returns.
pub(super) fn fence_memory(harts: u64, start: u64, length: u64, asid: Option<u64>) {
    order();
    match asid {
        Some(asid) => call(RFENCE, 2, [harts, 0, start, length, asid]),
        None => call(RFENCE, 1, [harts, 0, start, length, 0]),
    };
}

/// Ends the machine; if `again` it starts anew.
pub(super) fn system_reset(again: bool) {
    call(SRST, 0, [again.into(), 0, 0, 0, 0]);
}

/// Chapter 3: extension in `a7`, function in `a6`, the error in `a0`.
fn call(extension: u64, function: u64, arguments: [u64; 5]) -> u64 {
    let [a, b, c, d, e] = arguments;
    let mut error = a;
    // SAFETY: the functions above concern other harts, the timer, caches, or end
    // the machine.
    unsafe {
        asm!("ecall", inout("a0") error, inout("a1") b => _, in("a2") c, in("a3") d, in("a4") e,
            in("a6") function, in("a7") extension, options(nostack));
    }
    error
}
