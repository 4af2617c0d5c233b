//! The Tessera microkernel: scheduling, memory and capability-checked IPC.
#![no_std]

pub mod arch;
pub mod platform;
