//! Every way in which a wait ends other than by its answer. A call ends in
//! exactly one way, and nobody is left hanging.

use super::{plain, reply, signal, waits};
use crate::{
    Entered,
    arch::{Arch, Port},
    memory::space::Progress,
    object::{
        endpoint::{Endpoint, State as EndpointState},
        thread::{State, Thread},
    },
    schedule::{budget, inherit, ready},
};
use libipc_abi::status::{Cause, Status, TransportError};

/// The call of `client` is over: forgets who served it, its session's count,
/// its endpoint and its alarm. The thread is in no queue.
pub fn finish_call(k: Entered<'_>, client: &Thread) {
    ready::clear_alarm(k, client);
    if let Some(server) = client.server.take(k) {
        server.client.set(None);
        server.depth.set(0);
        inherit::settle(k, server);
        budget::settle(k, server);
    }
    if let Some(session) = client.session.take(k) {
        session.room.add(1);
        session.end_if_unused(k);
    }
    if let Some(endpoint) = client.endpoint.take(k) {
        endpoint.release(k);
    }
}

/// Takes a thread out of whatever it does, and ends the call that it serves.
pub fn leave(k: Entered<'_>, thread: &Thread) {
    match thread.state.get() {
        State::Ready => ready::unready(k, thread),
        State::Sending | State::Receiving => leave_queue(k, thread),
        State::Waiting | State::Stopped | State::Throttled | State::Dead => {}
    }
    ready::forget(k, thread);
    finish_call(k, thread);
    thread.held.set(false);
    thread.state.set(State::Stopped);
    if let Some(client) = thread.client.get(k) {
        fail(k, client, TransportError::delivered(Cause::Died));
    }
}

fn leave_queue(k: Entered<'_>, thread: &Thread) {
    let Some(endpoint) = thread.endpoint.get(k) else {
        return;
    };
    if thread.state.get() == State::Sending {
        endpoint.senders.remove(k, thread);
        endpoint.line_changed(k);
    } else {
        endpoint.receivers.remove(k, thread);
    }
}

/// Ends a thread's wait with an error. The thread is in no queue. A fault that
/// cannot be reported ends its thread, and with it the call that this one serves,
/// and so on: faults are calls, of which at most `DEPTH` wait for one another.
fn fail(k: Entered<'_>, thread: &Thread, mut error: TransportError) {
    let mut next = Some(thread);
    while let Some(thread) = next {
        finish_call(k, thread);
        if thread.pending_fault().is_none() {
            Port::call_out(&thread.context, &plain(Status::Error(error)));
            return ready::wake(k, thread);
        }
        ready::forget(k, thread);
        next = thread.client.get(k);
        thread.bury(k);
        thread.detach(k);
        error = TransportError::delivered(Cause::Died);
    }
}

/// Ends whatever wait the thread is in.
pub fn interrupt(k: Entered<'_>, thread: &Thread, cause: Cause) {
    let error = match thread.state.get() {
        State::Sending | State::Receiving => {
            leave_queue(k, thread);
            TransportError::refused(cause)
        }
        State::Waiting => TransportError::delivered(cause),
        State::Stopped | State::Ready | State::Throttled | State::Dead => return,
    };
    fail(k, thread, error);
}

/// The thread's deadline has come.
pub fn timed_out(k: Entered<'_>, thread: &Thread) {
    if thread.held.get() {
        return ready::go_on(k, thread);
    }
    if thread.state.get() == State::Throttled {
        return ready::wake(k, thread);
    }
    interrupt(k, thread, Cause::TimedOut);
}

/// A message could not be delivered to the receiver that there was. Its sender
/// was taken out of the queue, and the endpoint's receiver
/// uses the endpoint, so nothing ends here but the call.
pub fn undeliverable(k: Entered<'_>, sender: &Thread, cause: Cause) {
    fail(k, sender, TransportError::refused(cause));
}

/// The server receives again without having answered.
pub fn drop_request(k: Entered<'_>, server: &Thread, client: &Thread) {
    server.client.set(None);
    server.depth.set(0);
    fail(k, client, TransportError::delivered(Cause::Dropped));
}

/// Nobody holds the kept reply to this call any more: it was thrown away, or
/// its holder died.
pub fn unanswered(k: Entered<'_>, client: &Thread, number: u64, cause: Cause) {
    if reply::waits_for(client, number) {
        fail(k, client, TransportError::delivered(cause));
    }
}

/// The endpoint answers nobody any more. Who waits there is told when the kernel
/// is left: a message may be on its way there now that carries the
/// last capability to receive away.
pub fn close(k: Entered<'_>, endpoint: &Endpoint) {
    if endpoint.state.get() == EndpointState::Closed {
        return;
    }
    endpoint.set_state(k, EndpointState::Closed);
    endpoint.signals.set(0);
    waits::settle_later(k, endpoint);
}

/// Ends the waits at an endpoint that was closed, until something else waits.
pub fn disperse(k: Entered<'_>, endpoint: &Endpoint) -> Progress {
    loop {
        let sender = endpoint.senders.pop(k);
        let waiting = sender.or_else(|| endpoint.receivers.pop(k));
        let Some(waiting) = waiting else { break };
        fail(k, waiting, TransportError::refused(Cause::Died));
        if k.wanted() {
            return Progress::Again;
        }
    }
    while let Some(session) = endpoint.closed.pop(k) {
        session.told.set(true);
        session.end_if_unused(k);
        if k.wanted() {
            return Progress::Again;
        }
    }
    k.kernel.log.forget_reader(k, endpoint);
    Progress::Done
}

/// Ends the wait of every receiver, so that a successor can take over. `epoch` is
/// 0 at first, and then the endpoint's from which on capabilities are valid.
pub fn expel(k: Entered<'_>, endpoint: &Endpoint, epoch: &mut u64) -> Progress {
    if *epoch == 0 || *epoch != endpoint.epoch.get() {
        *epoch = endpoint.epoch.add(1);
    }
    while let Some(receiver) = endpoint.receivers.first(k) {
        interrupt(k, receiver, Cause::Cancelled);
        if k.wanted() {
            return Progress::Again;
        }
    }
    Progress::Done
}

/// Delivers what waits to whom waits, after a pause.
pub fn resume(k: Entered<'_>, endpoint: &Endpoint) {
    endpoint.set_state(k, EndpointState::Open);
    signal::raise(k, endpoint, 0);
    waits::settle_later(k, endpoint);
}
