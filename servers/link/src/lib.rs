//! The driver of a network device.
//!
//! ```text
//! server   the interface: which slots are under way
//! device   what the server asks of a device
//! virtio   a virtio network device
//! ```
//!
//! Everything but `virtio` runs on the host.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod server;
pub mod virtio;
