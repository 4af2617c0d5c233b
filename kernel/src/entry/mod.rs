//! Being inside the kernel: one core alone, or any number that keep to what is
//! their own.
//!
//! A core takes the kernel's lock when it enters and gives it up when it leaves
//! for user mode or sleeps. The lock is fair: cores enter in the order in which
//! they came. Long operations stop when another core waits ([`Entered::wanted`]),
//! so that none waits long. Where there is one core, it needs none.
//!
//! While nobody has the lock, cores go through on the fast path ([`pass`]), beside
//! one another and without a word that two of them write. Who gets the lock bars the
//! others and waits for those that are on their way.
//!
//! What a core keeps while it is outside is its current thread, which nobody
//! else ends or moves ([`crate::schedule::ready::stop`]), and the address space
//! that it has chosen, which nobody takes apart before it has left it
//! ([`Core::leave_space`]). So whoever is inside may free what was retired.

mod gate;
mod lock;

pub use gate::{Gate, Mail};
pub use lock::Lock;

use crate::{
    Kernel,
    arch::{Arch, Port},
    kernel::CORES,
    memory::slab,
    schedule::core::Core,
};
use core::marker::PhantomData;

/// What the two protocols between cores are made of; `tests/models` has another,
/// which tries each order of events.
mod sync {
    pub(super) use core::{hint::spin_loop, sync::atomic::*};
}

/// The calling core is inside the kernel, until this is dropped.
pub struct Inside<'k> {
    kernel: &'k Kernel,
    core: &'k Core,
}

impl<'k> Inside<'k> {
    /// Enters, once no other core is inside.
    #[inline(always)]
    pub fn enter(kernel: &'k Kernel) -> Self {
        let core = &kernel.cores[Port::core() % CORES];
        let inside = Inside { kernel, core };
        if kernel.core_count.get() > 1 {
            inside.keep_others_out();
        }
        inside
    }

    /// From now on no other core is inside, or on its way.
    #[inline(never)]
    fn keep_others_out(&self) {
        self.kernel.lock.take();
        Gate::bar(self.others().map(|core| &core.gate));
        self.core.attend(self.entered());
    }

    #[inline(never)]
    fn let_others_in(&self) {
        self.others().for_each(|core| core.gate.unbar());
        self.kernel.lock.give();
    }

    fn others(&self) -> impl Iterator<Item = &'k Core> + Clone + use<'k> {
        let own = self.core.number;
        self.kernel
            .cores()
            .iter()
            .filter(move |core| core.number != own)
    }

    /// The proof of being inside, for as long as that lasts.
    pub fn entered(&self) -> Entered<'_> {
        Entered {
            kernel: self.kernel,
            core: self.core,
            inside: PhantomData,
        }
    }
}

impl Drop for Inside<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.kernel.core_count.get() > 1 {
            self.let_others_in();
        }
    }
}

/// Lets `core` through the kernel without its lock, unless another core has that
/// or wants something of this one. What `way` writes is the core's own: itself, its
/// threads, and endpoints where no other core's threads receive
/// ([`crate::object::endpoint::Endpoint::home`]).
///
/// The core is on its way, wherever it gets, until it leaves the gate: a port does that
/// once it has loaded the registers, which others may write then. A core that is `ALONE`
/// has no gate.
#[inline(always)]
pub fn pass<'k, const ALONE: bool, R>(
    kernel: &'k Kernel,
    core: &'k Core,
    way: impl FnOnce(Entered<'k>) -> Option<R>,
) -> Option<R> {
    if !ALONE && !core.gate.enter() {
        return None;
    }
    way(Entered {
        kernel,
        core,
        inside: PhantomData,
    })
}

/// Proof that this core is inside the kernel: what is read from a link with it
/// stays valid until the core leaves. Nobody else is inside, but on the fast path
/// ([`pass`]), which keeps to what is its core's.
#[derive(Clone, Copy)]
pub struct Entered<'k> {
    /// Everything.
    pub kernel: &'k Kernel,
    /// The calling core.
    pub core: &'k Core,
    inside: PhantomData<&'k Inside<'k>>,
}

impl<'k> Entered<'k> {
    /// Whether an operation that can be interrupted should stop: an interrupt
    /// waits, or another core to enter the kernel, or much to be freed, or somebody
    /// to run.
    pub fn wanted(self) -> bool {
        let waits = Port::interrupt_waits() || self.kernel.lock.wanted();
        waits || slab::is_crowded(self) || self.core.loses_patience()
    }

    /// For the report of a bug: the other cores are being stopped, and it does
    /// not matter any more who was inside.
    pub(crate) fn in_the_end(kernel: &'k Kernel) -> Self {
        Entered {
            kernel,
            core: &kernel.cores[Port::core() % CORES],
            inside: PhantomData,
        }
    }

    /// Tests are all cores of their machines, one after the other.
    #[cfg(test)]
    pub(crate) fn as_core(kernel: &'k Kernel, core: usize) -> Self {
        Entered {
            kernel,
            core: &kernel.cores[core],
            inside: PhantomData,
        }
    }
}
