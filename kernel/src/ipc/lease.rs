//! Leases: memory of the caller that a server may copy from or to until it
//! answers.
//!
//! A server can lend part of a lease on. That lease has no memory of its own: it
//! names the request that it is part of, and each copy follows these names to the
//! thread that lent memory, so it ends when any of the requests does.

use super::reply::waits_for;
use crate::{
    Entered,
    capability::object::Target,
    memory::copy::{self, Place, Stop},
    object::{task::Task, thread::Thread},
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    USER_END,
    buffer::{Access, LeaseDescriptor, Outer, RELENDS, word},
    handle::{Handle, ObjectType, Rights},
    status::Cause,
};

/// Notes the leases of a call that is beginning. They are read once, so that
/// nobody can change them later.
#[inline(always)]
pub fn lend(k: Entered<'_>, caller: &Thread, count: usize) -> Result<(), Cause> {
    match count {
        0 => Ok(()),
        _ => lend_some(k, caller, count),
    }
}

#[inline(never)]
fn lend_some(k: Entered<'_>, caller: &Thread, count: usize) -> Result<(), Cause> {
    let buffer = caller.buffer(k);
    for (index, lease) in caller.leases[..count].iter().enumerate() {
        let field = |field: usize| buffer[word::LEASE + 3 * index + field].load(Relaxed);
        let wanted = LeaseDescriptor {
            address: field(0),
            length: field(1),
            access: field(2),
        };
        check(k, caller, &wanted)?;
        lease.set(&wanted);
    }
    Ok(())
}

/// Whether `caller` may lend this.
#[inline(always)]
fn check(k: Entered<'_>, caller: &Thread, wanted: &LeaseDescriptor) -> Result<(), Cause> {
    let access = wanted.access().ok_or(Cause::Malformed)?;
    if let Some(part) = wanted.outer() {
        return check_part(k, caller, wanted, access, part);
    }
    let end = wanted.address.checked_add(wanted.length);
    match end.is_some_and(|end| end <= USER_END) {
        true => Ok(()),
        false => Err(Cause::LeaseFault),
    }
}

/// Whether `caller` may lend this part of a lease on.
#[inline(never)]
fn check_part(
    k: Entered<'_>,
    caller: &Thread,
    wanted: &LeaseDescriptor,
    access: Access,
    part: Outer,
) -> Result<(), Cause> {
    let lender = lender(k, caller, part.request)?;
    let whole = lender.lease(part.lease).ok_or(Cause::LeaseFault)?;
    let end = part.offset.checked_add(wanted.length);
    if end.is_none_or(|end| end > whole.length) {
        return Err(Cause::LeaseFault);
    }
    if !whole.access().is_some_and(|whole| whole.contains(access)) {
        return Err(Cause::Denied);
    }
    match origin(k, lender, whole) {
        Some(origin) if origin.depth < RELENDS => Ok(()),
        Some(_) => Err(Cause::QuotaExceeded),
        None => Err(Cause::LeaseFault),
    }
}

/// Whose request it is that `thread` has to answer: the one being served, or a
/// kept one.
fn lender<'k>(k: Entered<'k>, thread: &Thread, request: Handle) -> Result<&'k Thread, Cause> {
    if request == Handle::REQUEST {
        return thread.client.get(k).ok_or(Cause::Cancelled);
    }
    let task = thread.task.get(k).ok_or(Cause::Died)?;
    let held = task
        .table
        .get(k, request, ObjectType::Reply, Rights::ANSWER);
    match held {
        Ok(Target::Reply(client, number)) if waits_for(client, number) => Ok(client),
        Ok(Target::Reply(..)) => Err(Cause::Cancelled),
        _ => Err(Cause::Denied),
    }
}

/// The memory behind a lease.
struct Origin<'k> {
    task: &'k Task,
    address: u64,
    /// How often it was lent on.
    depth: usize,
}

/// The memory behind a lease of `lender`'s call; `None` if a request has ended
/// that lent part of it.
#[inline(always)]
fn origin<'k>(k: Entered<'k>, lender: &'k Thread, lease: LeaseDescriptor) -> Option<Origin<'k>> {
    match lease.outer() {
        None => Some(Origin {
            task: lender.task.get(k)?,
            address: lease.address,
            depth: 0,
        }),
        Some(_) => origin_of_part(k, lender, lease),
    }
}

#[inline(never)]
fn origin_of_part<'k>(
    k: Entered<'k>,
    lender: &'k Thread,
    lease: LeaseDescriptor,
) -> Option<Origin<'k>> {
    let (mut lender, mut lease, mut offset) = (lender, lease, 0);
    for depth in 0..=RELENDS {
        let Some(part) = lease.outer() else {
            return Some(Origin {
                task: lender.task.get(k)?,
                address: lease.address + offset,
                depth,
            });
        };
        offset += part.offset;
        lender = self::lender(k, lender, part.request).ok()?;
        lease = lender.lease(part.lease)?;
    }
    None
}

/// Tells the receiver what it was lent: lengths and access, no addresses.
pub fn describe(k: Entered<'_>, sender: &Thread, receiver: &Thread, count: usize) {
    let buffer = receiver.buffer(k);
    for (index, lease) in sender.leases[..count].iter().enumerate() {
        let field = |field: usize| &buffer[word::LEASE + 3 * index + field];
        let lease = lease.get();
        let access = lease.access().unwrap_or(Access::empty());
        field(0).store(0, Relaxed);
        field(1).store(lease.length, Relaxed);
        field(2).store(access.bits(), Relaxed);
    }
}

/// Which way a server copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the lender to the server.
    Read,
    /// From the server to the lender.
    Write,
}

/// A copy that a server asks for.
pub struct Wanted {
    /// Which lease of the request.
    pub lease: u64,
    /// Where in it.
    pub offset: u64,
    /// Where in the server's own memory.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
    /// Which way.
    pub way: Way,
}

/// Why a copy did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such lease, or it does not allow that.
    NoLease,
    /// The server's own memory is not there.
    Server,
    /// The lender's memory is not there.
    Lender,
    /// An interrupt waits; so many bytes are done.
    Interrupt(u64),
}

/// Copies between a lease of `client`'s call and the memory of `server`.
pub fn copy<'k>(
    k: Entered<'k>,
    server: &Thread,
    client: &'k Thread,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let (lent, own) = ends(k, server, client, wanted)?;
    let (lent, own) = (Place::Task(lent.0, lent.1), Place::Task(own.0, own.1));
    let (from, to, source, destination) = match wanted.way {
        Way::Read => (lent, own, Failure::Lender, Failure::Server),
        Way::Write => (own, lent, Failure::Server, Failure::Lender),
    };
    copy::copy(k, from, to, wanted.length).map_err(|stop| match stop {
        Stop::Source => source,
        Stop::Destination => destination,
        Stop::Interrupt(done) => Failure::Interrupt(done),
    })
}

/// The same of no more than a page, if all of it is there. `false`, and nothing done, if
/// not.
#[inline(always)]
pub fn copy_present<'k>(
    k: Entered<'k>,
    server: &Thread,
    client: &'k Thread,
    wanted: &Wanted,
) -> bool {
    let Ok((lent, own)) = ends(k, server, client, wanted) else {
        return false;
    };
    let (from, to) = match wanted.way {
        Way::Read => (lent, own),
        Way::Write => (own, lent),
    };
    copy::copy_present(k, from, to, wanted.length)
}

/// An address of a task.
type End<'k> = (&'k Task, u64);

/// What was lent and the server's own memory, between which it may copy.
#[inline(always)]
fn ends<'k>(
    k: Entered<'k>,
    server: &Thread,
    client: &'k Thread,
    wanted: &Wanted,
) -> Result<(End<'k>, End<'k>), Failure> {
    let lease = usize::try_from(wanted.lease)
        .ok()
        .and_then(|index| client.lease(index))
        .ok_or(Failure::NoLease)?;
    let needed = match wanted.way {
        Way::Read => Access::READ,
        Way::Write => Access::WRITE,
    };
    let end = wanted
        .offset
        .checked_add(wanted.length)
        .ok_or(Failure::NoLease)?;
    // It was checked when it was lent.
    if lease.access & needed.bits() == 0 || end > lease.length {
        return Err(Failure::NoLease);
    }
    let lent = origin(k, client, lease).ok_or(Failure::Lender)?;
    let borrower = server.task.get(k).ok_or(Failure::Server)?;
    Ok((
        (lent.task, lent.address + wanted.offset),
        (borrower, wanted.address),
    ))
}
