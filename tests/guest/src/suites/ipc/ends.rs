//! Every way in which a call ends other than by its answer, and whether the
//! server may have run it.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    echo::{EchoClient, INTERFACE, Server, number},
    raw,
    run::World,
    wait,
};
use core::time::Duration;
use libipc::{
    Capability, FOREVER, Start,
    client::Borrowed,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{EndpointClient, ReplyClient, ThreadState},
    registers::CallOut,
    status::{Cause, Status, TransportError},
    thread::{self, JoinHandle},
    time::{self, Instant},
};

/// A call of an operation that nobody looks at.
const CALL: Label = Label::call(3, 0x1234_5678);

/// Calls on a thread of its own, so that this one can look on.
fn caller(handle: Handle, deadline: u64) -> Result<JoinHandle<CallOut>, Failure> {
    Ok(thread::spawn(move || {
        raw::call_until(handle, CALL, &[], deadline)
    })?)
}

fn outcome(caller: JoinHandle<CallOut>) -> Result<Option<TransportError>, Failure> {
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    Ok(raw::error(&out))
}

fn not_delivered(cause: Cause) -> Option<TransportError> {
    Some(TransportError::refused(cause))
}

fn delivered(cause: Cause) -> Option<TransportError> {
    Some(TransportError::delivered(cause))
}

pub(super) fn a_deadline_before_delivery_is_timed_out(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let (start, deadline) = (Instant::now(), wait::soon());
    let out = raw::call_until(endpoint.as_ref().handle(), CALL, &[], deadline.ticks());
    check_eq!(raw::error(&out), not_delivered(Cause::TimedOut));
    check!(deadline.passed());
    check!(start.elapsed() < Duration::from_secs(10));
    check_eq!(endpoint.info()?.queued, 0);
    Ok(())
}

pub(super) fn a_deadline_in_the_past_is_timed_out_at_once(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let out = raw::call_until(server.endpoint.as_ref().handle(), CALL, &[], 1);
    check_eq!(raw::error(&out), not_delivered(Cause::TimedOut));
    check!(raw::refused(
        &raw::receive(Handle::NULL, 0),
        Cause::TimedOut
    ));
    Ok(())
}

pub(super) fn a_deadline_after_delivery_is_timed_out_delivered(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
        time::sleep(Duration::from_millis(40));
        raw::reply(&[])
    })?;
    let handle = server.endpoint.as_ref().handle();
    let out = wait::once_received(|deadline| raw::call_until(handle, CALL, &[], deadline));
    check_eq!(raw::error(&out), delivered(Cause::TimedOut));
    // Sleeping did not drop the request; it was too late to answer it.
    check!(raw::refused(&server.join()?, Cause::Cancelled));
    Ok(())
}

pub(super) fn a_server_that_sleeps_still_answers(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
        time::sleep(Duration::from_millis(5));
        raw::reply(&[11])
    })?;
    let out = raw::call(server.endpoint.as_ref().handle(), CALL, &[]);
    check_eq!(
        (raw::status(&out), out.words[0]),
        (Some(Status::Message), 11)
    );
    check_eq!(raw::status(&server.join()?), Some(Status::Message));
    Ok(())
}

pub(super) fn a_late_answer_is_refused(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
        let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
        while request.cancelled() == Ok(false) {
            thread::yield_now();
        }
        raw::reply(&[7])
    })?;
    let handle = server.endpoint.as_ref().handle();
    let out = wait::once_received(|deadline| raw::call_until(handle, CALL, &[], deadline));
    check_eq!(raw::error(&out), delivered(Cause::TimedOut));
    check!(raw::refused(&server.join()?, Cause::Cancelled));
    Ok(())
}

pub(super) fn a_queued_call_ends_died_when_the_endpoint_closes(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let caller = caller(endpoint.as_ref().handle(), FOREVER)?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    endpoint.close()?;
    check_eq!(outcome(caller)?, not_delivered(Cause::Died));
    let out = raw::call(endpoint.as_ref().handle(), CALL, &[]);
    check_eq!(raw::error(&out), not_delivered(Cause::Died));
    check_eq!(
        endpoint.signal(1),
        Err(TransportError::refused(Cause::Died))
    );
    check_eq!(endpoint.info()?.state, 2);
    Ok(())
}

pub(super) fn a_queued_call_ends_died_with_the_last_receiver(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let client = endpoint.as_ref().derive(Rights::CALL)?;
    let caller = caller(client.handle(), FOREVER)?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    drop(endpoint);
    check_eq!(outcome(caller)?, not_delivered(Cause::Died));
    Ok(())
}

pub(super) fn a_received_call_ends_died_with_its_thread(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
    })?;
    let out = raw::call(server.endpoint.as_ref().handle(), CALL, &[]);
    check_eq!(raw::error(&out), delivered(Cause::Died));
    Ok(())
}

fn receive_and_hang(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::receive(endpoint.as_ref().handle(), FOREVER);
    loop {
        thread::yield_now();
    }
}

pub(super) fn a_received_call_ends_died_with_its_task(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let client = endpoint.as_ref().derive(Rights::CALL)?;
    let server = Plan::new(receive_and_hang)
        .give(&[given("endpoint", &endpoint)])
        .start(&world.image)?;
    let received = caller(client.handle(), FOREVER)?;
    wait::for_state(received.thread(), ThreadState::Waiting)?;
    let queued = caller(client.handle(), FOREVER)?;
    wait::for_state(queued.thread(), ThreadState::Sending)?;
    drop(endpoint);
    server.kill()?;
    check_eq!(outcome(received)?, delivered(Cause::Died));
    // It held the last capability to receive.
    check_eq!(outcome(queued)?, not_delivered(Cause::Died));
    Ok(())
}

pub(super) fn a_request_that_is_received_over_ends_dropped(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
        raw::receive(endpoint.as_ref().handle(), FOREVER);
    })?;
    let out = raw::call(server.endpoint.as_ref().handle(), CALL, &[]);
    check_eq!(raw::error(&out), delivered(Cause::Dropped));
    Ok(())
}

pub(super) fn a_kept_reply_that_is_deleted_ends_dropped(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        raw::receive(endpoint.as_ref().handle(), FOREVER);
        drop(Borrowed::<ReplyClient>::new(Handle::REQUEST).keep());
    })?;
    let out = raw::call(server.endpoint.as_ref().handle(), CALL, &[]);
    check_eq!(raw::error(&out), delivered(Cause::Dropped));
    Ok(())
}

pub(super) fn cancelling_ends_any_wait(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let cancel = |caller: &JoinHandle<CallOut>, state| {
        wait::for_state(caller.thread(), state)?;
        let thread = caller.thread().ok_or_else(|| Failure::new("no thread"))?;
        Ok::<_, Failure>(thread.cancel()?)
    };
    let queued = caller(handle, FOREVER)?;
    cancel(&queued, ThreadState::Sending)?;
    check_eq!(outcome(queued)?, not_delivered(Cause::Cancelled));

    let received = caller(handle, FOREVER)?;
    check_eq!(
        raw::status(&raw::receive(handle, FOREVER)),
        Some(Status::Message)
    );
    cancel(&received, ThreadState::Waiting)?;
    check_eq!(outcome(received)?, delivered(Cause::Cancelled));

    for waits_at in [handle, Handle::NULL] {
        let receiver = thread::spawn(move || raw::receive(waits_at, FOREVER))?;
        cancel(&receiver, ThreadState::Receiving)?;
        check_eq!(outcome(receiver)?, not_delivered(Cause::Cancelled));
    }
    Ok(())
}

pub(super) fn a_message_that_is_too_short_is_malformed(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let label = Label::call(number::REVERSE, INTERFACE.hash).with_bytes(16);
    let out = raw::call(server.endpoint.as_ref().handle(), label, &[]);
    check_eq!(raw::error(&out), not_delivered(Cause::Malformed));
    let label = Label::call(number::PASS, INTERFACE.hash);
    let out = raw::call(server.endpoint.as_ref().handle(), label, &[]);
    check_eq!(raw::error(&out), not_delivered(Cause::Malformed));
    Ok(())
}

pub(super) fn unknown_operations_and_interfaces_are_version_mismatch(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let memory = libipc::task().create_memory(1)?;
    let object = libipc::objects::memory::INTERFACE.hash;
    let calls = [
        (
            server.endpoint.as_ref().handle(),
            Label::call(200, INTERFACE.hash),
        ),
        (
            server.endpoint.as_ref().handle(),
            Label::call(0, INTERFACE.hash ^ 1),
        ),
        (memory.as_ref().handle(), Label::call(200, object)),
        (memory.as_ref().handle(), Label::call(0, object ^ 1)),
    ];
    for (handle, label) in calls {
        let out = raw::call(handle, label, &[]);
        check_eq!(raw::error(&out), not_delivered(Cause::VersionMismatch));
    }
    Ok(())
}

pub(super) fn a_session_has_a_limit_of_calls_in_flight(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let session = endpoint.mint(5, Rights::CALL.bits().into(), 2)?;
    let handle = session.as_ref().handle();
    let first = caller(handle, FOREVER)?;
    let second = caller(handle, FOREVER)?;
    wait::until(|| Ok(endpoint.info()?.queued == 2))?;
    let out = raw::call_until(handle, CALL, &[], wait::soon().ticks());
    check_eq!(raw::error(&out), not_delivered(Cause::QuotaExceeded));
    // One that is being served counts too; an answered one no longer does.
    raw::receive(endpoint.as_ref().handle(), FOREVER);
    let out = raw::call_until(handle, CALL, &[], wait::soon().ticks());
    check_eq!(raw::error(&out), not_delivered(Cause::QuotaExceeded));
    raw::reply(&[]);
    let third = caller(handle, wait::soon().ticks())?;
    check_eq!(outcome(third)?, not_delivered(Cause::TimedOut));
    check_eq!(endpoint.session(0)?.in_flight, 1);
    endpoint.close()?;
    let mut ends = [outcome(first)?, outcome(second)?];
    ends.sort_by_key(Option::is_some);
    check_eq!(ends, [None, not_delivered(Cause::Died)]);
    Ok(())
}

pub(super) fn calling_the_endpoint_that_one_serves_alone_is_a_deadlock(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let caller = caller(handle, FOREVER)?;
    raw::receive(handle, FOREVER);
    let out = raw::call(handle, CALL, &[]);
    check_eq!(raw::error(&out), not_delivered(Cause::Deadlock));
    // Somebody else who receives there could answer.
    let other = thread::spawn(move || {
        raw::receive(handle, FOREVER);
        raw::reply(&[8])
    })?;
    wait::for_state(other.thread(), ThreadState::Receiving)?;
    check_eq!(raw::call(handle, CALL, &[]).words[0], 8);
    raw::reply(&[]);
    check_eq!(outcome(caller)?, None);
    Ok(())
}

pub(super) fn a_capability_needs_an_open_slot(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let memory = libipc::task().create_memory(1)?;
    // The server opens four; the caller none.
    raw::open(0);
    raw::attach(0, memory.as_ref().handle());
    raw::passing(1);
    let label = Label::call(number::PASS, INTERFACE.hash).with_capabilities(1);
    let out = raw::call(server.endpoint.as_ref().handle(), label, &[]);
    check_eq!(raw::error(&out), delivered(Cause::QuotaExceeded));
    check_eq!(memory.pages()?, 1);
    check_eq!(client.add(2, 2)?, 4);

    // Now the receiver opens none.
    let closed = Server::new(|endpoint| {
        raw::open(0);
        let deadline = wait::soon().ticks();
        raw::receive(endpoint.as_ref().handle(), deadline)
    })?;
    raw::attach(0, memory.as_ref().handle());
    raw::passing(0);
    let label = CALL.with_capabilities(1);
    let out = raw::call(closed.endpoint.as_ref().handle(), label, &[]);
    check_eq!(raw::error(&out), not_delivered(Cause::QuotaExceeded));
    check_eq!(memory.pages()?, 1);
    check_eq!(raw::error(&closed.join()?), not_delivered(Cause::TimedOut));
    Ok(())
}

pub(super) fn only_a_proxy_answers_with_a_transport_error(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let plain = endpoint.as_ref().derive(Rights::all() - Rights::PROXY)?;
    let forged = Label::control(Flags::REPLY, Cause::Revoked as u8);
    let caller = caller(handle, FOREVER)?;
    raw::receive(handle, FOREVER);
    for with in [plain.handle(), Handle::NULL] {
        check!(raw::refused(&raw::call(with, forged, &[1]), Cause::Denied));
    }
    // No such cause.
    let unknown = Label::control(Flags::REPLY, 99);
    check!(raw::refused(
        &raw::call(handle, unknown, &[]),
        Cause::Malformed
    ));
    wait::for_state(caller.thread(), ThreadState::Waiting)?;
    check_eq!(
        raw::status(&raw::call(handle, forged, &[1])),
        Some(Status::Message)
    );
    check_eq!(outcome(caller)?, delivered(Cause::Revoked));
    Ok(())
}
