//! The shell of Tessera.
//!
//! In reading order:
//!

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod language;
pub mod line;
