//! The file server: the boot archive and a RAM file system in one tree, and
//! pipes.
//!
//! ```text
//! server     the interfaces: capabilities in and out, leases, the clock
//! service    what each operation does for a badge
//! streams    the same for pipes and for files seen as streams
//! session    what each badge stands for
//! namespace  one tree: / with /boot and /tmp
//! volume     what a file system offers   <- boot, ram (over data)
//! pipe       a ring between waiting calls
//! quota      who pays
//! ```
//!
//! Everything but `server` runs without a kernel. No input of a client makes
//! the server panic, and nothing that one client does can use up what another
//! may have.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod boot;
pub mod data;
pub mod image;
pub mod namespace;
pub mod pipe;
pub mod quota;
pub mod ram;
pub mod server;
pub mod service;
pub mod session;
mod streams;
pub mod volume;
