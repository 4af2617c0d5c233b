//! What servers of streams share.
//!
//! 1. [`Ring`]: bytes in order, in bounded memory.
//! 2. [`WaitingRead`], [`WaitingWrite`]: calls that wait, as traits, so that
//!    whatever makes them wait is tested without a kernel.
//! 3. [`StreamRead`], [`StreamWrite`]: the calls of the `Stream` interface.
//! 4. `testing`, on the host only: a call for tests.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod call;
mod ring;
#[cfg(not(target_os = "none"))]
pub mod testing;

pub use call::{StreamRead, StreamWrite, WaitingRead, WaitingWrite};
pub use ring::Ring;
