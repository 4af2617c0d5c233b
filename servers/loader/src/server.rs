//! Serves [`Loader`].

use crate::{Machine, read};
use alloc::{vec, vec::Vec};
use libipc::{
    Lease,
    interfaces::loader::{ElfError, Loader, Plan},
};

/// Most bytes of a file, so that it fits into the heap of the standard system.
pub const FILE: usize = 768 << 10;

/// Reads files for this machine. It remembers nothing of them.
#[derive(Debug, Default)]
pub struct Reader;

impl Loader for Reader {
    fn plan(&mut self, file: Lease) -> Result<Plan, ElfError> {
        if file.len() > FILE {
            return Err(ElfError::TooLarge);
        }
        let mut bytes: Vec<u8> = vec![0; file.len()];
        let copied = file.read_at(0, &mut bytes);
        copied.map_err(|_| ElfError::Unreadable)?;
        read(&bytes, Machine::THIS)
    }
}
