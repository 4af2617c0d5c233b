//! Calls and answers. Both halves have the same shape: look, refuse, account, hand
//! over.

use super::{Next, allows};
use crate::{
    Entered,
    arch::{Arch, Port},
    ipc::call::DEPTH,
    object::thread::State,
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::{Flags, Label},
};

/// A call, to a server that waits for it.
#[inline(always)]
pub(super) fn call<'k>(
    k: Entered<'k>,
    handle: Handle,
    label: Label,
    deadline: u64,
) -> Option<Next<'k>> {
    // Look.
    let caller = k.core.current.get(k)?;
    if deadline != FOREVER || !allows(handle, Rights::CALL) {
        return None;
    }
    let slot = caller.task.get(k)?.table.slot(k, handle.index())?;
    let endpoint = slot.endpoint(k, handle)?;
    if !endpoint.home.is(k.core) {
        return None;
    }
    let receiver = endpoint.receivers.first(k)?;

    // Refuse.
    if receiver.alarm.is_set() {
        return None;
    }
    let mut depth = 0;
    if let Some(client) = caller.client.get(k) {
        depth = caller.depth.get();
        if depth >= DEPTH || client.alarm.is_set() {
            return None;
        }
    }
    let budget = caller.runs_on.get(k);
    if budget.is_none() && !receiver.reservation.is_none() {
        return None;
    }
    let session = slot.session(k);
    let badge = match session {
        Some(session) => {
            let in_flight = session.in_flight.get();
            if in_flight >= session.limit.get() || !k.core.spend(caller, budget) {
                return None;
            }
            session.in_flight.set(in_flight + 1);
            session.calls.add(1);
            session.badge.get()
        }
        None if k.core.spend(caller, budget) => 0,
        None => return None,
    };

    // Hand over. The endpoint loses a receiver and gets a caller, so its uses
    // stay the same.
    let number = caller.remember(label.0);
    caller.request_number.set(number);
    caller.via.set(handle.0);
    caller.label.set(label.0);
    caller.endpoint.set(Some(endpoint));
    caller.session.set(session);
    caller.state.set(State::Waiting);
    caller.server.set(Some(receiver));

    endpoint.receivers.pop_first(k, receiver);
    receiver.endpoint.set(None);
    receiver.client.set(Some(caller));
    receiver.depth.set(depth + 1);
    receiver.received.add(1);
    receiver.runs_on.set(budget);
    let priority = receiver.priority.bits().max(caller.effective.bits());
    receiver.effective.set_bits(priority);
    receiver.state.set(State::Ready);

    k.core.pass_to(k, receiver);
    Port::answer(
        &receiver.context,
        label,
        badge,
        caller.request_id_of(number),
    );
    Some(Next::Hears(receiver))
}

/// An answer, to a caller that runs at once, as its server waits again.
#[inline(always)]
pub(super) fn reply_receive<'k>(
    k: Entered<'k>,
    handle: Handle,
    label: Label,
    deadline: u64,
    request: Handle,
) -> Option<Next<'k>> {
    // Look.
    let server = k.core.current.get(k)?;
    if deadline != FOREVER || request != Handle::NULL {
        return None;
    }
    if !allows(handle, Rights::RECEIVE) || label.operation() > Label::SERVER_ERROR {
        return None;
    }
    let slot = server.task.get(k)?.table.slot(k, handle.index())?;
    let endpoint = slot.endpoint(k, handle)?;
    let client = server.client.get(k)?;

    // Refuse.
    if !endpoint.home.is(k.core) || !server.serves.is(endpoint) || !client.endpoint.is(endpoint) {
        return None;
    }
    if slot.epoch() != endpoint.epoch.get() || endpoint.has_more() {
        return None;
    }
    if !client.is_at(k.core) || client.alarm.is_set() || client.has_fault() {
        return None;
    }
    let budget = client.runs_on.get(k);
    let same_budget = match budget {
        Some(budget) => server.runs_on.is(budget),
        None => server.runs_on.is_none(),
    };
    if !same_budget || !k.core.comes_next(client) {
        return None;
    }
    let session = client.session.get(k);
    if session.is_some_and(|session| session.copies.get() == 0) || !k.core.spend(server, budget) {
        return None;
    }

    // Hand over. The endpoint loses a caller and gets a receiver.
    if let Some(session) = session {
        session.in_flight.take(1);
    }
    client.session.set(None);
    client.endpoint.set(None);
    client.server.set(None);
    client.label.set(0);
    client.lease_count.set(0);
    client.state.set(State::Ready);

    server.client.set(None);
    server.depth.set(0);
    server.effective.set_bits(server.priority.bits());
    server.runs_on.set(server.reservation.get(k));
    server.via.set(handle.0);
    server.endpoint.set(Some(endpoint));
    server.state.set(State::Receiving);
    endpoint.receivers.push(k, server);

    k.core.pass_to(k, client);
    let label = label.with_flags(Flags::empty());
    Port::answer(
        &client.context,
        label,
        0,
        client.request_id_of(client.request_number.get()),
    );
    Some(Next::Hears(client))
}
