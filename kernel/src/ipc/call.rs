//! The caller's side: `call`, and faults, which are calls that the kernel makes
//! in a thread's name.

use super::{Outcome, deliver, refused};
use crate::{
    Entered,
    arch::{Arch, Port},
    object::{
        endpoint::{Endpoint, State as EndpointState},
        session::Session,
        thread::{State, Thread},
    },
    schedule::{inherit, ready},
};
use libipc_abi::{
    FOREVER,
    buffer::{BYTES, CAPABILITIES, LEASES},
    label::{Flags, Label},
    registers::CallIn,
    status::Cause,
};

/// Most callers that wait for one another.
pub const DEPTH: u64 = 16;

/// Whether the label's counts are possible.
pub fn well_formed(label: Label) -> bool {
    label.bytes() <= BYTES && label.capabilities() <= CAPABILITIES && label.leases() <= LEASES
}

/// When a call ends at the latest: its own deadline, or that of the request
/// that its thread serves.
pub fn deadline(k: Entered<'_>, caller: &Thread, own: u64) -> u64 {
    match caller.client.get(k) {
        Some(client) if own == FOREVER => client.alarm.deadline(),
        _ => own,
    }
}

/// Calls the server behind `endpoint`.
pub fn call(
    k: Entered<'_>,
    caller: &Thread,
    endpoint: &Endpoint,
    session: Option<&Session>,
    call: &CallIn,
) -> Outcome {
    if !well_formed(call.label) {
        return Outcome::Done(refused(Cause::Malformed));
    }
    if let Err(cause) = super::lease::lend(k, caller, call.label.leases()) {
        return Outcome::Done(refused(cause));
    }
    let deadline = deadline(k, caller, call.deadline);
    caller.via.set(call.handle.0);
    match send(k, caller, endpoint, session, call.label, deadline) {
        Ok(()) => Outcome::Blocked,
        Err(cause) => Outcome::Done(refused(cause)),
    }
}

/// Hands the caller's message to a receiver, or queues the caller. On an error
/// the caller is as before.
pub fn send(
    k: Entered<'_>,
    caller: &Thread,
    endpoint: &Endpoint,
    session: Option<&Session>,
    label: Label,
    deadline: u64,
) -> Result<(), Cause> {
    if endpoint.state.get() == EndpointState::Closed {
        return Err(Cause::Died);
    }
    if session.is_some_and(|session| session.is_full()) {
        return Err(Cause::QuotaExceeded);
    }
    if deadline != FOREVER && deadline <= Port::now() {
        return Err(Cause::TimedOut);
    }
    let receiver = endpoint.receivers.first(k);
    if caller.depth.get() >= DEPTH || receiver.is_none() && holds_all(k, caller, endpoint) {
        return Err(Cause::Deadlock);
    }
    begin(caller, endpoint, session, label);
    if endpoint.state.get() == EndpointState::Open
        && let Some(receiver) = receiver
    {
        if let Err(cause) = deliver::message(k, caller, receiver) {
            abandon(k, caller);
            return Err(cause);
        }
        ready::unready(k, caller);
    } else {
        ready::unready(k, caller);
        caller.state.set(State::Sending);
        endpoint.senders.push(k, caller, inherit::rank(k, caller));
        endpoint.line_changed(k);
    }
    ready::set_alarm(k, caller, deadline);
    Ok(())
}

/// Whether everybody who answers at the endpoint waits for `caller`, or is it:
/// then nobody would ever take the call. The chain has at most `DEPTH` threads.
fn holds_all(k: Entered<'_>, caller: &Thread, endpoint: &Endpoint) -> bool {
    let mut held = 0;
    let mut thread = Some(caller);
    while let Some(link) = thread {
        held += u64::from(link.serves.is(endpoint));
        thread = link.client.get(k);
    }
    held > 0 && held == endpoint.servers.get()
}

fn begin(caller: &Thread, endpoint: &Endpoint, session: Option<&Session>, label: Label) {
    let number = caller.remember(label.0);
    if !label.flags().contains(Flags::REPEAT) && caller.pending_fault().is_none() {
        caller.first_id.set(caller.id_of(number));
    }
    caller.endpoint.set(Some(endpoint));
    endpoint.uses.add(1);
    caller.session.set(session);
    if let Some(session) = session {
        session.room.take(1);
        session.calls.add(1);
        session.bytes.add(label.bytes() as u64);
    }
}

/// Undoes `begin` for a call that could not be delivered. The caller's own
/// capability still uses the endpoint, so nothing ends here.
fn abandon(k: Entered<'_>, caller: &Thread) {
    if let Some(session) = caller.session.take(k) {
        session.room.add(1);
    }
    if let Some(endpoint) = caller.endpoint.take(k) {
        endpoint.uses.take(1);
    }
}
