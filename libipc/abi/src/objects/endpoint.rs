//! `Endpoint`: where messages and signals arrive.

use super::*;

/// The endpoint itself: called with the label flag `OBJECT`, for a plain call
/// goes to the server that receives from it.
#[interface(object)]
pub trait Endpoint {
    /// Makes a capability with this badge and no more than `rights`, and a
    /// session that counts its copies. At most `limit` calls through it are in
    /// flight at once. The endpoint's own payer pays. Needs `RECEIVE`.
    #[op(0)]
    #[errors(BadArgument, QuotaExceeded, Died)]
    fn mint(&mut self, badge: u64, rights: u64, limit: u64) -> Result<EndpointClient, ObjectError>;

    /// Callers queue from now on, until their deadlines. Needs `CONTROL`.
    #[op(1)]
    #[errors(WrongState)]
    fn pause(&mut self) -> Result<(), ObjectError>;

    /// Ends a pause. Needs `CONTROL`.
    #[op(2)]
    #[errors(WrongState)]
    fn resume(&mut self) -> Result<(), ObjectError>;

    /// Queued and later calls fail with `Died`, for good. Needs `CONTROL`.
    #[op(3)]
    fn close(&mut self) -> Result<(), ObjectError>;

    /// Ends every wait for messages with `Cancelled` and refuses capabilities
    /// to receive that exist now, other than the caller's. The endpoint can
    /// then be handed to a successor. Needs `CONTROL`.
    #[op(4)]
    fn expel(&mut self) -> Result<(), ObjectError>;

    /// The endpoint's numbers. Needs `CONTROL` or `RECEIVE`.
    #[op(5, idempotent)]
    fn info(&mut self) -> Result<EndpointInfo, ObjectError>;

    /// The first session with cursor 0, then the one whose cursor the last answer
    /// gave as `next`. `NotFound` if there is none, or that one has ended since:
    /// begin again. Needs `RECEIVE`.
    #[op(6, idempotent)]
    #[errors(NotFound)]
    fn session(&mut self, cursor: u64) -> Result<SessionInfo, ObjectError>;
}
