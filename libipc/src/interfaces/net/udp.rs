//! `Udp`: datagrams.

use super::*;

/// A datagram that was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Datagram {
    /// Its length in bytes.
    pub length: u64,
    /// Who has sent it.
    pub source: SocketAddress,
    /// The address of this machine's, or the group, that it was sent to.
    pub target: IpAddress,
}

/// Datagrams.
#[interface]
pub trait Udp {
    /// Sends `from` as a datagram. That it was taken says nothing of its fate.
    /// `WouldBlock` if too many wait to leave, `TooLarge`, `BadAddress`, `Unreachable`,
    /// `BadMemory`.
    #[op(0)]
    fn send(&mut self, to: SocketAddress, from: Lease) -> Result<(), NetError>;

    /// Waits for a datagram. `TooLarge` if `into` is too small, `Busy`, `BadMemory`.
    #[op(1)]
    #[deferred]
    fn receive(&mut self, into: LeaseMut) -> Result<Datagram, NetError>;

    /// Takes a datagram that is there. Errors as of `receive`; `WouldBlock`.
    #[op(2)]
    fn try_receive(&mut self, into: LeaseMut) -> Result<Datagram, NetError>;

    /// From now on, also what is sent to this group is received. `BadAddress`,
    /// `TooManySockets` if the client or the machine is in too many.
    #[op(3, idempotent)]
    fn join(&mut self, group: IpAddress) -> Result<(), NetError>;

    /// Ends that.
    #[op(4, idempotent)]
    fn leave(&mut self, group: IpAddress) -> Result<(), NetError>;

    /// The port.
    #[op(5, idempotent)]
    fn port(&mut self) -> Result<u16, NetError>;

    /// How many routers what is sent passes at most: 1 to 255; 64 in the beginning.
    /// `BadAddress` if it is 0.
    #[op(6, idempotent)]
    fn set_hop_limit(&mut self, hops: u8) -> Result<(), NetError>;
}
