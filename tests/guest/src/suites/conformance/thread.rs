//! Operations of threads.

use super::{
    row::{OK, Row},
    task::{idle, stopped},
};
use crate::{
    check::{Failure, Verdict},
    run::World,
};
use libipc::{
    handle::{Handle, Rights},
    objects::{ObjectError, TaskClient, ThreadClient},
};

/// A thread that never ran, one that has ended, and their task.
fn threads() -> Result<(TaskClient, ThreadClient, ThreadClient), Failure> {
    let task = idle(32)?;
    let (thread, dead) = (stopped(&task)?, stopped(&task)?);
    dead.exit(0)?;
    Ok((task, thread, dead))
}

/// Whoever controls a thread may do this to it as long as it lives.
fn controls(row: &Row, words: &[u64]) -> Verdict {
    let (_task, thread, dead) = threads()?;
    row.object(&thread, Rights::CONTROL)?;
    row.expect(OK, &thread, words)?;
    row.expect(ObjectError::Died, &dead, words)
}

pub(super) fn resume(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[])
}

pub(super) fn suspend(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[])
}

pub(super) fn cancel(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[])
}

pub(super) fn exit(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[7])
}

pub(super) fn set_passive(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[1])?;
    let (_task, thread, _dead) = threads()?;
    // Neither yes nor no.
    row.expect(ObjectError::Malformed, &thread, &[2])
}

pub(super) fn set_priority(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[1])?;
    let (_task, thread, _dead) = threads()?;
    row.expect(ObjectError::BadArgument, &thread, &[256])?;
    row.expect(ObjectError::Denied, &thread, &[255])
}

pub(super) fn set_core(_: &mut World, row: &Row) -> Verdict {
    controls(row, &[0])?;
    let (_task, thread, _dead) = threads()?;
    row.expect(ObjectError::OutOfRange, &thread, &[8])
}

pub(super) fn info(_: &mut World, row: &Row) -> Verdict {
    let (_task, thread, dead) = threads()?;
    row.object(&thread, Rights::INSPECT)?;
    row.expect(OK, &thread, &[])?;
    row.expect(OK, &dead, &[])
}

pub(super) fn yield_now(_: &mut World, row: &Row) -> Verdict {
    let (_task, thread, _dead) = threads()?;
    row.object(&thread, Rights::empty())?;
    row.expect(ObjectError::WrongState, &thread, &[])?;
    let (outcome, _) = row.call(Handle::THREAD, &[])?;
    check_eq!(outcome, OK);
    Ok(())
}

pub(super) fn panic(_: &mut World, row: &Row) -> Verdict {
    let (_task, thread, _dead) = threads()?;
    row.object(&thread, Rights::empty())?;
    row.expect(ObjectError::WrongState, &thread, &[])
}
