//! The network as the protocol wants it: datagrams to everybody or to one, and streams.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec,
    vec::Vec,
};
use core::net::{IpAddr, Ipv6Addr};
use libipc::{
    CallError,
    interfaces::{
        NetClient, NetError,
        net::{
            Events, IpAddress, ListenerClient, MAX_DATAGRAM, SocketAddress, TcpClient, UdpClient,
        },
    },
    objects::EndpointClient,
};
use tessera_softbus_protocol::{address::Address, limits::FLYING, node::StreamId};

/// Port of announcements, and of streams.
pub const PORT: u16 = 7355;

/// Everybody on the segment who has a soft bus: link-local, of our own choice
/// (RFC 4291, 2.7).
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0x0074, 0x6573, 0x7365, 0x7261);

const UDP: u32 = 1;
const LISTENER: u32 = 2;
/// Tags from here on are of streams.
const STREAMS: u32 = 16;

/// Streams that may wait to be accepted.
const BACKLOG: u16 = 4;

/// Bytes read from a stream at once.
const PIECE: usize = 16 << 10;

/// Such pieces that are read before anything else is done, and datagrams.
const PIECES: usize = 2;
/// See [`PIECES`].
const DATAGRAMS: usize = 32;

/// Bytes that wait for a stream, of which the protocol gives it fewer; one that takes no
/// more is closed.
const MOST: usize = 2 * FLYING;

/// What the network has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A datagram.
    Datagram(Address, Vec<u8>),
    /// Somebody opened a stream, which has this tag.
    Accepted(Address, u32),
    /// A stream that was asked for is there.
    Connected(StreamId),
    /// Bytes came.
    Received(StreamId, Vec<u8>),
    /// It is no more, or did not come about.
    Closed(StreamId),
}

struct Stream {
    id: Option<StreamId>,
    tcp: TcpClient,
    is_connecting: bool,
    /// Something was sent over it.
    is_used: bool,
    waits: VecDeque<Vec<u8>>,
    /// Bytes of the first of them that were written.
    written: usize,
}

/// Sockets.
pub struct Wires {
    net: NetClient,
    udp: UdpClient,
    listener: ListenerClient,
    streams: BTreeMap<u32, Stream>,
    tags: BTreeMap<StreamId, u32>,
    next: u32,
    /// Somebody waits to be accepted, and the network server has no room for him.
    is_full: bool,
    /// Sockets of which more can be read: nobody says so again.
    unread: BTreeSet<u32>,
}

impl Wires {
    /// Opens the sockets. The bits `signals` are set at the endpoint when
    /// [`hear`](Wires::hear) has something to say.
    pub fn open(
        net: NetClient,
        endpoint: EndpointClient,
        signals: u64,
    ) -> Result<Self, CallError<NetError>> {
        net.notify(endpoint, signals)?;
        let udp = net.udp(PORT, UDP)?;
        udp.join(IpAddr::V6(GROUP).into())?;
        // What is announced is for this segment.
        udp.set_hop_limit(1)?;
        Ok(Wires {
            listener: net.listen(PORT, BACKLOG, LISTENER)?,
            udp,
            net,
            streams: BTreeMap::new(),
            tags: BTreeMap::new(),
            next: STREAMS,
            is_full: false,
            unread: BTreeSet::new(),
        })
    }

    /// Sends a datagram. That one is lost is nothing out of the ordinary.
    pub fn send_datagram(&self, to: Option<Address>, bytes: &[u8]) {
        let group = SocketAddress {
            address: IpAddr::V6(GROUP).into(),
            port: PORT,
        };
        let _ = self.udp.send(to.map_or(group, socket), bytes);
    }

    /// Begins to open a stream.
    pub fn connect(&mut self, id: StreamId, to: Address) -> Result<(), CallError<NetError>> {
        let tag = self.tag();
        let tcp = self.net.connect(socket(to), tag)?;
        self.streams.insert(tag, Stream::new(Some(id), tcp, true));
        self.tags.insert(id, tag);
        Ok(())
    }

    /// The protocol knows a stream that was accepted by this name; none: close it.
    pub fn name(&mut self, tag: u32, id: Option<StreamId>) {
        match (self.streams.get_mut(&tag), id) {
            (Some(stream), Some(id)) => {
                stream.id = Some(id);
                self.tags.insert(id, tag);
            }
            _ => {
                if let Some(stream) = self.streams.remove(&tag) {
                    stream.end();
                }
            }
        }
    }

    /// Sends bytes over a stream. False if it is no more.
    pub fn send(&mut self, id: StreamId, bytes: Vec<u8>) -> bool {
        let Some(stream) = self.tags.get(&id).and_then(|tag| self.streams.get_mut(tag)) else {
            return false;
        };
        stream.is_used = true;
        stream.waits.push_back(bytes);
        stream.is_connecting || stream.flush()
    }

    /// Closes a stream, after what was sent over it.
    pub fn close(&mut self, id: StreamId) {
        if let Some(stream) = self
            .tags
            .remove(&id)
            .and_then(|tag| self.streams.remove(&tag))
        {
            stream.end();
        }
    }

    /// What has happened since; of what comes in quick succession a part, see
    /// [`is_behind`](Wires::is_behind).
    pub fn hear(&mut self) -> Result<Vec<Heard>, CallError<NetError>> {
        let mut heard = Vec::new();
        if self.is_full {
            self.accept(&mut heard);
        }
        for tag in core::mem::take(&mut self.unread) {
            match tag {
                UDP => self.datagrams(&mut heard),
                tag => self.stream(tag, Events::empty(), &mut heard),
            }
        }
        loop {
            let ready = self.net.collect()?;
            for (tag, events) in ready.iter() {
                match tag {
                    UDP => self.datagrams(&mut heard),
                    LISTENER => self.accept(&mut heard),
                    tag => self.stream(tag, events, &mut heard),
                }
            }
            if !ready.is_full() {
                return Ok(heard);
            }
        }
    }

    /// Whether [`hear`](Wires::hear) is to be called again soon, without a signal.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether there is more to hear at once, when whoever asks has done something else.
    pub fn is_behind(&self) -> bool {
        !self.unread.is_empty()
    }

    fn datagrams(&mut self, heard: &mut Vec<Heard>) {
        let mut bytes = [0; MAX_DATAGRAM];
        for _ in 0..DATAGRAMS {
            match self.udp.try_receive(&mut bytes) {
                Ok(datagram) => {
                    let bytes = bytes[..MAX_DATAGRAM.min(datagram.length as usize)].to_vec();
                    heard.push(Heard::Datagram(address(datagram.source), bytes));
                }
                Err(CallError::Server(NetError::TooLarge)) => {}
                Err(_) => return,
            }
        }
        self.unread.insert(UDP);
    }

    fn accept(&mut self, heard: &mut Vec<Heard>) {
        loop {
            let tag = self.tag();
            let accepted = self.listener.try_accept(tag);
            // Of anything else it is not told when it is over.
            self.is_full = accepted
                .as_ref()
                .is_err_and(|error| *error != CallError::Server(NetError::WouldBlock));
            let Ok(tcp) = accepted else { return };
            let from = tcp.info().map(|info| address(info.remote));
            self.streams.insert(tag, Stream::new(None, tcp, false));
            heard.push(Heard::Accepted(from.unwrap_or_default(), tag));
        }
    }

    fn stream(&mut self, tag: u32, events: Events, heard: &mut Vec<Heard>) {
        let Some(stream) = self.streams.get_mut(&tag) else {
            return;
        };
        let Some(id) = stream.id else { return };
        let mut is_open = true;
        if events.contains(Events::WRITABLE) {
            if core::mem::take(&mut stream.is_connecting) {
                heard.push(Heard::Connected(id));
            }
            is_open = stream.flush();
        }
        let read = stream.read(id, heard);
        if read == Read::More {
            self.unread.insert(tag);
        }
        is_open &= match read {
            Read::All => !events.contains(Events::ENDED),
            Read::More => true,
            Read::Ended => false,
        };
        if !is_open {
            self.unread.remove(&tag);
            self.streams.remove(&tag);
            self.tags.remove(&id);
            heard.push(Heard::Closed(id));
        }
    }

    /// The streams that are open.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.tags.keys().copied()
    }

    /// What came over a stream that was accepted before it had a name.
    pub fn first(&mut self, id: StreamId) -> Vec<Heard> {
        let mut heard = Vec::new();
        if let Some(tag) = self.tags.get(&id) {
            self.stream(*tag, Events::empty(), &mut heard);
        }
        heard
    }

    fn tag(&mut self) -> u32 {
        self.next = self.next.checked_add(1).unwrap_or(STREAMS);
        self.next
    }
}

impl Stream {
    fn new(id: Option<StreamId>, tcp: TcpClient, is_connecting: bool) -> Self {
        Stream {
            id,
            tcp,
            is_connecting,
            is_used: false,
            waits: VecDeque::new(),
            written: 0,
        }
    }

    /// Ends it after what was sent. If that is nothing the other side has not shown who it
    /// is, and is not waited for: the network server would do so as long as it likes.
    fn end(self) {
        let _ = match self.is_used {
            true => self.tcp.shutdown(),
            false => self.tcp.abort(),
        };
    }

    /// Writes what there is room for; false if the stream is no more, or takes nothing
    /// while more and more waits.
    fn flush(&mut self) -> bool {
        while let Some(first) = self.waits.front() {
            match self.tcp.try_write(&first[self.written..]) {
                Ok(count) => self.written += count as usize,
                Err(CallError::Server(NetError::WouldBlock)) => break,
                Err(_) => return false,
            }
            if self.written >= first.len() {
                self.waits.pop_front();
                self.written = 0;
            }
        }
        self.waits.iter().map(Vec::len).sum::<usize>() <= MOST
    }

    /// Reads what there is, but no more than a few pieces.
    fn read(&mut self, id: StreamId, heard: &mut Vec<Heard>) -> Read {
        if self.is_connecting {
            return Read::All;
        }
        for _ in 0..PIECES {
            let mut bytes = vec![0; PIECE];
            match self.tcp.try_read(&mut bytes) {
                Ok(0) => return Read::Ended,
                Ok(count) => {
                    bytes.truncate(count as usize);
                    heard.push(Heard::Received(id, bytes));
                }
                Err(CallError::Server(NetError::WouldBlock)) => return Read::All,
                Err(_) => return Read::Ended,
            }
        }
        Read::More
    }
}

/// How much of a stream was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// All that there is.
    All,
    /// There may be more.
    More,
    /// It is no more.
    Ended,
}

fn socket(to: Address) -> SocketAddress {
    SocketAddress {
        address: IpAddress::from(IpAddr::V6(to.ip.into()).to_canonical()),
        port: to.port,
    }
}

fn address(from: SocketAddress) -> Address {
    let ip = match IpAddr::from(from.address) {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Address {
        ip: ip.octets(),
        port: from.port,
    }
}
