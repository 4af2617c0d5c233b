//! Leases: memory of the caller that a server may copy from or to while it
//! serves the call. A server never gets a pointer, at any distance: the kernel
//! copies for a far call, and a near one is a single `memcpy`.
//!
//! A server gives a lease on by passing it, or [`Lease::part`] of it, to a
//! client's method in place of a slice. Whoever serves that call copies from or to
//! the memory of the first lender, once, until the request that lent it ends.
#![allow(unsafe_code, reason = "a near copy goes through the lender's address")]

use crate::{
    client::Borrowed,
    handle::Handle,
    memory::Mapping,
    message_buffer::{Access, LeaseDescriptor, Outer},
    objects::ReplyClient,
};
use core::{fmt, marker::PhantomData, ops};

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

/// What a client's method can lend to be read: `&[u8]`, or anything else that is
/// bytes, or a lease that the caller was lent itself.
pub trait Lend: sealed::Lend {}

/// What a client's method can lend to be read and written: `&mut [u8]`, or
/// anything else that is bytes, or a lease that the caller was lent itself.
pub trait LendMut: sealed::LendMut {}

impl<T: sealed::Lend> Lend for T {}
impl<T: sealed::LendMut> LendMut for T {}

/// Only what stays borrowed while a client's method runs describes itself.
pub(crate) mod sealed {
    use super::{Access, Lease, LeaseDescriptor, LeaseMut};

    pub trait Lend {
        fn describe(self) -> LeaseDescriptor;
    }

    pub trait LendMut {
        fn describe(self) -> LeaseDescriptor;
    }

    impl<B: AsRef<[u8]> + ?Sized> Lend for &B {
        fn describe(self) -> LeaseDescriptor {
            let memory = self.as_ref();
            own(memory.as_ptr(), memory.len(), Access::READ)
        }
    }

    impl<B: AsRef<[u8]> + ?Sized> Lend for &mut B {
        fn describe(self) -> LeaseDescriptor {
            (&*self).describe()
        }
    }

    impl Lend for Lease<'_> {
        fn describe(self) -> LeaseDescriptor {
            self.0.describe(Access::READ)
        }
    }

    impl<B: AsMut<[u8]> + ?Sized> LendMut for &mut B {
        fn describe(self) -> LeaseDescriptor {
            let memory = self.as_mut();
            own(
                memory.as_mut_ptr(),
                memory.len(),
                Access::READ | Access::WRITE,
            )
        }
    }

    impl LendMut for LeaseMut<'_> {
        fn describe(self) -> LeaseDescriptor {
            self.0.describe(Access::READ | Access::WRITE)
        }
    }

    fn own(address: *const u8, length: usize, access: Access) -> LeaseDescriptor {
        LeaseDescriptor {
            address: address as u64,
            length: length as u64,
            access: access.bits(),
        }
    }
}

/// How a lease's memory is reached.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Through the kernel: part of a lease of a request.
    Far(Outer),
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

impl<'r> Range<'r> {
    /// What a server in its caller's task is lent by this descriptor: memory of
    /// the task, or part of a lease that the caller was lent itself.
    ///
    /// # Safety
    ///
    /// See `near` of the leases.
    unsafe fn near(descriptor: &LeaseDescriptor, length: usize) -> Range<'r> {
        let place = match descriptor.outer() {
            Some(part) => Place::Far(part),
            None => Place::Near {
                address: descriptor.address as usize,
            },
        };
        Range {
            place,
            length,
            call: PhantomData,
        }
    }

    /// The way in which it is lent on.
    fn describe(&self, access: Access) -> LeaseDescriptor {
        let length = self.length as u64;
        match self.place {
            Place::Far(part) => LeaseDescriptor::relend(part, length, access),
            Place::Near { address } => LeaseDescriptor {
                address: address as u64,
                length,
                access: access.bits(),
            },
        }
    }

    fn part(&self, range: ops::Range<usize>) -> Result<Range<'_>, LeaseFault> {
        let length = range.end.checked_sub(range.start).ok_or(LeaseFault)?;
        self.check(range.start, length)?;
        let place = match self.place {
            Place::Near { address } => Place::Near {
                address: address + range.start,
            },
            Place::Far(part) => Place::Far(Outer {
                offset: part.offset + range.start as u64,
                ..part
            }),
        };
        Ok(Range {
            place,
            length,
            call: PhantomData,
        })
    }

    fn check(&self, offset: usize, length: usize) -> Result<(), LeaseFault> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(LeaseFault),
        }
    }

    /// # Safety
    ///
    /// The server's own memory of `length` bytes at `into` is free to be written.
    unsafe fn read_at(
        &self,
        offset: usize,
        into: *mut u8,
        length: usize,
    ) -> Result<(), LeaseFault> {
        self.check(offset, length)?;
        match self.place {
            Place::Near { address } => {
                let from = (address + offset) as *const u8;
                // SAFETY: `near` made this range of a slice that the calling
                // method borrows until the handler has returned, and the range
                // was checked. The two may overlap only if the caller lent the
                // server's own memory, which `copy` allows.
                unsafe { core::ptr::copy(from, into, length) };
                Ok(())
            }
            Place::Far(part) => {
                let reply = Borrowed::<ReplyClient>::new(part.request);
                let (index, offset) = (part.lease as u64, part.offset + offset as u64);
                // SAFETY: that memory is free to be written.
                let read = unsafe { reply.read(index, offset, into as u64, length as u64) };
                read.map_err(|_| LeaseFault)
            }
        }
    }

    /// # Safety
    ///
    /// `from` is the server's own memory of `length` bytes.
    unsafe fn write_at(
        &self,
        offset: usize,
        from: *const u8,
        length: usize,
    ) -> Result<(), LeaseFault> {
        self.check(offset, length)?;
        match self.place {
            Place::Near { address } => {
                let into = (address + offset) as *mut u8;
                // SAFETY: as in `read_at`; the slice was borrowed mutably.
                unsafe { core::ptr::copy(from, into, length) };
                Ok(())
            }
            Place::Far(part) => {
                let reply = Borrowed::<ReplyClient>::new(part.request);
                let (index, offset) = (part.lease as u64, part.offset + offset as u64);
                reply
                    .write(index, offset, from as u64, length as u64)
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
                let place = Place::Far(Outer {
                    request,
                    lease: index,
                    offset: 0,
                });
                let call = PhantomData;
                $lease(Range {
                    place,
                    length,
                    call,
                })
            }

            /// What a client of this task lends.
            ///
            /// # Safety
            ///
            /// If it is memory of this task, it is a slice that stays borrowed
            /// (mutably for a `LeaseMut`) by somebody else for `'r`.
            pub(crate) unsafe fn near(descriptor: &LeaseDescriptor, length: usize) -> Self {
                // SAFETY: that is what is asked for here.
                $lease(unsafe { Range::near(descriptor, length) })
            }

            /// Part of it, for a call that is to get no more. It ends with the
            /// request that lent the whole.
            pub fn part(&self, range: ops::Range<usize>) -> Result<$lease<'_>, LeaseFault> {
                self.0.part(range).map($lease)
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
                // SAFETY: the slice is borrowed mutably.
                unsafe { self.0.read_at(offset, into.as_mut_ptr(), into.len()) }
            }

            /// Copies all of the lease to `place` of a mapping, in one copy.
            pub fn read_into(&self, mapping: &Mapping, place: usize) -> Result<(), LeaseFault> {
                let into = mapping.place(place, self.len(), 1).ok_or(LeaseFault)?;
                // SAFETY: it lies in memory that is mapped, and in no reference.
                unsafe { self.0.read_at(0, into, self.len()) }
            }
        }
    };
}

shared!(Lease, Access::READ);
shared!(LeaseMut, Access::WRITE);

impl LeaseMut<'_> {
    /// Copies all of `from` to `offset` of the lease.
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<(), LeaseFault> {
        // SAFETY: the slice is borrowed.
        unsafe { self.0.write_at(offset, from.as_ptr(), from.len()) }
    }

    /// Fills all of the lease from `place` of a mapping, in one copy.
    pub fn write_from(&self, mapping: &Mapping, place: usize) -> Result<(), LeaseFault> {
        let from = mapping.place(place, self.len(), 1).ok_or(LeaseFault)?;
        // SAFETY: it lies in memory that is mapped.
        unsafe { self.0.write_at(0, from, self.len()) }
    }
}
