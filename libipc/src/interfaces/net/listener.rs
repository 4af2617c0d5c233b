//! `Listener`: where others connect.

use super::*;

/// A port at which others connect.
#[interface]
pub trait Listener {
    /// Waits until somebody connects, and returns the connection, which `collect`
    /// knows by `tag`. `Busy`, `TooManySockets`, `NoResources`.
    #[op(0)]
    #[deferred]
    fn accept(&mut self, tag: u32) -> Result<TcpClient, NetError>;

    /// As `accept`, but `WouldBlock` if nobody has connected.
    #[op(1)]
    fn try_accept(&mut self, tag: u32) -> Result<TcpClient, NetError>;

    /// The port.
    #[op(2, idempotent)]
    fn port(&mut self) -> Result<u16, NetError>;
}
