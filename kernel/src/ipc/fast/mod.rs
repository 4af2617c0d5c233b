//! The fast path: a message, an answer, a fault or a signal from one thread of a core to
//! another that waits for it, and waiting for one; with no lock but what
//! [`crate::entry::pass`] asks. Faults and the kernel's own signals come here under the
//! kernel's lock, to go without the scheduler.
//!
//! It does what the slow path does in the same case and nothing else: whatever is
//! out of the ordinary is left to that, before anything was changed.

pub mod message;
mod reply;
pub mod signal;

use crate::{
    Entered,
    arch::{Arch, Exit, Heard, Port},
    entry,
    object::thread::Thread,
    run,
    schedule::core::Core,
    start::KERNEL,
};
#[cfg(test)]
use libipc_abi::FOREVER;
use libipc_abi::{
    handle::Handle,
    label::{Flags, Label},
    registers::CallIn,
    status::Status,
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
    /// Nothing is done: it is the answer to a fault, and out of the way of messages.
    Resumes,
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
/// answer after which the server goes on.
pub extern "C" fn pass_other(
    _handle: Handle,
    _label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    otherwise(thread, core, Otherwise::Attached)
}

#[inline(always)]
fn leave(thread: &'static Thread, core: &'static Core, next: Option<Next<'_>>) -> ! {
    let exit = match next {
        None => otherwise(thread, core, Otherwise::Slowly),
        Some(Next::Resumes) => otherwise(thread, core, Otherwise::Resumes),
        Some(Next::Hears(next, heard)) => Exit::Hears(&next.context, heard),
        Some(Next::Returns(next)) => Exit::Returns(&next.context),
        Some(Next::GoesOn(next)) => Exit::GoesOn(&next.context),
        Some(Next::Ends(status)) => Exit::Ends(status),
    };
    Port::pass(core, &thread.context, exit)
}

/// What else becomes of a system call.
enum Otherwise {
    /// See [`pass_other`].
    Attached,
    /// It is an answer to a fault; the core is on its way.
    Resumes,
    /// The slow path does it; the core is on its way.
    Slowly,
}

/// All that needs a stack: so what calls this needs none.
#[cold]
#[inline(never)]
fn otherwise(thread: &'static Thread, core: &'static Core, how: Otherwise) -> ! {
    let call = Port::call_in(&thread.context);
    let next = match how {
        Otherwise::Attached => entry::pass(&KERNEL, core, |k| attached(k, thread, &call)),
        Otherwise::Resumes => entry::pass(&KERNEL, core, |k| {
            message::reply_receive::<true>(k, thread, call.handle, call.label, call.request)
        }),
        Otherwise::Slowly => None,
    };
    if next.is_none() {
        core.gate.leave();
        run::called()
    }
    leave(thread, core, next)
}

/// Does the system call of the current thread and says who is the current one then.
/// `None`, and nothing done, if this is not that simple.
#[cfg(test)]
pub fn pass<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label, request) = (call.handle, call.label, call.request);
    if call.deadline != FOREVER {
        return None;
    }
    let next = match label.0 & Label::MIDDLE {
        PLAIN_CALL => message::call::<false>(k, thread, handle, label),
        PLAIN_ANSWER => message::reply_receive::<false>(k, thread, handle, label, request),
        SIGNAL => signal::signal(k, thread, handle),
        RECEIVE => signal::receive(k, thread, handle),
        _ => attached(k, thread, call),
    };
    match next {
        Some(Next::Resumes) => message::reply_receive::<true>(k, thread, handle, label, request),
        next => next,
    }
}

/// [`Label::MIDDLE`] of a call that nothing is attached to.
pub const PLAIN_CALL: u64 = 0;
/// The same of an answer, after which the server waits.
pub const PLAIN_ANSWER: u64 = Label::control(Flags::REPLY.union(Flags::RECEIVE), 0).0;
/// The same of a signal.
pub const SIGNAL: u64 = Label::control(Flags::SIGNAL, 0).0;
/// The same of a wait.
pub const RECEIVE: u64 = Label::control(Flags::RECEIVE, 0).0;

#[inline(always)]
fn attached<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label) = (call.handle, call.label);
    const ANSWER: Flags = Flags::REPLY.union(Flags::RECEIVE);
    match label.flags() {
        flags if flags.is_empty() => message::call::<true>(k, thread, handle, label),
        ANSWER => message::reply_receive::<true>(k, thread, handle, label, call.request),
        Flags::REPLY => reply::reply(k, thread, call),
        _ => None,
    }
}
