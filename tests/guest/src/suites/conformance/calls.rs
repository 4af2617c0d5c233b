//! The system calls: every way in which each ends, and of a call's errors
//! whether it may have run.

use super::row::{OK, Outcome, Row, delivered};
use crate::{
    check::{Failure, Verdict},
    echo::{INTERFACE, Server, number},
    raw,
    run::World,
    wait,
};
use libipc::{
    Capability, FOREVER,
    client::Borrowed,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{EndpointClient, ReplyClient, ThreadState},
    registers::CallOut,
    status::{Cause, Status},
    thread::{self, JoinHandle},
};

/// A call of an operation that nobody looks at.
const CALL: Label = Label::call(3, 0x1234_5678);

fn endpoint() -> Result<(EndpointClient, Handle), Failure> {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    Ok((endpoint, handle))
}

/// Makes a system call on a thread of its own, so that this one can look on.
fn beside(handle: Handle, label: Label) -> Result<JoinHandle<CallOut>, Failure> {
    Ok(thread::spawn(move || raw::call(handle, label, &[]))?)
}

/// The system call on a thread beside is to end so.
#[track_caller]
fn ended(row: &Row, expected: impl Into<Outcome>, thread: JoinHandle<CallOut>) -> Verdict {
    let out = thread.join().ok_or_else(|| Failure::new("no result"))?;
    row.saw(expected, &out)
}

fn cancel(thread: &JoinHandle<CallOut>, state: ThreadState) -> Verdict {
    wait::for_state(thread.thread(), state)?;
    let thread = thread.thread().ok_or_else(|| Failure::new("no thread"))?;
    Ok(thread.cancel()?)
}

pub(super) fn call(world: &mut World, row: &Row) -> Verdict {
    let (child, marked) = super::task::serving(world)?;
    child.task.set_shared()?;
    let handle = marked.as_ref().handle();
    row.saw(Cause::FarOnly, &raw::call(handle, CALL, &[]))?;
    understood(row)?;
    refused(row)?;
    queued(row)?;
    received(row)
}

/// What a server and its dispatch say.
fn understood(row: &Row) -> Verdict {
    let server = Server::echo()?;
    let handle = server.endpoint.as_ref().handle();
    let add = Label::call(number::ADD, INTERFACE.hash);
    row.saw(OK, &raw::call(handle, add, &[1, 2]))?;
    let unknown = Label::call(200, INTERFACE.hash);
    row.saw(Cause::VersionMismatch, &raw::call(handle, unknown, &[]))?;
    let short = Label::call(number::REVERSE, INTERFACE.hash);
    row.saw(Cause::Malformed, &raw::call(handle, short, &[]))?;
    // The server opens four slots, and the caller none for what comes back.
    let memory = libipc::task().create_memory(1)?;
    raw::open(0);
    raw::attach(0, memory.as_ref().handle());
    raw::passing(1);
    let pass = Label::call(number::PASS, INTERFACE.hash).with_capabilities(1);
    let out = raw::call(handle, pass, &[]);
    row.saw(delivered(Cause::QuotaExceeded), &out)
}

/// What does not begin.
fn refused(row: &Row) -> Verdict {
    let (endpoint, handle) = endpoint()?;
    let deaf = endpoint.as_ref().derive(Rights::RECEIVE)?;
    row.saw(Cause::Denied, &raw::call(deaf.handle(), CALL, &[]))?;
    let crowd = CALL.with_capabilities(5);
    row.saw(Cause::Malformed, &raw::call(handle, crowd, &[]))?;
    let both = CALL.with_flags(Flags::SIGNAL | Flags::OBJECT);
    row.saw(Cause::Malformed, &raw::call(handle, both, &[]))?;
    raw::lend(0, u64::MAX - 3, 8, 1);
    let lends = CALL.with_leases(1);
    row.saw(Cause::LeaseFault, &raw::call(handle, lends, &[]))?;
    row.saw(Cause::TimedOut, &raw::call_until(handle, CALL, &[], 1))?;
    // A session whose only call is in flight.
    let session = endpoint.mint(5, Rights::CALL.bits().into(), 1)?;
    let first = beside(session.as_ref().handle(), CALL)?;
    wait::for_state(first.thread(), ThreadState::Sending)?;
    let second = raw::call(session.as_ref().handle(), CALL, &[]);
    row.saw(Cause::QuotaExceeded, &second)?;
    endpoint.close()?;
    ended(row, Cause::Died, first)?;
    row.saw(Cause::Died, &raw::call(handle, CALL, &[]))
}

/// What ends before somebody receives it.
fn queued(row: &Row) -> Verdict {
    let (endpoint, handle) = endpoint()?;
    let deadline = wait::soon().ticks();
    let out = raw::call_until(handle, CALL, &[], deadline);
    row.saw(Cause::TimedOut, &out)?;
    let caller = beside(handle, CALL)?;
    cancel(&caller, ThreadState::Sending)?;
    ended(row, Cause::Cancelled, caller)?;
    let derived = endpoint.as_ref().derive(Rights::CALL)?;
    let caller = beside(derived.handle(), CALL)?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    libipc::task().revoke(handle.0)?;
    ended(row, Cause::Revoked, caller)
}

/// What ends after somebody received it.
fn received(row: &Row) -> Verdict {
    let (_endpoint, handle) = endpoint()?;
    let answers = |end: fn(Handle)| {
        Server::new(move |endpoint| {
            raw::receive(endpoint.as_ref().handle(), FOREVER);
            end(endpoint.as_ref().handle());
        })
    };
    let call = |server: &Server<()>, deadline| {
        raw::call_until(server.endpoint.as_ref().handle(), CALL, &[], deadline)
    };
    let dies = answers(|_| ())?;
    row.saw(delivered(Cause::Died), &call(&dies, FOREVER))?;
    let drops = answers(|_| drop(Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()))?;
    row.saw(delivered(Cause::Dropped), &call(&drops, FOREVER))?;
    let sleeps = answers(|_| {
        let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
        while request.cancelled() == Ok(false) {
            thread::yield_now();
        }
    })?;
    let late = wait::once_received(|deadline| call(&sleeps, deadline));
    row.saw(delivered(Cause::TimedOut), &late)?;

    let caller = beside(handle, CALL)?;
    raw::receive(handle, FOREVER);
    // This thread alone answers there.
    row.saw(Cause::Deadlock, &raw::call(handle, CALL, &[]))?;
    cancel(&caller, ThreadState::Waiting)?;
    ended(row, delivered(Cause::Cancelled), caller)
}

pub(super) fn proxied_call(_: &mut World, row: &Row) -> Verdict {
    let (_endpoint, handle) = endpoint()?;
    for cause in Cause::ALL {
        for bit in [0, 1] {
            let caller = beside(handle, CALL)?;
            raw::receive(handle, FOREVER);
            let label = Label::control(Flags::REPLY, cause as u8);
            let out = raw::call(handle, label, &[bit]);
            check_eq!(raw::status(&out), Some(Status::Message));
            // Whatever it says, nobody ran what he did not understand.
            let ran = bit == 1 && !matches!(cause, Cause::Malformed | Cause::VersionMismatch);
            let expected = if ran { delivered(cause) } else { cause.into() };
            ended(row, expected, caller)?;
        }
    }
    Ok(())
}

pub(super) fn receive(_: &mut World, row: &Row) -> Verdict {
    receives(row)
}

pub(super) fn reply_receive(_: &mut World, row: &Row) -> Verdict {
    let (_endpoint, handle) = endpoint()?;
    let caller = beside(handle, CALL)?;
    raw::receive(handle, FOREVER);
    let unknown = Label::control(row.label().flags(), 99);
    row.saw(Cause::Malformed, &raw::call(handle, unknown, &[]))?;
    // The request is still to be answered.
    let out = raw::call_until(handle, row.label(), &[], 0);
    row.saw(Cause::TimedOut, &out)?;
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(raw::status(&out), Some(Status::Message));
    receives(row)
}

/// What both ways of receiving end with.
fn receives(row: &Row) -> Verdict {
    let (endpoint, handle) = endpoint()?;
    let caller = beside(handle, CALL)?;
    row.saw(OK, &raw::call(handle, row.label(), &[]))?;
    raw::reply(&[]);
    caller.join().ok_or_else(|| Failure::new("no result"))?;
    endpoint.signal(4)?;
    let signals = Outcome::Status(Status::Signals);
    row.saw(signals, &raw::call(handle, row.label(), &[]))?;
    drop(endpoint.mint_client::<Capability>(6)?);
    let closed = Outcome::Status(Status::Closed);
    row.saw(closed, &raw::call(handle, row.label(), &[]))?;

    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    let out = raw::call(mute.handle(), row.label(), &[]);
    row.saw(Cause::Denied, &out)?;
    for deadline in [0, wait::soon().ticks()] {
        let out = raw::call_until(handle, row.label(), &[], deadline);
        row.saw(Cause::TimedOut, &out)?;
    }
    let receiver = beside(handle, row.label())?;
    cancel(&receiver, ThreadState::Receiving)?;
    ended(row, Cause::Cancelled, receiver)?;
    let derived = endpoint.as_ref().derive(Rights::RECEIVE)?;
    let receiver = beside(derived.handle(), row.label())?;
    wait::for_state(receiver.thread(), ThreadState::Receiving)?;
    libipc::task().revoke(handle.0)?;
    ended(row, Cause::Revoked, receiver)?;
    let receiver = beside(handle, row.label())?;
    wait::for_state(receiver.thread(), ThreadState::Receiving)?;
    endpoint.close()?;
    ended(row, Cause::Died, receiver)?;
    row.saw(Cause::Died, &raw::call(handle, row.label(), &[]))
}

pub(super) fn reply(_: &mut World, row: &Row) -> Verdict {
    let (endpoint, handle) = endpoint()?;
    let caller = beside(handle, CALL)?;
    raw::receive(handle, FOREVER);
    let plain = endpoint.as_ref().derive(Rights::RECEIVE)?;
    let answer = |operation: u8| Label::control(Flags::REPLY, operation);
    let out = raw::call(plain.handle(), answer(Cause::Revoked as u8), &[]);
    row.saw(Cause::Denied, &out)?;
    row.saw(Cause::Malformed, &raw::call(handle, answer(99), &[]))?;
    row.saw(OK, &raw::call(Handle::NULL, row.label(), &[]))?;
    caller.join().ok_or_else(|| Failure::new("no result"))?;
    let out = raw::call(Handle::NULL, row.label(), &[]);
    row.saw(Cause::Cancelled, &out)
}

pub(super) fn signal(_: &mut World, row: &Row) -> Verdict {
    let (endpoint, handle) = endpoint()?;
    row.saw(OK, &raw::call(handle, row.label(), &[1]))?;
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    let out = raw::call(mute.handle(), row.label(), &[1]);
    row.saw(Cause::Denied, &out)?;
    endpoint.close()?;
    row.saw(Cause::Died, &raw::call(handle, row.label(), &[1]))
}
