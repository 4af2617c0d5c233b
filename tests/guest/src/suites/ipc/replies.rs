//! Answers that are kept, moved and given by others.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    echo::{EchoClient, Server},
    raw,
    run::World,
    wait,
};
use alloc::sync::Arc;
use libipc::{
    Capability, FOREVER, Start,
    client::Borrowed,
    handle::Handle,
    label::{Flags, Label},
    objects::{EndpointClient, ObjectError, ReplyClient},
    registers::{CallIn, CallOut},
    status::{Cause, Status},
    sync::Mutex,
    thread,
};

fn answer(kept: Handle, words: [u64; 8]) -> CallOut {
    raw::trap(&CallIn {
        handle: Handle::NULL,
        label: Label::control(Flags::REPLY, Label::OK),
        words,
        deadline: FOREVER,
        request: kept,
    })
}

pub(super) fn a_kept_reply_is_answered_by_another_thread(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let caller = thread::spawn(move || raw::call(handle, Label::call(1, 1), &[]))?;
    raw::receive(handle, FOREVER);
    let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()?;
    // It is no longer the implicit one, so that cannot be answered.
    check!(raw::refused(&raw::reply(&[1]), Cause::Cancelled));
    let kept = Capability::from(kept).into_handle();
    let answered = thread::spawn(move || answer(kept, [9; 8]))?;
    let answered = answered.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(raw::status(&answered), Some(Status::Message));
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(out.words, [9; 8]);
    // Answering took the capability.
    check!(raw::refused(&answer(kept, [1; 8]), Cause::Denied));
    Ok(())
}

fn answer_what_comes(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::open(1);
    let out = raw::receive(endpoint.as_ref().handle(), FOREVER);
    check_eq!(out.label.capabilities(), 1);
    let kept = Handle(raw::get(libipc::message_buffer::word::CAPABILITIES));
    let answered = answer(kept, [42; 8]);
    check_eq!(raw::status(&answered), Some(Status::Message));
    check_eq!(raw::status(&raw::reply(&[])), Some(Status::Message));
    Ok(())
}

pub(super) fn a_kept_reply_is_moved_to_another_task(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let other = libipc::task().create_endpoint()?;
    let child = Plan::new(answer_what_comes)
        .give(&[given("endpoint", &other)])
        .start(&world.image)?;
    let handle = endpoint.as_ref().handle();
    let caller = thread::spawn(move || raw::call(handle, Label::call(1, 1), &[]))?;
    raw::receive(handle, FOREVER);
    let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()?;
    let kept = Capability::from(kept).into_handle();
    // A duty is not copied.
    let label = Label::call(1, 1).with_capabilities(1);
    raw::attach(0, kept);
    raw::passing(1);
    check!(raw::refused(
        &raw::call(other.as_ref().handle(), label, &[]),
        Cause::Denied
    ));
    raw::attach(0, kept);
    raw::passing(0);
    let moved = raw::call(other.as_ref().handle(), label, &[]);
    check_eq!(raw::status(&moved), Some(Status::Message));
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(out.words, [42; 8]);
    check!(raw::refused(&answer(kept, [1; 8]), Cause::Denied));
    child.finish()
}

pub(super) fn a_kept_reply_cannot_be_derived_or_installed(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let caller = thread::spawn(move || raw::call(handle, Label::call(1, 1), &[]))?;
    raw::receive(handle, FOREVER);
    let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()?;
    let refused = |error: libipc::CallError<ObjectError>| {
        error.transport().map(|error| error.cause) == Some(Cause::Denied)
    };
    check!(kept.as_ref().copy().is_err_and(refused));
    let child = Plan::new(|_| Ok(())).make(&world.image)?;
    check!(child.task.install(kept.as_ref(), 255).is_err_and(refused));
    drop(kept);
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(
        raw::error(&out).map(|error| error.cause),
        Some(Cause::Dropped)
    );
    Ok(())
}

pub(super) fn a_reply_without_a_request_is_refused(_: &mut World) -> Verdict {
    check!(raw::refused(&raw::reply(&[1, 2, 3]), Cause::Cancelled));
    let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
    let cause = |result: Result<ReplyClient, libipc::CallError<ObjectError>>| {
        result
            .err()
            .and_then(|error| error.transport())
            .map(|error| error.cause)
    };
    check_eq!(cause(request.keep()), Some(Cause::Cancelled));
    // A reply that lends memory has no meaning.
    let label = Label::control(Flags::REPLY, Label::OK).with_leases(1);
    check!(raw::refused(
        &raw::call(Handle::NULL, label, &[]),
        Cause::Malformed
    ));
    Ok(())
}

pub(super) fn a_deferred_operation_reads_its_lease_later(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let client = EchoClient::from(server.endpoint.mint_client::<Capability>(1)?);
    let bytes = [3; 5000];
    check_eq!(client.later(&bytes)?, 15_000);
    Ok(())
}

pub(super) fn a_reply_and_the_next_receive_are_one_call(_: &mut World) -> Verdict {
    let seen = Arc::new(Mutex::new(0));
    let there = Arc::clone(&seen);
    let server = Server::new(move |endpoint| {
        let handle = endpoint.as_ref().handle();
        let mut out = raw::receive(handle, FOREVER);
        while raw::status(&out) == Some(Status::Message) {
            *there.lock() += 1;
            let label = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
            out = raw::call(handle, label, &[out.words[0] * 2]);
        }
        raw::error(&out)
    })?;
    for number in 0..50 {
        let out = raw::call(
            server.endpoint.as_ref().handle(),
            Label::call(1, 1),
            &[number],
        );
        check_eq!(out.words[0], number * 2);
    }
    check_eq!(*seen.lock(), 50);
    wait::until(|| Ok(server.endpoint.info()?.receivers == 1))?;
    server.endpoint.close()?;
    check_eq!(server.join()?.map(|error| error.cause), Some(Cause::Died));
    Ok(())
}

pub(super) fn a_kept_reply_and_the_next_receive_are_one_call(_: &mut World) -> Verdict {
    let server = Server::new(move |endpoint| {
        let handle = endpoint.as_ref().handle();
        let mut out = raw::receive(handle, FOREVER);
        while raw::status(&out) == Some(Status::Message) {
            let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep();
            let Ok(kept) = kept.map(|kept| Capability::from(kept).into_handle()) else {
                return None;
            };
            out = raw::trap(&CallIn {
                handle,
                label: Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK),
                words: [out.words[0] * 2; 8],
                deadline: FOREVER,
                request: kept,
            });
            // Answering took the capability, and with it nobody is answered again.
            if !raw::refused(&answer(kept, [1; 8]), Cause::Denied) {
                return None;
            }
        }
        raw::error(&out)
    })?;
    for number in 0..50 {
        let handle = server.endpoint.as_ref().handle();
        let out = raw::call(handle, Label::call(1, 1), &[number]);
        check_eq!(raw::status(&out), Some(Status::Message));
        check_eq!(out.words, [number * 2; 8]);
    }
    wait::until(|| Ok(server.endpoint.info()?.receivers == 1))?;
    server.endpoint.close()?;
    check_eq!(server.join()?.map(|error| error.cause), Some(Cause::Died));
    Ok(())
}
