//! What happens when a user program does something wrong, or ends.

use crate::{
    Entered,
    arch::{Access, Arch, Port},
    ipc::{call, deliver, end, fast},
    logln,
    memory::{
        copy::{self, Place},
        fill,
    },
    object::thread::Thread,
};
use libipc_abi::{FOREVER, objects::FaultKind};

/// The thread's instruction could not run. If that was because a page was
/// absent, it is there now; else the fault handler is called.
pub fn fault(k: Entered<'_>, thread: &Thread, kind: FaultKind, address: u64, code: u64) {
    let access = match kind {
        FaultKind::Read => Some(Access::READ),
        FaultKind::Write => Some(Access::WRITE),
        FaultKind::Execute => Some(Access::EXECUTE),
        _ => None,
    };
    if let Some(access) = access
        && let Some(task) = thread.task.get(k)
        && fill::resolve(k, task, address, access).is_ok()
    {
        Port::page_came(task.asid.get(), address);
        return;
    }
    if kind == FaultKind::Illegal && stand_in(k, thread) {
        return;
    }
    report(k, thread, kind, address, code);
}

/// Does what the thread's instruction would do, if programs may count on it.
fn stand_in(k: Entered<'_>, thread: &Thread) -> bool {
    let pc = Port::registers(&thread.context).pc;
    let mut instruction = [0; 4];
    thread.task.get(k).is_some_and(|task| {
        copy::read(k, Place::Task(task, pc), &mut instruction).is_ok()
            && Port::stand_in(&thread.context, u32::from_le_bytes(instruction))
    })
}

/// Calls the fault handler of the thread's task in the thread's name. Without a
/// handler the thread ends.
pub fn report(k: Entered<'_>, thread: &Thread, kind: FaultKind, address: u64, code: u64) {
    thread.set_fault(Some(kind));
    thread.fault.address.set(address);
    thread.fault.code.set(code);
    thread.via.set(0);
    let is_current = k.core.current.is(thread);
    let handler = thread.task.get(k).and_then(|task| {
        let endpoint = task.fault_handler.endpoint(k)?;
        let session = task.fault_handler.session(k);
        if is_current && fast::message::fault(k, thread, endpoint, session) {
            return Some(());
        }
        call::send(
            k,
            thread,
            endpoint,
            session,
            deliver::fault_label(),
            FOREVER,
        )
        .ok()
    });
    if handler.is_none() {
        let task = thread.task.get(k).map_or(0, |task| task.id.get());
        let pc = Port::registers(&thread.context).pc;
        logln!(
            k.kernel,
            "kernel: thread {} of task {task} ends: {kind:?} {address:#x}, code {code:#x}, at {pc:#x}",
            thread.id.get()
        );
        finish(k, thread);
    }
}

/// The thread ends by its own wish, or its task's. The last one of a task tells
/// the fault handler.
pub fn exit(k: Entered<'_>, thread: &Thread, code: u64) {
    let last = thread.task.get(k).is_some_and(|task| task.alive.get() == 1);
    if last && thread.pending_fault().is_none() {
        end::leave(k, thread);
        report(k, thread, FaultKind::Exit, code, 0);
    } else {
        finish(k, thread);
    }
}

fn finish(k: Entered<'_>, thread: &Thread) {
    thread.end(k);
    thread.detach(k);
}
