//! What the supervisor keeps of a device that reads and writes memory by itself.

use super::{Found, virtio};
use libipc::{
    CallError,
    handle::Rights,
    memory::Mapping,
    objects::{DmaClient, MemoryClient, ObjectError, SystemClient},
};

/// A device that a task has, and the memory that it may reach: that goes back when the
/// task has ended and the device was reset, whatever the task did.
#[derive(Debug)]
pub struct Held {
    registers: Mapping,
    offset: usize,
    dma: DmaClient,
}

impl Held {
    /// Keeps hold of the device with these registers, which may reach no memory yet.
    pub(crate) fn new(
        system: &SystemClient,
        registers: &MemoryClient,
        found: &Found<'_>,
    ) -> Result<Held, CallError<ObjectError>> {
        Ok(Held {
            registers: Mapping::new(registers, Rights::READ | Rights::WRITE)?,
            offset: found.offset() as usize,
            dma: system.create_dma()?,
        })
    }

    /// What the device may reach.
    pub(crate) fn dma(&self) -> &DmaClient {
        &self.dma
    }

    /// The task has ended. `false` if the device cannot be reset: then it keeps what
    /// it may be writing to.
    pub(crate) fn release(self) -> bool {
        let reset = virtio::reset(&self.registers, self.offset);
        reset.is_some() && self.dma.release_all().is_ok()
    }
}
