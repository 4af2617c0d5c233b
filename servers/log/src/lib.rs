//! The log server: lines of the kernel and of all tasks in one bounded ring.
//!
//! ```text
//! server   the interface, the kernel's log, followers
//! journal  lines with time, level and source; who may write how fast
//! ring     whole lines at positions, the oldest forgotten first
//! rate     a bucket of lines
//! ```
//!
//! Everything but `server` runs without a kernel.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod journal;
pub mod rate;
pub mod ring;
pub mod server;
