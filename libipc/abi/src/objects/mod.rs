//! The interfaces of the kernel's objects, declared like any server's.
//!
//! Each file is compiled twice: here it makes the trait that the kernel
//! implements, the dispatch and the operation table; in `libipc` it makes the
//! client. A file names only what it finds in its parent module.
//!
//! | object | made by | what it is |
//! |---|---|---|
//! | [`Task`] | [`Task::create_task`] | address space, capability table, quota |
//! | [`Thread`] | [`Task::create_thread`] | a thread of execution |
//! | [`Endpoint`] | [`Task::create_endpoint`] | where messages and signals arrive |
//! | [`Memory`] | [`Task::create_memory`], [`System::device_memory`] | frames |
//! | [`Interrupt`] | [`System::interrupt`] | a device interrupt line |
//! | [`Reply`] | [`Reply::keep`] | the duty to answer a request |
//! | [`Reservation`] | [`System::create_reservation`] | processor time |
//! | [`Dma`] | [`System::create_dma`] | memory that a device may reach |
//! | [`System`] | the kernel, at boot | machine-wide functions, by right |
//!
//! The errors of an operation stand above it. Besides, every call on an object can
//! end in `Denied`, `Malformed` or `VersionMismatch`, one on a capability that is
//! being taken back in `Revoked`, and one on the request being served, when there
//! is none, in `Cancelled`.
//!
//! [`Fault`] is not a kernel object: it is what the kernel calls when a thread
//! faults, served by whoever was named as the task's fault handler.

mod types;

pub mod dma;
pub mod endpoint;
pub mod fault;
pub mod interrupt;
pub mod memory;
pub mod reply;
pub mod reservation;
pub mod system;
pub mod task;
pub mod thread;

pub use types::*;

pub use dma::{Dma, DmaClient};
pub use endpoint::{Endpoint, EndpointClient};
pub use fault::{Fault, FaultClient};
pub use interrupt::{Interrupt, InterruptClient};
pub use memory::{Memory, MemoryClient};
pub use reply::{Reply, ReplyClient};
pub use reservation::{Reservation, ReservationClient};
pub use system::{System, SystemClient};
pub use task::{Task, TaskClient};
pub use thread::{Thread, ThreadClient};

// What the declarations find in their parent module, besides the above.
use crate::{
    handle::Handle,
    wire::{Malformed, Sink, Source, Wire},
};
use libipc_macros::server_interface as interface;

/// A capability of any type, as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Capability(pub Handle);

impl Wire for Capability {
    const WORDS: usize = 0;
    const CAPABILITIES: usize = 1;
    #[inline]
    fn put(self, sink: &mut impl Sink) {
        sink.capability(self.0, false);
    }
    #[inline]
    fn take(source: &mut impl Source) -> Result<Self, Malformed> {
        source.capability().map(Capability)
    }
}
