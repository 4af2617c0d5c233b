//! From a driver's shadow queue to the device's real one, and back.
//!
//! A chain is read once, into memory of this task, and only what was read is looked
//! at: the driver may write to its queue at any time. Each of its descriptors becomes
//! one or more real ones, a piece of memory whose frames follow one another each.

use super::{
    ring::{Descriptor, NEXT, Ring, WRITE},
    space::{Piece, Space},
};
use alloc::{vec, vec::Vec};
use libipc::interfaces::virtio::VirtioError;

/// What waits for the device, by the real descriptor with which it begins.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    /// The shadow descriptor with which it begins.
    shadow: u16,
    /// Real descriptors that it has; 0 if nothing begins here.
    count: u16,
    /// Bytes that the device may write.
    writable: u32,
}

/// A real descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Real {
    /// The next one of its chain, or of those that are free.
    next: u16,
    /// The region in which it lies; 0 if it is free.
    region: u32,
}

/// A queue, as either side sees it.
#[derive(Debug)]
pub struct Queue {
    shadow: Ring,
    real: Ring,
    /// How far each ring was read or written.
    taken: u16,
    available: u16,
    returned: u16,
    used: u16,
    chains: Vec<Chain>,
    descriptors: Vec<Real>,
    free: u16,
    free_count: u16,
    /// The chain that is being read, and whether the device writes to it.
    pieces: Vec<(Piece, u16)>,
}

impl Queue {
    /// Nothing is under way.
    pub fn new(shadow: Ring, real: Ring) -> Queue {
        let size = real.size();
        let next = |index| Real {
            next: index + 1,
            region: 0,
        };
        Queue {
            taken: 0,
            available: 0,
            returned: 0,
            used: 0,
            chains: vec![Chain::default(); size.into()],
            descriptors: (0..size).map(next).collect(),
            free: 0,
            free_count: size,
            pieces: Vec::with_capacity(size.into()),
            shadow,
            real,
        }
    }

    /// Copies what the driver has made available, as far as there is room. Whether
    /// the device is to be told.
    pub fn forward(&mut self, space: &Space) -> Result<bool, VirtioError> {
        let before = self.available;
        let available = self.shadow.available();
        if available.wrapping_sub(self.taken) > self.shadow.size() {
            return Err(VirtioError::BadDescriptor);
        }
        while self.taken != available {
            let head = self.shadow.available_at(self.taken);
            let writable = self.read(space, head)?;
            if self.pieces.len() > usize::from(self.free_count) {
                // It is read again when the device has used others.
                break;
            }
            self.write(head, writable);
            self.taken = self.taken.wrapping_add(1);
        }
        let more = self.available != before;
        if more {
            self.real.set_available(self.available);
        }
        Ok(more)
    }

    /// Reads a chain and finds its frames. Returns how much of it the device may
    /// write.
    fn read(&mut self, space: &Space, head: u16) -> Result<u32, VirtioError> {
        let (size, most) = (self.shadow.size(), usize::from(self.real.size()));
        let (pieces, mut writable) = (&mut self.pieces, 0_u32);
        pieces.clear();
        let mut index = head;
        // A chain that is longer than the table goes round.
        for _ in 0..size {
            let Descriptor {
                address,
                length,
                flags,
                next,
            } = self.shadow.descriptor(index);
            let write = flags & WRITE;
            // What the device reads comes first (2.7.4.2), and no table of more
            // descriptors hides in one.
            let known = flags & !(WRITE | NEXT) == 0 && (write != 0 || writable == 0);
            if index >= size || !known {
                return Err(VirtioError::BadDescriptor);
            }
            let translated = space.translate(address, length, |piece| {
                pieces.push((piece, write));
                pieces.len() <= most
            });
            translated.ok_or(VirtioError::BadDescriptor)?;
            if write != 0 {
                let sum = writable.checked_add(length);
                writable = sum.ok_or(VirtioError::BadDescriptor)?;
            }
            if flags & NEXT == 0 {
                return Ok(writable);
            }
            index = next;
        }
        Err(VirtioError::BadDescriptor)
    }

    /// Writes the chain that was read into the real queue, which has room.
    fn write(&mut self, shadow: u16, writable: u32) {
        let (head, count) = (self.free, self.pieces.len());
        let mut index = head;
        for (number, (piece, write)) in self.pieces.iter().enumerate() {
            let real = &mut self.descriptors[usize::from(index)];
            real.region = piece.region;
            let goes_on = if number + 1 < count { NEXT } else { 0 };
            let descriptor = Descriptor {
                address: piece.address,
                length: piece.length,
                flags: write | goes_on,
                next: real.next,
            };
            self.real.set_descriptor(index, descriptor);
            index = real.next;
        }
        (self.free, self.free_count) = (index, self.free_count - count as u16);
        self.chains[usize::from(head)] = Chain {
            shadow,
            count: count as u16,
            writable,
        };
        self.real.set_available_at(self.available, head);
        self.available = self.available.wrapping_add(1);
    }

    /// Tells the driver what the device has used. Whether there was anything.
    pub fn give_back(&mut self) -> Result<bool, VirtioError> {
        let (used, before) = (self.real.used(), self.returned);
        while self.used != used {
            let (head, length) = self.real.used_at(self.used);
            // What the device says is no more trusted than what the driver does.
            let chain = usize::try_from(head)
                .ok()
                .and_then(|head| self.chains.get_mut(head))
                .map(core::mem::take)
                .filter(|chain| chain.count != 0 && length <= chain.writable);
            let chain = chain.ok_or(VirtioError::Device)?;
            self.release(head as u16, chain.count);
            self.shadow.set_used_at(self.returned, chain.shadow, length);
            self.returned = self.returned.wrapping_add(1);
            self.used = self.used.wrapping_add(1);
        }
        let any = self.returned != before;
        if any {
            self.shadow.set_used(self.returned);
        }
        Ok(any)
    }

    /// Frees the real descriptors of a chain.
    fn release(&mut self, head: u16, count: u16) {
        let mut last = head;
        for _ in 1..count {
            let real = &mut self.descriptors[usize::from(last)];
            real.region = 0;
            last = real.next;
        }
        let real = &mut self.descriptors[usize::from(last)];
        (real.region, real.next) = (0, self.free);
        self.free = head;
        self.free_count += count;
    }

    /// Whether a descriptor that leads to this region is under way.
    pub fn uses(&self, region: u32) -> bool {
        self.descriptors.iter().any(|real| real.region == region)
    }
}
