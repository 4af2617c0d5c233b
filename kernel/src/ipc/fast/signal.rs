//! Signals, and waiting for what comes next.

use super::{Next, allows};
use crate::{
    Entered,
    arch::{Arch, Port},
    ipc::{plain, refused},
    object::thread::State,
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    status::{Cause, Status},
};

/// A signal: to who waits for it, or kept until somebody does.
#[inline(always)]
pub(super) fn signal<'k>(k: Entered<'k>, handle: Handle) -> Option<Next<'k>> {
    // Look.
    let thread = k.core.current.get(k)?;
    if !allows(handle, Rights::SIGNAL) {
        return None;
    }
    let slot = thread.task.get(k)?.table.slot(k, handle.index());
    let Some(slot) = slot.filter(|slot| slot.handle() == handle) else {
        if !k.kernel.fast.get() {
            return None;
        }
        k.core.calls.add(1);
        Port::call_out(&thread.context, &refused(Cause::Denied));
        return Some(Next::Returns(thread));
    };
    let endpoint = slot.endpoint(k, handle)?;
    if !endpoint.home.is(k.core) {
        return None;
    }
    let bits = Port::word(&thread.context) | endpoint.signals.get();
    let receiver = endpoint.receivers.first(k).filter(|_| bits != 0);
    let Some(receiver) = receiver else {
        k.core.calls.add(1);
        endpoint.signals.set(bits);
        Port::call_out(&thread.context, &plain(Status::Message));
        return Some(Next::Returns(thread));
    };

    // Refuse.
    if receiver.alarm.is_set() || receiver.suspended.get() || !receiver.runs_on.is_none() {
        return None;
    }
    let preempts = receiver.effective.bits() > thread.effective.bits();
    if !match preempts {
        true => k.core.may_preempt(thread, receiver),
        false => k.core.may_wait(thread, receiver),
    } {
        return None;
    }

    // Hand over. The endpoint loses a receiver, which was a use.
    endpoint.signals.set(0);
    endpoint.receivers.pop_first(k, receiver);
    endpoint.uses.take(1);
    receiver.endpoint.set(None);
    receiver.state.set(State::Ready);
    let mut out = plain(Status::Signals);
    out.words[0] = bits;
    Port::call_out(&receiver.context, &out);
    Port::call_out(&thread.context, &plain(Status::Message));
    if !preempts {
        k.core.calls.add(1);
        k.core.queue.push(k, receiver);
        return Some(Next::Returns(thread));
    }
    k.core.queue.push_front(k, thread);
    k.core.begin_turn(thread);
    k.core.pass_to(k, receiver);
    Some(Next::Returns(receiver))
}

/// Waits, while another thread of the core goes on.
#[inline(always)]
pub(super) fn receive<'k>(k: Entered<'k>, handle: Handle, deadline: u64) -> Option<Next<'k>> {
    // Look.
    let server = k.core.current.get(k)?;
    if deadline != FOREVER || !allows(handle, Rights::RECEIVE) || !server.client.is_none() {
        return None;
    }
    let slot = server.task.get(k)?.table.slot(k, handle.index())?;
    let endpoint = slot.endpoint(k, handle)?;

    // Refuse.
    if !endpoint.home.is(k.core) || !server.serves.is(endpoint) {
        return None;
    }
    if slot.epoch() != endpoint.epoch.get() || endpoint.has_more() {
        return None;
    }
    let next = k.core.follows(k, server)?;

    // Wait.
    server.via.set(handle.0);
    server.endpoint.set(Some(endpoint));
    server.state.set(State::Receiving);
    endpoint.uses.add(1);
    endpoint.receivers.push(k, server);
    k.core.queue.remove(k, next);
    k.core.begin_turn(server);
    k.core.pass_to(k, next);
    Some(Next::GoesOn(next))
}
