//! Call, receive, reply and signal.

use super::{
    clock::{self, Guard},
    objects,
    world::{
        CallState, EndpointMode, Entry, Lent, Object, On, Parcel, Passed, Progress, World, lock,
    },
};
use crate::{
    buffer::Buffer,
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    message_buffer::{CAPABILITIES, LEASES, LeaseDescriptor, MAX_WORDS, RELENDS, word},
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
};
use std::vec::Vec;

/// The caller's place in the world: its thread and its task.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub(super) thread: u64,
    pub(super) task: u64,
}

pub(super) fn trap(thread: u64, task: u64, input: &CallIn) -> CallOut {
    let caller = Caller { thread, task };
    let flags = input.label.flags();
    let result = if flags.contains(Flags::SIGNAL) {
        signal(caller, input)
    } else if flags.contains(Flags::REPLY) {
        let goes_on = |error: TransportError| {
            error.cause == Cause::Cancelled && input.label.capabilities() == 0
        };
        match reply(caller, input) {
            Err(error) if !goes_on(error) => Err(error),
            _ if flags.contains(Flags::RECEIVE) => receive(caller, input),
            answered => answered,
        }
    } else if flags.contains(Flags::RECEIVE) {
        receive(caller, input)
    } else {
        call(caller, input)
    };
    result.unwrap_or_else(|error| output(Status::Error(error), Label(0), [0; WORDS]))
}

type Outcome = Result<CallOut, TransportError>;

pub(super) fn output(status: Status, label: Label, words: [u64; WORDS]) -> CallOut {
    CallOut {
        status: status.to_word(),
        label,
        words,
        badge: 0,
        request_id: 0,
    }
}

fn refused<T>(cause: Cause) -> Result<T, TransportError> {
    Err(TransportError::refused(cause))
}

fn endpoint_with(
    world: &World,
    caller: Caller,
    handle: Handle,
    right: Rights,
) -> Option<(u64, u64)> {
    match world.lookup(caller.task, handle)? {
        Entry {
            object: Object::Endpoint { id, badge },
            rights,
        } if rights.contains(right) => Some((id, badge)),
        _ => None,
    }
}

fn signal(caller: Caller, input: &CallIn) -> Outcome {
    let mut world = lock();
    let Some((id, _)) = endpoint_with(&world, caller, input.handle, Rights::SIGNAL) else {
        return refused(Cause::Denied);
    };
    set_signals(&mut world, id, input.words[0]);
    Ok(output(Status::Message, Label(0), [0; WORDS]))
}

/// Sets bits of an endpoint's signal word.
pub(super) fn set_signals(world: &mut World, endpoint: u64, bits: u64) {
    if let Some(state) = world.endpoints.get_mut(&endpoint) {
        state.signals |= bits;
    }
    world.wake(On::Endpoint(endpoint));
}

fn call(caller: Caller, input: &CallIn) -> Outcome {
    let object = input.label.flags().contains(Flags::OBJECT);
    if input.handle.object_type() != Some(ObjectType::Endpoint) || object {
        return objects::call(caller, input);
    }
    let mut world = lock();
    let Some((endpoint, badge)) = endpoint_with(&world, caller, input.handle, Rights::CALL) else {
        return refused(Cause::Denied);
    };
    let parcel = read_parcel(&world, caller, input)?;
    let id = enqueue(&mut world, caller, endpoint, badge, parcel, input.deadline)?;
    let (mut world, result) = await_answer(world, caller.thread, id, input.deadline);
    if let Some(state) = world.endpoints.get_mut(&endpoint) {
        state.queue.retain(|&queued| queued != id);
        if let Some(session) = state.sessions.get_mut(&badge) {
            session.in_flight -= 1;
        }
    }
    world.calls.remove(&id);
    result
}

/// Reads the message in the calling thread's registers and buffer.
fn read_parcel(world: &World, caller: Caller, input: &CallIn) -> Result<Parcel, TransportError> {
    let (label, buffer) = (input.label, Buffer::current());
    let (count, capabilities) = (label.bytes() / 8, label.capabilities());
    if label.bytes() % 8 != 0 || count > MAX_WORDS - WORDS || capabilities > CAPABILITIES {
        return refused(Cause::Malformed);
    }
    let passing = buffer.get(word::PASSING);
    let handles: Vec<_> = (0..capabilities)
        .map(|index| Passed {
            handle: Handle(buffer.get(word::CAPABILITIES + index)),
            copy: passing & 1 << index != 0,
            loses: Rights::from_bits_retain((passing >> (8 + 8 * index)) as u8),
        })
        .collect();
    let may_pass = |passed: &Passed| {
        let entry = world.lookup(caller.task, passed.handle);
        // A reply is moved by whoever holds it.
        entry.is_some_and(|e| {
            e.rights.contains(Rights::GRANT) || matches!(e.object, Object::Reply(_))
        })
    };
    if !handles.iter().all(may_pass) {
        return refused(Cause::Denied);
    }
    Ok(Parcel {
        label: label.with_flags(label.flags() & Flags::REPEAT),
        words: input.words,
        bytes: (0..count).map(|i| buffer.get(word::BYTES + i)).collect(),
        handles,
    })
}

fn enqueue(
    world: &mut World,
    caller: Caller,
    endpoint: u64,
    badge: u64,
    parcel: Parcel,
    deadline: u64,
) -> Result<u64, TransportError> {
    let buffer = Buffer::current();
    let count = parcel.label.leases();
    if count > LEASES {
        return refused(Cause::Malformed);
    }
    let mut leases = Vec::new();
    for index in 0..count {
        let field = |offset| buffer.get(word::LEASE + 3 * index + offset);
        let lease = LeaseDescriptor {
            address: field(0),
            length: field(1),
            access: field(2),
        };
        leases.push(lend(world, caller, &lease).map_err(TransportError::refused)?);
    }
    let Some(thread) = world.threads.get_mut(&caller.thread) else {
        return refused(Cause::Died);
    };
    if !parcel.label.flags().contains(Flags::REPEAT) {
        thread.calls += 1;
    }
    let request_id = (caller.thread & 0xff_ffff) << 40 | thread.calls;
    let id = world.number();
    let Some(state) = world.endpoints.get_mut(&endpoint) else {
        return refused(Cause::Died);
    };
    if state.mode == EndpointMode::Closed {
        return refused(Cause::Died);
    }
    if let Some(session) = state.sessions.get_mut(&badge) {
        if session.limit != 0 && session.in_flight == session.limit {
            return refused(Cause::QuotaExceeded);
        }
        session.in_flight += 1;
        session.calls += 1;
        session.bytes += 8 * parcel.bytes.len() as u64;
    }
    state.queue.push_back(id);
    let call = CallState {
        task: caller.task,
        thread: caller.thread,
        badge,
        request_id,
        parcel,
        leases,
        open: buffer.get(word::OPEN) as usize,
        deadline,
        progress: Progress::Queued,
    };
    world.calls.insert(id, call);
    world.wake(On::Endpoint(endpoint));
    Ok(id)
}

/// What the caller lends by this descriptor.
fn lend(world: &World, caller: Caller, wanted: &LeaseDescriptor) -> Result<Lent, Cause> {
    let access = wanted.access().ok_or(Cause::Malformed)?;
    let (length, mut address, mut outer) = (wanted.length, wanted.address, None);
    if let Some(part) = wanted.outer() {
        let call = match world.lookup(caller.task, part.request) {
            Some(Entry {
                object: Object::Reply(call),
                ..
            }) => call,
            _ if part.request == Handle::REQUEST => {
                let thread = world.threads.get(&caller.thread);
                thread
                    .and_then(|thread| thread.serving)
                    .ok_or(Cause::Cancelled)?
            }
            _ => return Err(Cause::Denied),
        };
        let (whole, depth) = world.lease(call, part.lease).ok_or(Cause::LeaseFault)?;
        let end = part.offset.checked_add(length);
        if end.is_none_or(|end| end > whole.length) {
            return Err(Cause::LeaseFault);
        }
        if !whole.access.contains(access) {
            return Err(Cause::Denied);
        }
        if depth == RELENDS {
            return Err(Cause::QuotaExceeded);
        }
        address = whole.address + part.offset;
        outer = Some((call, part.lease));
    }
    Ok(Lent {
        address,
        length,
        access,
        outer,
    })
}

fn await_answer(mut world: Guard, thread: u64, id: u64, deadline: u64) -> (Guard, Outcome) {
    let mut timed_out = false;
    loop {
        let Some(call) = world.calls.get_mut(&id) else {
            return (world, refused(Cause::Died));
        };
        let outcome = match core::mem::replace(&mut call.progress, Progress::Queued) {
            Progress::Answered(parcel) => {
                let words = write_parcel(&parcel);
                Ok(output(Status::Message, parcel.label, words))
            }
            Progress::Failed(error) => Err(error),
            waiting if timed_out => Err(TransportError {
                cause: Cause::TimedOut,
                delivered: matches!(waiting, Progress::Received),
            }),
            waiting => {
                call.progress = waiting;
                (world, timed_out) = clock::wait(world, thread, On::Call(id), deadline);
                continue;
            }
        };
        return (world, outcome);
    }
}

/// Puts what does not travel in registers into the calling thread's buffer.
fn write_parcel(parcel: &Parcel) -> [u64; WORDS] {
    let buffer = Buffer::current();
    for (index, word) in parcel.bytes.iter().enumerate() {
        buffer.set(word::BYTES + index, *word);
    }
    for (index, passed) in parcel.handles.iter().enumerate() {
        buffer.set(word::CAPABILITIES + index, passed.handle.0);
    }
    parcel.words
}

fn receive(caller: Caller, input: &CallIn) -> Outcome {
    let mut world = lock();
    // Who only sleeps goes on serving its request: locks and gates sleep too.
    if input.handle.is_null() {
        let mut timed_out = false;
        while !timed_out {
            (world, timed_out) = clock::wait(world, caller.thread, On::Time, input.deadline);
        }
        return refused(Cause::TimedOut);
    }
    // Who waits again without an answer has thrown the request away.
    if let Some(thread) = world.threads.get_mut(&caller.thread)
        && let Some(call) = thread.serving.take()
    {
        world.fail(call, TransportError::delivered(Cause::Dropped));
    }
    let Some((endpoint, _)) = endpoint_with(&world, caller, input.handle, Rights::RECEIVE) else {
        return refused(Cause::Denied);
    };
    let epoch = world.endpoints[&endpoint].epoch;
    let mut timed_out = false;
    loop {
        // The host cannot stop a thread: it learns here that its task is gone.
        if !world.is_alive(caller.task) {
            return refused(Cause::Died);
        }
        if let Some(found) = next(&mut world, caller, endpoint, epoch) {
            return found;
        }
        if timed_out {
            return refused(Cause::TimedOut);
        }
        let count = |world: &mut World, change: i64| {
            if let Some(state) = world.endpoints.get_mut(&endpoint) {
                state.receivers = state.receivers.saturating_add_signed(change);
            }
        };
        count(&mut world, 1);
        (world, timed_out) =
            clock::wait(world, caller.thread, On::Endpoint(endpoint), input.deadline);
        count(&mut world, -1);
    }
}

/// What an endpoint has for a receiver: signals first, then ended sessions,
/// then messages.
fn next(world: &mut World, caller: Caller, endpoint: u64, epoch: u64) -> Option<Outcome> {
    loop {
        let state = world.endpoints.get_mut(&endpoint)?;
        if state.epoch != epoch {
            return Some(refused(Cause::Cancelled));
        }
        if state.signals != 0 {
            let mut words = [0; WORDS];
            words[0] = core::mem::take(&mut state.signals);
            return Some(Ok(output(Status::Signals, Label(0), words)));
        }
        if let Some(badge) = state.gone.pop_front() {
            let mut closed = output(Status::Closed, Label(0), [0; WORDS]);
            closed.badge = badge;
            return Some(Ok(closed));
        }
        match state.mode {
            EndpointMode::Open => {}
            EndpointMode::Paused => return None,
            EndpointMode::Closed => return Some(refused(Cause::Died)),
        }
        let id = state.queue.pop_front()?;
        if let Some(message) = deliver(world, caller, id) {
            return Some(Ok(message));
        }
    }
}

/// Hands a queued call to a receiver; `None` if it failed or is gone.
fn deliver(world: &mut World, caller: Caller, id: u64) -> Option<CallOut> {
    let call = world.calls.get(&id)?;
    if !matches!(call.progress, Progress::Queued) {
        return None;
    }
    let from = call.task;
    let open = Buffer::current().get(word::OPEN) as usize;
    let handles = call.parcel.handles.clone();
    if let Err(cause) = may_transfer(world, from, &handles, open) {
        world.fail(id, TransportError::refused(cause));
        return None;
    }
    let received = transfer(world, from, &handles, caller.task);
    let call = world.calls.get_mut(&id)?;
    call.progress = Progress::Received;
    call.parcel.handles = received;
    let buffer = Buffer::current();
    for (index, lease) in call.leases.iter().enumerate() {
        let first = word::LEASE + 3 * index;
        let fields = [0, lease.length, lease.access.bits()];
        for (offset, field) in fields.into_iter().enumerate() {
            buffer.set(first + offset, field);
        }
    }
    let words = write_parcel(&call.parcel);
    let mut message = output(Status::Message, call.parcel.label, words);
    (message.badge, message.request_id) = (call.badge, call.request_id);
    world.threads.get_mut(&caller.thread)?.serving = Some(id);
    Some(message)
}

fn may_transfer(world: &World, from: u64, handles: &[Passed], open: usize) -> Result<(), Cause> {
    if handles.len() > open {
        return Err(Cause::QuotaExceeded);
    }
    let there = |passed: &Passed| world.lookup(from, passed.handle).is_some();
    if handles.iter().all(there) {
        Ok(())
    } else {
        Err(Cause::Denied)
    }
}

fn transfer(world: &mut World, from: u64, handles: &[Passed], to: u64) -> Vec<Passed> {
    let mut arrive = |passed: &Passed| Passed {
        handle: world.transfer(from, *passed, to),
        ..*passed
    };
    handles.iter().map(&mut arrive).collect()
}

fn reply(caller: Caller, input: &CallIn) -> Outcome {
    let mut world = lock();
    let parcel = read_parcel(&world, caller, input)?;
    let known = [Label::OK, Label::SERVER_ERROR];
    let causes = [Cause::Malformed as u8, Cause::VersionMismatch as u8];
    let operation = parcel.label.operation();
    let cause = Cause::from_bits(operation);
    if !known.contains(&operation) && cause.is_none() || parcel.label.leases() > 0 {
        return refused(Cause::Malformed);
    }
    let by_proxy = cause.is_some() && !causes.contains(&operation);
    let is_proxy = || endpoint_with(&world, caller, input.handle, Rights::PROXY).is_some();
    if by_proxy && !is_proxy() {
        return refused(Cause::Denied);
    }
    let id = if input.request.is_null() {
        let thread = world.threads.get_mut(&caller.thread);
        thread.and_then(|thread| thread.serving.take())
    } else {
        world.take_reply(caller.task, input.request)
    };
    let Some(id) = id else {
        return refused(Cause::Denied);
    };
    let Some(call) = world.calls.get(&id) else {
        return refused(Cause::Cancelled);
    };
    let (to, open) = (call.task, call.open);
    if let Err(cause) = may_transfer(&world, caller.task, &parcel.handles, open) {
        world.fail(id, TransportError::delivered(cause));
        return refused(cause);
    }
    if let Some(cause) = cause {
        let delivered = by_proxy && input.words[0] & 1 != 0;
        world.fail(id, TransportError { cause, delivered });
        return Ok(output(Status::Message, Label(0), [0; WORDS]));
    }
    let handles = transfer(&mut world, caller.task, &parcel.handles, to);
    if let Some(call) = world.calls.get_mut(&id) {
        call.progress = Progress::Answered(Parcel { handles, ..parcel });
    }
    world.wake(On::Call(id));
    Ok(output(Status::Message, Label(0), [0; WORDS]))
}
