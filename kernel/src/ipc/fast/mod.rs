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
    arch::{Arch, Context, Port},
    entry,
    object::thread::Thread,
    schedule::core::Core,
    start::KERNEL,
};
use core::ptr;
use libipc_abi::{
    handle::Handle,
    label::{Flags, Label},
    registers::CallIn,
};

/// Whose registers a port loads to leave the kernel by the fast path. Once it has kept
/// the caller's floating-point state and has the words, it leaves the core's gate, not
/// before: either may be given another message by another core then.
#[repr(C)]
pub struct Passed {
    /// The thread that runs now; null if the slow path is to do the call.
    pub next: *const Context,
    /// Whose words of the system call it gets; null if it made none, so that all of
    /// its registers are to be loaded.
    pub words: *const Context,
}

/// Whose words are zeros.
static NO_WORDS: Context = Context::new();

/// Who runs after a system call on the fast path.
#[derive(Clone, Copy)]
pub enum Next<'k> {
    /// A thread that gets the caller's words.
    Hears(&'k Thread),
    /// A thread whose system call has ended; the result is in its registers.
    Returns(&'k Thread),
    /// The same, and all words of the result are zero.
    Ends(&'k Thread),
    /// A thread that was ready, or whose fault was answered.
    GoesOn(&'k Thread),
    /// Nothing is done: it is the answer to a fault, and out of the way of messages.
    Resumes,
}

/// What a port does with a system call of the thread with this context, which the
/// core runs.
pub extern "C" fn tessera_pass(
    handle: Handle,
    thread: &'static Thread,
    label: Label,
    core: &'static Core,
    deadline: u64,
    request: Handle,
) -> Passed {
    let next = match label.0 & Label::MIDDLE {
        CALL => entry::pass(&KERNEL, core, |k| {
            message::call::<false>(k, thread, handle, label, deadline)
        }),
        REPLY_RECEIVE => entry::pass(&KERNEL, core, |k| {
            message::reply_receive::<false>(k, thread, handle, label, deadline, request)
        }),
        _ => return pass_other(handle, thread, label, core, deadline),
    };
    passed(thread, core, next)
}

/// All that is not a plain message, out of the way of those.
#[inline(never)]
extern "C" fn pass_other(
    handle: Handle,
    thread: &'static Thread,
    label: Label,
    core: &'static Core,
    deadline: u64,
) -> Passed {
    let next = match label.0 & Label::MIDDLE {
        SIGNAL => entry::pass(&KERNEL, core, |k| signal::signal(k, thread, handle)),
        RECEIVE => return pass_receive(handle, thread, core, deadline),
        _ => return pass_attached(thread, core),
    };
    passed(thread, core, next)
}

#[inline(never)]
extern "C" fn pass_receive(
    handle: Handle,
    thread: &'static Thread,
    core: &'static Core,
    deadline: u64,
) -> Passed {
    let next = entry::pass(&KERNEL, core, |k| {
        signal::receive(k, thread, handle, deadline)
    });
    passed(thread, core, next)
}

/// A message with something attached, or an answer after which the server goes on.
#[inline(never)]
extern "C" fn pass_attached(thread: &'static Thread, core: &'static Core) -> Passed {
    let call = Port::call_in(&thread.context);
    let next = entry::pass(&KERNEL, core, |k| attached(k, thread, &call));
    passed(thread, core, next)
}

/// An answer that is no plain one; the core is on its way.
#[inline(never)]
extern "C" fn pass_answer(thread: &'static Thread, core: &'static Core) -> Passed {
    let call = Port::call_in(&thread.context);
    let next = entry::pass(&KERNEL, core, |k| {
        message::reply_receive::<true>(
            k,
            thread,
            call.handle,
            call.label,
            call.deadline,
            call.request,
        )
    });
    passed(thread, core, next)
}

#[inline(always)]
fn passed(thread: &'static Thread, core: &'static Core, next: Option<Next<'_>>) -> Passed {
    let (next, words): (*const Context, *const Context) = match next {
        None => (ptr::null(), ptr::null()),
        Some(Next::Hears(next)) => (&next.context, &thread.context),
        Some(Next::Returns(next)) => (&next.context, &next.context),
        Some(Next::Ends(next)) => (&next.context, &NO_WORDS),
        Some(Next::GoesOn(next)) => (&next.context, ptr::null()),
        Some(Next::Resumes) => return pass_answer(thread, core),
    };
    Passed { next, words }
}

/// Does the system call of the current thread and says who is the current one then.
/// `None`, and nothing done, if this is not that simple.
#[cfg(test)]
pub fn pass<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label, deadline) = (call.handle, call.label, call.deadline);
    let answer = message::reply_receive::<true>;
    let next = match label.0 & Label::MIDDLE {
        CALL => message::call::<false>(k, thread, handle, label, deadline),
        REPLY_RECEIVE => {
            message::reply_receive::<false>(k, thread, handle, label, deadline, call.request)
        }
        SIGNAL => signal::signal(k, thread, handle),
        RECEIVE => signal::receive(k, thread, handle, deadline),
        _ => attached(k, thread, call),
    };
    match next {
        Some(Next::Resumes) => answer(k, thread, handle, label, deadline, call.request),
        next => next,
    }
}

/// Labels of calls and answers that nothing is attached to, and of the rest.
const CALL: u64 = 0;
const REPLY_RECEIVE: u64 = Label::control(Flags::REPLY.union(Flags::RECEIVE), 0).0;
const SIGNAL: u64 = Label::control(Flags::SIGNAL, 0).0;
const RECEIVE: u64 = Label::control(Flags::RECEIVE, 0).0;

#[inline(always)]
fn attached<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label, deadline) = (call.handle, call.label, call.deadline);
    const ANSWER: Flags = Flags::REPLY.union(Flags::RECEIVE);
    match label.flags() {
        flags if flags.is_empty() => message::call::<true>(k, thread, handle, label, deadline),
        ANSWER => message::reply_receive::<true>(k, thread, handle, label, deadline, call.request),
        Flags::REPLY => reply::reply(k, thread, call),
        _ => None,
    }
}
