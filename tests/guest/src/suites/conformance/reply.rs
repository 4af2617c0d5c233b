//! Operations of the duty to answer.

use super::row::{OK, Row};
use crate::{
    check::{Failure, Verdict},
    raw,
    run::World,
    wait,
};
use libipc::{
    Capability, FOREVER,
    client::Borrowed,
    handle::Handle,
    label::Label,
    objects::{EndpointClient, ObjectError, ReplyClient, ThreadState},
    registers::CallOut,
    status::Cause,
    thread::{self, JoinHandle},
};

/// A request that this thread serves, of a caller that lends a page that is
/// there and one that is not.
struct Served {
    caller: JoinHandle<CallOut>,
    _endpoint: EndpointClient,
}

/// Bytes of each lease.
const LENGTH: u64 = 64;
/// Nothing is mapped there.
const NOWHERE: u64 = 1 << 37;

impl Served {
    fn new() -> Result<Served, Failure> {
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let caller = thread::spawn(move || {
            let mut lent = [0_u64; LENGTH as usize / 8];
            raw::lend(0, lent.as_mut_ptr() as u64, LENGTH, 3);
            raw::lend(1, NOWHERE, LENGTH, 3);
            raw::call(handle, Label::call(1, 1).with_leases(2), &[])
        })?;
        raw::receive(handle, FOREVER);
        Ok(Served {
            caller,
            _endpoint: endpoint,
        })
    }

    /// The reply as a capability, to a caller that stops waiting.
    fn abandoned(self) -> Result<Capability, Failure> {
        let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()?;
        let thread = self.caller.thread();
        thread.ok_or_else(|| Failure::new("no caller"))?.cancel()?;
        wait::for_state(thread, ThreadState::Dead)?;
        Ok(kept.into())
    }
}

fn expect(row: &Row, expected: impl Into<super::row::Outcome>, words: &[u64]) -> Verdict {
    let (outcome, _) = row.call(Handle::REQUEST, words)?;
    check_eq!(outcome, expected.into());
    Ok(())
}

pub(super) fn keep(_: &mut World, row: &Row) -> Verdict {
    expect(row, Cause::Cancelled, &[])?;
    let _served = Served::new()?;
    row.handle(Handle::REQUEST)?;
    row.open(0);
    expect(row, ObjectError::QuotaExceeded, &[])?;
    row.open(1);
    let kept = Borrowed::<ReplyClient>::new(Handle::REQUEST).keep()?;
    row.expect(ObjectError::WrongState, &kept, &[])?;
    let _served = Served::new()?;
    expect(row, OK, &[])
}

pub(super) fn read(_: &mut World, row: &Row) -> Verdict {
    copies(row)
}

pub(super) fn write(_: &mut World, row: &Row) -> Verdict {
    copies(row)
}

fn copies(row: &Row) -> Verdict {
    let mut own = [0_u8; 16];
    let here = own.as_mut_ptr() as u64;
    expect(row, Cause::Cancelled, &[0, 0, here, 16])?;
    let served = Served::new()?;
    row.handle(Handle::REQUEST)?;
    expect(row, OK, &[0, LENGTH - 16, here, 16])?;
    expect(row, ObjectError::OutOfRange, &[0, LENGTH - 15, here, 16])?;
    expect(row, ObjectError::OutOfRange, &[2, 0, here, 16])?;
    expect(row, ObjectError::BadAddress, &[0, 0, NOWHERE, 16])?;
    expect(row, ObjectError::LeaseFault, &[1, 0, here, 16])?;
    let kept = served.abandoned()?;
    row.expect(ObjectError::WrongState, &kept, &[0, 0, here, 16])?;
    core::hint::black_box(&own);
    Ok(())
}

pub(super) fn cancelled(_: &mut World, row: &Row) -> Verdict {
    expect(row, Cause::Cancelled, &[])?;
    let served = Served::new()?;
    row.handle(Handle::REQUEST)?;
    expect(row, OK, &[])?;
    let kept = served.abandoned()?;
    row.expect(OK, &kept, &[])
}

pub(super) fn deadline(_: &mut World, row: &Row) -> Verdict {
    expect(row, Cause::Cancelled, &[])?;
    let served = Served::new()?;
    row.handle(Handle::REQUEST)?;
    expect(row, OK, &[])?;
    let kept = served.abandoned()?;
    row.expect(ObjectError::WrongState, &kept, &[])
}
