//! The fast path: a message that fits in registers, or a signal, from one thread of
//! a core to another that waits for it, and waiting for one; with no lock but what
//! [`crate::entry::pass`] asks.
//!
//! It does what the slow path does in the same case and nothing else: whatever is
//! out of the ordinary is left to that, before anything was changed.

mod message;
mod signal;

use crate::{
    Entered, arch::Context, entry, object::thread::Thread, schedule::core::Core, start::KERNEL,
};
use core::ptr;
#[cfg(test)]
use libipc_abi::registers::CallIn;
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
};

/// Whose registers a port loads to leave the kernel by the fast path. Once it has
/// the words it leaves the core's gate, not before: their owner may be
/// given another message by another core then.
#[repr(C)]
pub struct Passed {
    /// The thread that runs now; null if the slow path is to do the call.
    pub next: *const Context,
    /// Whose words of the system call it gets; null if it made none, so that all of
    /// its registers are to be loaded, and the core has left the gate.
    pub words: *const Context,
}

/// Who runs after a system call on the fast path.
#[derive(Clone, Copy)]
pub enum Next<'k> {
    /// A thread that gets the caller's words.
    Hears(&'k Thread),
    /// A thread whose system call has ended; the result is in its registers.
    Returns(&'k Thread),
    /// A thread that was ready.
    GoesOn(&'k Thread),
}

/// What a port does with a system call of the thread with this context, which the
/// core runs, once it has kept what it keeps of the floating-point state.
pub extern "C" fn tessera_pass(
    context: &Context,
    handle: Handle,
    label: Label,
    deadline: u64,
    request: Handle,
    core: &'static Core,
) -> Passed {
    let next = match label.0 & Label::MIDDLE {
        CALL => entry::pass(&KERNEL, core, |k| message::call(k, handle, label, deadline)),
        REPLY_RECEIVE => entry::pass(&KERNEL, core, |k| {
            message::reply_receive(k, handle, label, deadline, request)
        }),
        // Out of the way of messages.
        _ => return pass_other(context, handle, label, deadline, request, core),
    };
    passed(context, core, next)
}

#[inline(never)]
extern "C" fn pass_other(
    context: &Context,
    handle: Handle,
    label: Label,
    deadline: u64,
    _request: Handle,
    core: &'static Core,
) -> Passed {
    let next = entry::pass(&KERNEL, core, |k| other(k, handle, label, deadline));
    passed(context, core, next)
}

#[inline(always)]
fn passed(context: &Context, core: &Core, next: Option<Next<'_>>) -> Passed {
    let (next, words): (*const Context, *const Context) = match next {
        None => (ptr::null(), ptr::null()),
        Some(Next::Hears(thread)) => (&thread.context, context),
        Some(Next::Returns(thread)) => (&thread.context, &thread.context),
        Some(Next::GoesOn(thread)) => {
            core.gate.leave();
            (&thread.context, ptr::null())
        }
    };
    Passed { next, words }
}

/// Does the system call of the current thread and says who is the current one then.
/// `None`, and nothing done, if this is not that simple.
#[cfg(test)]
pub fn pass<'k>(k: Entered<'k>, call: &CallIn) -> Option<Next<'k>> {
    let (handle, label, deadline) = (call.handle, call.label, call.deadline);
    match label.0 & Label::MIDDLE {
        CALL => message::call(k, handle, label, deadline),
        REPLY_RECEIVE => message::reply_receive(k, handle, label, deadline, call.request),
        _ => other(k, handle, label, deadline),
    }
}

/// Labels of calls and answers that nothing is attached to, and of the rest.
const CALL: u64 = 0;
const REPLY_RECEIVE: u64 = Label::control(Flags::REPLY.union(Flags::RECEIVE), 0).0;
const SIGNAL: u64 = Label::control(Flags::SIGNAL, 0).0;
const RECEIVE: u64 = Label::control(Flags::RECEIVE, 0).0;

#[inline(always)]
fn other(k: Entered<'_>, handle: Handle, label: Label, deadline: u64) -> Option<Next<'_>> {
    match label.0 & Label::MIDDLE {
        SIGNAL => signal::signal(k, handle),
        RECEIVE => signal::receive(k, handle, deadline),
        _ => None,
    }
}

/// Whether the handle is an endpoint's with this right, and free of marks.
#[inline(always)]
fn allows(handle: Handle, right: Rights) -> bool {
    let word = |rights: Rights, kind: u64| u64::from(rights.bits()) << 20 | kind << 28;
    let mask = word(Rights::FAR_ONLY.union(right), 15);
    handle.0 & mask == word(right, ObjectType::Endpoint as u64)
}
