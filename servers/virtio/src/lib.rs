//! Virtio devices: the proxy that owns one, and what its driver uses.
//!
//! ```text
//!   driver's task                      proxy's task
//!   virtio-drivers                     proxy::server   the interface, interrupts
//!        |                                  |
//!   driver::transport  -- notify -->   proxy::queue    shadow queue to real queue
//!   driver::space                      proxy::space    addresses to frames
//!        |                                  |
//!   shadow queue, in shared memory     proxy::mmio/pci registers  -->  device
//! ```
//!
//! The proxy trusts neither side: a descriptor of the driver that leads nowhere, or an
//! element of the device that nobody waits for, stops the device.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod driver;
pub mod proxy;
