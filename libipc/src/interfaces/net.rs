//! `Net`: sockets, each a capability of its own.
//!
//! | interface | what it is |
//! |---|---|
//! | [`Net`] | opens sockets, looks names up, tells which sockets are ready |
//! | [`Udp`] | datagrams, multicast included |
//! | [`Tcp`] | a connection: bytes in order, both ways |
//! | [`Listener`] | a port at which others connect |
//! | [`Ping`] | ICMP echo, of both versions |
//! | [`NetConfig`] | addresses and routes are set, all sockets listed |
//!
//! There are two ways to wait, and a client may use both:
//!
//! - by call: `read`, `write`, `receive`, `accept`, `connected` return when there is
//!   something to return. The client's deadline ends them like any call.
//! - by signal, for a thread with many sockets: [`Net::notify`] names an endpoint once;
//!   its bits are set when any of the client's sockets becomes ready. [`Net::collect`]
//!   tells which, by the tag that each was opened with. The operations `try_..` never
//!   wait: they do what can be done now, or fail with [`NetError::WouldBlock`].
//!
//! ```text
//! net.notify(endpoint, SOCKETS)?;
//! let (udp, listener) = (net.udp(PORT, 1)?, net.listen(PORT, 4, 2)?);
//! loop {
//!     // .. SOCKETS was received at the endpoint:
//!     let ready = net.collect()?;            // again if `ready.is_full()`
//!     for (tag, events) in ready.iter() {
//!         // tag 1: `udp.try_receive` until `WouldBlock`
//!         // tag 2: `listener.try_accept(next_tag)` until `WouldBlock`
//!     }
//! }
//! ```
//!
//! A socket is open as long as a capability for it is anywhere. What a connection has
//! taken to send goes out after that.

mod address;
mod config;
mod listener;
mod ping;
mod tcp;
mod udp;

pub use address::{Cidr, IpAddress, SocketAddress};
pub use config::{NetConfig, NetConfigClient, SocketKind, SocketLine};
pub use listener::{Listener, ListenerClient};
pub use ping::{Ping, PingAnswer, PingClient};
pub use tcp::{Tcp, TcpClient, TcpInfo, TcpState};
pub use udp::{Datagram, Udp, UdpClient};

use super::{Lease, LeaseMut, describe};
use crate::objects::EndpointClient;
use libipc_abi::wire::Text;
use libipc_macros::{ErrorCode, Wire, interface};

/// Most bytes of a name that is looked up (RFC 1035, 2.3.4).
pub const MAX_NAME: usize = 253;

/// Most bytes of a datagram that is sent: what fits in one frame over IPv6.
pub const MAX_DATAGRAM: usize = 1452;

/// Most bytes that one call reads from a connection or writes to it.
pub const MAX_STREAM: usize = 64 << 10;

/// Why the network refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum NetError {
    /// Not now: the client is told when it is worth while to try again.
    WouldBlock = 1,
    /// The other side does not want to be connected at this port.
    Refused = 2,
    /// The other side has ended the connection at once, or what came of it made no sense.
    Reset = 3,
    /// The other side does not answer.
    TimedOut = 4,
    /// No address of this machine's leads there.
    Unreachable = 5,
    /// The port is in use.
    InUse = 6,
    /// The datagram is larger than [`MAX_DATAGRAM`], or larger than the memory that is
    /// to hold it: what is too much is lost.
    TooLarge = 7,
    /// This side has said that it sends no more, or the connection is over.
    Closed = 8,
    /// Neither an address nor a group that can be used so, or a port that is none.
    BadAddress = 9,
    /// The capability does not allow it: see [`Net::restrict`].
    NotPermitted = 10,
    /// The client has as many sockets, or as many bytes in them, as it may.
    TooManySockets = 11,
    /// The network server has no resources left.
    NoResources = 12,
    /// There is nothing of this name.
    NoName = 13,
    /// Nobody is known who could be asked for names.
    NoServer = 14,
    /// The machine has no network.
    NoLink = 15,
    /// The lease is memory that cannot be read, or written.
    BadMemory = 16,
    /// This capability is of another kind, or the network server was restarted and has
    /// forgotten the socket.
    Stale = 17,
    /// Too many calls wait at this socket.
    Busy = 18,
    /// There are no more: the index is past the last.
    NotFound = 19,
}

describe!(NetError {
    WouldBlock => "not now",
    Refused => "connection refused",
    Reset => "the other side has reset the connection",
    TimedOut => "the other side does not answer",
    Unreachable => "no way leads there",
    InUse => "the port is in use",
    TooLarge => "the datagram is too large",
    Closed => "the connection is closed",
    BadAddress => "not an address that can be used here",
    NotPermitted => "the capability does not allow it",
    TooManySockets => "too many sockets are open",
    NoResources => "the network server has no resources left",
    NoName => "nothing has this name",
    NoServer => "no name server is known",
    NoLink => "the machine has no network",
    BadMemory => "the memory lent cannot be used",
    Stale => "this capability is no socket (any more)",
    Busy => "too many calls wait at this socket",
    NotFound => "there are no more",
});

bitflags::bitflags! {
    /// What has become so at a socket.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Events: u32 {
        /// A datagram, bytes, their end, or somebody who connects is there.
        const READABLE = 1 << 0;
        /// A connection was made, or there is room again after `WouldBlock`.
        const WRITABLE = 1 << 1;
        /// The connection is over, or was never made: `Tcp::connected` says why.
        const ENDED = 1 << 2;
    }
}

bitflags::bitflags! {
    /// What a capability for the network is good for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Allowed: u64 {
        /// Connect to others.
        const CONNECT = 1 << 0;
        /// Let others connect.
        const LISTEN = 1 << 1;
        /// Send and receive datagrams.
        const DATAGRAMS = 1 << 2;
        /// ICMP echo.
        const PING = 1 << 3;
        /// Look names up.
        const NAMES = 1 << 4;
    }
}

/// What [`Net::collect`] tells: up to [`Ready::MOST`] sockets that have become ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Ready {
    count: u64,
    /// Tag in the low half, events in the high one.
    packed: [u64; Ready::MOST],
}

impl Ready {
    /// As many as registers carry.
    pub const MOST: usize = 7;

    /// Adds one; `false` if there is no room.
    pub fn push(&mut self, tag: u32, events: Events) -> bool {
        match self.packed.get_mut(self.count as usize) {
            Some(place) => {
                *place = u64::from(events.bits()) << 32 | u64::from(tag);
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Whether there is room for no more: then there may be others.
    pub fn is_full(&self) -> bool {
        self.count >= Self::MOST as u64
    }

    /// Tag and events of each.
    ///
    /// ```
    /// use libipc::interfaces::net::{Events, Ready};
    /// let mut ready = Ready::default();
    /// ready.push(9, Events::READABLE | Events::ENDED);
    /// assert!(ready.iter().eq([(9, Events::READABLE | Events::ENDED)]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (u32, Events)> {
        let count = Self::MOST.min(self.count as usize);
        let unpack = |packed: &u64| {
            (
                *packed as u32,
                Events::from_bits_truncate((*packed >> 32) as u32),
            )
        };
        self.packed[..count].iter().map(unpack)
    }
}

/// What is known of the machine's network interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct InterfaceInfo {
    /// Its address on the link: six bytes, the first one in bits 40 to 47.
    pub mac: u64,
    /// Most bytes of an IP packet.
    pub mtu: u64,
    /// Addresses that it has.
    pub addresses: u64,
    /// Somebody else on the link may be reached.
    pub up: bool,
    /// IPv4 addresses come from a server (DHCP).
    pub dhcp: bool,
    /// To whom packets for other networks go; unspecified if nobody is known.
    pub gateway: IpAddress,
    /// Who is asked for names; unspecified if nobody is known.
    pub name_server: IpAddress,
    /// Frames and bytes that were received, and those that had no room.
    pub received: [u64; 3],
    /// Frames and bytes that were sent, and those that had no room.
    pub sent: [u64; 3],
}

/// Addresses of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Addresses {
    /// How many there are.
    pub count: u64,
    /// The first so many are meant.
    pub list: [IpAddress; Addresses::MOST],
}

impl Addresses {
    /// As many as are told.
    pub const MOST: usize = 4;

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = IpAddress> {
        let count = Self::MOST.min(self.count as usize);
        self.list[..count].iter().copied()
    }
}

/// Sockets. A socket counts for the capability that it was opened through, whoever
/// has it: so many and no more, and so many bytes in all of them.
///
/// When the server is restarted, all sockets are forgotten: their capabilities fail
/// with `Stale`. The endpoint that `notify` names is best given with a badge of its own:
/// `Closed` of that badge is the server's end.
#[interface]
pub trait Net {
    /// Opens a socket for datagrams at `port`, or at any that is free if it is 0; it is
    /// known by `tag` to `collect`. `InUse`; `NotPermitted`, also if the page keeps the
    /// port for another task; `TooManySockets`, `NoResources`.
    #[op(0)]
    fn udp(&mut self, port: u16, tag: u32) -> Result<UdpClient, NetError>;

    /// Begins to connect, and returns at once: see [`Tcp::connected`]. `BadAddress`,
    /// `Unreachable`, `NotPermitted`, `TooManySockets`, `NoResources`.
    #[op(1)]
    fn connect(&mut self, remote: SocketAddress, tag: u32) -> Result<TcpClient, NetError>;

    /// Lets others connect at `port`, or at any that is free if it is 0. Up to
    /// `backlog` of them, at most 8 and at least 1, may wait to be accepted; all the
    /// bytes for these count at once. Who asks and does not confirm makes room for who
    /// comes later. `InUse`; `NotPermitted`, also if the page keeps the port for another
    /// task; `TooManySockets`, `NoResources`.
    #[op(2)]
    fn listen(&mut self, port: u16, backlog: u16, tag: u32) -> Result<ListenerClient, NetError>;

    /// Opens a socket for echo requests and their answers. `NotPermitted`,
    /// `TooManySockets`, `NoResources`.
    #[op(3)]
    fn ping(&mut self, tag: u32) -> Result<PingClient, NetError>;

    /// Looks a name up: its IPv6 addresses, or those of IPv4. An address in words is
    /// taken for what it says. What is looked up counts like a socket until it is found.
    /// `NoName`, `NoServer`, `TimedOut`, `NotPermitted`, `TooManySockets`, `NoResources`.
    #[op(4, idempotent)]
    #[deferred]
    fn lookup(&mut self, name: Text<MAX_NAME>, ipv6: bool) -> Result<Addresses, NetError>;

    /// Names the endpoint whose signal bits `signals` are set when one of the sockets
    /// opened through this capability has become ready; it replaces the one before.
    /// `NoResources`.
    #[op(5, idempotent)]
    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), NetError>;

    /// Takes what has become so at sockets of this capability: nothing if nothing has,
    /// and perhaps not all if the answer is full. What is told is not told again
    /// before a `try_..` has failed with `WouldBlock`.
    #[op(6)]
    fn collect(&mut self) -> Result<Ready, NetError>;

    /// What is known of the network interface.
    #[op(7, idempotent)]
    fn interface(&mut self) -> Result<InterfaceInfo, NetError>;

    /// One of its addresses. `NotFound` past the last.
    #[op(8, idempotent)]
    fn address(&mut self, index: u64) -> Result<Cidr, NetError>;

    /// A capability that is good for no more than this one and `allowed`, in bits of
    /// [`Allowed`]. Sockets opened through it count for it, within the same limits.
    /// `NoResources`, `TooManySockets`.
    #[op(9)]
    fn restrict(&mut self, allowed: u64) -> Result<NetClient, NetError>;
}
