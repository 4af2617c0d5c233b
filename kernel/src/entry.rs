//! Being inside the kernel: one core at a time.
//!
//! A core takes the kernel's lock when it enters and gives it up when it leaves
//! for user mode or sleeps. The lock is fair: cores enter in the order in which
//! they came. Long operations stop when another core waits ([`Entered::wanted`]),
//! so that none waits long.
//!
//! What a core keeps while it is outside is its current thread, which nobody
//! else ends or moves ([`crate::schedule::ready::stop`]), and the address space
//! that it has chosen, which nobody takes apart before it has left it
//! ([`Core::leave_space`]). So whoever is inside may free what was retired.

use crate::{
    Kernel,
    arch::{Arch, Port},
    bug,
    kernel::CORES,
    schedule::core::Core,
};
use core::{
    marker::PhantomData,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// A fair lock: who takes a ticket first is served first.
pub struct Lock {
    next: AtomicU32,
    serving: AtomicU32,
}

impl Lock {
    /// Nobody's.
    pub const fn new() -> Lock {
        Lock {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
        }
    }

    fn take(&self) {
        let ticket = self.next.fetch_add(1, Relaxed);
        while self.serving.load(Acquire) != ticket {
            core::hint::spin_loop();
            bug::stop_if_ending();
        }
    }

    fn give(&self) {
        let ticket = self.serving.load(Relaxed);
        self.serving.store(ticket.wrapping_add(1), Release);
    }

    /// Whether somebody waits for it; asked by who has it.
    fn wanted(&self) -> bool {
        let tickets = self.next.load(Relaxed);
        tickets.wrapping_sub(self.serving.load(Relaxed)) > 1
    }
}

/// The calling core is inside the kernel, until this is dropped.
pub struct Inside<'k> {
    kernel: &'k Kernel,
    core: &'k Core,
}

impl<'k> Inside<'k> {
    /// Enters, once no other core is inside.
    pub fn enter(kernel: &'k Kernel) -> Self {
        kernel.lock.take();
        let core = &kernel.cores[Port::core() % CORES];
        let inside = Inside { kernel, core };
        core.attend(inside.entered());
        inside
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
    fn drop(&mut self) {
        self.kernel.lock.give();
    }
}

/// Proof that this core is inside the kernel: what is read from a link with it
/// stays valid until the core leaves.
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
    /// waits, or another core to enter the kernel.
    pub fn wanted(self) -> bool {
        Port::interrupt_waits() || self.kernel.lock.wanted()
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
