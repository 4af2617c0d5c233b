//! Memory as bytes that a device may read and write too.

use super::Mapping;
use crate::{
    CallError, capability,
    handle::Rights,
    interfaces::block::{BlockClient, BlockError},
    objects::{MemoryClient, ObjectError},
};
use alloc::rc::Rc;
use core::ops;

/// Bytes in memory of their own. They can be registered with a block server by
/// their [`Share`]: its device then fills them where they are.
#[derive(Debug)]
pub struct Bytes {
    mapping: Mapping,
    memory: Rc<MemoryClient>,
}

impl Bytes {
    /// So many pages, all zero.
    pub fn new(pages: u64) -> Result<Bytes, CallError<ObjectError>> {
        let memory = capability::task().create_memory(pages)?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
        let memory = Rc::new(memory);
        Ok(Bytes { mapping, memory })
    }

    /// For who has the device read and write them.
    pub fn share(&self) -> Share {
        Share {
            memory: self.memory.clone(),
            first: self.mapping.address(),
            length: self.mapping.len(),
        }
    }
}

impl ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let (first, length) = (self.mapping.address() as *const u8, self.mapping.len());
        // SAFETY: so many bytes are mapped there as long as `self` lives, and any bits
        // are a byte. Nothing else is made of the mapping. Others reach the memory by
        // `Share` only: a block server, whose device writes what a request names
        // before that is answered, and who makes one holds these bytes by `&mut`.
        unsafe { core::slice::from_raw_parts(first, length) }
    }
}

impl ops::DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (first, length) = (self.mapping.address() as *mut u8, self.mapping.len());
        // SAFETY: as in `deref`; it is mapped to be written.
        unsafe { core::slice::from_raw_parts_mut(first, length) }
    }
}

/// Which [`Bytes`] a device may be given, and where they are.
#[derive(Clone, Debug)]
pub struct Share {
    memory: Rc<MemoryClient>,
    first: usize,
    length: usize,
}

impl Share {
    /// Registers the memory with a block server, and returns its number there.
    /// Requests that fill it are to be made for bytes that are borrowed by `&mut`.
    pub fn register(&self, block: &BlockClient) -> Result<u64, CallError<BlockError>> {
        let copy = AsRef::<capability::Capability>::as_ref(&*self.memory).copy();
        let copy = copy.map_err(|_| CallError::Server(BlockError::NoResources))?;
        block.register(copy.into())
    }

    /// Where in the memory these bytes are, if that is where they are.
    pub fn place(&self, bytes: &[u8]) -> Option<u64> {
        // As a number, so that the compiler knows that others find them by it.
        let offset = (bytes.as_ptr() as usize).checked_sub(self.first)?;
        let fits = offset.checked_add(bytes.len())? <= self.length;
        fits.then_some(offset as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PAGE;

    #[test]
    fn a_share_knows_its_bytes() {
        let mut bytes = Bytes::new(2).unwrap();
        let share = bytes.share();
        assert_eq!(bytes.len(), 2 * PAGE);
        bytes[PAGE] = 7;
        let mut read = [0];
        bytes.memory.read_into(PAGE as u64, &mut read).unwrap();
        assert_eq!(read, [7]);
        assert_eq!(share.place(&bytes[5..]), Some(5));
        assert_eq!(share.place(&bytes[2 * PAGE..]), Some(2 * PAGE as u64));
        assert_eq!(share.place(&read), None);
    }
}
