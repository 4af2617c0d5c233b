//! Operations of reservations.

use super::{
    endpoint::closed,
    row::{OK, Row},
    task::{idle, stopped},
};
use crate::{
    check::{Failure, Verdict},
    run::World,
};
use core::time::Duration;
use libipc::{
    handle::Rights,
    objects::{ObjectError, ReservationClient},
    time,
};

/// A tenth of the time.
pub(super) fn numbers() -> [u64; 2] {
    [1, 10].map(|milliseconds| time::to_ticks(Duration::from_millis(milliseconds)))
}

fn reservation(world: &World) -> Result<ReservationClient, Failure> {
    let [budget, period] = numbers();
    Ok(world.time()?.create_reservation(budget, period)?)
}

pub(super) fn bind(world: &mut World, row: &Row) -> Verdict {
    let (reservation, task) = (reservation(world)?, idle(32)?);
    let (thread, dead) = (stopped(&task)?, stopped(&task)?);
    dead.exit(0)?;
    row.pass(&thread);
    row.object(&reservation, Rights::CONTROL)?;
    row.expect(OK, &reservation, &[])?;
    row.pass(&dead);
    row.expect(ObjectError::Died, &reservation, &[])?;
    let weak = thread.as_ref().derive(Rights::INSPECT)?;
    row.pass(&weak);
    row.expect(ObjectError::Denied, &reservation, &[])
}

pub(super) fn unbind(world: &mut World, row: &Row) -> Verdict {
    let reservation = reservation(world)?;
    row.object(&reservation, Rights::CONTROL)?;
    row.expect(OK, &reservation, &[])
}

pub(super) fn change(world: &mut World, row: &Row) -> Verdict {
    let reservation = reservation(world)?;
    row.object(&reservation, Rights::CONTROL)?;
    let [budget, period] = numbers();
    row.expect(OK, &reservation, &[2 * budget, period])?;
    row.expect(
        ObjectError::BadArgument,
        &reservation,
        &[period + 1, period],
    )
}

pub(super) fn watch(world: &mut World, row: &Row) -> Verdict {
    let (reservation, endpoint) = (reservation(world)?, libipc::task().create_endpoint()?);
    row.pass(&endpoint);
    row.object(&reservation, Rights::CONTROL)?;
    row.expect(OK, &reservation, &[1])?;
    let closed = closed()?;
    row.pass(&closed);
    row.expect(ObjectError::Died, &reservation, &[1])?;
    let mute = endpoint.as_ref().derive(Rights::CALL)?;
    row.pass(&mute);
    row.expect(ObjectError::Denied, &reservation, &[1])
}

pub(super) fn info(world: &mut World, row: &Row) -> Verdict {
    let reservation = reservation(world)?;
    row.object(&reservation, Rights::INSPECT)?;
    row.expect(OK, &reservation, &[])
}
