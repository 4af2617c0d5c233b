//! What is open: sockets by badge.

use crate::waiting::Waiting;
use alloc::{vec, vec::Vec};
use core::ops::RangeInclusive;
use libipc::interfaces::net::{Events, IpAddress, NetError, SocketKind};
use smoltcp::{
    iface::SocketHandle,
    socket::{icmp, tcp, udp},
    time::{Duration, Instant},
};

/// Bytes of a connection that wait to be read.
pub const RECEIVE: usize = 32 << 10;

/// Bytes of a connection that wait to be sent or confirmed.
pub const SEND: usize = 32 << 10;

/// Bytes of datagrams that wait, in each direction.
pub const DATAGRAMS: usize = 16 << 10;

/// Bytes of echo requests and answers that wait, in each direction.
pub const ECHOES: usize = 4 << 10;

/// Datagrams that wait at most, in each direction.
const PACKETS: usize = 32;

/// Without an answer for so long, a connection is over.
pub const SILENCE: Duration = Duration::from_secs(30);

/// Without an answer for so long, one is not made.
pub const CONNECTING: Duration = Duration::from_secs(10);

/// Connections that one that listens keeps ready: of two or more one can be begun anew
/// while somebody who is not there has another one.
pub const BACKLOG: RangeInclusive<u16> = 1..=8;

/// Groups that one socket is in at most.
pub const GROUPS: usize = 8;

/// What a socket is.
#[derive(Debug)]
pub enum Kind {
    /// Datagrams at this port.
    Udp {
        /// smoltcp's socket.
        handle: SocketHandle,
        /// Its groups.
        groups: Vec<IpAddress>,
    },
    /// A connection.
    Tcp(Connection),
    /// A port at which others connect.
    Listener {
        /// Sockets that listen, or are connected and not accepted; those that were taken
        /// first come first.
        handles: Vec<SocketHandle>,
        /// The port.
        port: u16,
    },
    /// Echo.
    Ping {
        /// smoltcp's socket.
        handle: SocketHandle,
        /// What its requests are known by.
        number: u16,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    /// smoltcp's socket.
    pub handle: SocketHandle,
    /// It was made.
    pub made: bool,
    /// Why it is over, if that is an error.
    pub failed: Option<NetError>,
    /// Its state when it was last looked at.
    state: tcp::State,
    /// What was in its buffers then, and when that had changed.
    amounts: (usize, usize),
    changed: Instant,
    /// The end of its sending side was asked for.
    pub shut: bool,
    /// Nobody has it, and it goes when it has ended.
    pub orphan: bool,
}

impl Connection {
    /// One that begins now.
    pub fn new(handle: SocketHandle, state: tcp::State, now: Instant) -> Self {
        Connection {
            handle,
            made: state != tcp::State::SynSent,
            failed: None,
            state,
            amounts: (0, 0),
            changed: now,
            shut: false,
            orphan: false,
        }
    }

    /// Learns what has become of it.
    pub fn look(&mut self, socket: &mut tcp::Socket<'_>, now: Instant) {
        use tcp::State::{Closed, LastAck, SynReceived, SynSent, TimeWait};
        let (before, state) = (self.state, socket.state());
        self.state = state;
        if !self.made && !matches!(state, SynSent | SynReceived | Closed) {
            self.made = true;
            socket.set_timeout(Some(SILENCE));
        }
        let amounts = (socket.send_queue(), socket.recv_queue());
        let silent = now - self.changed;
        if state != before || amounts != self.amounts {
            (self.amounts, self.changed) = (amounts, now);
        }
        // The other side may end it when it has all.
        let confirmed = before == LastAck && socket.send_queue() == 0;
        let abrupt = !matches!(before, Closed | TimeWait) && !confirmed;
        if state == Closed && abrupt && self.failed.is_none() {
            self.failed = Some(match before {
                SynSent | SynReceived if silent < CONNECTING => NetError::Refused,
                SynSent | SynReceived => NetError::TimedOut,
                _ if silent < SILENCE => NetError::Reset,
                _ => NetError::TimedOut,
            });
        }
    }

    /// It was ended on this side.
    pub fn abort(&mut self) {
        self.failed = Some(NetError::Closed);
        self.state = tcp::State::Closed;
    }

    /// Whether it is over; the other side may still ask for the last confirmation again.
    pub fn is_over(&self) -> bool {
        matches!(self.state, tcp::State::Closed | tcp::State::TimeWait)
    }

    /// Whether nothing more can come of it.
    pub fn is_gone(&self) -> bool {
        self.state == tcp::State::Closed
    }

    /// Whether it is being made.
    pub fn is_connecting(&self) -> bool {
        matches!(self.state, tcp::State::SynSent | tcp::State::SynReceived)
    }
}

/// Something that is open.
#[derive(Debug)]
pub struct Socket {
    /// The account that it was opened through.
    pub account: u64,
    /// How that knows it.
    pub tag: u32,
    /// What it is.
    pub kind: Kind,
    /// Calls that wait.
    pub waiting: Vec<Waiting>,
    /// Bytes that it costs.
    pub bytes: usize,
    /// What it is told of if it becomes so: all but room, unless there was none.
    pub armed: Events,
    /// What has become so and was not collected.
    pub fresh: Events,
}

impl Socket {
    /// A new one.
    pub fn new(account: u64, tag: u32, kind: Kind, bytes: usize) -> Self {
        let room = match kind {
            // To be told when it is connected.
            Kind::Tcp(Connection { made: false, .. }) => Events::WRITABLE,
            _ => Events::empty(),
        };
        Socket {
            account,
            tag,
            kind,
            waiting: Vec::new(),
            bytes,
            armed: Events::READABLE | Events::ENDED | room,
            fresh: Events::empty(),
        }
    }

    /// What it is, for people.
    pub fn kind(&self) -> SocketKind {
        match self.kind {
            Kind::Udp { .. } => SocketKind::Udp,
            Kind::Tcp(_) => SocketKind::Tcp,
            Kind::Listener { .. } => SocketKind::Listener,
            Kind::Ping { .. } => SocketKind::Ping,
        }
    }

    /// Whether others connect here at this port.
    pub fn listens_at(&self, wanted: u16) -> bool {
        matches!(self.kind, Kind::Listener { port, .. } if port == wanted)
    }

    /// These are so now. Whether any of them is to be told.
    pub fn becomes(&mut self, now: Events) -> bool {
        let fresh = now & self.armed;
        self.armed -= fresh;
        self.fresh |= fresh;
        !fresh.is_empty()
    }
}

/// Bytes, if there is memory for them.
fn bytes(count: usize) -> Result<Vec<u8>, NetError> {
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(count);
    reserved.map_err(|_| NetError::NoResources)?;
    bytes.resize(count, 0);
    Ok(bytes)
}

/// smoltcp's socket of a connection.
pub fn connection() -> Result<tcp::Socket<'static>, NetError> {
    let receive = tcp::SocketBuffer::new(bytes(RECEIVE)?);
    let mut socket = tcp::Socket::new(receive, tcp::SocketBuffer::new(bytes(SEND)?));
    socket.set_timeout(Some(SILENCE));
    Ok(socket)
}

/// smoltcp's socket for datagrams.
pub fn datagrams() -> Result<udp::Socket<'static>, NetError> {
    let buffer = || {
        let packets = vec![udp::PacketMetadata::EMPTY; PACKETS];
        Ok(udp::PacketBuffer::new(packets, bytes(DATAGRAMS)?))
    };
    Ok(udp::Socket::new(buffer()?, buffer()?))
}

/// smoltcp's socket for echo.
pub fn echo(number: u16) -> Result<icmp::Socket<'static>, NetError> {
    let buffer = || {
        let packets = vec![icmp::PacketMetadata::EMPTY; PACKETS];
        Ok(icmp::PacketBuffer::new(packets, bytes(ECHOES)?))
    };
    let mut socket = icmp::Socket::new(buffer()?, buffer()?);
    let bound = socket.bind(icmp::Endpoint::Ident(number));
    bound.map_err(|_| NetError::NoResources)?;
    Ok(socket)
}
