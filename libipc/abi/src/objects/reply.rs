//! `Reply`: the duty to answer one request.

use super::*;

/// The duty to answer one request: the one being served
/// ([`crate::handle::Handle::REQUEST`]), or one that was kept. All of it needs
/// `ANSWER`.
#[interface]
pub trait Reply {
    /// Turns the request being served into a capability that can be answered
    /// later or by somebody else. Deleting it answers `Dropped`.
    #[op(0)]
    #[errors(WrongState, QuotaExceeded)]
    fn keep(&mut self) -> Result<ReplyClient, ObjectError>;

    /// Copies `length` bytes at `offset` of a lease into the server's memory at
    /// `into`.
    ///
    /// # Safety
    ///
    /// The caller's own memory of `length` bytes at `into` is free to be written.
    #[op(1, idempotent)]
    #[errors(BadAddress, OutOfRange, WrongState, LeaseFault)]
    unsafe fn read(
        &mut self,
        lease: u64,
        offset: u64,
        into: u64,
        length: u64,
    ) -> Result<(), ObjectError>;

    /// Copies `length` bytes of the server's memory at `from` into a lease at
    /// `offset`.
    #[op(2, idempotent)]
    #[errors(BadAddress, OutOfRange, WrongState, LeaseFault)]
    fn write(&mut self, lease: u64, offset: u64, from: u64, length: u64)
    -> Result<(), ObjectError>;

    /// Whether the caller no longer waits for the answer.
    #[op(3, idempotent)]
    fn cancelled(&mut self) -> Result<bool, ObjectError>;

    /// When the caller stops waiting, in ticks of the counter; [`FOREVER`](crate::FOREVER)
    /// if it never does. Who has the work done elsewhere says there how much time is left.
    #[op(4, idempotent)]
    #[errors(WrongState)]
    fn deadline(&mut self) -> Result<u64, ObjectError>;
}
