//! Pages that are not there yet: a frame is put into memory, and a memory's
//! frame into an address space, when somebody first touches it.

use crate::{
    Entered,
    arch::{Access, Arch, Entry, Port},
    memory::space,
    object::{memory::Memory, region::Region, task::Task},
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use libipc_abi::{PAGE, USER_END};

/// Nothing is mapped there that allows the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThere;

/// Physical address of what `task` has at `address`, which it must be allowed
/// to access so; an absent page is filled in.
#[inline(always)]
pub fn resolve(
    k: Entered<'_>,
    task: &Task,
    address: u64,
    access: Access,
) -> Result<(u64, Access), NotThere> {
    if address >= USER_END {
        return Err(NotThere);
    }
    let entry = space::leaf(k, task, address).ok_or(NotThere)?;
    let (frame, allowed) = match Port::entry(entry.load(Relaxed), 0) {
        Entry::Page(frame, allowed) => (frame, allowed),
        _ => fill(k, task, address, access, entry)?,
    };
    match allowed.contains(access) {
        true => Ok((frame + address % PAGE as u64, allowed)),
        false => Err(NotThere),
    }
}

/// Fills the page at `address` in, if there is a region that allows this access.
#[inline(never)]
fn fill(
    k: Entered<'_>,
    task: &Task,
    address: u64,
    access: Access,
    entry: &AtomicU64,
) -> Result<(u64, Access), NotThere> {
    let region = space::region_at(k, task, address).ok_or(NotThere)?;
    let allowed = region.access();
    if !allowed.contains(access) {
        return Err(NotThere);
    }
    let memory = region.memory.get(k).ok_or(NotThere)?;
    let page = region.offset.get() + (address - region.address.get()) / PAGE as u64;
    let frame = memory.page(k, page).ok_or(NotThere)?;
    if allowed.contains(Access::EXECUTE) && !has_code(k, memory, frame) {
        Port::synchronise_code(Port::physical(frame), PAGE);
        note_code(k, memory, frame);
    }
    // After the zeros or instructions in it: other cores may see it at once.
    entry.store(Port::page_entry(frame, allowed), Release);
    if memory.is_constant() {
        fill_around(k, task, region, memory, address);
    }
    Ok((frame, allowed))
}

/// Pages of constant memory that come in together, if they lie in one such piece of
/// the address space: who touches one soon touches others.
const AROUND: u64 = 16;

/// Brings the pages around `address` in. Those whose instructions this core has not
/// been told of wait until they are touched themselves, as that takes longer.
fn fill_around(k: Entered<'_>, task: &Task, region: &Region, memory: &Memory, address: u64) {
    let piece = AROUND * PAGE as u64;
    let start = address & !(piece - 1);
    let first = start.max(region.address.get());
    let end = (start + piece).min(region.end());
    let allowed = region.access();
    let page = region.offset.get() + (first - region.address.get()) / PAGE as u64;
    let entries = space::leaves(k, task, first, (end - first) / PAGE as u64);
    for (entry, page) in entries.iter().zip(page..) {
        if entry.load(Relaxed) == 0
            && let Some(frame) = memory.page(k, page)
            && (!allowed.contains(Access::EXECUTE) || has_code(k, memory, frame))
        {
            entry.store(Port::page_entry(frame, allowed), Release);
        }
    }
}

/// Whether this core was told of the instructions in the frame, which have not
/// changed since.
fn has_code(k: Entered<'_>, memory: &Memory, frame: u64) -> bool {
    let told = || k.kernel.frames.record(frame).used.get();
    memory.is_constant() && told() >> k.core.number & 1 != 0
}

/// This core was told of the instructions in the frame.
fn note_code(k: Entered<'_>, memory: &Memory, frame: u64) {
    if memory.is_constant() {
        let told = &k.kernel.frames.record(frame).used;
        told.set(told.get() | 1 << k.core.number);
    }
}
