//! Page tables (ARM D8): 4 KiB granule, 39-bit addresses, three levels. User
//! programs have the lower half (`TTBR0_EL1`), the kernel the upper
//! (`TTBR1_EL1`), where it sees all physical memory.

#![allow(
    unsafe_code,
    reason = "translation registers, cache and TLB maintenance"
)]

use crate::arch::{Access, Entry};
use core::arch::asm;

/// From a physical address to where the kernel sees it.
pub(super) const OFFSET: u64 = 0xffff_ff80_0000_0000;

// Descriptors (ARM D8.3). Bits 1:0 are 0b11 for a table and a page, 0b01 for a
// block of a higher level.
const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
/// Index into `MAIR_EL1`, which boot's entry sets: 0 is memory, 1 devices.
const DEVICE: u64 = 1 << 2;
/// AP[1]: EL0 may access it too.
const USER: u64 = 1 << 6;
/// AP[2]: nobody may write.
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const KERNEL_NO_EXECUTE: u64 = 1 << 53;
const USER_NO_EXECUTE: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

pub(super) fn page_entry(physical: u64, access: Access) -> u64 {
    let mut entry = physical & ADDRESS
        | VALID
        | TABLE_OR_PAGE
        | ACCESSED
        | INNER_SHAREABLE
        | NOT_GLOBAL
        | KERNEL_NO_EXECUTE;
    if access.intersects(Access::READ | Access::WRITE) {
        entry |= USER;
    }
    if !access.contains(Access::WRITE) {
        entry |= READ_ONLY;
    }
    if !access.contains(Access::EXECUTE) {
        entry |= USER_NO_EXECUTE;
    }
    if access.contains(Access::DEVICE) {
        entry |= DEVICE;
    }
    entry
}

pub(super) fn kernel_entry(physical: u64, access: Access, level: usize) -> u64 {
    let mut entry = physical & ADDRESS | VALID | ACCESSED | INNER_SHAREABLE | USER_NO_EXECUTE;
    if level == 0 {
        entry |= TABLE_OR_PAGE;
    }
    if !access.contains(Access::WRITE) {
        entry |= READ_ONLY;
    }
    if !access.contains(Access::EXECUTE) {
        entry |= KERNEL_NO_EXECUTE;
    }
    if access.contains(Access::DEVICE) {
        entry |= DEVICE;
    }
    entry
}

pub(super) fn table_entry(physical: u64) -> u64 {
    physical & ADDRESS | VALID | TABLE_OR_PAGE
}

pub(super) fn entry(word: u64, level: usize) -> Entry {
    if word & VALID == 0 {
        return Entry::Empty;
    }
    if level > 0 {
        return Entry::Table(word & ADDRESS);
    }
    let mut access = Access::empty();
    if word & USER != 0 {
        access |= Access::READ;
        if word & READ_ONLY == 0 {
            access |= Access::WRITE;
        }
    }
    if word & USER_NO_EXECUTE == 0 {
        access |= Access::EXECUTE;
    }
    if word & DEVICE != 0 {
        access |= Access::DEVICE;
    }
    Entry::Page(word & ADDRESS, access)
}

pub(super) fn physical(address: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address.wrapping_add(OFFSET) as usize)
}

/// Boot's entry turns 16-bit identifiers on (`TCR_EL1.AS`) where ASIDBits, bits
/// 7:4 of `ID_AA64MMFR0_EL1` (ARM D19.2.64), says that they exist.
pub(super) fn asids() -> u16 {
    let features: u64;
    // SAFETY: reads a register.
    unsafe {
        asm!("mrs {}, id_aa64mmfr0_el1", out(reg) features,
            options(nomem, nostack, preserves_flags));
    }
    match features >> 4 & 0xf {
        0b0010 => u16::MAX,
        _ => 256,
    }
}

/// `TTBR0_EL1` (ARM D19.2.152): the identifier above bit 48, the root below.
pub(super) fn space(root: u64, asid: u16) -> u64 {
    u64::from(asid) << 48 | root
}

pub(super) fn switch_space(space: u64) {
    // SAFETY: the kernel lives in the other half, which stays as it is.
    unsafe { asm!("msr ttbr0_el1, {}", "isb", in(reg) space, options(nostack, preserves_flags)) };
}

/// The return to user mode is the barrier.
#[inline(always)]
pub(super) fn pass_space(space: u64) {
    // SAFETY: the kernel lives in the other half, which stays as it is.
    unsafe { asm!("msr ttbr0_el1, {}", in(reg) space, options(nostack, preserves_flags)) };
}

/// Makes a new entry visible to the table walker (ARM D8.2.8). That nothing was
/// there is never remembered.
pub(super) fn page_came() {
    // SAFETY: waits.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}

/// The last barrier waits until all cores of the inner shareable domain have
/// forgotten, and have done what they did by the old translation (ARM D8.13.5).
pub(super) fn invalidate_pages(asid: u16, address: u64, pages: u64) {
    // SAFETY: waits until the table walkers see what was written.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    for page in 0..pages {
        let number = ((address >> 12) + page) & 0xfff_ffff_ffff;
        let operand = u64::from(asid) << 48 | number;
        // SAFETY: forgets cached translations.
        unsafe { asm!("tlbi vae1is, {}", in(reg) operand, options(nostack, preserves_flags)) };
    }
    // SAFETY: waits until that is done.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

pub(super) fn invalidate_space(asid: u16) {
    let operand = u64::from(asid) << 48;
    // SAFETY: forgets cached translations.
    unsafe {
        asm!("dsb ishst", "tlbi aside1is, {}", "dsb ish", "isb", in(reg) operand,
            options(nostack, preserves_flags));
    }
}

/// Cleans the data cache by line, and drops the whole instruction cache, since
/// programs see the code at another address (ARM D7.5.9).
pub(super) fn synchronise_code(address: *const u8, length: usize) {
    let types: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) types, options(nomem, nostack, preserves_flags)) };
    // DminLine, bits 19:16: words of the smallest data cache line, as a power of two.
    let line = 4 << (types >> 16 & 0xf);
    let start = address.addr() & !(line - 1);
    for address in (start..address.addr() + length).step_by(line) {
        // SAFETY: cleaning a cache line changes no memory.
        unsafe { asm!("dc cvau, {}", in(reg) address, options(nostack, preserves_flags)) };
    }
    // SAFETY: dropping instructions changes no memory.
    unsafe {
        asm!(
            "dsb ish",
            "ic ialluis",
            "dsb ish",
            "isb",
            options(nostack, preserves_flags)
        );
    }
}
