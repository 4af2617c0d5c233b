//! A request being served: its arguments, where its leases are, and how it can
//! be answered later.
#![allow(unsafe_code, reason = "near leases are made of the caller's addresses")]

use crate::{
    client::Borrowed,
    handle::Handle,
    label::Label,
    lease::{Lease, LeaseMut},
    message::{Attached, Reader},
    message_buffer::LeaseDescriptor,
    near::NearCall,
    objects::ReplyClient,
    registers::WORDS,
    server::{LeaseId, Reply},
    status::Cause,
    wire::{Malformed, Source},
};

/// The arguments of a request, and its leases, which last for `'r`.
///
/// The dispatch that the interface macro makes uses it.
pub trait Request<'r>: Source {
    /// Takes a lease that allows reading.
    fn take_lease(&mut self) -> Result<Lease<'r>, Malformed>;
    /// Takes a lease that allows writing.
    fn take_lease_mut(&mut self) -> Result<LeaseMut<'r>, Malformed>;
    /// Takes a lease of a request that will be answered later.
    fn lease_id(&mut self, writable: bool) -> Result<LeaseId, Malformed>;
    /// Turns the request into one that is answered later.
    fn defer<T, E>(&mut self) -> Result<Reply<T, E>, Cause>;
}

/// Turns the request that the kernel delivered last into one that is answered
/// later.
pub(crate) fn keep<T, E>() -> Result<Reply<T, E>, Cause> {
    let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
    let kept = request.keep().map_err(|_| Cause::QuotaExceeded)?;
    Ok(Reply::new(kept.into()))
}

/// A request with anything attached.
pub struct Incoming<'r> {
    reader: Reader<'r>,
    near: bool,
}

impl<'r> Incoming<'r> {
    /// A request that the kernel delivered.
    #[inline]
    pub(crate) fn far(
        label: Label,
        words: &'r [u64; WORDS],
        attached: &'r mut Attached,
    ) -> Incoming<'r> {
        Incoming {
            reader: Reader::new(label, words, attached),
            near: false,
        }
    }

    /// A request that came through a gate.
    #[inline]
    pub(crate) fn near(call: &NearCall<'r>, attached: &'r mut Attached) -> Incoming<'r> {
        Incoming {
            reader: Reader::new(call.label(), call.words(), attached),
            near: true,
        }
    }

    fn descriptor(
        &mut self,
        allowed: impl Fn(LeaseDescriptor) -> bool,
    ) -> Result<(usize, usize, LeaseDescriptor), Malformed> {
        let (index, descriptor) = self.reader.lease()?;
        if !allowed(descriptor) {
            return Err(Malformed);
        }
        let length = usize::try_from(descriptor.length).map_err(|_| Malformed)?;
        Ok((index, length, descriptor))
    }
}

impl<'r> Request<'r> for Incoming<'r> {
    fn take_lease(&mut self) -> Result<Lease<'r>, Malformed> {
        let (index, length, descriptor) = self.descriptor(Lease::allowed)?;
        Ok(if self.near {
            // SAFETY: a descriptor of memory is of a slice that the client's
            // method borrows until its call, which lasts for `'r`, has ended.
            unsafe { Lease::near(&descriptor, length) }
        } else {
            Lease::far(Handle::REQUEST, index, length)
        })
    }

    fn take_lease_mut(&mut self) -> Result<LeaseMut<'r>, Malformed> {
        let (index, length, descriptor) = self.descriptor(LeaseMut::allowed)?;
        Ok(if self.near {
            // SAFETY: as above; this slice is borrowed mutably.
            unsafe { LeaseMut::near(&descriptor, length) }
        } else {
            LeaseMut::far(Handle::REQUEST, index, length)
        })
    }

    fn lease_id(&mut self, writable: bool) -> Result<LeaseId, Malformed> {
        let allowed = if writable {
            LeaseMut::allowed
        } else {
            Lease::allowed
        };
        let (index, length, _) = self.descriptor(allowed)?;
        Ok(LeaseId::new(index, length, writable))
    }

    fn defer<T, E>(&mut self) -> Result<Reply<T, E>, Cause> {
        if self.near {
            // Deferred operations go through the kernel, even in the same task.
            return Err(Cause::Malformed);
        }
        keep()
    }
}

impl Source for Incoming<'_> {
    #[inline(always)]
    fn word(&mut self) -> Result<u64, Malformed> {
        self.reader.word()
    }
    #[inline(always)]
    fn words(&mut self, into: &mut [u64]) -> Result<(), Malformed> {
        self.reader.words(into)
    }
    fn capability(&mut self) -> Result<Handle, Malformed> {
        self.reader.capability()
    }
    fn lease(&mut self) -> Result<(usize, LeaseDescriptor), Malformed> {
        self.reader.lease()
    }
}
