//! The fast path: a message, an answer, a fault or a signal from one thread of a core to
//! another that waits for it, waiting for one, and what a server asks of the request that
//! it serves; with no lock but what [`crate::entry::pass`] asks. Faults and the kernel's
//! own signals come here under the kernel's lock, to go without the scheduler.
//!
//! It does what the slow path does in the same case and nothing else: whatever is
//! out of the ordinary is left to that, before anything was changed.

pub mod message;
mod reply;
mod request;
pub mod signal;

use crate::{
    arch::{Arch, Exit, Heard, Port},
    entry,
    object::thread::Thread,
    run,
    schedule::core::Core,
    start::KERNEL,
};
use libipc_abi::{
    handle::Handle,
    label::{Flags, Label},
    status::Status,
};
#[cfg(test)]
use {
    crate::Entered,
    libipc_abi::{FOREVER, registers::CallIn},
};

/// Who runs after a system call on the fast path.
#[derive(Clone, Copy)]
pub enum Next<'k> {
    /// A thread that gets the caller's words.
    Hears(&'k Thread, Heard),
    /// A thread whose system call has ended; the result is in its registers.
    Returns(&'k Thread),
    /// A thread that was ready, or whose fault was answered.
    GoesOn(&'k Thread),
    /// The caller: its system call has ended with this and nothing else.
    Ends(Status),
}

/// What a port does with a call of `thread`, which the core runs, that is a
/// [`PLAIN_CALL`] and has no deadline.
pub extern "C" fn pass_call(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| {
        message::call::<false>(k, thread, handle, label)
    });
    match next {
        None => pass_object(thread, core),
        next => leave(thread, core, next),
    }
}

/// The same where that may be a call on the request being served. What was called is
/// looked up again, so that the pass before need not keep it.
#[cold]
#[inline(never)]
fn pass_object(thread: &'static Thread, core: &'static Core) -> ! {
    match Port::called(&thread.context) {
        (Handle::REQUEST, label) => pass_request(label, thread, core),
        _ => slowly(core),
    }
}

#[inline(never)]
fn pass_request(label: Label, thread: &'static Thread, core: &'static Core) -> ! {
    let next = entry::pass(&KERNEL, core, |k| request::call(k, thread, label));
    leave(thread, core, next)
}

/// The same with a [`PLAIN_ANSWER`].
pub extern "C" fn pass_answer(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| {
        let request = Port::request(&thread.context);
        message::reply_receive::<false>(k, thread, handle, label, request)
    });
    leave(thread, core, next)
}

/// The same with a [`SIGNAL`].
pub extern "C" fn pass_signal(
    handle: Handle,
    _label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| signal::signal(k, thread, handle));
    leave(thread, core, next)
}

/// The same with a [`RECEIVE`].
pub extern "C" fn pass_receive(
    handle: Handle,
    _label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| signal::receive(k, thread, handle));
    leave(thread, core, next)
}

/// The same with any other system call: something may be attached to it, or it is an
/// answer after which the server goes on, or it is nothing for the fast path.
pub extern "C" fn pass_other(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    match label.flags() {
        flags if flags.is_empty() => pass_attached_call(handle, label, thread, core),
        ANSWER => pass_attached_answer(handle, label, thread, core),
        Flags::REPLY => pass_reply(thread, core),
        _ => run::called(),
    }
}

#[inline(never)]
fn pass_attached_call(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| {
        message::call::<true>(k, thread, handle, label)
    });
    leave(thread, core, next)
}

#[inline(never)]
fn pass_attached_answer(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass(&KERNEL, core, |k| {
        let request = Port::request(&thread.context);
        message::reply_receive::<true>(k, thread, handle, label, request)
    });
    leave(thread, core, next)
}

#[inline(never)]
fn pass_reply(thread: &'static Thread, core: &'static Core) -> ! {
    let call = Port::call_in(&thread.context);
    let next = entry::pass(&KERNEL, core, |k| reply::reply(k, thread, &call));
    leave(thread, core, next)
}

#[inline(always)]
fn leave(thread: &'static Thread, core: &'static Core, next: Option<Next<'_>>) -> ! {
    let exit = match next {
        None => slowly(core),
        Some(Next::Hears(next, heard)) => Exit::Hears(&next.context, heard),
        Some(Next::Returns(next)) => Exit::Returns(&next.context),
        Some(Next::GoesOn(next)) => Exit::GoesOn(&next.context),
        Some(Next::Ends(status)) => Exit::Ends(status),
    };
    Port::pass(core, &thread.context, exit)
}

/// Nothing is done yet, and the core is on its way. All else that a pass calls is
/// inlined, so that it needs no stack.
#[cold]
#[inline(never)]
fn slowly(core: &Core) -> ! {
    core.gate.leave();
    run::called()
}

/// Does the system call of the current thread and says who is the current one then.
/// `None`, and nothing done, if this is not that simple.
#[cfg(test)]
pub fn pass<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label, request) = (call.handle, call.label, call.request);
    if call.deadline != FOREVER {
        return None;
    }
    match label.0 & Label::MIDDLE {
        PLAIN_CALL if handle == Handle::REQUEST => request::call(k, thread, label),
        PLAIN_CALL => message::call::<false>(k, thread, handle, label),
        PLAIN_ANSWER => message::reply_receive::<false>(k, thread, handle, label, request),
        SIGNAL => signal::signal(k, thread, handle),
        RECEIVE => signal::receive(k, thread, handle),
        _ => match label.flags() {
            flags if flags.is_empty() => message::call::<true>(k, thread, handle, label),
            ANSWER => message::reply_receive::<true>(k, thread, handle, label, request),
            Flags::REPLY => reply::reply(k, thread, call),
            _ => None,
        },
    }
}

/// [`Label::MIDDLE`] of a call that nothing is attached to.
pub const PLAIN_CALL: u64 = 0;
/// The same of an answer, after which the server waits.
pub const PLAIN_ANSWER: u64 = Label::control(ANSWER, 0).0;
/// The same of a signal.
pub const SIGNAL: u64 = Label::control(Flags::SIGNAL, 0).0;
/// The same of a wait.
pub const RECEIVE: u64 = Label::control(Flags::RECEIVE, 0).0;

/// An answer after which the server waits.
const ANSWER: Flags = Flags::REPLY.union(Flags::RECEIVE);
