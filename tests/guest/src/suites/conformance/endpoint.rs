//! Operations of endpoints themselves.

use super::{
    row::{OK, Row},
    task::idle,
};
use crate::{
    check::{Failure, Verdict},
    run::World,
};
use libipc::{
    handle::Rights,
    objects::{EndpointClient, ObjectError},
};

fn open() -> Result<EndpointClient, Failure> {
    Ok(libipc::task().create_endpoint()?)
}

pub(super) fn closed() -> Result<EndpointClient, Failure> {
    let endpoint = open()?;
    endpoint.close()?;
    Ok(endpoint)
}

pub(super) fn mint(_: &mut World, row: &Row) -> Verdict {
    let endpoint = open()?;
    row.object(&endpoint, Rights::RECEIVE)?;
    row.expect(OK, &endpoint, &[7, 255, 1])?;
    row.expect(ObjectError::BadArgument, &endpoint, &[7, 255, 0])?;
    row.expect(ObjectError::BadArgument, &endpoint, &[7, 256, 1])?;
    row.expect(ObjectError::Died, &closed()?, &[7, 255, 1])?;
    // Who made the endpoint pays for its sessions.
    let poor = idle(8)?;
    let endpoint = poor.create_endpoint()?;
    row.until(ObjectError::QuotaExceeded, &endpoint, |_| [7, 255, 1, 0])
}

/// Whoever controls an endpoint may do this until it is closed.
fn controls(row: &Row) -> Verdict {
    let endpoint = open()?;
    row.object(&endpoint, Rights::CONTROL)?;
    row.expect(OK, &endpoint, &[])?;
    row.expect(ObjectError::WrongState, &closed()?, &[])
}

pub(super) fn pause(_: &mut World, row: &Row) -> Verdict {
    controls(row)
}

pub(super) fn resume(_: &mut World, row: &Row) -> Verdict {
    controls(row)
}

/// Whoever controls an endpoint may do this at any time.
fn always(row: &Row) -> Verdict {
    let endpoint = open()?;
    row.object(&endpoint, Rights::CONTROL)?;
    row.expect(OK, &endpoint, &[])?;
    row.expect(OK, &closed()?, &[])
}

pub(super) fn close(_: &mut World, row: &Row) -> Verdict {
    always(row)
}

pub(super) fn expel(_: &mut World, row: &Row) -> Verdict {
    always(row)
}

pub(super) fn info(_: &mut World, row: &Row) -> Verdict {
    let endpoint = open()?;
    row.object(&endpoint, Rights::CONTROL | Rights::RECEIVE)?;
    // Either right will do.
    for right in [Rights::CONTROL, Rights::RECEIVE] {
        row.expect(OK, &endpoint.as_ref().derive(right)?, &[])?;
    }
    Ok(())
}

pub(super) fn session(_: &mut World, row: &Row) -> Verdict {
    let endpoint = open()?;
    row.object(&endpoint, Rights::RECEIVE)?;
    row.expect(ObjectError::NotFound, &endpoint, &[0])?;
    let _session = endpoint.mint(7, 255, 1)?;
    row.expect(OK, &endpoint, &[0])
}
