//! The early console: NS16550, as firmware set it up.

#![allow(unsafe_code, reason = "device registers")]

use super::paging;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Transmitter holding register.
const DATA: u64 = 0;
/// Line status register, and in it "holding register empty".
const STATUS: u64 = 5;
const EMPTY: u8 = 1 << 5;

/// Physical address of the registers, or 0 for no console.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

pub(super) fn initialise(registers: u64) {
    REGISTERS.store(registers, Relaxed);
}

pub(super) fn print(byte: u8) {
    let registers = REGISTERS.load(Relaxed);
    if registers == 0 {
        return;
    }
    let status = paging::physical(registers + STATUS);
    // SAFETY: a register that boot has mapped; reading it only forgets errors.
    while unsafe { status.read_volatile() } & EMPTY == 0 {
        core::hint::spin_loop();
    }
    // SAFETY: a register that boot has mapped; writing it sends the byte.
    unsafe { paging::physical(registers + DATA).write_volatile(byte) };
}
