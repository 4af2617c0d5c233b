//! The gate by which a core gets through the kernel without its lock.

use super::sync::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence, spin_loop,
};

bitflags::bitflags! {
    /// What other cores want of one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Mail: u64 {
        /// It was interrupted and has not entered the kernel since.
        const KICKED = 1 << 0;
        /// The address space that it has chosen is being taken apart.
        const EVICTED = 1 << 1;
        /// Another core has the kernel's lock.
        const BARRED = 1 << 2;
    }
}

/// A core's gate. It is open as long as there is no mail for the core.
///
/// The core says that it is on its way and then looks for mail; who has the lock
/// writes mail and then looks whether the core is on its way. A fence lies between
/// the two on either side, so that one of them sees the other.
#[derive(Debug)]
#[repr(C)]
pub struct Gate {
    /// Written by who has the kernel's lock.
    mail: AtomicU64,
    /// The core is on its way. Only the core itself writes this.
    passing: AtomicBool,
}

impl Gate {
    /// Where the word is that a port clears to leave.
    #[cfg(not(loom))]
    pub const PASSING: usize = core::mem::offset_of!(Gate, passing);

    /// Open.
    #[cfg(not(loom))]
    pub const fn new() -> Gate {
        Gate {
            passing: AtomicBool::new(false),
            mail: AtomicU64::new(0),
        }
    }

    /// The same: loom's are not made at compile time.
    #[cfg(loom)]
    pub fn new() -> Gate {
        Gate {
            passing: AtomicBool::new(false),
            mail: AtomicU64::new(0),
        }
    }

    /// The core sets out, and says whether the gate is open: if not, it has to leave at
    /// once. What others did inside the kernel before is seen.
    #[inline(always)]
    pub fn enter(&self) -> bool {
        self.passing.store(true, Relaxed);
        fence(SeqCst);
        self.is_open()
    }

    /// The core is through.
    #[inline(always)]
    pub fn leave(&self) {
        self.passing.store(false, Release);
    }

    /// Whether the core could go through now.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.mail.load(Acquire) == 0
    }

    /// Whether there is something to read.
    pub fn has_mail(&self) -> bool {
        self.mail.load(Relaxed) != 0
    }

    /// Leaves mail for the core, and returns what was there.
    pub fn post(&self, mail: Mail) -> Mail {
        let old = self.mail.load(Relaxed);
        self.mail.store(old | mail.bits(), Relaxed);
        Mail::from_bits_retain(old)
    }

    /// The core has the kernel's lock, and takes all its mail.
    pub fn take_mail(&self) -> Mail {
        Mail::from_bits_retain(self.mail.swap(0, Relaxed))
    }

    /// The lock is being given up.
    pub fn unbar(&self) {
        let mail = self.mail.load(Relaxed) & !Mail::BARRED.bits();
        self.mail.store(mail, Release);
    }

    /// Closes gates, and waits for those that are on their way through them.
    pub fn bar<'g>(gates: impl Iterator<Item = &'g Gate> + Clone) {
        for gate in gates.clone() {
            gate.post(Mail::BARRED);
        }
        fence(SeqCst);
        for gate in gates {
            while gate.passing.load(Acquire) {
                spin_loop();
            }
        }
    }
}
