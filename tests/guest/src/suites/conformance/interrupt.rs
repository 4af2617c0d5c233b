//! Operations of interrupt lines.

use super::{
    endpoint::closed,
    row::{OK, Row},
};
use crate::{
    check::{Failure, Verdict},
    run::World,
};
use libipc::{
    handle::Rights,
    objects::{InterruptClient, ObjectError},
};

/// A line that no device of the machine drives.
pub(super) const LINE: u64 = 40;

fn line(world: &World) -> Result<InterruptClient, Failure> {
    Ok(world.devices()?.interrupt(LINE)?)
}

pub(super) fn bind(world: &mut World, row: &Row) -> Verdict {
    let (line, endpoint) = (line(world)?, libipc::task().create_endpoint()?);
    row.pass(&endpoint);
    row.object(&line, Rights::BIND)?;
    row.expect(OK, &line, &[1])?;
    let closed = closed()?;
    row.pass(&closed);
    row.expect(ObjectError::Died, &line, &[1])?;
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &line, &[1])
}

pub(super) fn acknowledge(world: &mut World, row: &Row) -> Verdict {
    let (line, endpoint) = (line(world)?, libipc::task().create_endpoint()?);
    row.object(&line, Rights::BIND)?;
    row.expect(ObjectError::WrongState, &line, &[])?;
    line.bind(&endpoint, 1)?;
    row.expect(OK, &line, &[])
}

pub(super) fn unbind(world: &mut World, row: &Row) -> Verdict {
    let line = line(world)?;
    row.object(&line, Rights::BIND)?;
    row.expect(OK, &line, &[])
}
