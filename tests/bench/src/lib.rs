//! What the benchmarks call: one interface with an operation for each way in
//! which something travels. [`mark`] is what tells a tracer when to count, [`uart`]
//! what interrupts, [`meter`] what counts where something waits.
#![no_std]

extern crate alloc;

pub mod driver;
#[allow(unsafe_code, reason = "instructions that no language has")]
pub mod mark;
pub mod meter;
#[allow(unsafe_code, reason = "a device register")]
pub mod uart;

use libipc::{Capability, ErrorCode, LeaseMut, interface};

/// How often short cases are done.
pub const TIMES: u64 = 4096;

/// Why [`Target`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum TargetError {
    /// The lease could not be written.
    Lease = 1,
    /// There is nothing to give back.
    Nothing = 2,
}

impl core::fmt::Display for TargetError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            TargetError::Lease => "the lease could not be copied",
            TargetError::Nothing => "no capability is kept here",
        })
    }
}

/// A server that does next to nothing.
#[interface]
pub trait Target {
    /// The sum.
    #[op(0, idempotent)]
    fn add(&mut self, left: u64, right: u64) -> Result<u64, TargetError>;

    /// The product, of floating-point numbers as their bits.
    #[op(1, idempotent)]
    fn multiply(&mut self, left: u64, right: u64) -> Result<u64, TargetError>;

    /// The sum of eight words.
    #[op(2, idempotent)]
    fn add_8(&mut self, words: [u64; 8]) -> Result<u64, TargetError>;

    /// The sum of 32 words, and the last of them.
    #[op(3, idempotent)]
    fn add_32(&mut self, words: [u64; 32]) -> Result<(u64, u64), TargetError>;

    /// Copies up to 4 KiB into the server's own memory.
    #[op(4, idempotent)]
    fn load(&mut self, from: LeaseMut) -> Result<(), TargetError>;

    /// Keeps a capability.
    #[op(5)]
    fn give(&mut self, capability: Capability) -> Result<(), TargetError>;

    /// Gives it back.
    #[op(6)]
    fn take(&mut self) -> Result<Capability, TargetError>;

    /// Is answered by another thread.
    #[op(7)]
    #[deferred]
    fn later(&mut self, word: u64) -> Result<u64, TargetError>;
}
