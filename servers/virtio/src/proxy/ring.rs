//! How a split virtqueue lies in memory (Virtio 1.2, 2.7), for whoever writes its
//! descriptors and for whoever reads them.

use alloc::rc::Rc;
use core::sync::atomic::{Ordering, fence};
use libipc::memory::Mapping;

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

/// A part of a queue: where it begins in a mapping.
type Part = (Rc<Mapping>, usize);

/// A queue in mapped memory. Nothing that is read is what was read before.
#[derive(Debug)]
pub struct Ring {
    descriptors: Part,
    available: Part,
    used: Part,
    mask: u16,
}

impl Ring {
    /// The queue of this size whose parts are there; each was found to fit.
    pub fn new(size: u16, descriptors: Part, available: Part, used: Part) -> Self {
        Ring {
            descriptors,
            available,
            used,
            mask: size.wrapping_sub(1),
        }
    }

    /// Descriptors that it has.
    pub fn size(&self) -> u16 {
        self.mask.wrapping_add(1)
    }

    /// A descriptor. Past the end there are none that lead anywhere.
    #[inline]
    pub fn descriptor(&self, index: u16) -> Descriptor {
        let (mapping, start) = &self.descriptors;
        let place = start + 16 * usize::from(index);
        let rest: u64 = mapping.read(place + 8).unwrap_or(0);
        Descriptor {
            address: mapping.read(place).unwrap_or(0),
            length: rest as u32,
            flags: (rest >> 32) as u16,
            next: (rest >> 48) as u16,
        }
    }

    /// Writes a descriptor.
    #[inline]
    pub fn set_descriptor(&self, index: u16, new: Descriptor) {
        let (mapping, start) = &self.descriptors;
        let place = start + 16 * usize::from(index);
        let rest = u64::from(new.length) | u64::from(new.flags) << 32 | u64::from(new.next) << 48;
        let _ = mapping.write(place, new.address);
        let _ = mapping.write(place + 8, rest);
    }

    /// How many were made available so far, modulo 2^16. What they are is read after.
    #[inline]
    pub fn available(&self) -> u16 {
        let (mapping, start) = &self.available;
        let count = mapping.read(start + 2).unwrap_or(0);
        fence(Ordering::Acquire);
        count
    }

    /// The head of the chain that was made available as this one.
    #[inline]
    pub fn available_at(&self, count: u16) -> u16 {
        let (mapping, start) = &self.available;
        let slot = usize::from(count & self.mask);
        mapping.read(start + 4 + 2 * slot).unwrap_or(0)
    }

    /// Puts a chain there. It counts from `set_available` on.
    #[inline]
    pub fn set_available_at(&self, count: u16, head: u16) {
        let (mapping, start) = &self.available;
        let slot = usize::from(count & self.mask);
        let _ = mapping.write(start + 4 + 2 * slot, head);
    }

    /// So many are available; all that belongs to them was written before.
    #[inline]
    pub fn set_available(&self, count: u16) {
        let (mapping, start) = &self.available;
        fence(Ordering::SeqCst);
        let _ = mapping.write(start + 2, count);
        // The device is told by a register.
        fence(Ordering::SeqCst);
    }

    /// How many were used so far, modulo 2^16. What they are is read after.
    #[inline]
    pub fn used(&self) -> u16 {
        let (mapping, start) = &self.used;
        let count = mapping.read(start + 2).unwrap_or(0);
        fence(Ordering::Acquire);
        count
    }

    /// Head of the chain that was used as this one, and bytes written to it.
    #[inline]
    pub fn used_at(&self, count: u16) -> (u32, u32) {
        let (mapping, start) = &self.used;
        let place = start + 4 + 8 * usize::from(count & self.mask);
        let head = mapping.read(place).unwrap_or(u32::MAX);
        (head, mapping.read(place + 4).unwrap_or(u32::MAX))
    }

    /// Puts a chain there. It counts from `set_used` on.
    #[inline]
    pub fn set_used_at(&self, count: u16, head: u16, length: u32) {
        let (mapping, start) = &self.used;
        let place = start + 4 + 8 * usize::from(count & self.mask);
        let _ = mapping.write(place, u32::from(head));
        let _ = mapping.write(place + 4, length);
    }

    /// So many were used; all that belongs to them was written before.
    #[inline]
    pub fn set_used(&self, count: u16) {
        let (mapping, start) = &self.used;
        fence(Ordering::Release);
        let _ = mapping.write(start + 2, count);
    }
}
