//! The entropy server: random bytes, never before there are any.
//!
//! ```text
//! server     the interface: who asks, and who waits for the first seed
//! generator  bytes without end from a seed, and seeds from what devices say
//! source     what the server asks of a device
//! virtio     a virtio entropy device
//! ```
//!
//! Everything but `virtio` runs on the host.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod generator;
pub mod server;
pub mod source;
pub mod virtio;
