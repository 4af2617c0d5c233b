//! `NetConfig`: what the owner of a machine says about its network.

use super::*;

/// What a socket is. The numbers are ABI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum SocketKind {
    /// [`Udp`].
    #[default]
    Udp = 0,
    /// [`Tcp`].
    Tcp = 1,
    /// [`Listener`].
    Listener = 2,
    /// [`Ping`].
    Ping = 3,
}

/// A socket, as `netstat` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct SocketLine {
    /// What it is.
    pub kind: SocketKind,
    /// How far its connection is, if it is one.
    pub state: TcpState,
    /// This side.
    pub local: SocketAddress,
    /// The other side of a connection.
    pub remote: SocketAddress,
    /// Bytes that were received and not read.
    pub received: u64,
    /// Bytes that were written and not sent, or not confirmed.
    pub unsent: u64,
    /// Nobody has it any more: it sends what is left.
    pub orphan: bool,
    /// The task of the page, if it was opened through a capability that the page gives.
    pub owner: Text<32>,
    /// The index to ask for next; 0 if this is the last.
    pub next: u64,
}

/// The network's configuration, at an endpoint of its own: who holds `Net` cannot
/// change it.
#[interface]
pub trait NetConfig {
    /// What is known of the network interface.
    #[op(0, idempotent)]
    #[deferred]
    fn interface(&mut self) -> Result<InterfaceInfo, NetError>;

    /// One of its addresses. `NotFound` past the last.
    #[op(1, idempotent)]
    #[deferred]
    fn address(&mut self, index: u64) -> Result<Cidr, NetError>;

    /// Adds an address; one of version 4 takes the place of those of version 4, and
    /// ends DHCP. `BadAddress`, `TooManySockets` if there are too many.
    #[op(2, idempotent)]
    #[deferred]
    fn add_address(&mut self, address: Cidr) -> Result<(), NetError>;

    /// Takes an address away. `BadAddress` if it is not there.
    #[op(3, idempotent)]
    #[deferred]
    fn remove_address(&mut self, address: IpAddress) -> Result<(), NetError>;

    /// To whom packets for other networks go, for the version that the address is of.
    /// `BadAddress`.
    #[op(4, idempotent)]
    #[deferred]
    fn set_gateway(&mut self, address: IpAddress) -> Result<(), NetError>;

    /// Who is asked for names. `BadAddress`.
    #[op(5, idempotent)]
    #[deferred]
    fn set_name_server(&mut self, address: IpAddress) -> Result<(), NetError>;

    /// Whether IPv4 addresses, gateway and name server come from a server.
    #[op(6, idempotent)]
    #[deferred]
    fn set_dhcp(&mut self, on: bool) -> Result<(), NetError>;

    /// The socket with this index or, if there is none, with the next one. `NotFound`
    /// past the last.
    #[op(7, idempotent)]
    #[deferred]
    fn socket(&mut self, index: u64) -> Result<SocketLine, NetError>;
}
