//! The console server: one terminal, several clients.
//!
//! ```text
//! server    the interfaces, interrupts, the log
//! terminal  typed bytes to reads, writes to shown bytes
//! prompt    the console's own prompt
//! questions what the owner is asked there
//! seats     who sits at the terminal, and who is in front
//! line      what a typed byte does to the line being entered
//! screen    what goes out: the front as it is, others as marked lines
//! clean     what remains of output that must not control the terminal
//! device    registers of PL011 and NS16550
//! ```
//!
//! Everything between `server` and `device` runs without a kernel.
//!
//! What a person can trust: a line with the mark `▶` is the console's own or
//! another client's under its name, for the mark is taken out of all that
//! clients write. And whatever is on the screen, Ctrl-] leads to the console's
//! prompt, for no client gets that key.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod clean;
pub mod device;
pub mod line;
pub mod log;
mod prompt;
pub mod questions;
pub mod screen;
pub mod seats;
pub mod server;
pub mod terminal;
