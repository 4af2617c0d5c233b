//! One system call: the label's flags say which part of the kernel it is for.

use crate::{
    Entered,
    arch::{Arch, Port},
    interface,
    ipc::{Outcome, receive, refused, reply, signal},
    object::thread::Thread,
};
use libipc_abi::{label::Flags, status::Cause};

/// Does what the thread's registers ask for.
#[inline(always)]
pub fn syscall<'k>(k: Entered<'k>, thread: &'k Thread) {
    k.core.calls.add(1);
    match dispatch(k, thread) {
        Outcome::Done(out) => Port::call_out(&thread.context, &out),
        Outcome::Delivered => {}
        // Of its floating-point state it wants back what a call preserves.
        Outcome::Blocked => Port::fp_keep(&thread.context),
        Outcome::Retry => Port::retry(&thread.context),
    }
}

#[inline(always)]
fn dispatch<'k>(k: Entered<'k>, thread: &'k Thread) -> Outcome {
    const OBJECT: Flags = Flags::OBJECT;
    const REPEAT: Flags = Flags::REPEAT;
    let (handle, label) = Port::called(&thread.context);
    match label.flags() {
        flags if flags.is_empty() => interface::call(k, thread, handle, label),
        OBJECT | REPEAT => interface::call(k, thread, handle, label),
        flags => dispatch_rest(k, thread, flags),
    }
}

/// What is no call.
#[inline(never)]
fn dispatch_rest<'k>(k: Entered<'k>, thread: &'k Thread, flags: Flags) -> Outcome {
    const RECEIVE: Flags = Flags::RECEIVE;
    const REPLY: Flags = Flags::REPLY;
    const REPLY_RECEIVE: Flags = Flags::REPLY.union(Flags::RECEIVE);
    const SIGNAL: Flags = Flags::SIGNAL;
    let call = Port::call_in(&thread.context);
    match flags {
        RECEIVE => receive::receive(k, thread, &call),
        REPLY_RECEIVE => reply::reply_receive(k, thread, &call),
        REPLY => reply::reply(k, thread, &call),
        SIGNAL => signal::signal(k, thread, &call),
        _ => Outcome::Done(refused(Cause::Malformed)),
    }
}
