//! Firmware calls: PSCI (Arm DEN 0022).

#![allow(unsafe_code, reason = "calls firmware")]

use crate::platform::Platform;
use core::{
    arch::asm,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

const CPU_ON: u64 = 0xc400_0003;
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;

/// Whether firmware is below (`smc`), or a hypervisor (`hvc`).
static SMC: AtomicBool = AtomicBool::new(false);

pub(super) fn initialise(platform: &Platform) {
    SMC.store(platform.smc, Relaxed);
}

/// Starts a core, with `argument` in its `x0` and its MMU off.
pub(super) fn start_core(id: u64, entry: u64, argument: usize) -> bool {
    call(CPU_ON, [id, entry, argument as u64]) == 0
}

pub(super) fn power_off() {
    call(SYSTEM_OFF, [0; 3]);
}

pub(super) fn reset() {
    call(SYSTEM_RESET, [0; 3]);
}

/// SMC calling convention (Arm DEN 0028): `x4` to `x17` may be lost with old
/// firmware.
fn call(function: u64, arguments: [u64; 3]) -> u64 {
    let [a, b, c] = arguments;
    let mut result = function;
    if SMC.load(Relaxed) {
        // SAFETY: the functions above concern other cores or end the machine.
        unsafe {
            asm!("smc #0", inout("x0") result, inout("x1") a => _, inout("x2") b => _,
                inout("x3") c => _, clobber_abi("C"), options(nostack));
        }
    } else {
        // SAFETY: the functions above concern other cores or end the machine.
        unsafe {
            asm!("hvc #0", inout("x0") result, inout("x1") a => _, inout("x2") b => _,
                inout("x3") c => _, clobber_abi("C"), options(nostack));
        }
    }
    result
}
