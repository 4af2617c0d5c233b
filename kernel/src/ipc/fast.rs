//! The fast path: a message that fits in registers, from one thread of a core to
//! another that waits for it, with no lock but what [`crate::entry::pass`] asks.
//!
//! It does what the slow path does in the same case and nothing else: whatever is
//! out of the ordinary is left to that, before anything was changed. Both halves
//! have the same shape: look, refuse, account, hand over.

use crate::{
    Entered,
    arch::{Arch, Context, Port},
    entry,
    ipc::call::DEPTH,
    object::thread::{State, Thread},
    schedule::core::Core,
    start::KERNEL,
};
use libipc_abi::{
    FOREVER,
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
    /// Whose words of the system call it gets.
    pub words: *const Context,
}

/// What a port does with a system call of the thread with this context, which the
/// core runs, once it has kept what it keeps of the floating-point state.
/// This needs no stack worth mentioning: it calls nothing.
pub extern "C" fn tessera_pass(
    context: &Context,
    handle: Handle,
    label: Label,
    deadline: u64,
    request: Handle,
    core: &'static Core,
) -> Passed {
    let next = entry::pass(&KERNEL, core, |k| pass(k, handle, label, deadline, request));
    Passed {
        next: next.map_or(core::ptr::null(), |thread| &raw const thread.context),
        words: context,
    }
}

/// Carries the message of the current thread to the one that waits for it, which
/// is the current one then. `None`, and nothing done, if this is not that simple.
#[inline(always)]
pub fn pass<'k>(
    k: Entered<'k>,
    handle: Handle,
    label: Label,
    deadline: u64,
    request: Handle,
) -> Option<&'k Thread> {
    const REPLY_RECEIVE: u64 = Label::control(Flags::REPLY.union(Flags::RECEIVE), 0).0;

    let thread = k.core.current.get(k)?;
    if deadline != FOREVER {
        return None;
    }
    match label.0 & Label::MIDDLE {
        0 => call(k, thread, handle, label),
        REPLY_RECEIVE if request == Handle::NULL => reply_receive(k, thread, handle, label),
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

#[inline(always)]
fn call<'k>(
    k: Entered<'k>,
    caller: &'k Thread,
    handle: Handle,
    label: Label,
) -> Option<&'k Thread> {
    // Look.
    if !allows(handle, Rights::CALL) {
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
    Some(receiver)
}

#[inline(always)]
fn reply_receive<'k>(
    k: Entered<'k>,
    server: &'k Thread,
    handle: Handle,
    label: Label,
) -> Option<&'k Thread> {
    // Look.
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
    Some(client)
}
