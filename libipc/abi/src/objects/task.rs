//! `Task`: an address space, a capability table and a quota.

use super::*;

/// An address space, a capability table and a quota.
///
/// Objects that an operation makes are paid from this task's quota.
#[interface]
pub trait Task {
    /// Makes a task with a quota of `frames`, taken from this task's.
    /// Needs `CREATE`.
    #[op(0)]
    #[errors(OutOfRange, QuotaExceeded, Died)]
    fn create_task(&mut self, frames: u64) -> Result<TaskClient, ObjectError>;

    /// Makes a thread, stopped, that will begin at `entry` with stack pointer
    /// `stack`, argument registers `start` and `argument`, and this priority.
    /// It cannot exceed the caller's own priority ceiling. Needs `CREATE`.
    ///
    /// # Safety
    ///
    /// In the caller's own task: `entry` is a function that may run with these
    /// arguments on the stack that ends at `stack`, which is its alone.
    #[op(1)]
    #[errors(BadAddress, BadArgument, QuotaExceeded, Died)]
    unsafe fn create_thread(
        &mut self,
        entry: u64,
        stack: u64,
        start: u64,
        argument: u64,
        priority: u64,
    ) -> Result<ThreadClient, ObjectError>;

    /// Makes an endpoint, open, with all rights. Needs `CREATE`.
    #[op(2)]
    #[errors(QuotaExceeded, Died)]
    fn create_endpoint(&mut self) -> Result<EndpointClient, ObjectError>;

    /// Makes zeroed memory of `pages`. The quota is charged at once; frames are
    /// filled in at first touch. Needs `CREATE`.
    #[op(3)]
    #[errors(OutOfRange, QuotaExceeded, Died)]
    fn create_memory(&mut self, pages: u64) -> Result<MemoryClient, ObjectError>;

    /// Maps `pages` of `memory` from page `offset` on at `address`, with
    /// `access` in bits of `READ`, `WRITE` and `EXECUTE`, each of which the
    /// memory capability must hold. Needs `MAP`.
    ///
    /// # Safety
    ///
    /// In the caller's own task: nothing else uses the range.
    #[op(4)]
    #[errors(
        BadAddress,
        OutOfRange,
        Overlap,
        BadArgument,
        WriteExecute,
        QuotaExceeded,
        Died
    )]
    unsafe fn map(
        &mut self,
        memory: &MemoryClient,
        address: u64,
        offset: u64,
        pages: u64,
        access: u64,
    ) -> Result<(), ObjectError>;

    /// Removes whole mappings inside `pages` from `address` on. Needs `MAP`.
    ///
    /// # Safety
    ///
    /// In the caller's own task: nothing uses the range any more.
    #[op(5)]
    #[errors(BadAddress, Overlap, NotMapped, Died)]
    unsafe fn unmap(&mut self, address: u64, pages: u64) -> Result<(), ObjectError>;

    /// Changes the access of the one mapping at exactly this range, to no more
    /// than its memory capability allowed. Needs `MAP`.
    ///
    /// # Safety
    ///
    /// In the caller's own task: nothing uses the range in a way that `access` forbids.
    #[op(6)]
    #[errors(BadAddress, NotMapped, BadArgument, WriteExecute, Died)]
    unsafe fn protect(&mut self, address: u64, pages: u64, access: u64) -> Result<(), ObjectError>;

    /// Puts a copy of `capability`, with no more than `rights`, into this task's
    /// table and returns its handle there. Needs `INSTALL`, and `GRANT` on the
    /// capability.
    #[op(7)]
    #[errors(BadArgument, QuotaExceeded, Died)]
    fn install(&mut self, capability: &Capability, rights: u64) -> Result<u64, ObjectError>;

    /// Derives from the capability `handle` in this task's own table one with
    /// no more than `rights`; `FAR_ONLY` is added if named, and kept. Returns
    /// the new handle. Needs `INSTALL`.
    #[op(8)]
    #[errors(BadArgument, QuotaExceeded, Died)]
    fn derive(&mut self, handle: u64, rights: u64) -> Result<u64, ObjectError>;

    /// Deletes the capability `handle` from this task's own table. Needs
    /// `INSTALL`.
    #[op(9)]
    #[errors(Died)]
    fn delete(&mut self, handle: u64) -> Result<(), ObjectError>;

    /// Names the endpoint that is called when a thread of this task faults or
    /// the last one ends. Needs `CONTROL`, and `CALL` on the endpoint.
    #[op(10)]
    #[errors(Died)]
    fn set_fault_handler(&mut self, handler: &EndpointClient) -> Result<(), ObjectError>;

    /// Ends all threads, empties the table, unmaps everything, and does the same
    /// to all tasks that were made from this one's quota. Frames return to
    /// the parent's quota as nobody else uses them. Needs `CONTROL`.
    #[op(11)]
    fn kill(&mut self) -> Result<(), ObjectError>;

    /// The task's numbers. Needs `INSPECT`.
    #[op(12, idempotent)]
    fn info(&mut self) -> Result<TaskInfo, ObjectError>;

    /// The first thread with cursor 0, then the one whose cursor the last answer
    /// gave as `next`. `NotFound` if there is none, or that one has ended since:
    /// begin again. Needs `INSPECT`.
    #[op(13, idempotent)]
    #[errors(NotFound)]
    fn thread(&mut self, cursor: u64) -> Result<ThreadInfo, ObjectError>;

    /// The first capability in the table at slot `index` or later; `NotFound`
    /// past the last. Needs `INSPECT`.
    #[op(14, idempotent)]
    #[errors(NotFound)]
    fn capability(&mut self, index: u64) -> Result<CapabilityInfo, ObjectError>;

    /// Registers of the thread with this cursor, which must not be running.
    /// Needs `INSPECT`.
    #[op(15, idempotent)]
    #[errors(WrongState, NotFound)]
    fn registers(&mut self, cursor: u64) -> Result<RegistersInfo, ObjectError>;

    /// Labels of the last 16 calls of the thread with this cursor, the latest first.
    /// Needs `INSPECT`.
    #[op(16, idempotent)]
    #[errors(NotFound)]
    fn history(&mut self, cursor: u64) -> Result<[u64; 16], ObjectError>;

    /// Copies from this task's memory into the caller's, at `into`. Needs
    /// `INSPECT`.
    ///
    /// # Safety
    ///
    /// The caller's own memory of `length` bytes at `into` is free to be written.
    #[op(17, idempotent)]
    #[errors(LeaseFault, Died)]
    unsafe fn peek(&mut self, address: u64, into: u64, length: u64) -> Result<(), ObjectError>;

    /// Takes back everything that came from the capability `handle` of this
    /// task's own table, in whatever task: copies, minted badges, mappings. Calls
    /// that wait in a queue through one of them end in `Revoked`. The capability
    /// itself stays, and allows nothing until that is done. Needs `INSTALL`.
    #[op(18)]
    #[errors(Died)]
    fn revoke(&mut self, handle: u64) -> Result<(), ObjectError>;

    /// Says that several programs share this task: from now on it receives no call
    /// through a capability with the mark `FAR_ONLY`. `FarOnly` if it has received
    /// one, for that demanded that no other program comes. Needs `CONTROL`.
    #[op(19, idempotent)]
    #[errors(FarOnly, Died)]
    fn set_shared(&mut self) -> Result<(), ObjectError>;

    /// Makes a thread that begins at `entry` with stack pointer `stack` and
    /// `argument` in its first argument register, and starts it. Once it has ended,
    /// by itself or not, the bits `signals` are set at the endpoint `watcher`: then
    /// nothing uses its stack any more. Its priority is as of `create_thread`, or
    /// [`CALLERS_PRIORITY`]. Returns its cursor. Needs `CREATE`, and `SIGNAL` on the
    /// endpoint.
    ///
    /// # Safety
    ///
    /// As of `create_thread`.
    #[op(20)]
    #[errors(BadAddress, BadArgument, QuotaExceeded, Died)]
    unsafe fn start_thread(
        &mut self,
        entry: u64,
        stack: u64,
        argument: u64,
        priority: u64,
        watcher: &EndpointClient,
        signals: u64,
    ) -> Result<u64, ObjectError>;

    /// Makes a capability for the thread with this cursor, which `start_thread` has
    /// started. `NotFound` if it has ended. Needs `CREATE`.
    #[op(21)]
    #[errors(NotFound, QuotaExceeded, Died)]
    fn started_thread(&mut self, cursor: u64) -> Result<ThreadClient, ObjectError>;

    /// Makes a task, as `create_task` does, with what a program needs first: memory of
    /// `pages`, paid by it; a capability for itself with no more than `rights`, in its
    /// own table; and `handler`, which is called with this badge when it faults or
    /// ends. Returns the task, the memory, the task's number and its handle for itself.
    /// Needs `CREATE`, and `RECEIVE` on the endpoint.
    #[op(22)]
    #[errors(OutOfRange, BadArgument, QuotaExceeded, Died)]
    fn create_program(
        &mut self,
        frames: u64,
        pages: u64,
        rights: u64,
        handler: &EndpointClient,
        badge: u64,
    ) -> Result<(TaskClient, MemoryClient, u64, u64), ObjectError>;
}
