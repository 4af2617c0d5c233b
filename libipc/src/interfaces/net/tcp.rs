//! `Tcp`: a connection.

use super::*;

/// How far a connection is. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum TcpState {
    /// It is over, or was never made.
    #[default]
    Closed = 0,
    /// Somebody may connect.
    Listening = 1,
    /// It is being made.
    Connecting = 2,
    /// Bytes go both ways.
    Connected = 3,
    /// The other side sends no more.
    Receiving = 4,
    /// This side sends no more, or neither does.
    Closing = 5,
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct TcpInfo {
    /// How far it is.
    pub state: TcpState,
    /// This side.
    pub local: SocketAddress,
    /// The other side; unspecified if there is none (any more).
    pub remote: SocketAddress,
    /// Bytes that can be read now.
    pub readable: u64,
    /// Bytes that can be written now.
    pub writable: u64,
    /// Bytes that the other side has not confirmed.
    pub unsent: u64,
}

/// A connection.
#[interface]
pub trait Tcp {
    /// Waits until the connection is made. `Refused`, `TimedOut`, `Unreachable`,
    /// `Reset`, `Busy`; `Closed` if it was made and is over.
    #[op(0, idempotent)]
    #[deferred]
    fn connected(&mut self) -> Result<(), NetError>;

    /// Waits until there is something, fills `into` with as much as there is, up to
    /// [`MAX_STREAM`], and returns the number of bytes; 0 is the end. Errors as of
    /// `connected`, and `BadMemory`.
    #[op(1)]
    #[deferred]
    fn read(&mut self, into: LeaseMut) -> Result<u64, NetError>;

    /// Waits until there is room, takes as much of `from` as fits, up to
    /// [`MAX_STREAM`], and returns the number of bytes, at least one unless `from` is
    /// empty. Errors as of `connected`, and `BadMemory`; `Closed` after `shutdown`.
    #[op(2)]
    #[deferred]
    fn write(&mut self, from: Lease) -> Result<u64, NetError>;

    /// As `read`, but `WouldBlock` if there is nothing.
    #[op(3)]
    fn try_read(&mut self, into: LeaseMut) -> Result<u64, NetError>;

    /// As `write`, but `WouldBlock` if there is no room.
    #[op(4)]
    fn try_write(&mut self, from: Lease) -> Result<u64, NetError>;

    /// This side sends no more; the other side learns that after all that was written.
    #[op(5, idempotent)]
    fn shutdown(&mut self) -> Result<(), NetError>;

    /// Ends the connection at once; what was not sent is lost, and the other side is
    /// told so.
    #[op(6, idempotent)]
    fn abort(&mut self) -> Result<(), NetError>;

    /// Waits until the other side has confirmed all that was written, and after
    /// `shutdown` that as well. Errors as of `connected`.
    #[op(7, idempotent)]
    #[deferred]
    fn drained(&mut self) -> Result<(), NetError>;

    /// What is known of it.
    #[op(8, idempotent)]
    fn info(&mut self) -> Result<TcpInfo, NetError>;
}
