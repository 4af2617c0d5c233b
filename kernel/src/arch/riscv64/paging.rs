//! Page tables (Priv 4.4): Sv39. User programs have the lower half of a root
//! table; the upper half is the same in all, and there the kernel sees all
//! physical memory.

#![allow(unsafe_code, reason = "translation registers and fences")]

use super::firmware;
use crate::{
    arch::{Access, ENTRIES, Entry},
    platform::{CORES, Platform},
};
use core::{
    arch::asm,
    sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed},
};
use libipc_abi::PAGE;

/// From a physical address to where the kernel sees it.
pub(super) const OFFSET: u64 = 0xffff_ffc0_0000_0000;

// Entries (Priv 4.4.1). One without READ, WRITE and EXECUTE names a table.
const VALID: u64 = 1 << 0;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
const USER: u64 = 1 << 4;
const GLOBAL: u64 = 1 << 5;
/// Set beforehand, as cores may fault instead of setting them.
const ACCESSED_DIRTY: u64 = 0b11 << 6;
/// For software: a device. The platform itself knows which memory is cached.
const DEVICE: u64 = 1 << 8;

/// `satp` (Priv 4.1.11): mode 8 is Sv39, then the identifier, then the root.
const SV39: u64 = 8 << 60;
const ASID_SHIFT: u32 = 44;

/// The kernel's root, for the upper half of all others.
static KERNEL: AtomicU64 = AtomicU64::new(0);
/// The entry after the last one that is used there.
static KERNEL_END: AtomicUsize = AtomicUsize::new(ENTRIES);
/// How many address-space identifiers there are.
static ASIDS: AtomicU16 = AtomicU16::new(1);
/// Harts by core, and a bit for each hart that ever ran user programs.
static HARTS: [AtomicU64; CORES] = [const { AtomicU64::new(0) }; CORES];
static USERS: AtomicU64 = AtomicU64::new(0);

fn leaf(physical: u64, access: Access) -> u64 {
    let mut entry = physical >> 12 << 10 | VALID | ACCESSED_DIRTY;
    // Writable without readable is reserved.
    if access.intersects(Access::READ | Access::WRITE) {
        entry |= READ;
    }
    if access.contains(Access::WRITE) {
        entry |= WRITE;
    }
    if access.contains(Access::EXECUTE) {
        entry |= EXECUTE;
    }
    if access.contains(Access::DEVICE) {
        entry |= DEVICE;
    }
    entry
}

pub(super) fn page_entry(physical: u64, access: Access) -> u64 {
    leaf(physical, access) | USER
}

pub(super) fn kernel_entry(physical: u64, access: Access, _level: usize) -> u64 {
    leaf(physical, access) | GLOBAL
}

pub(super) fn table_entry(physical: u64) -> u64 {
    physical >> 12 << 10 | VALID
}

pub(super) fn entry(word: u64, _level: usize) -> Entry {
    let physical = word >> 10 << 12 & 0x00ff_ffff_ffff_f000;
    if word & VALID == 0 {
        return Entry::Empty;
    }
    if word & (READ | WRITE | EXECUTE) == 0 {
        return Entry::Table(physical);
    }
    let mut access = Access::empty();
    for (bit, flag) in [
        (READ, Access::READ),
        (WRITE, Access::WRITE),
        (EXECUTE, Access::EXECUTE),
        (DEVICE, Access::DEVICE),
    ] {
        access.set(flag, word & bit != 0);
    }
    Entry::Page(physical, access)
}

pub(super) fn root_entries() -> impl Iterator<Item = (usize, u64)> {
    root_entries_to(KERNEL_END.load(Relaxed))
}

fn root_entries_to(end: usize) -> impl Iterator<Item = (usize, u64)> {
    let root = physical(KERNEL.load(Relaxed)).cast::<u64>();
    (ENTRIES / 2..end.min(ENTRIES)).filter_map(move |index| {
        // SAFETY: inside the kernel's root table.
        let entry = unsafe { root.add(index) };
        // SAFETY: boot's table, which nobody writes any more.
        let word = unsafe { entry.read() };
        (word != 0).then_some((index, word))
    })
}

pub(super) fn physical(address: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address.wrapping_add(OFFSET) as usize)
}

/// Changes the map for the kernel's own, and counts the identifiers: bits of
/// `satp.ASID` that do not exist stay 0.
pub(super) fn adopt(root: u64) {
    const ALL: u64 = 0xffff << ASID_SHIFT;

    let satp = SV39 | root >> 12;
    let probed: u64;
    // SAFETY: the new map has the kernel at the same addresses.
    unsafe {
        asm!("csrw satp, {all}", "csrr {probed}, satp", "csrw satp, {satp}", "sfence.vma",
            all = in(reg) satp | ALL, probed = out(reg) probed, satp = in(reg) satp,
            options(nostack, preserves_flags));
    }
    let asids = (probed & ALL) >> ASID_SHIFT;
    ASIDS.store((asids as u16).max(1), Relaxed);
    KERNEL.store(root, Relaxed);
    let last = root_entries_to(ENTRIES).last();
    KERNEL_END.store(last.map_or(ENTRIES, |(index, _)| index + 1), Relaxed);
}

pub(super) fn core_up(platform: &Platform, core: usize) {
    HARTS[core].store(platform.core_ids[core], Relaxed);
}

/// The highest identifier, or 1 if there are none and each switch must flush.
pub(super) fn asids() -> u16 {
    ASIDS.load(Relaxed)
}

/// `satp` (Priv 4.1.11).
pub(super) fn space(root: u64, asid: u16) -> u64 {
    let asid = own_asid(asid).unwrap_or(0);
    SV39 | asid << ASID_SHIFT | root >> 12
}

pub(super) fn switch_space(space: u64) {
    let old: u64;
    // SAFETY: reads a register.
    unsafe { asm!("csrr {}, satp", out(reg) old, options(nomem, nostack, preserves_flags)) };
    pass_space::<false>(space);
    if old & !SV39 == KERNEL.load(Relaxed) >> 12 {
        USERS.fetch_or(1 << hart(), Relaxed);
    }
}

/// Identifier 0 is everybody's, if there are no others.
#[inline(always)]
pub(super) fn pass_space<const ALONE: bool>(space: u64) {
    // SAFETY: the kernel's half is the same in all tables.
    unsafe { asm!("csrw satp, {}", in(reg) space, options(nostack, preserves_flags)) };
    if !ALONE && space >> ASID_SHIFT & 0xffff == 0 {
        fence_here(None, None);
    }
}

/// This core may have remembered that nothing was there (Priv 4.2.1). Others may
/// too: they find out by a fault of their own.
pub(super) fn page_came(asid: u16, address: u64) {
    fence_here(own_asid(asid), Some(address));
}

pub(super) fn invalidate_pages(asid: u16, address: u64, pages: u64) {
    let asid = own_asid(asid);
    for page in 0..pages {
        fence_here(asid, Some(address + page * PAGE as u64));
    }
    fence_others(asid, address, pages * PAGE as u64);
}

pub(super) fn invalidate_space(asid: u16) {
    let asid = own_asid(asid);
    fence_here(asid, None);
    fence_others(asid, 0, u64::MAX);
}

/// What the processor tells the address space apart by, if it does.
fn own_asid(asid: u16) -> Option<u64> {
    (asids() > 1).then_some(u64::from(asid))
}

/// `sfence.vma` (Priv 4.2.1). Also makes new entries visible to the table walker.
fn fence_here(asid: Option<u64>, address: Option<u64>) {
    match (address, asid) {
        // SAFETY: forgets cached translations.
        (Some(address), Some(asid)) => unsafe {
            asm!("sfence.vma {}, {}", in(reg) address, in(reg) asid, options(nostack));
        },
        // SAFETY: forgets cached translations.
        (Some(address), None) => unsafe {
            asm!("sfence.vma {}, zero", in(reg) address, options(nostack));
        },
        // SAFETY: forgets cached translations.
        (None, Some(asid)) => unsafe {
            asm!("sfence.vma zero, {}", in(reg) asid, options(nostack));
        },
        // SAFETY: forgets cached translations.
        (None, None) => unsafe { asm!("sfence.vma", options(nostack)) },
    }
}

/// The same on every other core that ran user programs.
fn fence_others(asid: Option<u64>, start: u64, length: u64) {
    let others = others();
    if others != 0 {
        firmware::fence_memory(others, start, length, asid);
    }
}

/// `fence.i` here and on every other core that ran user programs.
pub(super) fn synchronise_code() {
    // SAFETY: forgets cached instructions.
    unsafe { asm!("fence.i", options(nostack)) };
    let others = others();
    if others != 0 {
        firmware::fence_code(others);
    }
}

fn others() -> u64 {
    USERS.load(Relaxed) & !(1 << hart())
}

/// The calling core's hart.
fn hart() -> u64 {
    hart_of(super::cpu::core())
}

/// A core's hart; those from 64 on are not used.
pub(super) fn hart_of(core: usize) -> u64 {
    HARTS[core].load(Relaxed)
}
