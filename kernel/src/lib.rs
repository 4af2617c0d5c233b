//! The Tessera microkernel: scheduling, memory and capability-checked IPC,
//! nothing else.
//!
//! In reading order:
//!
//! 1. [`run`]: the heart, a loop around "run the user program until something
//!    happens".
//! 2. [`syscall`]: one system call, and which part it goes to.
//! 3. [`capability`]: handles become objects.
//! 4. [`ipc`]: messages between threads.
//! 5. [`interface`]: calls on the kernel's own objects.
//! 6. [`object`], [`memory`], [`schedule`]: what objects are made of, where
//!    they live, and when threads run.
//! 7. [`fault`]: what happens when a user program does something wrong;
//!    [`bug`] when the kernel does.
//! 8. [`arch`]: all that differs between architectures.
//!
//! Three rules hold everywhere. Everything that a task makes is paid from a
//! quota ([`memory::quota`]). Objects refer to each other by links, which stay
//! sound because memory is given back only when every core has left the kernel
//! ([`cell::Link`]). Nothing that a task can make long runs to its end while an
//! interrupt or another core waits ([`memory::space::Progress`],
//! [`ipc::Outcome::Retry`]).
//!
//! One core at a time is inside, but for those on the fast path, which write nothing
//! that is not their own ([`entry`]). The kernel's lock is the only one that guards
//! objects; the list of free frames has one of its own.
#![no_std]

extern crate libipc_mem as _;
#[cfg(test)]
extern crate std;

pub mod arch;
pub mod bug;
pub mod capability;
pub mod cell;
pub mod entry;
pub mod fault;
pub mod interface;
pub mod ipc;
pub mod kernel;
pub mod list;
pub mod log;
pub mod memory;
pub mod object;
pub mod platform;
pub mod run;
pub mod schedule;
pub mod start;
pub mod syscall;

pub use entry::Entered;
pub use kernel::Kernel;
pub use run::secondary_main;
pub use start::main;

#[cfg(test)]
mod tests;
