//! `Fault`: what the kernel calls when a thread faults.

use super::*;

/// Served by whoever was named as a task's fault handler.
#[interface]
pub trait Fault {
    /// Thread `thread` of task `task` (both as unique numbers) stopped. The
    /// badge of the handler's capability says whose it is. An answer lets the
    /// thread go on at the instruction that faulted; `Exit` and `Panic` cannot
    /// go on, and an answer ends the thread.
    #[op(0)]
    fn fault(
        &mut self,
        task: u64,
        thread: u64,
        kind: FaultKind,
        address: u64,
        code: u64,
        pc: u64,
        sp: u64,
    ) -> Result<(), ObjectError>;
}
