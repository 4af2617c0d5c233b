//! The clock server: what time it is outside the machine.
//!
//! ```text
//! device   registers of PL031 and of Goldfish's clock
//! server   the interface
//! ```
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

pub mod device;
pub mod server;
