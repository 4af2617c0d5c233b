//! Clients of the kernel's objects, made of the same declarations as the
//! kernel's side, and what makes them comfortable.
//!
//! Operations that name memory of the caller by address and length have a
//! method here that takes a slice: use that one.
#![allow(
    unsafe_code,
    reason = "some operations use the caller's memory by address"
)]

pub use libipc_abi::objects::{
    CALLERS_PRIORITY, CapabilityInfo, Counters, EndpointInfo, FaultKind, ObjectError,
    RegistersInfo, ReservationInfo, SessionInfo, Shutdown, TaskInfo, ThreadInfo, ThreadState,
};

#[path = "../abi/src/objects/dma.rs"]
pub mod dma;
#[path = "../abi/src/objects/endpoint.rs"]
pub mod endpoint;
#[path = "../abi/src/objects/interrupt.rs"]
pub mod interrupt;
#[path = "../abi/src/objects/memory.rs"]
pub mod memory;
#[path = "../abi/src/objects/reply.rs"]
pub mod reply;
#[path = "../abi/src/objects/reservation.rs"]
pub mod reservation;
#[path = "../abi/src/objects/system.rs"]
pub mod system;
#[path = "../abi/src/objects/task.rs"]
pub mod task;
#[path = "../abi/src/objects/thread.rs"]
pub mod thread;

pub use dma::DmaClient;
pub use endpoint::EndpointClient;
pub use interrupt::InterruptClient;
pub use memory::MemoryClient;
pub use reply::ReplyClient;
pub use reservation::ReservationClient;
pub use system::SystemClient;
pub use task::TaskClient;
pub use thread::ThreadClient;

// What the declarations find in their parent module, besides the above.
use crate::Capability;
use libipc_macros::client_interface as interface;

use crate::{
    CallError, arch,
    handle::Rights,
    label::{Flags, Label},
    status::{Cause, Status, TransportError},
};

impl EndpointClient {
    /// Sets bits of the endpoint's signal word. Needs `SIGNAL`.
    pub fn signal(&self, bits: u64) -> Result<(), TransportError> {
        let label = Label::control(Flags::SIGNAL, 0);
        let output = arch::brief(self.as_ref().handle(), label, bits, crate::FOREVER);
        match Status::from_word(output.status) {
            Some(Status::Message) => Ok(()),
            Some(Status::Error(error)) => Err(error),
            _ => Err(TransportError::delivered(Cause::Malformed)),
        }
    }

    /// Makes a client whose calls arrive with this badge, and may be copied and
    /// passed on. At most 16 of its calls are in flight at once.
    pub fn mint_client<C: From<Capability>>(
        &self,
        badge: u64,
    ) -> Result<C, CallError<ObjectError>> {
        let rights = Rights::CALL | Rights::GRANT;
        let minted = self.mint(badge, rights.bits().into(), 16)?;
        Ok(C::from(minted.into()))
    }
}

impl TaskClient {
    /// Copies from the task's memory at `address`.
    pub fn peek_into(&self, address: u64, into: &mut [u8]) -> Result<(), CallError<ObjectError>> {
        let (start, length) = (into.as_mut_ptr() as u64, into.len() as u64);
        // SAFETY: the kernel writes into the slice only.
        unsafe { self.peek(address, start, length) }
    }
}

impl MemoryClient {
    /// Copies from `offset`.
    pub fn read_into(&self, offset: u64, into: &mut [u8]) -> Result<(), CallError<ObjectError>> {
        let (start, length) = (into.as_mut_ptr() as u64, into.len() as u64);
        // SAFETY: the kernel writes into the slice only.
        unsafe { self.read(offset, start, length) }
    }

    /// Copies to `offset`.
    pub fn write_from(&self, offset: u64, from: &[u8]) -> Result<(), CallError<ObjectError>> {
        self.write(offset, from.as_ptr() as u64, from.len() as u64)
    }
}

impl SystemClient {
    /// Copies log text from byte position `from` on, and returns the position
    /// of the first byte copied and the number copied.
    pub fn read_log_into(
        &self,
        from: u64,
        into: &mut [u8],
    ) -> Result<(u64, u64), CallError<ObjectError>> {
        let (start, length) = (into.as_mut_ptr() as u64, into.len() as u64);
        // SAFETY: the kernel writes into the slice only.
        unsafe { self.read_log(from, start, length) }
    }

    /// Appends text to the kernel's log.
    pub fn log(&self, text: &str) -> Result<(), CallError<ObjectError>> {
        self.write_log(text.as_ptr() as u64, text.len() as u64)
    }
}
