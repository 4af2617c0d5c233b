//! Pagers: fault handlers that bring the memory that was touched.

use super::{NOWHERE, PAGE_SIZE};
use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, QUOTA, given, patience, serve_fault},
    raw::{self, PlaceAt, ReadTo},
    run::World,
    wait,
};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use libipc::{
    CallError, FOREVER, Start,
    client::Borrowed,
    handle::Handle,
    label::Label,
    objects::{EndpointClient, FaultKind, ObjectError, ReplyClient, TaskClient, ThreadState},
    status::{Cause, Status, TransportError},
};

const CALL: Label = Label::call(1, 1);
const READ_WRITE: u64 = 3;
/// Pages that a child touches.
const PAGES: u64 = 6;

/// Writes to some pages, then reads them.
fn walk(_: Start) -> Verdict {
    let place = |page| NOWHERE + page * PAGE_SIZE;
    for page in 0..PAGES {
        raw::store(place(page), page + 40);
    }
    for page in 0..PAGES {
        check_eq!(raw::load(place(page)), page + 40);
    }
    Ok(())
}

/// Maps a page of the task's own at that address, beginning with `value`.
fn bring(task: &TaskClient, address: u64, value: u64) -> Verdict {
    let memory = task.create_memory(1)?;
    memory.write_from(0, &value.to_le_bytes())?;
    Ok(task.map_at(&memory, address, 0, 1, READ_WRITE)?)
}

/// Waits for a fault, has `help` see to it, and lets the thread go on. Reports
/// the place and the instruction.
fn page(
    faults: &EndpointClient,
    kind: FaultKind,
    help: impl FnOnce(u64) -> Verdict,
) -> Result<(u64, u64), Failure> {
    let out = raw::receive(faults.as_ref().handle(), patience().ticks());
    check_eq!(raw::status(&out), Some(Status::Message));
    check_eq!(out.words[2], kind as u64);
    let (address, pc) = (out.words[3], out.words[5]);
    help(address)?;
    raw::reply(&[]);
    Ok((address, pc))
}

pub(super) fn a_pager_brings_what_is_touched(world: &mut World) -> Verdict {
    let child = Plan::new(walk).start(&world.image)?;
    for number in 0..PAGES {
        let (address, _) = page(&child.faults, FaultKind::Write, |address| {
            bring(&child.task, address, 0)
        })?;
        check_eq!(address, NOWHERE + number * PAGE_SIZE);
    }
    // No page is asked for twice.
    child.finish()
}

pub(super) fn a_pager_that_brings_nothing_is_asked_again(world: &mut World) -> Verdict {
    let child = Plan::new(walk).start(&world.image)?;
    let first = page(&child.faults, FaultKind::Write, |_| Ok(()))?;
    check_eq!(first.0, NOWHERE);
    // Each time by an answer of its own: the kernel does not try by itself.
    for _ in 0..20 {
        check_eq!(page(&child.faults, FaultKind::Write, |_| Ok(()))?, first);
        check!(child.task.info()?.threads == 1);
    }
    // What does not help enough is no help: it is mapped to be read.
    let memory = child.task.create_memory(1)?;
    let again = page(&child.faults, FaultKind::Write, |address| {
        Ok(child.task.map_at(&memory, address, 0, 1, 1)?)
    })?;
    check_eq!(again, first);
    let report = child.fault(false)?;
    check_eq!((report.address, report.pc), first);
    check_eq!(child.task.info()?.threads, 0);
    Ok(())
}

/// A child whose faults go to `pager`.
fn paged(world: &World, plan: Plan<'_>, pager: &EndpointClient) -> Result<Child, Failure> {
    let child = plan.make(&world.image)?;
    child.task.set_fault_handler(pager)?;
    child.thread.resume()?;
    Ok(child)
}

/// Receives a fault and ends with it.
fn die_with_it(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::receive(endpoint.as_ref().handle(), FOREVER);
    raw::illegal();
    Ok(())
}

pub(super) fn a_pager_that_dies_ends_who_waits_for_it(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let pager = Plan::new(die_with_it)
        .give(&[given("endpoint", &endpoint)])
        .start(&world.image)?;
    let child = paged(world, Plan::new(walk), &endpoint)?;
    check_eq!(pager.fault(false)?.kind, FaultKind::Illegal);
    wait::until(|| Ok(child.task.info()?.threads == 0))
}

/// Receives a call, and cannot go on serving it.
fn touch_while_serving(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::receive(endpoint.as_ref().handle(), FOREVER);
    raw::store(NOWHERE, 1);
    raw::reply(&[]);
    Ok(())
}

pub(super) fn a_pager_that_never_answers_holds_up_no_other(world: &mut World) -> Verdict {
    let (endpoint, pager) = (
        libipc::task().create_endpoint()?,
        libipc::task().create_endpoint()?,
    );
    let capabilities = [given("endpoint", &endpoint)];
    let plan = Plan::new(touch_while_serving).give(&capabilities);
    let child = paged(world, plan, &pager)?;
    let handle = endpoint.as_ref().handle();
    let over = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&over);
    let client = libipc::thread::spawn(move || {
        let out = wait::once_received(|deadline| raw::call_until(handle, CALL, &[], deadline));
        tell.store(true, Relaxed);
        out
    })?;
    // It is told, and does nothing about it.
    let out = raw::receive(pager.as_ref().handle(), patience().ticks());
    check_eq!(raw::status(&out), Some(Status::Message));
    check_eq!(out.words[3], NOWHERE);
    wait::for_state(Some(&child.thread), ThreadState::Faulted)?;
    let timed_out = TransportError::delivered(Cause::TimedOut);
    wait::until(|| Ok(over.load(Relaxed)))?;
    // Its task can be ended, and all comes back.
    child.kill()?;
    raw::reply(&[]);
    let out = client.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(raw::error(&out), Some(timed_out));
    let before = libipc::task().info()?.used;
    drop(child);
    wait::until(|| Ok(libipc::task().info()?.used + QUOTA <= before))
}

/// Pages another task with what it finds in memory that it does not have itself.
fn page_by_own_pages(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    let task: TaskClient = start.take("task")?;
    for number in 0..PAGES {
        page(&endpoint, FaultKind::Write, |address| {
            check_eq!(address, NOWHERE + number * PAGE_SIZE);
            bring(&task, address, raw::load(address))
        })?;
    }
    let end = serve_fault(&endpoint, patience(), false)?;
    check_eq!((end.kind, end.address), (FaultKind::Exit, 0));
    Ok(())
}

pub(super) fn a_pager_is_paged_itself(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let child = Plan::new(walk).make(&world.image)?;
    child.task.set_fault_handler(&endpoint)?;
    let pager = Plan::new(page_by_own_pages)
        .give(&[given("endpoint", &endpoint), given("task", &*child.task)])
        .start(&world.image)?;
    child.thread.resume()?;
    for number in 0..PAGES {
        let (address, _) = page(&pager.faults, FaultKind::Read, |address| {
            bring(&pager.task, address, number)
        })?;
        check_eq!(address, NOWHERE + number * PAGE_SIZE);
    }
    pager.finish()?;
    wait::until(|| Ok(child.task.info()?.threads == 0))
}

/// Lends memory that only its pager could bring.
fn lend_what_is_absent(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::lend(0, NOWHERE, 8, READ_WRITE);
    let out = raw::call(endpoint.as_ref().handle(), CALL.with_leases(1), &[]);
    check_eq!(raw::status(&out), Some(Status::Message));
    check_eq!(raw::load(NOWHERE), 78);
    Ok(())
}

pub(super) fn what_a_pager_would_bring_is_absent_for_a_lease(world: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let child = Plan::new(lend_what_is_absent)
        .give(&[given("endpoint", &endpoint)])
        .start(&world.image)?;
    let out = raw::receive(endpoint.as_ref().handle(), patience().ticks());
    check_eq!(raw::status(&out), Some(Status::Message));
    let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
    let mut value = 0_u64;
    let into = (&raw mut value) as u64;
    let fault: Result<(), CallError<ObjectError>> = Err(CallError::Transport(
        TransportError::refused(Cause::LeaseFault),
    ));
    check_eq!(request.read_to([0, 0], into, 8), fault);
    check_eq!(request.write(0, 0, into, 8), fault);
    // Nobody was asked, and nobody waits.
    check_eq!(child.faults.info()?.queued, 0);
    bring(&child.task, NOWHERE, 77)?;
    check_eq!(request.read_to([0, 0], into, 8), Ok(()));
    check_eq!(core::hint::black_box(value), 77);
    let changed = 78_u64.to_le_bytes();
    check_eq!(request.write(0, 0, changed.as_ptr() as u64, 8), Ok(()));
    raw::reply(&[]);
    child.finish()
}
