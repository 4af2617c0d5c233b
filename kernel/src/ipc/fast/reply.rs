//! Answers after which the server goes on: to the request that it serves, or by a reply
//! that was kept.

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

/// An answer, to a caller that runs when its priority lets it.
#[inline(always)]
pub(super) fn reply<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    call: &CallIn,
) -> Option<Next<'k>> {
    // Look.
    let label = call.label;
    if !k.core.fast.get() || !message::answerable(label) || label.operation() > Label::SERVER_ERROR
    {
        return None;
    }
    let (slot, client) = match call.request {
        Handle::NULL => (None, server.client.get(k)?),
        _ if !ALONE => return None,
        request => kept(k, server, request)?,
    };

    let task = server.own_task(k);

    // Refuse.
    if client.has_fault() || client.alarm.is_set() {
        return None;
    }
    let session = client.session.get(k);
    let endpoint = client.endpoint.get(k)?;
    if session.is_some_and(|session| session.copies.get() == 0) || endpoint.uses.get() < 2 {
        return None;
    }
    // Who has answered what it served goes on with its own time and priority, and may
    // have to make way.
    let effective = match slot {
        Some(_) => server.effective.bits(),
        None => server.priority.bits().max(server.press.bits()),
    };
    if slot.is_none() && !(server.reservation.is_none() && k.core.comes_first(effective)) {
        return None;
    }
    let preempts = may_wake::<ALONE, false>(k, server, effective, client)?;
    if !message::pass::<ALONE>(k, server, client, label) {
        return None;
    }

    // Hand over.
    match slot {
        Some(slot) => {
            if let Some((Target::Reply(client, _), _)) = task.table.take(k, slot) {
                client.release(k);
            }
        }
        None => {
            client.server.set(None);
            server.client.set(None);
            server.depth.set(0);
            server.effective.set_bits(effective);
        }
    }
    if let Some(session) = session {
        session.room.add(1);
    }
    endpoint.uses.take(1);
    client.session.set(None);
    client.endpoint.set(None);
    client.state.set(State::Ready);
    let out = CallOut {
        label: label.with_flags(Flags::empty()),
        words: call.words,
        request_id: client.request_id(),
        ..plain(Status::Message)
    };
    Port::call_out(&client.context, &out);
    Some(wake::<ALONE>(k, server, client, preempts))
}

/// Where a kept reply is, and whose call it answers. Tables of capabilities are other
/// cores' too.
#[inline(always)]
fn kept<'k>(
    k: Entered<'k>,
    server: &Thread,
    request: Handle,
) -> Option<(Option<&'k Slot>, &'k Thread)> {
    let allowed = request.rights().contains(Rights::ANSWER);
    if request.object_type() != Some(ObjectType::Reply) || !allowed {
        return None;
    }
    let slot = server.own_task(k).table.find(k, request)?;
    match slot.target(k)? {
        Target::Reply(client, number) if waits_for(client, number) => Some((Some(slot), client)),
        _ => None,
    }
}
