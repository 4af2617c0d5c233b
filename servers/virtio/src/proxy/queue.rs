//! From a driver's shadow queue to the device's real one, and back.
//!
//! A chain is read once, and only what was read is looked at: the driver may write to
//! its queue at any time. Each of its descriptors becomes one or more real ones, a
//! piece of memory whose frames follow one another each. The device sees none of them
//! before all were found to lead where they may.

use super::{
    ring::{Descriptor, NEXT, Ring, WRITE},
    space::Space,
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
    /// The last of them.
    last: u16,
    /// Bytes that the device may write.
    writable: u32,
}

/// A real descriptor.
#[derive(Clone, Copy, Debug, Default)]
struct Real {
    /// The next one of its chain, or of those that are free.
    next: u16,
    /// The region in which it lies.
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
    /// Something that the driver made available had no room.
    waits: bool,
    /// The driver has asked for no interrupts when something was used.
    silent: bool,
}

/// Both rings lie in mappings that were checked, so this is never so.
const OUTSIDE: VirtioError = VirtioError::Device;

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
            waits: false,
            silent: false,
            shadow,
            real,
        }
    }

    /// Copies what the driver has made available, as far as there is room. Whether
    /// the device is to be told.
    #[inline]
    pub fn forward(&mut self, space: &Space) -> Result<bool, VirtioError> {
        let available = self.shadow.available().ok_or(OUTSIDE)?;
        let silent = self.shadow.is_silent().ok_or(OUTSIDE)?;
        if silent != self.silent {
            self.silent = silent;
            self.real.set_silent(silent).ok_or(OUTSIDE)?;
        }
        if available == self.taken {
            return Ok(false);
        }
        self.take(space, available)
    }

    #[inline(never)]
    fn take(&mut self, space: &Space, available: u16) -> Result<bool, VirtioError> {
        let before = self.available;
        self.waits = false;
        if available.wrapping_sub(self.taken) > self.shadow.size() {
            return Err(VirtioError::BadDescriptor);
        }
        while self.taken != available {
            let head = self.shadow.available_at(self.taken).ok_or(OUTSIDE)?;
            // What has no room is read again when the device has used others.
            let Some(chain) = self.copy(space, head)? else {
                self.waits = true;
                break;
            };
            let first = self.free;
            let last = self.descriptors.get(usize::from(chain.last));
            self.free = last.map_or(self.free, |last| last.next);
            self.free_count -= chain.count;
            *self.chains.get_mut(usize::from(first)).ok_or(OUTSIDE)? = chain;
            self.real.set_available_at(self.available, first);
            self.available = self.available.wrapping_add(1);
            self.taken = self.taken.wrapping_add(1);
        }
        let more = self.available != before;
        if more {
            self.real.set_available(self.available).ok_or(OUTSIDE)?;
        }
        Ok(more)
    }

    /// Copies a chain to real descriptors that are free; they stay so until it was
    /// copied to its end. `None` if there is no room for it now.
    fn copy(&mut self, space: &Space, head: u16) -> Result<Option<Chain>, VirtioError> {
        let (shadow, real, descriptors) = (&self.shadow, &self.real, &mut self.descriptors);
        let mut chain = Chain {
            shadow: head,
            ..Chain::default()
        };
        let (mut free, mut index, mut room) = (self.free, head, true);
        let mut written = Descriptor::default();
        // A chain that is longer than the table goes round.
        for _ in 0..shadow.size() {
            let bad = VirtioError::BadDescriptor;
            let Descriptor {
                address,
                length,
                flags,
                next,
            } = shadow.descriptor(index).ok_or(bad)?;
            let write = flags & WRITE;
            // What the device reads comes first (2.7.4.2), and no table of more
            // descriptors hides in one.
            if flags & !(WRITE | NEXT) != 0 || write == 0 && chain.writable != 0 {
                return Err(bad);
            }
            let region = space.find(address).ok_or(bad)?;
            let pieces = region.pieces(address, length, |address, length| {
                room &= chain.count < self.free_count;
                let place = descriptors.get_mut(usize::from(free)).filter(|_| room)?;
                place.region = region.number();
                written = Descriptor {
                    address,
                    length,
                    flags: write | NEXT,
                    next: place.next,
                };
                real.set_descriptor(free, written)?;
                (chain.last, chain.count) = (free, chain.count + 1);
                free = place.next;
                Some(())
            });
            if pieces.is_none() {
                // One that has no room even alone never has.
                let waits = !room && self.free_count < real.size();
                return if waits { Ok(None) } else { Err(bad) };
            }
            if write != 0 {
                let sum = chain.writable.checked_add(length);
                chain.writable = sum.ok_or(bad)?;
            }
            if flags & NEXT == 0 {
                written.flags = write;
                real.set_descriptor(chain.last, written).ok_or(OUTSIDE)?;
                return Ok(Some(chain));
            }
            index = next;
        }
        Err(VirtioError::BadDescriptor)
    }

    /// Tells the driver what the device has used. Whether there was anything.
    pub fn give_back(&mut self) -> Result<bool, VirtioError> {
        let used = self.real.used().ok_or(OUTSIDE)?;
        if used == self.used {
            return Ok(false);
        }
        while self.used != used {
            let (head, length) = self.real.used_at(self.used).ok_or(OUTSIDE)?;
            // What the device says is no more trusted than what the driver does.
            let chain = self.chains.get_mut(head as usize).ok_or(OUTSIDE)?;
            let chain = core::mem::take(chain);
            if chain.count == 0 || length > chain.writable {
                return Err(VirtioError::Device);
            }
            let last = self.descriptors.get_mut(usize::from(chain.last));
            last.ok_or(OUTSIDE)?.next = self.free;
            self.free = head as u16;
            self.free_count += chain.count;
            self.shadow.set_used_at(self.returned, chain.shadow, length);
            self.returned = self.returned.wrapping_add(1);
            self.used = self.used.wrapping_add(1);
        }
        self.shadow.set_used(self.returned).ok_or(OUTSIDE)?;
        Ok(true)
    }

    /// The driver says that it has made something available. One that wants no
    /// interrupts learns what was used when it does.
    pub fn announced(&mut self, space: &Space) -> Result<bool, VirtioError> {
        if !self.silent {
            return self.forward(space);
        }
        self.give_back()?;
        let forwarded = self.forward(space)?;
        if !self.silent {
            // What was used before the device knew that it is to tell.
            self.give_back()?;
        }
        Ok(forwarded)
    }

    /// Whether something waits for room.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Whether a descriptor that leads to this region is under way.
    pub fn uses(&self, region: u32) -> bool {
        let chains = self.chains.iter().enumerate();
        chains
            .filter(|(_, chain)| chain.count > 0)
            .any(|(head, chain)| {
                let mut index = head;
                (0..chain.count).any(|_| {
                    let real = self.descriptors.get(index);
                    index = real.map_or(index, |real| real.next.into());
                    real.is_some_and(|real| real.region == region)
                })
            })
    }
}
