//! Marks in the code, between which `cargo xtask bench --trace` counts.
//!
//! Each is one instruction that does nothing: a hint that no extension has given a
//! meaning, which the emulator passes over. Its plugin knows them by their encoding
//! (`xtask/plugin/src/trace.rs`), so what is traced is the image that is measured.

#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
use core::arch::asm;

/// From here on it is counted.
#[inline(always)]
pub fn open() {
    // SAFETY: a hint does nothing.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("hint #0x70", options(nostack, preserves_flags))
    }
    // SAFETY: it writes to the register that is always zero.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!("slti zero, zero, 0x70", options(nostack, preserves_flags))
    }
}

/// Up to here it was counted.
#[inline(always)]
pub fn close() {
    // SAFETY: as in `open`.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("hint #0x71", options(nostack, preserves_flags))
    }
    // SAFETY: as in `open`.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!("slti zero, zero, 0x71", options(nostack, preserves_flags))
    }
}
