//! The early console: PL011 (Arm DDI 0183), as firmware set it up.

#![allow(unsafe_code, reason = "device registers")]

use super::paging;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Data register.
const DATA: u64 = 0x00;
/// Flag register, and in it "transmit FIFO full".
const FLAGS: u64 = 0x18;
const FULL: u32 = 1 << 5;

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
    let flags = paging::physical(registers + FLAGS).cast::<u32>();
    // SAFETY: a register that boot has mapped; reading it has no effect.
    while unsafe { flags.read_volatile() } & FULL != 0 {
        core::hint::spin_loop();
    }
    let data = paging::physical(registers + DATA).cast::<u32>();
    // SAFETY: a register that boot has mapped; writing it sends the byte.
    unsafe { data.write_volatile(byte.into()) };
}
