//! The server's side: `receive`.

use super::{Outcome, deliver, end, plain, refused, waits};
use crate::{
    Entered,
    arch::{Arch, Port},
    capability::object::Target,
    object::{
        endpoint::{Endpoint, State as EndpointState},
        thread::{State, Thread},
    },
    schedule::{inherit, ready},
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, ObjectType, Rights},
    registers::{CallIn, CallOut},
    status::{Cause, Status},
};

/// Waits for signals, ended sessions or messages; with the null handle, for the
/// deadline alone.
pub fn receive(k: Entered<'_>, thread: &Thread, call: &CallIn) -> Outcome {
    thread.via.set(call.handle.0);
    // Who only sleeps goes on serving its request: locks sleep too.
    if call.handle == Handle::NULL {
        return sleep(k, thread, call.deadline);
    }
    if let Some(client) = thread.client.get(k) {
        end::drop_request(k, thread, client);
    }
    let Some(task) = thread.task.get(k) else {
        return Outcome::Blocked;
    };
    let target = task
        .table
        .get(k, call.handle, ObjectType::Endpoint, Rights::RECEIVE);
    let Ok(Target::Endpoint(endpoint, _, epoch)) = target else {
        return Outcome::Done(refused(Cause::Denied));
    };
    if endpoint.state.get() == EndpointState::Closed {
        return Outcome::Done(refused(Cause::Died));
    }
    if epoch != endpoint.epoch.get() {
        return Outcome::Done(refused(Cause::Revoked));
    }
    serve(k, thread, Some(endpoint));
    if let Some(out) = event(k, endpoint) {
        return Outcome::Done(out);
    }
    // As if it had waited already, so that one way of delivering serves both.
    enqueue(k, thread, endpoint);
    if take_message(k, endpoint, thread) == Some(true) {
        return Outcome::Blocked;
    }
    if call.deadline != FOREVER && call.deadline <= Port::now() {
        deliver::finish_receive(k, thread);
        ready::wake(k, thread);
        return Outcome::Done(refused(Cause::TimedOut));
    }
    ready::set_alarm(k, thread, call.deadline);
    Outcome::Blocked
}

/// Signals that wait, or a session that ended.
fn event(k: Entered<'_>, endpoint: &Endpoint) -> Option<CallOut> {
    let signals = endpoint.signals.replace(0);
    if signals != 0 {
        endpoint.update_quiet();
        let mut out = plain(Status::Signals);
        out.words[0] = signals;
        return Some(out);
    }
    let session = endpoint.closed.pop(k)?;
    endpoint.update_quiet();
    let mut out = plain(Status::Closed);
    out.badge = session.badge.get();
    session.told.set(true);
    session.end_if_unused(k);
    Some(out)
}

/// Notes which endpoint a thread answers for.
pub fn serve(k: Entered<'_>, thread: &Thread, endpoint: Option<&Endpoint>) {
    if endpoint.is_some_and(|endpoint| thread.serves.is(endpoint)) {
        return;
    }
    if let Some(endpoint) = endpoint {
        endpoint.uses.add(1);
        endpoint.servers.add(1);
    }
    let old = thread.serves.take(k);
    thread.serves.set(endpoint);
    inherit::serve(k, thread, old, endpoint);
    if let Some(old) = old {
        old.servers.take(1);
        old.release(k);
    }
}

fn enqueue(k: Entered<'_>, thread: &Thread, endpoint: &Endpoint) {
    ready::unready(k, thread);
    thread.state.set(State::Receiving);
    thread.endpoint.set(Some(endpoint));
    endpoint.uses.add(1);
    endpoint.admit(k, thread);
}

/// Gives `receiver`, which waits at the endpoint, the first message that can be
/// delivered, and says whether there was one. A caller whose message cannot be
/// gets its error. `None` if something else waits: the endpoint goes on when the
/// kernel is left.
pub fn take_message(k: Entered<'_>, endpoint: &Endpoint, receiver: &Thread) -> Option<bool> {
    if endpoint.state.get() != EndpointState::Open {
        return Some(false);
    }
    while let Some(sender) = endpoint.senders.pop(k) {
        endpoint.line_changed(k);
        match deliver::message(k, sender, receiver) {
            Ok(()) => return Some(true),
            Err(cause) => end::undeliverable(k, sender, cause),
        }
        if k.wanted() {
            waits::settle_later(k, endpoint);
            return None;
        }
    }
    Some(false)
}

fn sleep(k: Entered<'_>, thread: &Thread, deadline: u64) -> Outcome {
    if deadline != FOREVER && deadline <= Port::now() {
        return Outcome::Done(refused(Cause::TimedOut));
    }
    ready::unready(k, thread);
    thread.state.set(State::Receiving);
    ready::set_alarm(k, thread, deadline);
    Outcome::Blocked
}
