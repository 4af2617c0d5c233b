//! Leases: memory of the caller that a server may copy from or to until it
//! answers.

use crate::{
    Entered,
    memory::copy::{self, Place, Stop},
    object::thread::Thread,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    USER_END,
    buffer::{Access, word},
    status::Cause,
};

/// Notes the leases of a call that is beginning. They are read once, so that
/// nobody can change them later.
pub fn lend(k: Entered<'_>, caller: &Thread, count: usize) -> Result<(), Cause> {
    caller.lease_count.set(0);
    if count == 0 {
        return Ok(());
    }
    let buffer = caller.buffer(k);
    for (index, lease) in caller.leases[..count].iter().enumerate() {
        let field = |field: usize| buffer[word::LEASE + 3 * index + field].load(Relaxed);
        let (address, length, access) = (field(0), field(1), field(2));
        let end = address.checked_add(length).filter(|end| *end <= USER_END);
        if end.is_none() {
            return Err(Cause::LeaseFault);
        }
        if access == 0 || Access::from_bits(access).is_none() {
            return Err(Cause::Malformed);
        }
        lease.address.set(address);
        lease.length.set(length);
        lease.access.set(access);
    }
    caller.lease_count.set(count);
    Ok(())
}

/// Tells the receiver what it was lent: lengths and access, no addresses.
pub fn describe(k: Entered<'_>, sender: &Thread, receiver: &Thread) {
    let buffer = receiver.buffer(k);
    for (index, lease) in sender.leases[..sender.lease_count.get()].iter().enumerate() {
        let field = |field: usize| &buffer[word::LEASE + 3 * index + field];
        field(0).store(0, Relaxed);
        field(1).store(lease.length.get(), Relaxed);
        field(2).store(lease.access.get(), Relaxed);
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
pub fn copy(
    k: Entered<'_>,
    server: &Thread,
    client: &Thread,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let count = client.lease_count.get();
    let lease = client.leases[..count]
        .get(wanted.lease as usize)
        .ok_or(Failure::NoLease)?;
    let needed = match wanted.way {
        Way::Read => Access::READ,
        Way::Write => Access::WRITE,
    };
    let end = wanted
        .offset
        .checked_add(wanted.length)
        .ok_or(Failure::NoLease)?;
    if !Access::from_bits_truncate(lease.access.get()).contains(needed) || end > lease.length.get()
    {
        return Err(Failure::NoLease);
    }
    let lender = client.task.get(k).ok_or(Failure::Lender)?;
    let borrower = server.task.get(k).ok_or(Failure::Server)?;
    let lent = Place::Task(lender, lease.address.get() + wanted.offset);
    let own = Place::Task(borrower, wanted.address);
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
