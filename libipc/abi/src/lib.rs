//! The ABI of Tessera: what two tasks, or a task and the kernel, must agree on.
//!
//! In reading order:
//!
//! 1. [`handle`]: a capability as a task names it.
//! 2. [`label`]: what a message is, in one word.
//! 3. [`status`]: how a system call ended, and the closed set of transport errors.
//! 4. [`ending`]: which of these each system call can end with.
//! 5. [`registers`]: where each part of a message travels.
//! 6. [`buffer`]: the message buffer for what does not fit in registers.
//! 7. [`wire`]: how arguments become words.
//! 8. [`operation`]: the constant table of an interface's operations.
//! 9. [`objects`]: the interfaces of the kernel's objects.
//! 10. [`start`]: what a new task finds when it starts.
//!
//! Everything here is plain data: no system call is made in this crate.
#![no_std]

// The interface macro names this crate by its full path, here too.
extern crate self as libipc_abi;

pub mod buffer;
pub mod ending;
pub mod handle;
pub mod label;
pub mod objects;
pub mod operation;
pub mod registers;
pub mod start;
pub mod status;
pub mod wire;

/// Bytes in a page, on both architectures.
pub const PAGE: usize = 4096;

/// First address that is not a user address, on both architectures.
pub const USER_END: u64 = 1 << 38;

/// A deadline that never comes.
pub const FOREVER: u64 = u64::MAX;
