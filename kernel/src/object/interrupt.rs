//! An interrupt line of a device.

use crate::{
    Entered,
    arch::{Arch, Port},
    cell::{Link, Word},
    memory::slab::{self, Object},
    object::endpoint::Endpoint,
};

/// An interrupt line of a device.
#[derive(Default)]
pub struct Interrupt {
    /// Unique number.
    pub id: Word<u64>,
    /// The line, in the numbering of the interrupt controller.
    pub line: Word<u32>,
    /// Endpoint to signal; counted in [`Endpoint::uses`].
    pub endpoint: Link<Endpoint>,
    /// Bits to set there.
    pub signals: Word<u64>,
    /// Capabilities that lead here.
    pub uses: Word<u64>,
}

impl Object for Interrupt {
    const CLASS: usize = 2;
}

impl Interrupt {
    /// Masks the line and forgets the endpoint.
    pub fn unbind(&self, k: Entered<'_>) {
        Port::mask(self.line.get());
        if let Some(endpoint) = self.endpoint.take(k) {
            endpoint.release(k);
        }
    }

    /// One capability less; the last one ends the object.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            self.unbind(k);
            k.kernel.forget_line(k, self);
            slab::retire(k, self);
        }
    }
}
