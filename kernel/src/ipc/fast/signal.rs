//! Signals, and waiting for what comes next.

use super::{Float, Next};
use crate::{
    Entered,
    arch::{Arch, Port},
    capability::slot::May,
    ipc::plain,
    object::{
        endpoint::Endpoint,
        thread::{State, Thread},
    },
};
use core::hint;
use libipc_abi::{
    handle::Handle,
    registers::CallOut,
    status::{Cause, Status, TransportError},
};

/// A signal: to who waits for it, or kept until somebody does.
#[inline(always)]
pub(super) fn signal<'k, const ALONE: bool>(
    k: Entered<'k>,
    thread: &'k Thread,
    handle: Handle,
) -> Option<Next<'k>> {
    // Look.
    let Some(slot) = thread.own_task(k).table.named(k, handle) else {
        if !k.core.fast.get() {
            return None;
        }
        k.core.calls.add(1);
        let error = TransportError::refused(Cause::Denied);
        return Some(Next::Ends(Status::Error(error)));
    };
    let (endpoint, _) = slot.endpoint(k, May::Signal)?;
    if !endpoint.home.is(k.core) {
        return None;
    }
    let bits = Port::word(&thread.context, 0) | endpoint.signals.get();
    let receiver = endpoint.receivers.first(k).filter(|_| bits != 0);
    let Some(receiver) = receiver else {
        k.core.calls.add(1);
        endpoint.signals.set(bits);
        if bits != 0 {
            endpoint.quiet.set(None);
        }
        return Some(Next::Ends(Status::Message));
    };

    if thread.special_with(receiver).is_empty() {
        return signal_to::<ALONE, true>(k, thread, endpoint, receiver, bits);
    }
    hint::cold_path();
    signal_to::<ALONE, false>(k, thread, endpoint, receiver, bits)
}

/// A signal to who waits for it. `ORDINARY` if nothing is special with either thread.
#[inline(always)]
fn signal_to<'k, const ALONE: bool, const ORDINARY: bool>(
    k: Entered<'k>,
    thread: &'k Thread,
    endpoint: &Endpoint,
    receiver: &'k Thread,
    bits: u64,
) -> Option<Next<'k>> {
    // Refuse.
    if !ORDINARY && receiver.alarm.is_set() {
        return None;
    }
    let priority = thread.effective.bits();
    let preempts = may_wake::<ALONE, ORDINARY>(k, thread, priority, receiver)?;

    // Hand over.
    deliver(k, endpoint, receiver);
    let out = signals(bits);
    if preempts {
        Port::words_out(&receiver.context, &out);
        return Some(preempt::<ALONE, ORDINARY>(k, thread, receiver));
    }
    Port::call_out(&receiver.context, &out);
    Some(make_ready(k, receiver))
}

/// The kernel's own signal, of an interrupt or of what a system call has done, to who
/// waits for it and runs at once instead of the current thread. `false`, and nothing
/// done, if this is not that simple.
pub fn raise<'k>(k: Entered<'k>, endpoint: &'k Endpoint, bits: u64) -> bool {
    let Some(thread) = k.core.current.get(k) else {
        return false;
    };
    if !endpoint.home.is(k.core) || bits == 0 || thread.state.get() != State::Ready {
        return false;
    }
    let Some(receiver) = endpoint.receivers.first(k) else {
        return false;
    };
    let effective = thread.effective.bits();
    if receiver.alarm.is_set()
        || may_wake::<false, false>(k, thread, effective, receiver) != Some(true)
    {
        return false;
    }
    deliver(k, endpoint, receiver);
    Port::call_out(&receiver.context, &signals(bits));
    Port::fp_save(&thread.context);
    k.core.queue.push_front(k, thread);
    k.core.begin_turn(thread);
    k.core.switch_to(receiver);
    true
}

/// The endpoint loses a receiver, which was a use, and its signals.
#[inline(always)]
fn deliver(k: Entered<'_>, endpoint: &Endpoint, receiver: &Thread) {
    endpoint.signals.set(0);
    endpoint.receivers.pop_first(k, receiver);
    endpoint.uses.take(1);
    receiver.endpoint.set(None);
    receiver.state.set(State::Ready);
}

/// The result of a wait that they end.
#[inline(always)]
fn signals(bits: u64) -> CallOut {
    let mut out = plain(Status::Signals);
    out.words[0] = bits;
    out
}

/// Whether a thread that waits may become ready here, and if so whether it runs
/// instead of the current one, which has this priority then. If both are `ORDINARY`,
/// neither's time is counted.
#[inline(always)]
pub(super) fn may_wake<const ALONE: bool, const ORDINARY: bool>(
    k: Entered<'_>,
    thread: &Thread,
    priority: u64,
    woken: &Thread,
) -> Option<bool> {
    if !(ALONE || woken.is_at(k.core)) || !(ORDINARY || woken.runs_on.is_none()) {
        return None;
    }
    let own = woken.effective.bits();
    if own > priority {
        let may = k.core.may_preempt::<ALONE, ORDINARY>(thread, own);
        return may.then_some(true);
    }
    k.core.may_wait(priority, own).then_some(false)
}

/// The current thread's system call is over, and one that waited is ready.
#[inline(always)]
pub(super) fn wake<'k, const ALONE: bool>(
    k: Entered<'k>,
    thread: &'k Thread,
    woken: &'k Thread,
    preempts: bool,
) -> Next<'k> {
    match preempts {
        true => preempt::<ALONE, false>(k, thread, woken),
        false => make_ready(k, woken),
    }
}

/// The current thread's system call is over, and one that waited runs when it can.
#[inline(always)]
fn make_ready<'k>(k: Entered<'k>, woken: &Thread) -> Next<'k> {
    k.core.calls.add(1);
    k.core.queue.push(k, woken);
    Next::Ends(Status::Message)
}

/// The same, and runs at once.
#[inline(always)]
fn preempt<'k, const ALONE: bool, const ORDINARY: bool>(
    k: Entered<'k>,
    thread: &'k Thread,
    woken: &'k Thread,
) -> Next<'k> {
    Port::call_out(&thread.context, &plain(Status::Message));
    k.core.queue.push_front(k, thread);
    k.core.begin_turn(thread);
    let float = !ORDINARY && look_at_float(thread, woken);
    k.core.pass_to::<ALONE>(woken);
    Next::Returns(woken, float)
}

/// Waits, while another thread of the core goes on.
#[inline(always)]
pub(super) fn receive<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    handle: Handle,
) -> Option<Next<'k>> {
    let endpoint = quiet(k, server, handle)?;
    let next = k.core.follows::<ALONE>(k, server)?;

    wait(k, server, handle, endpoint);
    k.core.queue.remove(k, next);
    k.core.begin_turn(server);
    let float = look_at_float(server, next);
    k.core.pass_to::<ALONE>(next);
    Some(Next::GoesOn(next, float))
}

/// The endpoint that a server waits at by this handle which serves nobody, if nothing is
/// there to take.
#[inline(always)]
pub(super) fn quiet<'k>(k: Entered<'k>, server: &Thread, handle: Handle) -> Option<&'k Endpoint> {
    // Look.
    if !server.client.is_none() {
        return None;
    }
    let slot = server.own_task(k).table.named(k, handle)?;
    let (endpoint, epoch) = slot.endpoint(k, May::Receive)?;

    // Refuse.
    if !endpoint.quiet.is(k.core) || !server.serves.is(endpoint) {
        return None;
    }
    if epoch != endpoint.epoch.get() {
        return None;
    }
    Some(endpoint)
}

/// Waits there.
#[inline(always)]
pub(super) fn wait(k: Entered<'_>, server: &Thread, handle: Handle, endpoint: &Endpoint) {
    server.via.set(handle.0);
    server.endpoint.set(Some(endpoint));
    server.state.set(State::Receiving);
    endpoint.uses.add(1);
    endpoint.receivers.push(k, server);
}

/// Whether either may have touched floating point.
#[inline(always)]
pub(super) fn look_at_float(thread: &Thread, next: &Thread) -> Float {
    let special = thread.special_with(next);
    if !special.is_empty() {
        hint::cold_path();
        thread.look_at_float();
    }
    !special.is_empty()
}
