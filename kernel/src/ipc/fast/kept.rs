//! Answers by a kept reply, to a caller that runs when its priority lets it.

use super::{
    Next, message,
    signal::{may_wake, wake},
};
use crate::{
    Entered,
    arch::{Arch, Port},
    capability::{object::Target, slot::Slot},
    ipc::{plain, reply::waits_for},
    object::thread::{State, Thread},
};
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    registers::{CallIn, CallOut},
    status::Status,
};

/// An answer by the reply that the call names.
#[inline(always)]
pub(super) fn reply<'k>(k: Entered<'k>, call: &CallIn) -> Option<Next<'k>> {
    // Look. Tables of capabilities are other cores' too.
    let thread = k.core.current.get(k)?;
    let label = call.label;
    if !k.kernel.fast.get() || !k.is_alone() {
        return None;
    }
    if !message::answerable(label) || label.operation() > Label::SERVER_ERROR {
        return None;
    }
    let task = thread.task.get(k)?;
    let (slot, client) = kept(k, thread, call.request)?;

    // Refuse.
    if client.has_fault() || client.alarm.is_set() {
        return None;
    }
    let session = client.session.get(k);
    let endpoint = client.endpoint.get(k)?;
    if session.is_some_and(|session| session.copies.get() == 0) || endpoint.uses.get() < 2 {
        return None;
    }
    let preempts = may_wake(k, thread, client)?;
    if !message::pass(k, thread, client, label) {
        return None;
    }

    // Hand over.
    if let Some((Target::Reply(client, _), _)) = task.table.take(k, slot) {
        client.release(k);
    }
    if let Some(session) = session {
        session.in_flight.take(1);
    }
    endpoint.uses.take(1);
    client.session.set(None);
    client.endpoint.set(None);
    client.label.set(0);
    client.lease_count.set(0);
    client.state.set(State::Ready);
    let out = CallOut {
        label: label.with_flags(Flags::empty()),
        words: call.words,
        request_id: client.request_id(),
        ..plain(Status::Message)
    };
    Port::call_out(&client.context, &out);
    Some(wake(k, thread, client, preempts))
}

/// Where a kept reply is, and whose call it answers.
#[inline(always)]
fn kept<'k>(k: Entered<'k>, thread: &Thread, request: Handle) -> Option<(&'k Slot, &'k Thread)> {
    let allowed = request.rights().contains(Rights::ANSWER);
    if request.object_type() != Some(ObjectType::Reply) || !allowed {
        return None;
    }
    let slot = thread.task.get(k)?.table.find(k, request)?;
    match slot.target(k)? {
        Target::Reply(client, number) if waits_for(client, number) => Some((slot, client)),
        _ => None,
    }
}
