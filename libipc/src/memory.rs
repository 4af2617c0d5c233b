//! Memory objects in this task's address space.
#![allow(unsafe_code, reason = "addresses are taken from a range of its own")]

mod bytes;
mod slots;

pub use bytes::{Bytes, Share};
pub use slots::{Slot, Slots};

use crate::{
    CallError, PAGE, arch, capability,
    handle::Rights,
    objects::{MemoryClient, ObjectError},
    sync::Mutex,
};
use alloc::{rc::Rc, vec::Vec};

/// Where mappings of the program's own go: above all that the supervisor places.
const FIRST: u64 = 1 << 37;
const END: u64 = libipc_abi::USER_END;

/// The addresses of [`FIRST`] to [`END`]: all below `next` are in use, but for
/// those in `free`.
struct Addresses {
    next: u64,
    free: Vec<(u64, u64)>,
}

static ADDRESSES: Mutex<Addresses> = Mutex::new(Addresses {
    next: FIRST,
    free: Vec::new(),
});

impl Addresses {
    fn take(&mut self, pages: u64) -> Option<u64> {
        if let Some(index) = self.free.iter().position(|&(_, size)| size >= pages) {
            let (address, size) = self.free[index];
            if size == pages {
                self.free.swap_remove(index);
            } else {
                self.free[index] = (address + pages * PAGE as u64, size - pages);
            }
            return Some(address);
        }
        let address = self.next;
        let end = address.checked_add(pages.checked_mul(PAGE as u64)?)?;
        if end > END {
            return None;
        }
        self.next = end;
        Some(address)
    }
}

/// Memory mapped into this task, until dropped. A page before it is never
/// mapped, so that who runs below its beginning faults.
#[derive(Debug)]
pub struct Mapping {
    address: u64,
    pages: u64,
}

impl Mapping {
    /// Maps the whole of `memory` with `access`, in bits of `READ`, `WRITE` and
    /// `EXECUTE`.
    pub fn new(memory: &MemoryClient, access: Rights) -> Result<Mapping, CallError<ObjectError>> {
        let pages = memory.pages()?;
        if let Some(address) = arch::memory(memory, access) {
            return Ok(Mapping { address, pages });
        }
        let guarded = ADDRESSES.lock().take(pages.saturating_add(1));
        let guarded = guarded.ok_or(CallError::Server(ObjectError::OutOfRange))?;
        // From here on dropping it gives the addresses back.
        let mapping = Mapping {
            address: guarded + PAGE as u64,
            pages,
        };
        let access = access.bits().into();
        let task = capability::task();
        // SAFETY: the range was just taken for this mapping alone.
        unsafe { task.map(memory, mapping.address, 0, pages, access)? };
        Ok(mapping)
    }

    /// Its first address.
    pub fn address(&self) -> usize {
        self.address as usize
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.pages as usize * PAGE
    }

    /// Whether it is empty; memory never is.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Reads a number at `offset`, at once and as it now is: others may write it, or
    /// it may be a device's register. `None` if it does not lie in the mapping or is
    /// not aligned. Whoever makes references of [`Mapping::address`] sees to it that
    /// nothing here reaches what they lead to.
    #[inline]
    pub fn read<W: Word>(&self, offset: usize) -> Option<W> {
        let place = self.place(offset, size_of::<W>(), size_of::<W>())?;
        // SAFETY: it lies in memory that is mapped as long as `self` lives, and is
        // aligned; any bits are a number.
        Some(unsafe { place.cast::<W>().read_volatile() })
    }

    /// Writes a number at `offset`, as `read` reads one.
    #[inline]
    pub fn write<W: Word>(&self, offset: usize, value: W) -> Option<()> {
        let place = self.place(offset, size_of::<W>(), size_of::<W>())?;
        // SAFETY: as in `read`; references to it are the matter of who made them.
        unsafe { place.cast::<W>().write_volatile(value) };
        Some(())
    }

    /// Copies from `offset`; in what order, and how often it looks, is not defined.
    pub fn copy_out(&self, offset: usize, into: &mut [u8]) -> Option<()> {
        let place = self.place(offset, into.len(), 1)?;
        // SAFETY: it lies in memory that is mapped as long as `self` lives. `into` is
        // borrowed by the caller alone, so it is elsewhere.
        unsafe { place.copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) };
        Some(())
    }

    /// Copies to `offset`, as `copy_out` does from there.
    pub fn copy_in(&self, offset: usize, from: &[u8]) -> Option<()> {
        let place = self.place(offset, from.len(), 1)?;
        // SAFETY: as in `copy_out`.
        unsafe { place.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Some(())
    }

    /// Where a part of it is.
    #[inline]
    pub(crate) fn place(&self, offset: usize, length: usize, align: usize) -> Option<*mut u8> {
        let fits = offset.checked_add(length)? <= self.len() && offset.is_multiple_of(align);
        fits.then(|| (self.address() + offset) as *mut u8)
    }
}

/// Numbers of one kind that follow one another in a mapping: what is read and written
/// often is found with one comparison.
#[derive(Clone, Debug)]
pub struct Cells<W> {
    first: *mut W,
    count: usize,
    /// Keeps them mapped.
    _mapping: Rc<Mapping>,
}

impl<W: Word> Cells<W> {
    /// So many of them from `offset` on. `None` if they do not lie in the mapping or
    /// are not aligned.
    pub fn new(mapping: &Rc<Mapping>, offset: usize, count: usize) -> Option<Cells<W>> {
        let length = count.checked_mul(size_of::<W>())?;
        let first = mapping.place(offset, length, size_of::<W>())?.cast();
        Some(Cells {
            first,
            count,
            _mapping: mapping.clone(),
        })
    }

    /// Reads one, as [`Mapping::read`] does.
    #[inline]
    pub fn get(&self, index: usize) -> Option<W> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `new` made sure that `count` of them lie in the mapping, which lives
        // as long as `self`.
        let place = unsafe { self.first.add(index) };
        // SAFETY: it lies there, aligned; any bits are a number.
        Some(unsafe { place.read_volatile() })
    }

    /// Writes one, as [`Mapping::write`] does.
    #[inline]
    pub fn set(&self, index: usize, value: W) -> Option<()> {
        if index >= self.count {
            return None;
        }
        // SAFETY: as in `get`.
        let place = unsafe { self.first.add(index) };
        // SAFETY: as in `get`; references to it are the matter of who made them.
        unsafe { place.write_volatile(value) };
        Some(())
    }
}

/// A number that is read and written at once.
pub trait Word: Copy + sealed::Word {}

mod sealed {
    pub trait Word {}
}

macro_rules! words {
    ($($word:ty),*) => {$(
        impl Word for $word {}
        impl sealed::Word for $word {}
    )*};
}

words!(u8, u16, u32, u64);

impl Drop for Mapping {
    fn drop(&mut self) {
        let task = capability::task();
        // A range that was never mapped has nothing to unmap.
        // SAFETY: the mapping's user, who vouched for every use of its address,
        // has let it go.
        let _ = unsafe { task.unmap(self.address, self.pages) };
        let guarded = (self.address - PAGE as u64, self.pages + 1);
        // What the host mapped is none of these addresses.
        if (FIRST..END).contains(&guarded.0) {
            ADDRESSES.lock().free.push(guarded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_used_again_and_end() {
        let mut addresses = Addresses {
            next: FIRST,
            free: Vec::new(),
        };
        let first = addresses.take(4).unwrap();
        let second = addresses.take(1).unwrap();
        assert_eq!((first, second), (FIRST, FIRST + 4 * PAGE as u64));
        addresses.free.push((first, 4));
        assert_eq!(addresses.take(3), Some(first));
        assert_eq!(addresses.take(1), Some(first + 3 * PAGE as u64));
        assert!(addresses.free.is_empty());
        assert_eq!(addresses.take(u64::MAX), None);
        assert_eq!(addresses.take((END - FIRST) / PAGE as u64), None);
    }

    #[test]
    fn numbers_and_bytes_are_read_where_they_were_written() {
        let memory = capability::task().create_memory(2).unwrap();
        let access = Rights::READ | Rights::WRITE;
        let (mapping, other) = (Mapping::new(&memory, access), Mapping::new(&memory, access));
        let (mapping, other) = (mapping.unwrap(), other.unwrap());
        assert_eq!(mapping.len(), 2 * PAGE);
        mapping.write(PAGE - 4, 0x0403_0201_u32).unwrap();
        assert_eq!(other.read::<u16>(PAGE - 2), Some(0x0403));
        let mut bytes = [0; 3];
        memory.read_into(PAGE as u64 - 4, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, 3]);
        other.copy_in(2 * PAGE - 3, &[7, 8, 9]).unwrap();
        mapping.copy_out(2 * PAGE - 3, &mut bytes).unwrap();
        assert_eq!(bytes, [7, 8, 9]);
        // Neither outside nor across what a number is aligned to.
        assert_eq!(mapping.read::<u8>(2 * PAGE), None);
        assert_eq!(mapping.read::<u64>(2 * PAGE - 4), None);
        assert_eq!(mapping.read::<u32>(2), None);
        assert_eq!(mapping.write(usize::MAX, 0_u8), None);
        assert_eq!(mapping.copy_in(2 * PAGE - 2, &bytes), None);
    }

    #[test]
    fn cells_are_numbers_within_their_range() {
        let memory = capability::task().create_memory(1).unwrap();
        let mapping = Rc::new(Mapping::new(&memory, Rights::READ | Rights::WRITE).unwrap());
        let cells = Cells::<u16>::new(&mapping, 2, 3).unwrap();
        (0..3).for_each(|index| cells.set(index, index as u16 + 1).unwrap());
        assert_eq!(mapping.read::<u64>(0), Some(0x0003_0002_0001_0000));
        assert_eq!((cells.get(2), cells.get(3)), (Some(3), None));
        assert_eq!(cells.set(3, 9), None);
        assert!(Cells::<u16>::new(&mapping, 1, 1).is_none());
        assert!(Cells::<u32>::new(&mapping, PAGE - 4, 1).is_some());
        assert!(Cells::<u32>::new(&mapping, PAGE - 4, 2).is_none());
        assert!(Cells::<u64>::new(&mapping, 0, usize::MAX).is_none());
    }

    #[test]
    fn what_may_not_be_reached_is_not_mapped() {
        let memory = capability::task().create_memory(1).unwrap();
        let read = memory.as_ref().derive(Rights::READ).unwrap().into();
        assert!(Mapping::new(&read, Rights::READ).is_ok());
        assert!(Mapping::new(&read, Rights::READ | Rights::WRITE).is_err());
    }
}
