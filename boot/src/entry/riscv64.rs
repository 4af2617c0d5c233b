//! Entry on riscv64: SBI's protocol.

#![allow(unsafe_code, reason = "addresses of assembly")]

use crate::{
    image::{LOAD, STACK_STRIDE, STACKS},
    map::Table,
    program::Elf,
    start, tree,
};
use core::{
    arch::{asm, global_asm},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tessera_kernel::arch::{Access, Boot, Port};
use xmas_elf::header::Machine;

/// What the machine's programs are like. Relocation type: RISC-V ELF
/// psABI, `R_RISCV_RELATIVE`.
pub(crate) const ELF: Elf = Elf {
    machine: Machine::RISC_V,
    relative: 3,
};

/// What the device tree has to describe.
pub(crate) const MACHINE: tree::Machine = tree::Machine::Riscv64;

/// Gigabyte of the image.
const HERE: usize = (LOAD >> 30) as usize;
/// Index of the first gigabyte in the upper half.
const HALF: usize = 256;
/// A gigabyte (Priv 4.4.1): valid, readable, writable, executable, accessed,
/// dirty.
const BLOCK: u64 = LOAD >> 30 << 28 | 0b1100_1111;

/// Whether a hart boots already.
static BOOTING: AtomicU32 = AtomicU32::new(0);

/// Name of SBI's extension for hart state management.
const HSM: u64 = 0x48_534d;

static EARLY: Table = Table::with(&[(HERE, BLOCK), (HALF + HERE, BLOCK)]);

global_asm!(
    include_str!("riscv64.S"),
    BOOTING = sym BOOTING,
    HSM = const HSM,
    EARLY = sym EARLY,
    STACKS = sym STACKS,
    STRIDE = const STACK_STRIDE,
    OFFSET = const Port::OFFSET,
    boot = sym start::boot,
    secondary = sym start::secondary,
);

unsafe extern "C" {
    static _secondary: u8;
}

/// Physical address where another core starts.
pub(crate) fn secondary_entry() -> u64 {
    (&raw const _secondary as u64).wrapping_sub(Port::OFFSET)
}

/// Maps the gigabyte of a physical address, if it is not yet.
pub(crate) fn early_map(address: u64, access: Access) {
    let entry = EARLY.entry(HALF + (address >> 30) as usize % HALF);
    if entry.load(Relaxed) == 0 {
        entry.store(Port::kernel_entry(address >> 30 << 30, access, 2), Relaxed);
        // SAFETY: waits until the table walker sees the entry.
        unsafe { asm!("sfence.vma", options(nostack)) };
    }
}

/// All cores have the final map, which has none of the early one.
pub(crate) fn early_retire() {
    EARLY.entry(HERE).store(0, Relaxed);
}
