//! Memory in slots, each of which either this task or a device has.

use super::Mapping;
use crate::{
    CallError, PAGE, capability,
    handle::Rights,
    objects::{MemoryClient, ObjectError},
};
use alloc::{rc::Rc, vec, vec::Vec};
use core::{cell::RefCell, ops};

/// Memory that is divided into slots of one size.
#[derive(Debug)]
pub struct Slots {
    memory: MemoryClient,
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mapping: Mapping,
    size: usize,
    places: RefCell<Places>,
}

#[derive(Debug)]
struct Places {
    /// Whether a device has the slot.
    lent: Vec<bool>,
    /// Slots that nobody has; the last one is the next to be taken.
    free: Vec<u16>,
}

/// A slot that this task has: its bytes. Dropped, it is free again.
#[derive(Debug)]
pub struct Slot {
    shared: Rc<Shared>,
    number: u16,
}

impl Slots {
    /// So many slots of `size` bytes, all zero. `OutOfRange` if a page is no whole
    /// number of slots, or there are none.
    pub fn new(count: u16, size: usize) -> Result<Slots, CallError<ObjectError>> {
        let bytes = usize::from(count).saturating_mul(size);
        if bytes == 0 || !PAGE.is_multiple_of(size) {
            return Err(CallError::Server(ObjectError::OutOfRange));
        }
        let memory = capability::task().create_memory(bytes.div_ceil(PAGE) as u64)?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
        let places = RefCell::new(Places {
            lent: vec![false; count.into()],
            free: (0..count).rev().collect(),
        });
        let shared = Rc::new(Shared {
            mapping,
            size,
            places,
        });
        Ok(Slots { memory, shared })
    }

    /// The memory, for whoever has a device read and write it: slots that are lent,
    /// and no others, until it says that it has done so.
    pub fn share(&self) -> Result<MemoryClient, CallError<ObjectError>> {
        let copy = AsRef::<capability::Capability>::as_ref(&self.memory).copy();
        copy.map(Into::into)
    }

    /// How many nobody has.
    pub fn free(&self) -> usize {
        self.shared.places.borrow().free.len()
    }

    /// One that nobody has.
    pub fn take(&self) -> Option<Slot> {
        let number = self.shared.places.borrow_mut().free.pop()?;
        Some(self.slot(number))
    }

    /// The device gets one, and knows it by the number.
    pub fn lend(&self, slot: Slot) -> u16 {
        let number = slot.number;
        if let Some(lent) = slot
            .shared
            .places
            .borrow_mut()
            .lent
            .get_mut(usize::from(number))
        {
            *lent = true;
        }
        number
    }

    /// The device has done with one. `None` if it does not have that.
    pub fn back(&self, number: u16) -> Option<Slot> {
        let mut places = self.shared.places.borrow_mut();
        let lent = places.lent.get_mut(usize::from(number))?;
        core::mem::take(lent).then(|| self.slot(number))
    }

    fn slot(&self, number: u16) -> Slot {
        Slot {
            shared: self.shared.clone(),
            number,
        }
    }
}

impl Slot {
    fn first(&self) -> usize {
        self.shared.mapping.address() + usize::from(self.number) * self.shared.size
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let places = &mut *self.shared.places.borrow_mut();
        // One that was lent has no `Slot` any more, but is not free.
        if places.lent.get(usize::from(self.number)) == Some(&false) {
            places.free.push(self.number);
        }
    }
}

impl ops::Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped there as long as the mapping lives, which
        // `self` keeps, and any bits are a byte. `Slots` makes one `Slot` of a number
        // at a time. Others reach the memory by `Slots::share` only: a driver, whose
        // device touches slots that were lent, and this one is here.
        unsafe { core::slice::from_raw_parts(self.first() as *const u8, self.shared.size) }
    }
}

impl ops::DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; it is mapped to be written.
        unsafe { core::slice::from_raw_parts_mut(self.first() as *mut u8, self.shared.size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_in_one_place() {
        let slots = Slots::new(3, 2048).unwrap();
        let (mut first, second) = (slots.take().unwrap(), slots.take().unwrap());
        first[0] = 7;
        assert_eq!((first.len(), second[0], slots.free()), (2048, 0, 1));
        let number = slots.lend(first);
        assert_eq!(slots.free(), 1);
        let third = slots.take().unwrap();
        assert!(slots.take().is_none());
        // What was not lent does not come back, and what was does so once.
        for wrong in [second.number, third.number, 3, u16::MAX] {
            assert!(slots.back(wrong).is_none(), "{wrong}");
        }
        let first = slots.back(number).unwrap();
        assert!(slots.back(number).is_none());
        assert_eq!(first[0], 7);
        drop((second, first));
        assert_eq!(slots.free(), 2);
        drop(slots);
        drop(third);
    }

    #[test]
    fn others_see_what_is_in_a_slot() {
        let slots = Slots::new(2, 2048).unwrap();
        let memory = slots.share().unwrap();
        let (_first, mut second) = (slots.take().unwrap(), slots.take().unwrap());
        second[5] = 9;
        let mut read = [0];
        memory.read_into(2048 + 5, &mut read).unwrap();
        assert_eq!(read, [9]);
        assert!(Slots::new(1, 3000).is_err() && Slots::new(0, 2048).is_err());
    }
}
