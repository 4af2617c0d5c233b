//! Memory objects that stay mapped as long as the supervisor lives.
#![allow(unsafe_code, reason = "the mapped bytes have no Rust owner")]

use libipc::{
    CallError,
    handle::Rights,
    memory::Mapping,
    objects::{MemoryClient, ObjectError},
};

/// Maps `memory` for good and returns its bytes.
///
/// The memory must be one that nobody can write: the boot archive and the
/// device tree, for which the kernel does not give out the right `WRITE`.
pub(crate) fn for_good(memory: &MemoryClient) -> Result<&'static [u8], CallError<ObjectError>> {
    let mapping = Mapping::new(memory, Rights::READ)?;
    let (address, length) = (mapping.address(), mapping.len());
    core::mem::forget(mapping);
    // SAFETY: the range was just mapped readable and is never unmapped, since
    // its owner was forgotten; no task has the right to write its frames.
    Ok(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}
