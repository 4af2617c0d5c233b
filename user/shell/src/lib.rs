//! The shell of Tessera.
//!
//! In reading order:
//!

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod execute;
pub mod language;
pub mod line;
pub mod suggest;
