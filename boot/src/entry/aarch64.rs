//! Entry on aarch64: the loader's Image protocol, at EL1 or EL2.

#![allow(unsafe_code, reason = "addresses of assembly")]

use crate::{
    image::{LOAD, STACK_STRIDE, STACKS},
    map::Table,
    program::Elf,
    start, tree,
};
use core::{
    arch::{asm, global_asm},
    sync::atomic::Ordering::Relaxed,
};
use tessera_kernel::arch::{Access, Boot, Port};
use xmas_elf::header::Machine;

/// What the machine's programs are like. Relocation type: ELF for the Arm
/// 64-bit Architecture, `R_AARCH64_RELATIVE`.
pub(crate) const ELF: Elf = Elf {
    machine: Machine::AArch64,
    relative: 1027,
};

/// What the device tree has to describe.
pub(crate) const MACHINE: tree::Machine = tree::Machine::Aarch64;

/// Gigabyte of the image.
const HERE: usize = (LOAD >> 30) as usize;
/// A gigabyte (ARM D8.3): valid, memory (index 0), inner shareable, accessed.
const BLOCK: u64 = 1 | 0b11 << 8 | 1 << 10;
/// Nobody may write; forgotten with its address space.
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;

/// The lower half: only to run in while the upper half changes. Read-only, as
/// what is writable will not be executable.
static LOWER: Table = Table::with(&[(HERE, LOAD >> 30 << 30 | BLOCK | READ_ONLY | NOT_GLOBAL)]);
/// The upper half: where the kernel is linked.
static UPPER: Table = Table::with(&[(HERE, LOAD >> 30 << 30 | BLOCK)]);

global_asm!(
    include_str!("aarch64.S"),
    LOWER = sym LOWER,
    UPPER = sym UPPER,
    STACKS = sym STACKS,
    STRIDE = const STACK_STRIDE,
    MAIR = const MAIR,
    TCR = const TCR,
    SCTLR = const SCTLR,
    boot = sym start::boot,
    secondary = sym start::secondary,
);

/// MAIR_EL1 (ARM D19.2.97): 0 is write-back memory, 1 a device (nGnRE).
const MAIR: u64 = 0xff | 0x04 << 8;
/// TCR_EL1 (ARM D19.2.145): for each half 39-bit addresses, pages of 4 KiB,
/// tables cached and inner shareable. Entry adds what depends on the core.
const TCR: u64 = 25
    | 0b01 << 8
    | 0b01 << 10
    | 0b11 << 12
    | 25 << 16
    | 0b01 << 24
    | 0b01 << 26
    | 0b11 << 28
    | 0b10 << 30;
/// SCTLR_EL1 (ARM D19.2.120): bits that are reserved as 1 in the first version
/// of the architecture, and translation and caches off.
const SCTLR: u64 = 0x30d0_0980;

unsafe extern "C" {
    static _secondary: u8;
}

/// Physical address where another core starts.
pub(crate) fn secondary_entry() -> u64 {
    (&raw const _secondary as u64).wrapping_sub(Port::OFFSET)
}

/// Maps the gigabyte of a physical address, if it is not yet.
pub(crate) fn early_map(address: u64, access: Access) {
    let entry = UPPER.entry((address >> 30) as usize % 512);
    if entry.load(Relaxed) == 0 {
        entry.store(Port::kernel_entry(address >> 30 << 30, access, 2), Relaxed);
        // SAFETY: waits until the table walker sees the entry.
        unsafe { asm!("dsb ishst", "isb", options(nostack)) };
    }
}

/// All cores have the final map: empties the lower half.
pub(crate) fn early_retire() {
    LOWER.entry(HERE).store(0, Relaxed);
}
