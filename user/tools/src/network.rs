//! What a tool does with the network.

use alloc::vec::Vec;

use libipc::interfaces::net::{Cidr, InterfaceInfo, IpAddress, SocketAddress, SocketLine};

use crate::error::IoError;

/// The network. `net` is needed to use it, `net-config` to look at all of it and to
/// change it.
pub trait Network {
    /// An address of this name, or that it is. Needs `net`.
    fn look_up(&mut self, name: &str) -> Result<IpAddress, IoError>;

    /// Asks for an echo and waits for the answer; `None` if there is none in so many
    /// milliseconds. Needs `net`.
    fn echo(
        &mut self,
        to: IpAddress,
        sequence: u16,
        bytes: usize,
        milliseconds: u64,
    ) -> Result<Option<Answer>, IoError>;

    /// The network interface and its addresses. Needs `net-config`.
    fn interface(&mut self) -> Result<(InterfaceInfo, Vec<Cidr>), IoError>;

    /// Changes it. Needs `net-config`.
    fn change(&mut self, change: Change) -> Result<(), IoError>;

    /// All sockets. Needs `net-config`.
    fn sockets(&mut self) -> Result<Vec<SocketLine>, IoError>;
}

/// An answer to an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub source: IpAddress,
    /// Bytes of it.
    pub bytes: u64,
    /// When, in microseconds after the request.
    pub microseconds: u64,
}

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An address more.
    Add(Cidr),
    /// An address less.
    Remove(IpAddress),
    /// Another gateway.
    Gateway(IpAddress),
    /// Another name server.
    NameServer(IpAddress),
    /// Addresses come from a server, or not.
    Dhcp(bool),
}

/// Whose bytes are exchanged for those of the standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever listens there.
    Connect(SocketAddress),
    /// The first who connects at this port.
    Listen(u16),
    /// Datagrams to there.
    Send(SocketAddress),
    /// Datagrams that come to this port, and answers to whom the last one came from.
    Receive(u16),
}
