//! The lock of the kernel.

use super::sync::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence, spin_loop,
};
use crate::{
    arch::{Arch, Port},
    bug,
    kernel::CORES,
};

/// Looks at the lock before a core that waits for it sleeps.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 256 };

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
    #[cfg(not(loom))]
    pub const fn new() -> Lock {
        Lock {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            sleepers: [const { AtomicU32::new(0) }; CORES],
        }
    }

    /// The same: loom's are not made at compile time.
    #[cfg(loom)]
    pub fn new() -> Lock {
        Lock {
            next: AtomicU32::new(0),
            serving: AtomicU32::new(0),
            sleepers: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Waits until the lock is the caller's.
    #[inline(always)]
    pub fn take(&self) {
        let ticket = self.next.fetch_add(1, Relaxed);
        if self.serving.load(Acquire) != ticket {
            self.wait(ticket);
        }
    }

    #[cold]
    fn wait(&self, ticket: u32) {
        for _ in 0..LOOKS {
            spin_loop();
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

    /// Gives it to who comes next; asked by who has it.
    #[inline(always)]
    pub fn give(&self) {
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
    #[cfg(all(test, not(loom)))]
    pub(crate) fn crowd(&self, cores: u32) {
        self.next.fetch_add(cores, Relaxed);
    }

    /// Whether somebody waits for it; asked by who has it.
    pub fn wanted(&self) -> bool {
        let tickets = self.next.load(Relaxed);
        tickets.wrapping_sub(self.serving.load(Relaxed)) > 1
    }
}
