//! From the bytes of an ELF file to a plan of how to load it.
//!
//! In reading order:
//!
//! 1. [`mod@read`]: the plan of a file, with the `elf` crate, which does not panic
//!    whatever the bytes are.
//! 2. [`mod@check`]: whether a plan can be carried out, whoever made it. The
//!    supervisor calls it for each plan that it gets, and trusts nothing else.
//! 3. [`server`]: the interface.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod check;
pub mod read;
pub mod server;

pub use check::{Limits, check};
pub use read::{Machine, read};
pub use server::Reader;
