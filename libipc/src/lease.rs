//! Leases: memory of the caller that a server may copy from or to while it
//! serves the call. A server never gets a pointer, at any distance: the kernel
//! copies for a far call, and a near one is a single `memcpy`.
#![allow(unsafe_code, reason = "a near copy goes through the lender's address")]

use crate::{
    client::Borrowed,
    handle::Handle,
    message_buffer::{Access, LeaseDescriptor},
    objects::ReplyClient,
};
use core::{fmt, marker::PhantomData};

/// The lender's memory could not be read or written, or the range is outside
/// the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseFault;

impl fmt::Display for LeaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory that the caller lent cannot be read or written")
    }
}

impl core::error::Error for LeaseFault {}

/// Describes memory that a server may read.
pub(crate) fn to_read(memory: &[u8]) -> LeaseDescriptor {
    LeaseDescriptor {
        address: memory.as_ptr() as u64,
        length: memory.len() as u64,
        access: Access::READ.bits(),
    }
}

/// Describes memory that a server may write.
pub(crate) fn to_write(memory: &mut [u8]) -> LeaseDescriptor {
    LeaseDescriptor {
        address: memory.as_mut_ptr() as u64,
        length: memory.len() as u64,
        access: (Access::READ | Access::WRITE).bits(),
    }
}

/// How a lease's memory is reached.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Through the kernel: the request that lends it, and which of its leases.
    Far { request: Handle, index: usize },
    /// In this very address space.
    Near { address: usize },
}

#[derive(Clone, Copy, Debug)]
struct Range<'r> {
    place: Place,
    length: usize,
    /// The call that lends it.
    call: PhantomData<&'r ()>,
}

impl Range<'_> {
    fn check(&self, offset: usize, length: usize) -> Result<(), LeaseFault> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(LeaseFault),
        }
    }

    fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<(), LeaseFault> {
        self.check(offset, into.len())?;
        match self.place {
            Place::Near { address } => {
                let from = (address + offset) as *const u8;
                // SAFETY: `near` made this range of a slice that the calling
                // method borrows until the handler has returned, and the range
                // was checked. The two may overlap only if the caller lent the
                // server's own memory, which `copy` allows.
                unsafe { core::ptr::copy(from, into.as_mut_ptr(), into.len()) };
                Ok(())
            }
            Place::Far { request, index } => {
                let reply = Borrowed::<ReplyClient>::new(request);
                let (address, length) = (into.as_mut_ptr() as u64, into.len() as u64);
                // SAFETY: the kernel writes into the slice only.
                let read = unsafe { reply.read(index as u64, offset as u64, address, length) };
                read.map_err(|_| LeaseFault)
            }
        }
    }

    fn write_at(&self, offset: usize, from: &[u8]) -> Result<(), LeaseFault> {
        self.check(offset, from.len())?;
        match self.place {
            Place::Near { address } => {
                let into = (address + offset) as *mut u8;
                // SAFETY: as in `read_at`; the slice was borrowed mutably.
                unsafe { core::ptr::copy(from.as_ptr(), into, from.len()) };
                Ok(())
            }
            Place::Far { request, index } => {
                let reply = Borrowed::<ReplyClient>::new(request);
                let address = from.as_ptr() as u64;
                reply
                    .write(index as u64, offset as u64, address, from.len() as u64)
                    .map_err(|_| LeaseFault)
            }
        }
    }
}

/// Memory of the caller that the server may read.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'r>(Range<'r>);

/// Memory of the caller that the server may read and write.
#[derive(Debug)]
pub struct LeaseMut<'r>(Range<'r>);

macro_rules! shared {
    ($lease:ident, $needed:expr) => {
        impl<'r> $lease<'r> {
            /// Whether the descriptor allows it.
            pub(crate) fn allowed(descriptor: LeaseDescriptor) -> bool {
                Access::from_bits_retain(descriptor.access).contains($needed)
            }

            /// The lease with this index of a request.
            pub(crate) fn far(request: Handle, index: usize, length: usize) -> Self {
                let place = Place::Far { request, index };
                let call = PhantomData;
                $lease(Range {
                    place,
                    length,
                    call,
                })
            }

            /// Memory of this task.
            ///
            /// # Safety
            ///
            /// `address` and `length` are those of a slice that stays borrowed
            /// (mutably for a `LeaseMut`) by somebody else for `'r`.
            pub(crate) unsafe fn near(address: usize, length: usize) -> Self {
                let place = Place::Near { address };
                let call = PhantomData;
                $lease(Range {
                    place,
                    length,
                    call,
                })
            }

            /// Its length in bytes.
            pub fn len(&self) -> usize {
                self.0.length
            }

            /// Whether its length is zero.
            pub fn is_empty(&self) -> bool {
                self.0.length == 0
            }

            /// Copies from `offset` of the lease into all of `into`.
            pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<(), LeaseFault> {
                self.0.read_at(offset, into)
            }
        }
    };
}

shared!(Lease, Access::READ);
shared!(LeaseMut, Access::WRITE);

impl LeaseMut<'_> {
    /// Copies all of `from` to `offset` of the lease.
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<(), LeaseFault> {
        self.0.write_at(offset, from)
    }
}
