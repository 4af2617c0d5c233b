//! What was bound to an endpoint, and the capability with which that was done.

use crate::{
    check::{Failure, Verdict},
    child::{Plan, patience, serve_fault},
    raw,
    run::World,
    wait,
};
use alloc::sync::Arc;
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use libipc::{
    Capability, PAGE, Start,
    handle::Rights,
    objects::{EndpointClient, FaultKind, InterruptClient, ObjectError, ReservationClient},
    server::{Event, Receiver},
    thread, time,
};

/// A line that nothing drives.
const LINE: u64 = 77;

/// An endpoint's capability and one that comes from it.
fn derived(endpoint: &EndpointClient) -> Result<(Capability, EndpointClient), Failure> {
    let parent = endpoint.as_ref().copy()?;
    let with = EndpointClient::from(parent.derive(Rights::all())?);
    Ok((parent, with))
}

fn revoke(capability: &Capability) -> Verdict {
    Ok(libipc::task().revoke(capability.handle().0)?)
}

/// An interrupt line and a used-up reservation's, bound with this capability.
fn bind(
    world: &World,
    with: &EndpointClient,
) -> Result<(InterruptClient, ReservationClient), Failure> {
    let line = world.devices()?.interrupt(LINE)?;
    line.bind(with, 1)?;
    let period = time::to_ticks(Duration::from_millis(2));
    let time = world.time()?.create_reservation(period / 2, period)?;
    time.watch(with, 2)?;
    Ok((line, time))
}

/// Whether an overrun of the reservation is told at the endpoint.
fn is_told(endpoint: &EndpointClient, time: &ReservationClient) -> Result<bool, Failure> {
    let enough = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&enough);
    let spinning = thread::spawn_with(crate::run::PRIORITY - 10, 16 * 1024, move || {
        while !seen.load(Ordering::Relaxed) {
            core::hint::spin_loop();
        }
    })?;
    let before = time.info()?.overruns;
    let thread = spinning.thread().ok_or_else(|| Failure::new("no thread"))?;
    time.bind(thread)?;
    let overrun = wait::until(|| Ok(time.info()?.overruns >= before + 2));
    enough.store(true, Ordering::Relaxed);
    spinning.join();
    overrun?;
    match Receiver::new(endpoint).wait(time::Instant::PAST) {
        Ok(Event::Signals(bits)) => Ok(bits & 2 != 0),
        _ => Ok(false),
    }
}

pub(super) fn revoking_ends_what_was_bound_with_it(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let (parent, with) = derived(&endpoint)?;
    let (line, time) = bind(world, &with)?;
    line.acknowledge()?;
    check!(is_told(&endpoint, &time)?);
    revoke(&parent)?;
    check_eq!(
        line.acknowledge().map_err(|error| error.server()),
        Err(Some(ObjectError::WrongState))
    );
    check!(!is_told(&endpoint, &time)?);
    Ok(())
}

pub(super) fn deleting_leaves_what_was_bound_with_it(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let (parent, with) = derived(&endpoint)?;
    let (line, time) = bind(world, &with)?;
    drop(with);
    line.acknowledge()?;
    check!(is_told(&endpoint, &time)?);
    // What it came from still reaches it.
    revoke(&parent)?;
    check!(line.acknowledge().is_err());
    check!(!is_told(&endpoint, &time)?);
    Ok(())
}

pub(super) fn revoking_ends_a_fault_handler(world: &mut World) -> Verdict {
    fn program(_: Start) -> Verdict {
        raw::load(PAGE as u64 / 2);
        Ok(())
    }
    for revoked in [false, true] {
        let child = Plan::new(program).make(&world.image)?;
        let endpoint = libipc::task().create_endpoint()?;
        let (parent, with) = derived(&endpoint)?;
        child.task.set_fault_handler(&with)?;
        if revoked {
            revoke(&parent)?;
        }
        child.thread.resume()?;
        if revoked {
            // Its thread just ends.
            wait::until(|| Ok(child.task.info()?.threads == 0))?;
            let told = raw::receive(endpoint.as_ref().handle(), 0);
            check!(raw::status(&told) != Some(libipc::status::Status::Message));
        } else {
            let report = serve_fault(&endpoint, patience(), false)?;
            check_eq!(report.kind, FaultKind::Read);
        }
    }
    Ok(())
}
