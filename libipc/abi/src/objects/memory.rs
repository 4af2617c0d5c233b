//! `Memory`: page frames that can be mapped.

use super::*;

/// Page frames that can be mapped into tasks.
#[interface]
pub trait Memory {
    /// Size in pages.
    #[op(0, idempotent)]
    fn pages(&mut self) -> Result<u64, ObjectError>;

    /// Copies `length` bytes at `offset` into the caller's memory at `into`.
    /// Needs `READ`.
    ///
    /// # Safety
    ///
    /// The caller's own memory of `length` bytes at `into` is free to be written.
    #[op(1, idempotent)]
    #[errors(OutOfRange, LeaseFault)]
    unsafe fn read(&mut self, offset: u64, into: u64, length: u64) -> Result<(), ObjectError>;

    /// Copies `length` bytes of the caller's memory at `from` to `offset`.
    /// Needs `WRITE`.
    #[op(2, idempotent)]
    #[errors(OutOfRange, LeaseFault)]
    fn write(&mut self, offset: u64, from: u64, length: u64) -> Result<(), ObjectError>;
}
