//! The supervisor: the first task, and part of the trusted base.
//!
//! What needs no kernel, in reading order:
//!
//! 1. [`wiring`]: from a page's task to the capabilities that it starts with.
//! 2. [`layout`], [`image`]: from a program's plan to its pages.
//! 3. [`devices`]: devices in the device tree and on PCI.
//! 4. [`restart`]: when a task is started again.
//! 5. [`backtrace`], [`report`]: what the log is told about a fault.
//! 6. [`badge`], [`slots`]: who calls, and what is known of each task.
//!
//! What the supervisor does with it:
//!
//! 7. [`Supervisor`]: takes what the kernel gave, and starts the page's tasks.
//! 8. [`launch`]: the kernel calls by which a program becomes a task; `give`
//!    puts its capabilities into it.
//! 9. `ends`: a task ends, and perhaps comes back.
//! 10. `serve`: the interfaces, one file for each.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod backtrace;
pub mod badge;
pub mod devices;
mod ends;
mod give;
pub mod image;
pub mod launch;
pub mod layout;
mod mapped;
pub mod report;
pub mod restart;
mod serve;
pub mod slots;
mod supervisor;
pub mod wiring;

pub use supervisor::Supervisor;
