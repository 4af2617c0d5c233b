//! Operations of tasks.

use super::row::{OK, Row};
use crate::{
    check::Verdict,
    child::{Child, Plan, given},
    echo::{self, EchoClient},
    raw::PlaceAt,
    run::World,
};
use libipc::{
    handle::Rights,
    objects::{CALLERS_PRIORITY, MemoryClient, ObjectError, TaskClient, ThreadClient},
    thread::current,
};

/// Where a case maps.
const PLACE: u64 = 1 << 32;
/// Reading and writing, as access.
const READ_WRITE: u64 = 3;
/// No quota of these tasks is so large.
const TOO_MANY: u64 = 1000;
/// Above every priority.
const NO_PRIORITY: u64 = 256;
/// More than eight bits of rights.
const NO_RIGHTS: u64 = 256;

/// A task that does nothing.
pub(super) fn idle(frames: u64) -> Result<TaskClient, crate::check::Failure> {
    Ok(libipc::task().create_task(frames)?)
}

/// A task that was killed.
fn dead() -> Result<TaskClient, crate::check::Failure> {
    let task = idle(16)?;
    task.kill()?;
    Ok(task)
}

/// A child that serves, and a client whose capability has the mark `FAR_ONLY`.
pub(super) fn serving(world: &World) -> Result<(Child, EchoClient), crate::check::Failure> {
    let endpoint = libipc::task().create_endpoint()?;
    let child = Plan::new(echo::serve)
        .give(&[given("endpoint", &endpoint)])
        .start(&world.image)?;
    let marked = endpoint.as_ref().derive(Rights::CALL | Rights::FAR_ONLY)?;
    Ok((child, marked.into()))
}

/// A thread of it that never ran.
pub(super) fn stopped(task: &TaskClient) -> Result<ThreadClient, crate::check::Failure> {
    Ok(task.thread_at(0x1000, 0x2000, 0, 0, 1)?)
}

fn memory() -> Result<MemoryClient, crate::check::Failure> {
    Ok(libipc::task().create_memory(4)?)
}

pub(super) fn create_task(_: &mut World, row: &Row) -> Verdict {
    let task = idle(64)?;
    row.object(&task, Rights::CREATE)?;
    row.expect(OK, &task, &[8])?;
    row.expect(ObjectError::OutOfRange, &task, &[0])?;
    row.expect(ObjectError::QuotaExceeded, &task, &[TOO_MANY])?;
    row.expect(ObjectError::Died, &dead()?, &[8])
}

pub(super) fn create_thread(_: &mut World, row: &Row) -> Verdict {
    let task = idle(64)?;
    let words = |entry, stack, priority| [entry, stack, 0, 0, priority];
    row.object(&task, Rights::CREATE)?;
    row.expect(OK, &task, &words(0x1000, 0x2000, 1))?;
    row.expect(ObjectError::BadAddress, &task, &words(u64::MAX, 0x2000, 1))?;
    row.expect(ObjectError::BadAddress, &task, &words(0x1000, u64::MAX, 1))?;
    row.expect(ObjectError::BadArgument, &task, &words(0, 0, NO_PRIORITY))?;
    // It would outrank its maker.
    row.expect(ObjectError::Denied, &task, &words(0, 0, 255))?;
    row.until(ObjectError::QuotaExceeded, &task, |_| [0; 4])?;
    row.expect(ObjectError::Died, &dead()?, &words(0x1000, 0x2000, 1))
}

pub(super) fn start_thread(_: &mut World, row: &Row) -> Verdict {
    let (task, endpoint) = (idle(64)?, libipc::task().create_endpoint()?);
    let words = |entry, stack, priority| [entry, stack, 0, priority, 1];
    row.pass(&endpoint);
    row.object(&task, Rights::CREATE)?;
    // Nothing is there: each ends at once.
    row.expect(OK, &task, &words(0x1000, 0x2000, 1))?;
    row.expect(OK, &task, &words(0x1000, 0x2000, CALLERS_PRIORITY))?;
    row.expect(ObjectError::BadAddress, &task, &words(u64::MAX, 0x2000, 1))?;
    row.expect(ObjectError::BadAddress, &task, &words(0x1000, u64::MAX, 1))?;
    row.expect(ObjectError::BadArgument, &task, &words(0, 0, NO_PRIORITY))?;
    // It would outrank its maker.
    row.expect(ObjectError::Denied, &task, &words(0, 0, 255))?;
    row.expect(ObjectError::Died, &dead()?, &words(0x1000, 0x2000, 1))?;
    row.until(ObjectError::QuotaExceeded, &idle(4)?, |_| [0; 4])?;
    endpoint.close()?;
    row.expect(ObjectError::Died, &task, &words(0x1000, 0x2000, 1))?;
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &task, &words(0x1000, 0x2000, 1))
}

pub(super) fn started_thread(_: &mut World, row: &Row) -> Verdict {
    let (task, endpoint) = (idle(16)?, libipc::task().create_endpoint()?);
    let cursor = task.start_at(0x1000, 0x2000, 0, 1, &endpoint)?;
    row.object(&task, Rights::CREATE)?;
    row.expect(OK, &task, &[cursor])?;
    row.expect(ObjectError::NotFound, &task, &[1])?;
    // One whose maker got a capability is only his.
    let _thread = stopped(&task)?;
    let first = task.thread(0)?;
    row.expect(ObjectError::NotFound, &task, &[first.next])?;
    row.expect(ObjectError::Died, &dead()?, &[cursor])?;
    row.open(0);
    row.expect(ObjectError::QuotaExceeded, &task, &[cursor])
}

pub(super) fn create_program(_: &mut World, row: &Row) -> Verdict {
    let (task, endpoint) = (idle(200)?, libipc::task().create_endpoint()?);
    let words = |frames, pages, rights| [frames, pages, rights, 7];
    row.pass(&endpoint);
    row.object(&task, Rights::CREATE)?;
    row.expect(OK, &task, &words(16, 4, 255))?;
    row.expect(ObjectError::OutOfRange, &task, &words(0, 4, 255))?;
    row.expect(ObjectError::OutOfRange, &task, &words(16, 0, 255))?;
    row.expect(ObjectError::BadArgument, &task, &words(16, 4, NO_RIGHTS))?;
    row.expect(ObjectError::QuotaExceeded, &task, &words(TOO_MANY, 4, 255))?;
    // The memory and what is in its table are its own to pay.
    row.expect(ObjectError::QuotaExceeded, &task, &words(16, 16, 255))?;
    row.expect(ObjectError::QuotaExceeded, &task, &words(1, 1, 255))?;
    row.expect(ObjectError::Died, &dead()?, &words(16, 4, 255))?;
    row.open(1);
    row.expect(ObjectError::QuotaExceeded, &task, &words(16, 4, 255))?;
    row.open(4);
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &task, &words(16, 4, 255))?;
    row.pass(&endpoint);
    endpoint.close()?;
    row.expect(ObjectError::Died, &task, &words(16, 4, 255))
}

pub(super) fn create_endpoint(_: &mut World, row: &Row) -> Verdict {
    let task = idle(16)?;
    row.object(&task, Rights::CREATE)?;
    row.until(ObjectError::QuotaExceeded, &task, |_| [0; 4])?;
    row.expect(ObjectError::Died, &dead()?, &[])
}

pub(super) fn create_memory(_: &mut World, row: &Row) -> Verdict {
    let task = idle(64)?;
    row.object(&task, Rights::CREATE)?;
    row.expect(OK, &task, &[4])?;
    row.expect(ObjectError::OutOfRange, &task, &[0])?;
    row.expect(ObjectError::QuotaExceeded, &task, &[TOO_MANY])?;
    row.expect(ObjectError::Died, &dead()?, &[4])
}

pub(super) fn map(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(16)?, memory()?);
    row.pass(&memory);
    row.object(&task, Rights::MAP)?;
    row.expect(OK, &task, &[PLACE, 0, 2, READ_WRITE])?;
    let refused = [
        (ObjectError::Overlap, [PLACE + 4096, 0, 1, READ_WRITE]),
        (ObjectError::BadAddress, [1, 0, 1, READ_WRITE]),
        (ObjectError::OutOfRange, [2 * PLACE, 3, 2, READ_WRITE]),
        (ObjectError::BadArgument, [2 * PLACE, 0, 1, 8]),
        (ObjectError::WriteExecute, [2 * PLACE, 0, 1, 6]),
        // No access at all.
        (ObjectError::Denied, [2 * PLACE, 0, 1, 0]),
    ];
    for (error, words) in refused {
        row.expect(error, &task, &words)?;
    }
    // Each time in a table of its own.
    let apart = |round| [(8 + round) << 30, 0, 1, READ_WRITE];
    row.until(ObjectError::QuotaExceeded, &task, apart)?;
    row.expect(ObjectError::Died, &dead()?, &[PLACE, 0, 2, READ_WRITE])
}

/// A task with two pages mapped at [`PLACE`].
fn mapped() -> Result<(TaskClient, MemoryClient), crate::check::Failure> {
    let (task, memory) = (idle(16)?, memory()?);
    task.map_at(&memory, PLACE, 0, 2, READ_WRITE)?;
    Ok((task, memory))
}

pub(super) fn unmap(_: &mut World, row: &Row) -> Verdict {
    let (task, _memory) = mapped()?;
    row.object(&task, Rights::MAP)?;
    row.expect(ObjectError::BadAddress, &task, &[PLACE + 1, 2])?;
    row.expect(ObjectError::Overlap, &task, &[PLACE, 1])?;
    row.expect(ObjectError::NotMapped, &task, &[2 * PLACE, 1])?;
    row.expect(OK, &task, &[PLACE, 2])?;
    row.expect(ObjectError::Died, &dead()?, &[PLACE, 2])
}

pub(super) fn protect(_: &mut World, row: &Row) -> Verdict {
    let (task, _memory) = mapped()?;
    row.object(&task, Rights::MAP)?;
    row.expect(ObjectError::BadAddress, &task, &[PLACE + 1, 2, 1])?;
    row.expect(ObjectError::NotMapped, &task, &[PLACE, 1, 1])?;
    row.expect(ObjectError::BadArgument, &task, &[PLACE, 2, 8])?;
    row.expect(ObjectError::WriteExecute, &task, &[PLACE, 2, 6])?;
    row.expect(OK, &task, &[PLACE, 2, 1])?;
    row.expect(ObjectError::Died, &dead()?, &[PLACE, 2, 1])
}

pub(super) fn install(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(8)?, memory()?);
    row.pass(&memory);
    row.object(&task, Rights::INSTALL)?;
    row.expect(ObjectError::BadArgument, &task, &[NO_RIGHTS])?;
    row.until(ObjectError::QuotaExceeded, &task, |_| [255, 0, 0, 0])?;
    row.expect(ObjectError::Died, &dead()?, &[255])?;
    // Without the right to pass it on.
    let kept = memory.as_ref().derive(Rights::READ)?;
    row.pass(&kept);
    row.expect(ObjectError::Denied, &task, &[255])
}

pub(super) fn derive(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(8)?, memory()?);
    let handle = task.install(memory.as_ref(), 255)?;
    row.object(&task, Rights::INSTALL)?;
    row.expect(ObjectError::BadArgument, &task, &[handle, NO_RIGHTS])?;
    row.expect(ObjectError::Denied, &task, &[handle + 1, 255])?;
    row.until(ObjectError::QuotaExceeded, &task, |_| [handle, 255, 0, 0])?;
    row.expect(ObjectError::Died, &dead()?, &[handle, 255])
}

pub(super) fn delete(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(8)?, memory()?);
    let handle = task.install(memory.as_ref(), 255)?;
    row.object(&task, Rights::INSTALL)?;
    row.expect(OK, &task, &[handle])?;
    row.expect(ObjectError::Denied, &task, &[handle])?;
    row.expect(ObjectError::Died, &dead()?, &[handle])
}

pub(super) fn set_fault_handler(_: &mut World, row: &Row) -> Verdict {
    let (task, endpoint) = (idle(8)?, libipc::task().create_endpoint()?);
    row.pass(&endpoint);
    row.object(&task, Rights::CONTROL)?;
    row.expect(OK, &task, &[])?;
    row.expect(ObjectError::Died, &dead()?, &[])?;
    let mute = endpoint.as_ref().derive(Rights::SIGNAL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &task, &[])
}

pub(super) fn kill(_: &mut World, row: &Row) -> Verdict {
    let task = idle(8)?;
    row.object(&task, Rights::CONTROL)?;
    row.expect(OK, &task, &[])?;
    // Whoever is dead already is so afterwards.
    row.expect(OK, &task, &[])
}

pub(super) fn info(_: &mut World, row: &Row) -> Verdict {
    let task = idle(8)?;
    row.object(&task, Rights::INSPECT)?;
    row.expect(OK, &task, &[])
}

/// Something is told of the task's only thread, and of no other.
fn of_a_thread(row: &Row) -> Verdict {
    let task = idle(16)?;
    let _thread = stopped(&task)?;
    row.object(&task, Rights::INSPECT)?;
    row.expect(OK, &task, &[0])?;
    row.expect(ObjectError::NotFound, &task, &[1])
}

pub(super) fn thread(_: &mut World, row: &Row) -> Verdict {
    of_a_thread(row)
}

pub(super) fn history(_: &mut World, row: &Row) -> Verdict {
    of_a_thread(row)
}

pub(super) fn registers(_: &mut World, row: &Row) -> Verdict {
    of_a_thread(row)?;
    // Nobody stands still for himself.
    let (task, this) = (libipc::task(), current().info()?.id);
    let (mut cursor, mut info) = (0, task.thread(0)?);
    while info.id != this {
        cursor = info.next;
        info = task.thread(cursor)?;
    }
    row.expect(ObjectError::WrongState, &*task, &[cursor])
}

pub(super) fn capability(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(8)?, memory()?);
    task.install(memory.as_ref(), 255)?;
    row.object(&task, Rights::INSPECT)?;
    row.expect(OK, &task, &[0])?;
    row.expect(ObjectError::NotFound, &task, &[TOO_MANY])
}

pub(super) fn peek(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = mapped()?;
    memory.write_from(0, b"conformance")?;
    let mut into = [0_u8; 11];
    let here = into.as_mut_ptr() as u64;
    row.object(&task, Rights::INSPECT)?;
    row.expect(OK, &task, &[PLACE, here, 11])?;
    check_eq!(core::hint::black_box(&into), b"conformance");
    row.expect(ObjectError::LeaseFault, &task, &[2 * PLACE, here, 11])?;
    row.expect(ObjectError::LeaseFault, &task, &[PLACE, 0, 11])?;
    row.expect(ObjectError::Died, &dead()?, &[PLACE, here, 11])
}

pub(super) fn set_shared(world: &mut World, row: &Row) -> Verdict {
    let task = idle(8)?;
    row.object(&task, Rights::CONTROL)?;
    row.expect(OK, &task, &[])?;
    row.expect(ObjectError::Died, &dead()?, &[])?;
    let (child, marked) = serving(world)?;
    check_eq!(marked.add(1, 2)?, 3);
    row.expect(ObjectError::FarOnly, &*child.task, &[])
}

pub(super) fn revoke(_: &mut World, row: &Row) -> Verdict {
    let (task, memory) = (idle(8)?, memory()?);
    let handle = task.install(memory.as_ref(), 255)?;
    let derived = task.derive(handle, 255)?;
    row.object(&task, Rights::INSTALL)?;
    row.expect(OK, &task, &[handle])?;
    row.expect(ObjectError::Denied, &task, &[derived])?;
    row.expect(ObjectError::Died, &dead()?, &[handle])
}
