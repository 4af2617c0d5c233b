//! The block server: sectors of one disk for several clients.
//!
//! ```text
//! server    the interface: who asks, and who is answered or told
//! queue     which request begins when: the barrier, and what is under way
//! clients   their memory, their completions
//! views     which part of the disk is theirs, and theirs alone
//! bounce    where bytes of leases pass through
//! disk      what the server asks of a disk
//! partitions  what parts a disk has
//! ram       a disk in memory
//! virtio    a virtio block device
//! ```
//!
//! Everything but `virtio` runs on the host, over a disk in memory.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bounce;
pub mod clients;
pub mod disk;
pub mod partitions;
pub mod queue;
pub mod ram;
pub mod server;
pub mod views;
pub mod virtio;
