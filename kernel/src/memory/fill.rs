//! Pages that are not there yet: a frame is put into memory, and a memory's
//! frame into an address space, when somebody first touches it.

use crate::{
    Entered,
    arch::{Access, Arch, Entry, Port},
    memory::space,
    object::task::Task,
};
use core::sync::atomic::Ordering::{Relaxed, Release};
use libipc_abi::{PAGE, USER_END};

/// Nothing is mapped there that allows the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotThere;

/// Physical address of what `task` has at `address`, which it must be allowed
/// to access so; an absent page is filled in.
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
    let offset = address % PAGE as u64;
    match Port::entry(entry.load(Relaxed), 0) {
        Entry::Page(frame, allowed) if allowed.contains(access) => Ok((frame + offset, allowed)),
        Entry::Page(..) => Err(NotThere),
        _ => {
            let region = space::region_at(k, task, address).ok_or(NotThere)?;
            let allowed = region.access();
            if !allowed.contains(access) {
                return Err(NotThere);
            }
            let memory = region.memory.get(k).ok_or(NotThere)?;
            let page = region.offset.get() + (address - region.address.get()) / PAGE as u64;
            let frame = memory.page(k, page).ok_or(NotThere)?;
            if allowed.contains(Access::EXECUTE) {
                Port::synchronise_code(Port::physical(frame), PAGE);
            }
            // After the zeros or instructions in it: other cores may see it at once.
            entry.store(Port::page_entry(frame, allowed), Release);
            Ok((frame + offset, allowed))
        }
    }
}
