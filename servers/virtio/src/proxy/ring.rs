//! How a split virtqueue lies in memory (Virtio 1.2, 2.7), for whoever writes its
//! descriptors and for whoever reads them.

use alloc::rc::Rc;
use core::sync::atomic::{Ordering, fence};
use libipc::memory::{Cells, Mapping};

/// Where the three parts of a queue are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<A> {
    /// The table of descriptors.
    pub descriptors: A,
    /// The ring of what is available.
    pub available: A,
    /// The ring of what was used.
    pub used: A,
}

/// Bytes of the three parts of a queue of this size.
pub fn sizes(size: u16) -> Place<usize> {
    let size = usize::from(size);
    Place {
        descriptors: 16 * size,
        available: 6 + 2 * size,
        used: 6 + 8 * size,
    }
}

/// A descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Where its memory begins.
    pub address: u64,
    /// Bytes of it.
    pub length: u32,
    /// [`NEXT`], [`WRITE`] and others.
    pub flags: u16,
    /// The next one of its chain.
    pub next: u16,
}

/// The chain goes on.
pub const NEXT: u16 = 1;
/// The device writes there, rather than reads.
pub const WRITE: u16 = 2;

/// No interrupts are wanted when something was used: a flag of the available ring.
const NO_INTERRUPT: u16 = 1;

/// A queue in mapped memory. Nothing that is read is what was read before.
#[derive(Debug)]
pub struct Ring {
    /// Two for each descriptor: address; length, flags, next.
    descriptors: Cells<u64>,
    /// Flags, count, then heads.
    available: Cells<u16>,
    /// Flags, count.
    used_count: Cells<u16>,
    /// Two for each element: head, length.
    used: Cells<u32>,
    mask: u16,
}

/// Where flags and a count stand, and where what is counted begins.
const FLAGS: usize = 0;
const COUNT: usize = 1;
const FIRST: usize = 2;

/// A part of a queue: where it begins in a mapping.
pub type Part = (Rc<Mapping>, usize);

impl Ring {
    /// The queue of this size, a power of two, whose parts are there. `None` if one
    /// does not lie in its mapping, or not as aligned as it must be.
    pub fn new(size: u16, place: &Place<Part>) -> Option<Ring> {
        let count = usize::from(size);
        let (descriptors, available, used) = (&place.descriptors, &place.available, &place.used);
        Some(Ring {
            descriptors: Cells::new(&descriptors.0, descriptors.1, 2 * count)?,
            available: Cells::new(&available.0, available.1, FIRST + count)?,
            used_count: Cells::new(&used.0, used.1, FIRST)?,
            used: Cells::new(&used.0, used.1 + 4, 2 * count)?,
            mask: size.wrapping_sub(1),
        })
    }

    /// Descriptors that it has.
    #[inline]
    pub fn size(&self) -> u16 {
        self.mask.wrapping_add(1)
    }

    /// A descriptor, if there is one.
    #[inline]
    pub fn descriptor(&self, index: u16) -> Option<Descriptor> {
        let place = 2 * usize::from(index);
        let address = self.descriptors.get(place)?;
        let rest = self.descriptors.get(place + 1)?;
        Some(Descriptor {
            address,
            length: rest as u32,
            flags: (rest >> 32) as u16,
            next: (rest >> 48) as u16,
        })
    }

    /// Writes a descriptor, if there is one.
    #[inline]
    pub fn set_descriptor(&self, index: u16, new: Descriptor) -> Option<()> {
        let place = 2 * usize::from(index);
        let rest = u64::from(new.length) | u64::from(new.flags) << 32 | u64::from(new.next) << 48;
        self.descriptors.set(place, new.address)?;
        self.descriptors.set(place + 1, rest)
    }

    /// How many were made available so far, modulo 2^16. What they are is read after.
    #[inline]
    pub fn available(&self) -> Option<u16> {
        let count = self.available.get(COUNT);
        fence(Ordering::Acquire);
        count
    }

    /// Whether whoever makes chains available wants no interrupts.
    #[inline]
    pub fn is_silent(&self) -> Option<bool> {
        let flags = self.available.get(FLAGS)?;
        Some(flags & NO_INTERRUPT != 0)
    }

    /// Asks for interrupts, or for none. What is used after that is told so.
    pub fn set_silent(&self, silent: bool) -> Option<()> {
        let set = self.available.set(FLAGS, u16::from(silent) * NO_INTERRUPT);
        fence(Ordering::SeqCst);
        set
    }

    /// The head of the chain that was made available as this one.
    #[inline]
    pub fn available_at(&self, count: u16) -> Option<u16> {
        self.available.get(FIRST + usize::from(count & self.mask))
    }

    /// Puts a chain there. It counts from `set_available` on.
    #[inline]
    pub fn set_available_at(&self, count: u16, head: u16) -> Option<()> {
        let place = FIRST + usize::from(count & self.mask);
        self.available.set(place, head)
    }

    /// So many are available; all that belongs to them was written before.
    #[inline]
    pub fn set_available(&self, count: u16) -> Option<()> {
        fence(Ordering::SeqCst);
        let set = self.available.set(COUNT, count);
        // The device is told by a register.
        fence(Ordering::SeqCst);
        set
    }

    /// How many were used so far, modulo 2^16. What they are is read after.
    #[inline]
    pub fn used(&self) -> Option<u16> {
        let count = self.used_count.get(COUNT);
        fence(Ordering::Acquire);
        count
    }

    /// Head of the chain that was used as this one, and bytes written to it.
    #[inline]
    pub fn used_at(&self, count: u16) -> Option<(u32, u32)> {
        let place = 2 * usize::from(count & self.mask);
        Some((self.used.get(place)?, self.used.get(place + 1)?))
    }

    /// Puts a chain there. It counts from `set_used` on.
    #[inline]
    pub fn set_used_at(&self, count: u16, head: u16, length: u32) -> Option<()> {
        let place = 2 * usize::from(count & self.mask);
        self.used.set(place, u32::from(head))?;
        self.used.set(place + 1, length)
    }

    /// So many were used; all that belongs to them was written before.
    #[inline]
    pub fn set_used(&self, count: u16) -> Option<()> {
        fence(Ordering::Release);
        self.used_count.set(COUNT, count)
    }
}
