//! An answer owed: what a deferred operation gets instead of returning.

use crate::{
    arch,
    capability::Capability,
    client::Borrowed,
    handle::Handle,
    label::{Flags, Label},
    lease::{Lease, LeaseFault, LeaseMut},
    message::Writer,
    objects::ReplyClient,
    operation, server,
    status::Status,
    time::Instant,
    wire::{ErrorCode, Wire},
};
use core::{fmt, marker::PhantomData};

/// The duty to answer one request with a `T` or an `E`, from any place and at
/// any time. Dropping it answers `Dropped`.
pub struct Reply<T, E> {
    kept: Capability,
    result: PhantomData<fn(T, E)>,
}

/// Which lease of a kept request: reach it through the [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseId {
    index: usize,
    length: usize,
    writable: bool,
}

impl LeaseId {
    pub(crate) fn new(index: usize, length: usize, writable: bool) -> LeaseId {
        LeaseId {
            index,
            length,
            writable,
        }
    }

    /// The lease's length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether its length is zero.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<T, E> Reply<T, E> {
    pub(crate) fn new(kept: Capability) -> Reply<T, E> {
        Reply {
            kept,
            result: PhantomData,
        }
    }

    /// The capability, which answering takes away.
    pub(crate) fn into_handle(self) -> Handle {
        self.kept.into_handle()
    }

    /// Whether the caller has stopped waiting.
    pub fn cancelled(&self) -> bool {
        let kept = Borrowed::<ReplyClient>::new(self.kept.handle());
        kept.cancelled().unwrap_or(true)
    }

    /// When the caller stops waiting; [`Instant::FOREVER`] if it never does, now if it has.
    pub fn deadline(&self) -> Instant {
        let kept = Borrowed::<ReplyClient>::new(self.kept.handle());
        let ticks = kept.deadline();
        ticks.map_or_else(|_| Instant::now(), Instant::from_ticks)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.kept.handle()
    }

    /// A lease of the request, to read.
    pub fn lease(&self, id: LeaseId) -> Lease<'_> {
        Lease::far(self.kept.handle(), id.index, id.length)
    }

    /// A lease of the request, to write. `LeaseFault` for one that was only
    /// lent to read.
    pub fn lease_mut(&self, id: LeaseId) -> Result<LeaseMut<'_>, LeaseFault> {
        if !id.writable {
            return Err(LeaseFault);
        }
        let request = self.kept.handle();
        Ok(LeaseMut::far(request, id.index, id.length))
    }
}

impl<T: Wire, E: ErrorCode> Reply<T, E> {
    /// Answers, and says whether the caller was still there to get it.
    pub fn answer(self, result: Result<T, E>) -> bool {
        let mut writer = Writer::new(Handle::NULL, Label(0));
        let result = operation::outcome(result, &mut writer);
        server::complete(&mut writer, result);
        self.send(writer)
    }
}

impl<T, E> Reply<T, E> {
    /// Sends what is in the writer as the answer.
    pub(crate) fn send(self, mut writer: Writer) -> bool {
        let kept = self.kept;
        writer.input.label = writer.input.label.with_flags(Flags::REPLY);
        writer.input.request = kept.handle();
        if arch::trap(&writer.input).status == Status::Message.to_word() {
            // The kernel took the capability with the answer.
            kept.into_handle();
            true
        } else {
            writer.shape.discard();
            false
        }
    }
}

impl<T, E> fmt::Debug for Reply<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.kept.handle())
    }
}
