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
    arch::{Arch, Context, Exit, Heard, Port},
    entry,
    object::thread::Thread,
    schedule::core::Core,
    start::KERNEL,
};
use libipc_abi::{
    handle::Handle,
    label::{Flags, Label},
    status::Status,
};
use message::{ANYTHING, BYTES, NOTHING};
#[cfg(test)]
use {
    crate::Entered,
    libipc_abi::{FOREVER, registers::CallIn},
};

/// Who runs after a system call on the fast path.
#[derive(Clone, Copy)]
pub enum Next<'k> {
    /// A thread that gets the caller's words.
    Hears(&'k Thread, Heard, Float),
    /// A thread whose system call has ended; the result is in its registers.
    Returns(&'k Thread, Float),
    /// A thread that was ready, or whose fault was answered.
    GoesOn(&'k Thread, Float),
    /// The caller: its system call has ended with this and nothing else.
    Ends(Status),
}

/// Whether something is special with either thread, so that floating point has to be looked
/// at ([`crate::object::thread::Special`]).
pub type Float = bool;

/// What a port does with a call of `thread`, which the core runs, that is a
/// [`PLAIN_CALL`] and has no deadline.
pub extern "C" fn pass_call<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::call::<ALONE, NOTHING>(k, thread, handle, label)
    });
    match next {
        None => pass_object::<ALONE>(handle, label, thread, core),
        next => leave::<ALONE>(thread, core, next),
    }
}

/// The same where that may be a call on the request being served. Takes what the pass
/// before was given in the same registers.
#[cold]
#[inline(never)]
extern "C" fn pass_object<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    match handle {
        Handle::REQUEST => pass_request::<ALONE>(label, thread, core),
        _ => slowly(core),
    }
}

#[inline(never)]
fn pass_request<const ALONE: bool>(
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| request::call::<ALONE>(k, thread, label));
    leave::<ALONE>(thread, core, next)
}

/// The same with a [`PLAIN_ANSWER`] to the request that the thread serves.
pub extern "C" fn pass_answer<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::reply_receive::<ALONE, NOTHING>(k, thread, handle, label)
    });
    leave::<ALONE>(thread, core, next)
}

/// A system call that has ended with this and nothing else.
#[repr(C)]
pub struct Ended<'k> {
    status: u64,
    /// Whose it was.
    context: &'k Context,
}

/// The same with a [`SIGNAL`]; comes back if all that is to be done is to tell the caller
/// its status. So what a call preserves need not be loaded again.
pub extern "C" fn pass_signal<const ALONE: bool>(
    handle: Handle,
    _label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> Ended<'static> {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        signal::signal::<ALONE>(k, thread, handle)
    });
    let Some(Next::Ends(status)) = next else {
        leave::<ALONE>(thread, core, next)
    };
    if !ALONE {
        core.gate.leave();
    }
    Ended {
        status: status.to_word(),
        context: &thread.context,
    }
}

/// The same with a [`RECEIVE`].
pub extern "C" fn pass_receive<const ALONE: bool>(
    handle: Handle,
    _label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        signal::receive::<ALONE>(k, thread, handle)
    });
    leave::<ALONE>(thread, core, next)
}

/// The same with a call that some bytes are attached to and nothing else.
pub extern "C" fn pass_bytes<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::call::<ALONE, BYTES>(k, thread, handle, label)
    });
    leave::<ALONE>(thread, core, next)
}

/// The same with any other system call: an answer that something is attached to, or after
/// which the server goes on, or what is nothing for the fast path.
pub extern "C" fn pass_other<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    match label.flags() {
        ANSWER if label.operation() > Label::SERVER_ERROR => Port::slowly(),
        ANSWER if Port::request(&thread.context) != Handle::NULL => {
            pass_kept_answer::<ALONE>(handle, label, thread, core)
        }
        ANSWER if label.0 & BEYOND_BYTES == PLAIN_ANSWER => {
            pass_bytes_answer::<ALONE>(handle, label, thread, core)
        }
        ANSWER => pass_attached_answer::<ALONE>(handle, label, thread, core),
        Flags::REPLY => pass_reply::<ALONE>(thread, core),
        _ => Port::slowly(),
    }
}

/// The same with a call that anything may be attached to.
pub extern "C" fn pass_attached_call<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::call::<ALONE, ANYTHING>(k, thread, handle, label)
    });
    leave::<ALONE>(thread, core, next)
}

#[inline(never)]
fn pass_attached_answer<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::reply_receive::<ALONE, ANYTHING>(k, thread, handle, label)
    });
    leave::<ALONE>(thread, core, next)
}

#[inline(never)]
fn pass_kept_answer<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        let request = Port::request(&thread.context);
        reply::reply_receive::<ALONE>(k, thread, handle, label, request)
    });
    leave::<ALONE>(thread, core, next)
}

#[inline(never)]
fn pass_bytes_answer<const ALONE: bool>(
    handle: Handle,
    label: Label,
    thread: &'static Thread,
    core: &'static Core,
) -> ! {
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| {
        message::reply_receive::<ALONE, BYTES>(k, thread, handle, label)
    });
    leave::<ALONE>(thread, core, next)
}

#[inline(never)]
fn pass_reply<const ALONE: bool>(thread: &'static Thread, core: &'static Core) -> ! {
    let call = Port::call_in(&thread.context);
    let next = entry::pass::<ALONE, _>(&KERNEL, core, |k| reply::reply::<ALONE>(k, thread, &call));
    leave::<ALONE>(thread, core, next)
}

#[inline(always)]
fn leave<const ALONE: bool>(
    thread: &'static Thread,
    core: &'static Core,
    next: Option<Next<'_>>,
) -> ! {
    let (exit, float) = match next {
        None => slowly(core),
        Some(Next::Hears(next, heard, float)) => (Exit::Hears(&next.context, heard), float),
        Some(Next::Returns(next, float)) => (Exit::Returns(&next.context), float),
        Some(Next::GoesOn(next, float)) => (Exit::GoesOn(&next.context), float),
        Some(Next::Ends(status)) => (Exit::Ends(status), false),
    };
    Port::pass::<ALONE>(core, &thread.context, exit, float)
}

/// Nothing is done yet, and the core is on its way. All else that a pass calls is
/// inlined, so that it needs no stack.
#[cold]
#[inline(never)]
fn slowly(core: &Core) -> ! {
    core.gate.leave();
    Port::slowly()
}

/// Does the system call of the current thread and says who is the current one then.
/// `None`, and nothing done, if this is not that simple.
#[cfg(test)]
pub fn pass<'k>(k: Entered<'k>, thread: &'k Thread, call: &CallIn) -> Option<Next<'k>> {
    match k.kernel.core_count.get() {
        1 => pass_one::<true>(k, thread, call),
        _ => pass_one::<false>(k, thread, call),
    }
}

#[cfg(test)]
fn pass_one<'k, const ALONE: bool>(
    k: Entered<'k>,
    thread: &'k Thread,
    call: &CallIn,
) -> Option<Next<'k>> {
    let (handle, label, request) = (call.handle, call.label, call.request);
    if call.deadline != FOREVER {
        return None;
    }
    if label.0 & Label::MIDDLE == PLAIN_CALL {
        if handle == Handle::REQUEST {
            return request::call::<ALONE>(k, thread, label);
        }
        return message::call::<ALONE, NOTHING>(k, thread, handle, label);
    }
    let bytes = label.0 & BEYOND_BYTES;
    if bytes == 0 {
        return message::call::<ALONE, BYTES>(k, thread, handle, label);
    }
    let plain = request == Handle::NULL;
    match label.0 & PLAIN {
        PLAIN_ANSWER if plain => message::reply_receive::<ALONE, NOTHING>(k, thread, handle, label),
        SIGNAL => signal::signal::<ALONE>(k, thread, handle),
        RECEIVE => signal::receive::<ALONE>(k, thread, handle),
        _ => match label.flags() {
            flags if flags.is_empty() => message::call::<ALONE, ANYTHING>(k, thread, handle, label),
            ANSWER if label.operation() > Label::SERVER_ERROR => None,
            ANSWER if !plain => reply::reply_receive::<ALONE>(k, thread, handle, label, request),
            ANSWER if bytes == PLAIN_ANSWER => {
                message::reply_receive::<ALONE, BYTES>(k, thread, handle, label)
            }
            ANSWER => message::reply_receive::<ALONE, ANYTHING>(k, thread, handle, label),
            Flags::REPLY => reply::reply::<ALONE>(k, thread, call),
            _ => None,
        },
    }
}

/// [`Label::MIDDLE`] of a call that nothing is attached to.
pub const PLAIN_CALL: u64 = 0;
/// What a label has that is none of a call: its middle, and the operation but for the bit
/// that tells an answer from an error.
pub const PLAIN: u64 = Label::MIDDLE | (!Label::SERVER_ERROR) as u64;
/// What it has beyond the number of bytes: 0 of a call with bytes alone.
pub const BEYOND_BYTES: u64 = Label::MIDDLE & !Label::BYTES;
/// What it has beyond all that counts what is attached: 0 of any call.
pub const FLAGS: u64 = BEYOND_BYTES & !(Label::CAPABILITIES | Label::LEASES);
/// `PLAIN` of an answer, after which the server waits.
pub const PLAIN_ANSWER: u64 = Label::control(ANSWER, 0).0;
/// The same of a signal.
pub const SIGNAL: u64 = Label::control(Flags::SIGNAL, 0).0;
/// The same of a wait.
pub const RECEIVE: u64 = Label::control(Flags::RECEIVE, 0).0;

/// An answer after which the server waits.
const ANSWER: Flags = Flags::REPLY.union(Flags::RECEIVE);
