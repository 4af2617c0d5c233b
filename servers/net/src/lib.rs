//! The network server: sockets for several clients over one network device.
//!
//! ```text
//! server    the loop: messages, signals, timers; `server/` has an interface a file
//! sockets   what is open, for whom, and what has become so there
//! accounts  who pays for sockets, and who is told of them
//! waiting   calls that are answered later
//! stack     protocols, addresses, names: smoltcp
//! port      a device that frames come from and go to
//! link      the same behind a driver
//! settings  what the page fixes
//! config    the second endpoint, at which the network is configured
//! ```
//!
//! Everything but `link` runs on the host, over a device in memory.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounts;
pub mod config;
pub mod link;
pub mod port;
pub mod server;
pub mod settings;
pub mod sockets;
pub mod stack;
pub mod waiting;
