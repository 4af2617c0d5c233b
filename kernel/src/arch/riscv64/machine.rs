//! The machine's end, and the kernel's own.

#![allow(unsafe_code, reason = "device registers, trap registers")]

use super::{cpu, firmware, paging};
use crate::platform::Platform;
use core::{
    arch::asm,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::objects::Shutdown;
use spin::Once;

// What the register of `sifive,test0` understands.
const PASS: u32 = 0x5555;
const FAIL: u32 = 0x3333;
const RESET: u32 = 0x7777;

/// Physical address of that register, or 0 if there is none.
static POWER: AtomicU64 = AtomicU64::new(0);

/// Devices that the kernel drives for good: the interrupt controller, and what
/// ends the machine.
static KEPT: Once<[Range<u64>; 2]> = Once::new();

pub(super) fn initialise(platform: &Platform) {
    POWER.store(platform.power, Relaxed);
    KEPT.call_once(|| {
        [
            platform.interrupts.clone(),
            platform.power..platform.power + 4,
        ]
    });
    if platform.cores == 1 && paging::asids() > 1 {
        cpu::alone();
    }
}

pub(super) fn keeps(range: &Range<u64>) -> bool {
    let overlaps = |kept: &Range<u64>| kept.start < range.end && range.start < kept.end;
    KEPT.get().is_some_and(|kept| kept.iter().any(overlaps))
}

pub(super) fn shutdown(how: Shutdown) -> ! {
    let power = POWER.load(Relaxed);
    if power != 0 {
        let value = match how {
            Shutdown::PowerOff => PASS,
            Shutdown::Fail => 1 << 16 | FAIL, // exit code 1
            Shutdown::Reset => RESET,
        };
        // SAFETY: a register that boot has mapped; the machine ends.
        unsafe { paging::physical(power).cast::<u32>().write_volatile(value) };
    }
    firmware::system_reset(how == Shutdown::Reset);
    loop {
        cpu::idle();
    }
}

/// The kernel's registers when it trapped, as `trap.S` leaves them.
#[repr(C)]
pub(super) struct Registers {
    /// `x1` to `x31`.
    general: [u64; 31],
    pc: u64,
}

/// A trap from the kernel itself, which takes none by design: a bug.
pub(super) extern "C" fn kernel_trap(registers: &Registers) -> ! {
    if !crate::bug::begin() {
        // Reporting the first one failed.
        shutdown(Shutdown::Fail);
    }
    let (cause, address): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("csrr {}, scause", "csrr {}, stval", out(reg) cause, out(reg) address,
            options(nomem, nostack, preserves_flags));
    }
    let [ra, sp, ..] = registers.general;
    panic!(
        "trap in the kernel: pc {:#x} sp {sp:#x} ra {ra:#x} scause {cause:#x} stval {address:#x}",
        registers.pc
    );
}
