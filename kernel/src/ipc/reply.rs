//! Answering: `reply`, and the reply half of `reply_receive`.

use super::{Outcome, deliver, end, plain, refused, transfer};
use crate::{
    Entered,
    arch::{Arch, Port},
    capability::object::Target,
    object::{
        task::Task,
        thread::{State, Thread},
    },
    schedule::ready,
};
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects::FaultKind,
    registers::{CallIn, CallOut},
    status::{Cause, Status, TransportError},
};

/// The system call.
pub fn reply(k: Entered<'_>, server: &Thread, call: &CallIn) -> Outcome {
    Outcome::Done(match answer(k, server, call, ready::wake) {
        Ok(()) => plain(Status::Message),
        Err(cause) => refused(cause),
    })
}

/// Answers, then receives. That nobody has got the answer is no error here: a server's
/// loop has nothing to do about it, unless the answer was to move something.
pub fn reply_receive(k: Entered<'_>, server: &Thread, call: &CallIn) -> Outcome {
    match answer(k, server, call, ready::hand_over) {
        Err(Cause::Cancelled) if call.label.capabilities() == 0 => {}
        Err(cause) => return Outcome::Done(refused(cause)),
        Ok(()) => {}
    }
    super::receive::receive(k, server, call)
}

/// Answers the kept reply that the call names, or the request that the server
/// is serving, and wakes the caller. `Cancelled` if nobody has got the answer, as the
/// caller no longer waits or has no room for what comes with it. On another error the
/// request is still to be answered.
fn answer(
    k: Entered<'_>,
    server: &Thread,
    call: &CallIn,
    wake: fn(Entered<'_>, &Thread),
) -> Result<(), Cause> {
    let task = server.task.get(k).ok_or(Cause::Died)?;
    if !super::call::well_formed(call.label) || call.label.leases() != 0 {
        return Err(Cause::Malformed);
    }
    let status = status(k, task, call)?;
    let kept = call.request != Handle::NULL;
    let client = if kept {
        let target = task
            .table
            .get(k, call.request, ObjectType::Reply, Rights::ANSWER);
        let Ok(Target::Reply(client, number)) = target else {
            return Err(Cause::Denied);
        };
        waits_for(client, number).then_some(client)
    } else {
        server.client.get(k)
    };
    let passed = match client {
        Some(client) => pass(k, server, client, call.label, status)?,
        None => Err(Cause::Cancelled),
    };
    // From here on the request is answered.
    if kept && let Some(slot) = task.table.find(k, call.request) {
        // Not deleted: deleting would answer `Dropped`.
        if let Some((Target::Reply(thread, _), _)) = task.table.take(k, slot) {
            thread.release(k);
        }
    }
    let Some(client) = client else {
        return Err(Cause::Cancelled);
    };
    complete(k, client, call, passed, status, wake);
    passed.map_err(|_| Cause::Cancelled)
}

/// Whether the thread still waits for the answer to this call, which was kept.
pub fn waits_for(client: &Thread, number: u64) -> bool {
    client.state.get() == State::Waiting
        && client.server.is_none()
        && client.call_number.get() == number
}

/// How the call ends by the label of its reply.
fn status(k: Entered<'_>, task: &Task, call: &CallIn) -> Result<Status, Cause> {
    let operation = call.label.operation();
    if operation == Label::OK || operation == Label::SERVER_ERROR {
        return Ok(Status::Message);
    }
    let cause = Cause::from_bits(operation).ok_or(Cause::Malformed)?;
    // What a dispatch says of a message that it did not understand.
    if matches!(cause, Cause::Malformed | Cause::VersionMismatch) {
        return Ok(Status::Error(TransportError::refused(cause)));
    }
    let proxy = task
        .table
        .get(k, call.handle, ObjectType::Endpoint, Rights::PROXY);
    proxy.map_err(|_| Cause::Denied)?;
    let delivered = call.words[0] & 1 != 0;
    Ok(Status::Error(TransportError { cause, delivered }))
}

/// Passes what is attached to the reply. The outer error is the server's and
/// leaves the request unanswered; the inner one is the client's.
fn pass(
    k: Entered<'_>,
    server: &Thread,
    client: &Thread,
    label: Label,
    status: Status,
) -> Result<Result<(), Cause>, Cause> {
    if status != Status::Message || client.pending_fault().is_some() {
        return Ok(Ok(()));
    }
    match transfer::capabilities(k, server, client, label.capabilities()) {
        Ok(()) => {}
        Err(transfer::Failure::Sender(cause)) => return Err(cause),
        Err(transfer::Failure::Receiver(cause)) => return Ok(Err(cause)),
    }
    deliver::copy_bytes(server, client, label.bytes());
    Ok(Ok(()))
}

/// Ends the client's wait with the reply.
fn complete(
    k: Entered<'_>,
    client: &Thread,
    call: &CallIn,
    passed: Result<(), Cause>,
    status: Status,
    wake: fn(Entered<'_>, &Thread),
) {
    end::finish_call(k, client);
    if let Some(kind) = client.pending_fault() {
        client.set_fault(None);
        let goes_on = call.label.operation() == Label::OK
            && !matches!(kind, FaultKind::Exit | FaultKind::Panic);
        if goes_on {
            wake(k, client);
        } else {
            client.end(k);
            client.detach(k);
        }
        return;
    }
    let out = match (passed, status) {
        (Err(cause), _) => plain(Status::Error(TransportError::delivered(cause))),
        (Ok(()), Status::Error(error)) => plain(Status::Error(error)),
        (Ok(()), _) => CallOut {
            label: call.label.with_flags(Flags::empty()),
            words: call.words,
            request_id: client.request_id(),
            ..plain(status)
        },
    };
    Port::call_out(&client.context, &out);
    wake(k, client);
}
