//! An interrupt line of a device.

use crate::{
    Entered,
    arch::{Arch, Port},
    cell::Word,
    memory::slab::{self, Object},
    object::binding::Binding,
};

/// An interrupt line of a device.
#[derive(Default)]
pub struct Interrupt {
    /// Unique number.
    pub id: Word<u64>,
    /// The line, in the numbering of the interrupt controller.
    pub line: Word<u32>,
    /// Whom it signals.
    pub binding: Binding,
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
        self.binding.end(k);
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
