//! Memory objects in this task's address space.
#![allow(unsafe_code, reason = "addresses are taken from a range of its own")]

use crate::{
    CallError, PAGE, capability,
    handle::Rights,
    objects::{MemoryClient, ObjectError},
    sync::Mutex,
};
use alloc::vec::Vec;

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
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let task = capability::task();
        // A range that was never mapped has nothing to unmap.
        // SAFETY: the mapping's user, who vouched for every use of its address,
        // has let it go.
        let _ = unsafe { task.unmap(self.address, self.pages) };
        let guarded = (self.address - PAGE as u64, self.pages + 1);
        ADDRESSES.lock().free.push(guarded);
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
}
