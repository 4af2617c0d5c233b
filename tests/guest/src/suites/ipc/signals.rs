//! Signals, sleep, badges and the end of sessions.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, given},
    echo::{EchoClient, Server},
    raw,
    run::World,
    wait,
};
use core::time::Duration;
use libipc::{
    Capability, FOREVER,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{ObjectError, ThreadState},
    status::{Cause, Status},
    thread,
    time::{self, Instant},
};

pub(super) fn signals_add_up_and_come_first(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let caller = thread::spawn(move || raw::call(handle, Label::call(1, 1), &[]))?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    for bit in [0, 5, 63, 5] {
        endpoint.signal(1 << bit)?;
    }
    check_eq!(endpoint.info()?.signals, 1 | 1 << 5 | 1 << 63);
    let out = raw::receive(handle, FOREVER);
    check_eq!(raw::status(&out), Some(Status::Signals));
    check_eq!(out.words[0], 1 | 1 << 5 | 1 << 63);
    check_eq!(endpoint.info()?.signals, 0);
    let out = raw::receive(handle, FOREVER);
    check_eq!(raw::status(&out), Some(Status::Message));
    raw::reply(&[]);
    check!(raw::refused(&raw::receive(handle, 0), Cause::TimedOut));
    caller.join().ok_or_else(|| Failure::new("no result"))?;
    Ok(())
}

pub(super) fn a_signal_wakes_who_waits(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let waiter = thread::spawn(move || raw::receive(handle, FOREVER))?;
    wait::for_state(waiter.thread(), ThreadState::Receiving)?;
    // No bits wake nobody.
    endpoint.signal(0)?;
    wait::for_state(waiter.thread(), ThreadState::Receiving)?;
    endpoint.signal(0x30)?;
    let out = waiter.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(
        (raw::status(&out), out.words[0]),
        (Some(Status::Signals), 0x30)
    );
    Ok(())
}

pub(super) fn a_signal_that_came_meanwhile_comes_with_the_answer(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let signal = move |bits| raw::call(handle, Label::control(Flags::SIGNAL, 0), &[bits]);
    let caller = thread::spawn(move || {
        raw::call(handle, Label::call(1, 1), &[]);
        // For a server that waited beside the first one.
        signal(2);
    })?;
    let out = raw::receive(handle, FOREVER);
    check_eq!(raw::status(&out), Some(Status::Message));
    signal(5);
    let answer = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
    let out = raw::call(handle, answer, &[]);
    check_eq!(
        (raw::status(&out), out.words[0]),
        (Some(Status::Signals), 5)
    );
    caller.join().ok_or_else(|| Failure::new("no result"))?;
    Ok(())
}

pub(super) fn signalling_and_receiving_need_their_rights(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let without = |right: Rights| endpoint.as_ref().derive(Rights::all() - right);
    let no_signal = without(Rights::SIGNAL)?;
    let signal = Label::control(libipc::label::Flags::SIGNAL, 0);
    check!(raw::refused(
        &raw::call(no_signal.handle(), signal, &[1]),
        Cause::Denied
    ));
    let no_receive = without(Rights::RECEIVE)?;
    check!(raw::refused(
        &raw::receive(no_receive.handle(), 0),
        Cause::Denied
    ));
    let no_call = without(Rights::CALL)?;
    let call = Label::call(1, 1);
    check!(raw::refused(
        &raw::call_until(no_call.handle(), call, &[], 0),
        Cause::Denied
    ));
    check_eq!(endpoint.info()?.signals, 0);
    Ok(())
}

pub(super) fn sleep_lasts_as_long_as_it_should(_: &mut World) -> Verdict {
    for milliseconds in [0, 1, 3, 30] {
        let (start, duration) = (Instant::now(), Duration::from_millis(milliseconds));
        time::sleep(duration);
        check!(start.elapsed() >= duration);
        check!(start.elapsed() < duration + Duration::from_secs(5));
    }
    let out = raw::receive(Handle::NULL, wait::soon().ticks());
    check!(raw::refused(&out, Cause::TimedOut));
    Ok(())
}

pub(super) fn a_badge_tells_callers_apart(_: &mut World) -> Verdict {
    let server = Server::new(|endpoint| {
        let mut left = 4;
        while left > 0 {
            let out = raw::receive(endpoint.as_ref().handle(), FOREVER);
            if raw::status(&out) == Some(Status::Message) {
                raw::reply(&[out.badge]);
                left -= 1;
            }
        }
    })?;
    for badge in [1, u64::MAX, 1 << 40] {
        let minted = server.endpoint.mint_client::<Capability>(badge)?;
        let copy = minted.derive(Rights::CALL)?;
        let out = raw::call(copy.handle(), Label::call(1, 1), &[]);
        check_eq!(out.words[0], badge);
    }
    let out = raw::call(server.endpoint.as_ref().handle(), Label::call(1, 1), &[]);
    check_eq!(out.words[0], 0);
    Ok(())
}

pub(super) fn only_who_receives_mints(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let weak = endpoint.as_ref().derive(Rights::all() - Rights::RECEIVE)?;
    let weak = libipc::objects::EndpointClient::from(weak);
    let denied = |result: Result<_, libipc::CallError<ObjectError>>| {
        result
            .err()
            .and_then(|error: libipc::CallError<ObjectError>| error.transport())
            .is_some_and(|error| error.cause == Cause::Denied)
    };
    check!(denied(weak.mint(1, 1, 1).map(|_| ())));
    check!(denied(weak.session(0).map(|_| ())));
    // A minted capability has no more rights than asked for, and not more than
    // its parent.
    let minted = endpoint.mint(3, Rights::CALL.bits().into(), 1)?;
    check_eq!(minted.as_ref().rights(), Rights::CALL);
    check_eq!(
        endpoint.mint(3, Rights::CALL.bits().into(), 0).map(|_| ()),
        Err(libipc::CallError::Server(ObjectError::BadArgument))
    );
    Ok(())
}

pub(super) fn closed_comes_after_the_last_copy(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let first = endpoint.mint_client::<Capability>(77)?;
    let second = first.copy()?;
    check_eq!(endpoint.session(0)?.copies, 2);
    drop(first);
    check!(raw::refused(&raw::receive(handle, 0), Cause::TimedOut));
    drop(second);
    let out = raw::receive(handle, 0);
    check_eq!((raw::status(&out), out.badge), (Some(Status::Closed), 77));
    check!(raw::refused(&raw::receive(handle, 0), Cause::TimedOut));
    check_eq!(endpoint.info()?.sessions, 0);
    // Also to who waits already.
    let third = endpoint.mint_client::<Capability>(78)?;
    let waiter = thread::spawn(move || raw::receive(handle, FOREVER))?;
    wait::for_state(waiter.thread(), ThreadState::Receiving)?;
    drop(third);
    let out = waiter.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!((raw::status(&out), out.badge), (Some(Status::Closed), 78));
    Ok(())
}

pub(super) fn closed_comes_when_the_holder_is_killed(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let minted = endpoint.mint_client::<Capability>(99)?;
    let child = Plan::new(|_| {
        loop {
            thread::yield_now();
        }
    })
    .give(&[given("held", &minted)])
    .start(&world.image)?;
    drop(minted);
    check!(raw::refused(
        &raw::receive(endpoint.as_ref().handle(), 0),
        Cause::TimedOut
    ));
    child.kill()?;
    let out = raw::receive(endpoint.as_ref().handle(), 0);
    check_eq!((raw::status(&out), out.badge), (Some(Status::Closed), 99));
    Ok(())
}

pub(super) fn live_sessions_can_be_listed(_: &mut World) -> Verdict {
    let server = Server::echo()?;
    let clients = [10, 20, 30].map(|badge| server.endpoint.mint_client::<Capability>(badge));
    let [first, second, third] = clients;
    let (first, second, third) = (first?, EchoClient::from(second?), third?);
    second.add(1, 1)?;
    second.reverse([0; 100])?;
    let (mut cursor, mut badges, mut calls) = (0, alloc::vec::Vec::new(), 0);
    loop {
        let session = server.endpoint.session(cursor)?;
        badges.push(session.badge);
        calls += session.calls;
        if session.badge == 20 {
            check_eq!(
                (session.calls, session.bytes, session.limit),
                (2, 92 * 8, 16)
            );
        }
        cursor = session.next;
        if cursor == 0 {
            break;
        }
    }
    badges.sort_unstable();
    check_eq!(badges, [10, 20, 30]);
    check_eq!(calls, 2);
    let missing = Err(libipc::CallError::Server(ObjectError::NotFound));
    check_eq!(server.endpoint.session(3), missing);
    // A cursor is of one endpoint, and ends with its session.
    let second = server.endpoint.session(0)?.next;
    check_eq!(Server::echo()?.endpoint.session(second), missing);
    check_eq!(server.endpoint.session(second)?.badge, badges[1]);
    drop((first, third));
    Ok(())
}
