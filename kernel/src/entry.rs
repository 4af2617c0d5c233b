//! Being inside the kernel: one core alone, or any number that keep to what is
//! their own.
//!
//! A core takes the kernel's lock when it enters and gives it up when it leaves
//! for user mode or sleeps. The lock is fair: cores enter in the order in which
//! they came. Long operations stop when another core waits ([`Entered::wanted`]),
//! so that none waits long.
//!
//! While nobody has the lock, cores go through on the fast path ([`pass`]), beside
//! one another and without a word that two of them write. Who gets the lock bars the
//! others and waits for those that are on their way.
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
    memory::slab,
    schedule::core::Core,
};
use core::{
    marker::PhantomData,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        fence,
    },
};

/// Looks at the lock before a core that waits for it sleeps.
const LOOKS: u32 = 256;

/// A fair lock: who takes a ticket first is served first. Who waits long sleeps,
/// and is interrupted when it is its turn.
///
/// Who gives the lock up and who is about to sleep each write one word and then
/// read the other's, with a fence in between: so one of them sees it. (QEMU does
/// not keep a sequentially consistent store and load of aarch64 in this order.)
pub struct Lock {
    next: AtomicU32,
    serving: AtomicU32,
    /// Number + 1 of the core that sleeps until a ticket's turn, by the ticket's
    /// last bits; no more tickets are out than there are cores.
    sleepers: [AtomicU32; CORES],
}

impl Lock {
    /// Nobody's.
    pub const fn new() -> Lock {
        Lock {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            sleepers: [const { AtomicU32::new(0) }; CORES],
        }
    }

    fn take(&self) {
        let ticket = self.next.fetch_add(1, Relaxed);
        if self.serving.load(Acquire) != ticket {
            self.wait(ticket);
        }
    }

    #[cold]
    fn wait(&self, ticket: u32) {
        for _ in 0..LOOKS {
            core::hint::spin_loop();
            if self.serving.load(Acquire) == ticket {
                return;
            }
        }
        let sleeper = &self.sleepers[ticket as usize % CORES];
        sleeper.store(Port::core() as u32 + 1, Relaxed);
        fence(SeqCst);
        while self.serving.load(Acquire) != ticket {
            Port::idle();
            // Whatever it was sent for, this core is about to enter. What was
            // written before it was sent is seen after.
            Port::clear_core_interrupt();
            fence(SeqCst);
            bug::stop_if_ending();
        }
        sleeper.store(0, Relaxed);
    }

    fn give(&self) {
        let ticket = self.serving.load(Relaxed).wrapping_add(1);
        self.serving.store(ticket, Release);
        fence(SeqCst);
        if self.next.load(Relaxed) != ticket {
            self.rouse(ticket);
        }
    }

    /// It is the turn of a ticket that is out. If its core has woken by itself,
    /// an interrupt too many does no harm.
    #[cold]
    fn rouse(&self, ticket: u32) {
        let sleeper = self.sleepers[ticket as usize % CORES].load(Relaxed);
        if sleeper != 0 {
            Port::interrupt_core(sleeper as usize - 1);
        }
    }

    /// As if so many cores came.
    #[cfg(test)]
    pub(crate) fn crowd(&self, cores: u32) {
        self.next.fetch_add(cores, Relaxed);
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
        if kernel.core_count.get() > 1 {
            inside.bar_others();
        }
        core.attend(inside.entered());
        inside
    }

    /// From now on no other core is on its way either.
    fn bar_others(&self) {
        for other in self.others() {
            other.bar();
        }
        // Ordered with the fence in `pass`: either the core there sees that it is
        // barred, or this one sees that it is on its way.
        fence(SeqCst);
        for other in self.others() {
            while other.passing.load(Acquire) {
                core::hint::spin_loop();
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = &'k Core> {
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
    fn drop(&mut self) {
        if self.kernel.core_count.get() > 1 {
            self.others().for_each(Core::unbar);
        }
        self.kernel.lock.give();
    }
}

/// Lets `core` through the kernel without its lock, unless another core has that
/// or wants something of this one. What `way` writes is the core's own: itself, its
/// threads, and endpoints where no other core's threads receive
/// ([`crate::object::endpoint::Endpoint::home`]).
///
/// If it gets anywhere, the core is on its way until [`Core::passing`] is cleared:
/// a port does that once it has loaded the registers, which others may write then.
#[inline(always)]
pub fn pass<'k, R>(
    kernel: &'k Kernel,
    core: &'k Core,
    way: impl FnOnce(Entered<'k>) -> Option<R>,
) -> Option<R> {
    core.passing.store(true, Relaxed);
    fence(SeqCst);
    let result = if core.is_free() {
        way(Entered {
            kernel,
            core,
            inside: PhantomData,
        })
    } else {
        None
    };
    if result.is_none() {
        core.passing.store(false, Release);
    }
    result
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
