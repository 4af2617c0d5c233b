//! `Program`: one program that its holder has started, or is about to.

use super::{CapabilityName, SupervisorError};
use crate::objects::EndpointClient;
use crate::{Capability, Lease, Wire, interface};

/// A program that its holder has started, or is about to.
///
/// When the last copy of the capability is gone, a program that runs goes on,
/// and one that does not is thrown away. A program ends with whoever started
/// it.
#[interface]
pub trait Program {
    /// Sets the arguments, without the program's name: each UTF-8 that ends
    /// with a zero byte.
    #[op(0, idempotent)]
    fn arguments(&mut self, text: Lease) -> Result<(), SupervisorError>;

    /// Passes `capability` on to the program, which will find it as `name`.
    #[op(1)]
    fn give(&mut self, name: CapabilityName, capability: Capability)
    -> Result<(), SupervisorError>;

    /// Lets the supervisor give what the page calls `name`, which the page must
    /// let the caller grant.
    #[op(2)]
    fn grant(&mut self, name: CapabilityName) -> Result<(), SupervisorError>;

    /// Starts it. Returns the number of its task.
    #[op(3)]
    fn run(&mut self) -> Result<u64, SupervisorError>;

    /// How it ended; answers as soon as it has.
    #[op(4, idempotent)]
    #[deferred]
    fn wait(&mut self) -> Result<Outcome, SupervisorError>;

    /// Sends `signals` to `endpoint` when it ends, for those who cannot stand
    /// and wait. `Right` unless it holds `SIGNAL`.
    #[op(5)]
    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), SupervisorError>;

    /// Ends it.
    #[op(6, idempotent)]
    fn kill(&mut self) -> Result<(), SupervisorError>;
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Outcome {
    /// In which way.
    pub ended: Ended,
    /// Its exit code, or the number of the fault.
    pub code: u64,
}

/// In which way a program ended. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum Ended {
    /// By itself, with an exit code.
    Exited = 0,
    /// By a fault, which the kernel's log tells about; the code is that of
    /// [`crate::objects::FaultKind`].
    Faulted = 1,
    /// Somebody killed it.
    Killed = 2,
}
