//! `Thread`: a thread of execution.

use super::*;

/// A thread of execution.
///
/// [`crate::handle::Handle::THREAD`] names the calling thread and allows
/// `exit`, `yield_now`, `info` and `panic`.
#[interface]
pub trait Thread {
    /// Starts a stopped thread, or one that `suspend` stopped. Needs `CONTROL`.
    #[op(0)]
    #[errors(Died)]
    fn resume(&mut self) -> Result<(), ObjectError>;

    /// Stops a ready thread; a waiting one is first cancelled. Needs `CONTROL`.
    #[op(1)]
    #[errors(Died)]
    fn suspend(&mut self) -> Result<(), ObjectError>;

    /// Ends the thread's wait, which fails with `Cancelled`. Needs `CONTROL`.
    #[op(2)]
    #[errors(Died)]
    fn cancel(&mut self) -> Result<(), ObjectError>;

    /// Sets the priority, at most the caller's ceiling. Needs `CONTROL`.
    #[op(3)]
    #[errors(BadArgument, Died)]
    fn set_priority(&mut self, priority: u64) -> Result<(), ObjectError>;

    /// Ends the thread. If it is the task's last, the fault handler is told
    /// `code`. Does not return to a thread that ends itself.
    #[op(4)]
    #[errors(Died)]
    fn exit(&mut self, code: u64) -> Result<(), ObjectError>;

    /// Lets other threads of the same priority run. Only for the caller.
    #[op(5)]
    #[errors(WrongState)]
    fn yield_now(&mut self) -> Result<(), ObjectError>;

    /// The thread's numbers. Needs `INSPECT`.
    #[op(6, idempotent)]
    fn info(&mut self) -> Result<ThreadInfo, ObjectError>;

    /// Tells the fault handler that the caller cannot go on; `address` and
    /// `length` name its reason as text in its memory. Does not return.
    #[op(7)]
    #[errors(WrongState)]
    fn panic(&mut self, address: u64, length: u64) -> Result<(), ObjectError>;

    /// Moves the thread to another core, where it runs from now on; a new one is
    /// on its maker's. `OutOfRange` if there is no such core. Needs `CONTROL`.
    #[op(8)]
    #[errors(OutOfRange, Died)]
    fn set_core(&mut self, core: u64) -> Result<(), ObjectError>;

    /// As a server the thread goes to its client's core and runs on the client's
    /// time alone: it waits when that is used up, and cannot keep a reply.
    /// Needs `CONTROL`.
    #[op(9)]
    #[errors(Died)]
    fn set_passive(&mut self, passive: bool) -> Result<(), ObjectError>;
}
