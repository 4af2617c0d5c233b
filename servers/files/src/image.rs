//! The boot archive's bytes in this task: the only unsafe code of the server.
#![allow(unsafe_code, reason = "mapped memory becomes a slice")]

use libipc::{handle::Rights, memory::Mapping, objects::MemoryClient, start::AnyError};
use tessera_archive::Archive;

/// Maps the archive, for as long as the task lives, and checks it.
pub fn map(memory: MemoryClient) -> Result<Archive<'static>, AnyError> {
    let mapping = Mapping::new(&memory, Rights::READ)?;
    // SAFETY: the mapping covers these bytes, readable, and is never dropped.
    // The memory holds the boot archive, which nobody can write: the kernel
    // hands it out without the right to.
    let bytes =
        unsafe { core::slice::from_raw_parts(mapping.address() as *const u8, mapping.len()) };
    core::mem::forget(mapping);
    Ok(Archive::new(bytes)?)
}
