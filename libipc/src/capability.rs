//! Capabilities as values: whoever owns one holds the slot in the task's table.

use crate::{
    CallError,
    client::Borrowed,
    handle::{Handle, ObjectType, Rights},
    objects::{ObjectError, TaskClient},
    start,
    wire::{Malformed, Sink, Source, Wire},
};
use core::mem;

/// A capability of any type, owned: dropping it deletes it from the task's
/// table. Every client is made of one and can be turned back into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Capability(Handle);

impl Capability {
    /// Takes the ownership of a handle of this task's table.
    ///
    /// A handle that somebody else owns too is deleted under his hands; his next
    /// call then fails with `Denied`.
    pub const fn from_handle(handle: Handle) -> Capability {
        Capability(handle)
    }

    /// The handle, which stays owned.
    pub const fn handle(&self) -> Handle {
        self.0
    }

    /// Gives the ownership up.
    pub fn into_handle(self) -> Handle {
        let handle = self.0;
        mem::forget(self);
        handle
    }

    /// What it leads to.
    pub const fn object_type(&self) -> Option<ObjectType> {
        self.0.object_type()
    }

    /// What it allows.
    pub const fn rights(&self) -> Rights {
        self.0.rights()
    }

    /// A second capability with the same rights.
    pub fn copy(&self) -> Result<Capability, CallError<ObjectError>> {
        self.derive(self.rights())
    }

    /// A second capability with no more than `rights`.
    pub fn derive(&self, rights: Rights) -> Result<Capability, CallError<ObjectError>> {
        let handle = task().derive(self.0.0, rights.bits().into())?;
        Ok(Capability(Handle(handle)))
    }
}

impl Drop for Capability {
    fn drop(&mut self) {
        delete(self.0);
    }
}

impl AsRef<Capability> for Capability {
    fn as_ref(&self) -> &Capability {
        self
    }
}

impl Wire for Capability {
    const WORDS: usize = 0;
    const CAPABILITIES: usize = 1;
    #[inline(always)]
    fn put(self, sink: &mut impl Sink) {
        sink.capability(self.into_handle(), false);
    }
    #[inline(always)]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        source.capability().map(Capability)
    }
}

/// Deletes a handle from the task's table, and says whether it was there. The pseudo
/// handles have no slot.
pub(crate) fn delete(handle: Handle) -> bool {
    // Only a handle that is gone already, or a task without the right to change its own
    // table, fails here: nothing is left to do in both.
    handle != Handle::NULL
        && handle != Handle::REQUEST
        && handle != Handle::THREAD
        && task().delete(handle.0).is_ok()
}

/// The task's capability for itself.
pub fn task() -> Borrowed<TaskClient> {
    Borrowed::new(start::task())
}
