//! An endpoint outlives its server: pause, resume, and a successor.

use crate::{
    check::{Failure, Verdict},
    raw,
    run::{PRIORITY, World},
    wait,
};
use libipc::{
    CallError, FOREVER,
    label::Label,
    objects::{EndpointClient, ObjectError, ThreadState},
    status::{Cause, Status},
    thread,
};

const CALL: Label = Label::call(1, 1);

/// One above the other, below the suite's own, and a stack for a few calls.
const ABOVE: u64 = PRIORITY - 10;
const BELOW: u64 = PRIORITY - 20;
const STACK: usize = 8 << 10;

pub(super) fn a_paused_endpoint_queues_until_it_resumes(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let server = thread::spawn(move || {
        let out = raw::receive(handle, FOREVER);
        raw::reply(&[out.words[0] + 1]);
    })?;
    wait::for_state(server.thread(), ThreadState::Receiving)?;
    endpoint.pause()?;
    endpoint.pause()?;
    check_eq!(endpoint.info()?.state, 1);
    let caller = thread::spawn(move || raw::call(handle, CALL, &[4]))?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    wait::for_state(server.thread(), ThreadState::Receiving)?;
    let out = raw::call_until(handle, CALL, &[], wait::soon().ticks());
    check!(raw::refused(&out, Cause::TimedOut));
    endpoint.resume()?;
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(out.words[0], 5);
    check_eq!(endpoint.info()?.state, 0);
    Ok(())
}

pub(super) fn expelling_hands_the_endpoint_to_a_successor(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let old = endpoint.as_ref().copy()?;
    let old_handle = old.handle();
    let predecessor = thread::spawn(move || raw::receive(old_handle, FOREVER))?;
    wait::for_state(predecessor.thread(), ThreadState::Receiving)?;
    endpoint.pause()?;
    let handle = endpoint.as_ref().handle();
    let caller = thread::spawn(move || raw::call(handle, CALL, &[4]))?;
    wait::for_state(caller.thread(), ThreadState::Sending)?;
    endpoint.expel()?;
    let out = predecessor
        .join()
        .ok_or_else(|| Failure::new("no result"))?;
    check!(raw::refused(&out, Cause::Cancelled));
    // The predecessor's capability receives and mints no more, but calls.
    check!(raw::refused(&raw::receive(old_handle, 0), Cause::Revoked));
    let old = EndpointClient::from(old);
    check!(
        old.mint(1, 1, 1).is_err_and(|error| {
            error.transport().map(|error| error.cause) == Some(Cause::Denied)
        })
    );
    endpoint.resume()?;
    let successor = endpoint.as_ref().copy()?;
    let out = raw::receive(successor.handle(), FOREVER);
    check_eq!(
        (raw::status(&out), out.words[0]),
        (Some(Status::Message), 4)
    );
    raw::reply(&[6]);
    let out = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(out.words[0], 6);
    Ok(())
}

pub(super) fn a_predecessor_cannot_wait_again(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let old = endpoint.as_ref().copy()?;
    let handle = old.handle();
    let above = thread::spawn_with(ABOVE, STACK, move || {
        (raw::receive(handle, FOREVER), raw::receive(handle, FOREVER))
    })?;
    wait::for_state(above.thread(), ThreadState::Receiving)?;
    // Who expels it is ready while it waits for the second time: nothing but its
    // capability keeps it from that.
    let below = thread::spawn_with(BELOW, STACK, move || endpoint.expel())?;
    below.join().ok_or_else(|| Failure::new("no result"))??;
    let thread = above
        .thread()
        .ok_or_else(|| Failure::new("the thread has ended"))?;
    wait::until(|| Ok(thread.info()?.state != ThreadState::Receiving))?;
    let (first, second) = above.join().ok_or_else(|| Failure::new("no result"))?;
    check!(raw::refused(&first, Cause::Cancelled));
    check!(raw::refused(&second, Cause::Revoked));
    Ok(())
}

pub(super) fn a_closed_endpoint_stays_closed(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    endpoint.close()?;
    let wrong = Err(CallError::Server(ObjectError::WrongState));
    check_eq!(endpoint.pause(), wrong);
    check_eq!(endpoint.resume(), wrong);
    check_eq!(endpoint.close(), Ok(()));
    let handle = endpoint.as_ref().handle();
    check!(raw::refused(&raw::receive(handle, FOREVER), Cause::Died));
    check!(raw::refused(&raw::call(handle, CALL, &[]), Cause::Died));
    check!(
        endpoint.mint(1, 1, 1).is_err_and(|error| {
            error.transport().map(|error| error.cause) == Some(Cause::Died)
        })
    );
    Ok(())
}
