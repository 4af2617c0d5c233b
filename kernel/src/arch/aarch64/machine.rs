//! The machine's end, and the kernel's own.

#![allow(unsafe_code, reason = "semihosting, trap registers")]

use super::{cpu, firmware};
use crate::platform::Platform;
use core::{
    arch::{asm, global_asm},
    ops::Range,
};
use libipc_abi::objects::Shutdown;
use spin::Once;

/// Devices that the kernel drives for good: both parts of the interrupt
/// controller.
static KEPT: Once<[Range<u64>; 2]> = Once::new();

pub(super) fn initialise(platform: &Platform) {
    KEPT.call_once(|| [platform.interrupts.clone(), platform.interrupts_cpu.clone()]);
    if platform.cores == 1 {
        cpu::alone();
    }
}

pub(super) fn keeps(range: &Range<u64>) -> bool {
    let overlaps = |kept: &Range<u64>| kept.start < range.end && range.start < kept.end;
    KEPT.get().is_some_and(|kept| kept.iter().any(overlaps))
}

global_asm!(
    // Semihosting (Arm 2023 release, section 7): x0 the operation, x1 its
    // arguments. Without a host behind it the instruction traps.
    ".global tessera_semihosting",
    "tessera_semihosting:",
    "hlt #0xf000",
    "ret",
);

unsafe extern "C" {
    fn tessera_semihosting(operation: u64, arguments: *const [u64; 2]) -> u64;
}

/// SYS_EXIT_EXTENDED: the host's program ends with an exit code.
const EXIT: u64 = 0x20;
const APPLICATION_EXIT: u64 = 0x20026;

pub(super) fn shutdown(how: Shutdown) -> ! {
    match how {
        Shutdown::PowerOff => firmware::power_off(),
        Shutdown::Reset => firmware::reset(),
        Shutdown::Fail => {
            let arguments = [APPLICATION_EXIT, 1];
            // SAFETY: ends the machine, or traps to `kernel_trap`.
            unsafe { tessera_semihosting(EXIT, &arguments) };
        }
    }
    loop {
        cpu::idle();
    }
}

/// The kernel's registers when it trapped, as `trap.S` leaves them.
#[repr(C)]
pub(super) struct Registers {
    general: [u64; 31],
    sp: u64,
    pc: u64,
}

/// A trap from the kernel itself, which takes none by design: a bug.
pub(super) extern "C" fn kernel_trap(registers: &Registers) -> ! {
    if registers.pc == tessera_semihosting as *const () as u64 {
        firmware::power_off();
    }
    if !crate::bug::begin() {
        // Reporting the first one failed.
        shutdown(Shutdown::Fail);
    }
    let (syndrome, address): (u64, u64);
    // SAFETY: reads registers.
    unsafe {
        asm!("mrs {}, esr_el1", "mrs {}, far_el1", out(reg) syndrome, out(reg) address,
            options(nomem, nostack, preserves_flags));
    }
    panic!(
        "trap in the kernel: pc {:#x} sp {:#x} lr {:#x} esr {syndrome:#x} far {address:#x}",
        registers.pc, registers.sp, registers.general[30]
    );
}
