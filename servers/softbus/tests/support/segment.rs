//! An Ethernet segment without Ethernet: a network server for all machines, which hands
//! datagrams and streams from one to the other.

use libipc::{
    Lease, LeaseMut, Text, fake,
    interfaces::{
        NetClient, NetError,
        net::{
            Addresses, Cidr, Datagram, Events, InterfaceInfo, IpAddress, Listener, ListenerClient,
            MAX_NAME, Net, PingClient, Ready, SocketAddress, Tcp, TcpClient, TcpInfo, Udp,
            UdpClient,
        },
    },
    objects::EndpointClient,
    server::{Event, LeaseId, Receiver, Reply},
    status::TransportError,
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Badges from here on are of sockets.
const SOCKETS: u64 = 1 << 40;
/// Bytes that a stream holds.
const ROOM: usize = 64 << 10;

/// Streams that are open, by the badge at the machine that opened it, and between whom.
type Streams = Arc<Mutex<BTreeMap<u64, [u64; 2]>>>;

/// The segment.
pub(crate) struct Segment {
    endpoint: EndpointClient,
    streams: Streams,
    /// How many streams each machine may have.
    most: Arc<AtomicUsize>,
}

impl Segment {
    /// One without machines. From now on time passes only while nobody has anything to
    /// do, so that no machine takes another one to be lost because the host is busy.
    pub(crate) fn new() -> Segment {
        fake::own_time();
        let endpoint = fake::endpoint();
        let handed = endpoint.as_ref().copy().unwrap();
        let streams = Streams::default();
        let open = streams.clone();
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let limit = most.clone();
        fake::Task::new().spawn_with(handed, move |endpoint: EndpointClient| {
            Server {
                endpoint: &endpoint,
                machines: BTreeMap::new(),
                sockets: BTreeMap::new(),
                streams: open,
                most: limit,
                next: SOCKETS,
            }
            .run()
        });
        Segment {
            endpoint,
            streams,
            most,
        }
    }

    /// From now on each machine may have only so many streams.
    pub(crate) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::SeqCst);
    }

    /// The streams that are open between two machines. None is ever named as another.
    pub(crate) fn streams(&self, one: u8, other: u8) -> Vec<u64> {
        let between = |ends: &[u64; 2]| ends.contains(&one.into()) && ends.contains(&other.into());
        let open = self.streams.lock().unwrap();
        let found = open.iter().filter(|(_, ends)| between(ends));
        found.map(|(name, _)| *name).collect()
    }

    /// The network of the machine with this number.
    pub(crate) fn net(&self, number: u8) -> NetClient {
        self.endpoint.mint_client(number.into()).unwrap()
    }
}

#[derive(Default)]
struct Machine {
    notify: Option<(EndpointClient, u64)>,
    ready: BTreeMap<u32, Events>,
}

/// A socket: whose, known by which tag, and what it is.
struct Socket {
    machine: u64,
    tag: u32,
    kind: Kind,
}

enum Kind {
    Udp(VecDeque<(SocketAddress, Vec<u8>)>),
    /// Streams that wait to be accepted, by their badges.
    Listener(VecDeque<u64>),
    Tcp {
        other: u64,
        bytes: VecDeque<u8>,
        has_ended: bool,
        is_reset: bool,
    },
}

struct Server<'e> {
    endpoint: &'e EndpointClient,
    machines: BTreeMap<u64, Machine>,
    sockets: BTreeMap<u64, Socket>,
    streams: Streams,
    most: Arc<AtomicUsize>,
    next: u64,
}

impl Server<'_> {
    fn run(&mut self) -> TransportError {
        let mut receiver = Receiver::new(self.endpoint);
        loop {
            match receiver.next() {
                Ok(Event::Message(message)) => {
                    let badge = message.badge();
                    let mut session = Session {
                        server: self,
                        badge,
                    };
                    if message.is::<dyn Net>() {
                        message.dispatch::<dyn Net>(&mut session);
                    } else if message.is::<dyn Udp>() {
                        message.dispatch::<dyn Udp>(&mut session);
                    } else if message.is::<dyn Tcp>() {
                        message.dispatch::<dyn Tcp>(&mut session);
                    } else {
                        message.dispatch::<dyn Listener>(&mut session);
                    }
                }
                Ok(Event::Closed(badge)) => self.closed(badge),
                Ok(Event::Signals(_)) => {}
                Err(error) => return error,
            }
        }
    }

    fn closed(&mut self, badge: u64) {
        let Some(socket) = self.sockets.remove(&badge) else {
            return;
        };
        let Kind::Tcp { other, .. } = socket.kind else {
            return;
        };
        let mut streams = self.streams.lock().unwrap();
        streams.retain(|name, _| ![badge, other].contains(name));
        drop(streams);
        if let Some(Socket {
            kind: Kind::Tcp { has_ended, .. },
            ..
        }) = self.sockets.get_mut(&other)
        {
            *has_ended = true;
            self.tell(other, Events::READABLE);
        }
    }

    fn tell(&mut self, socket: u64, events: Events) {
        let Some(socket) = self.sockets.get(&socket) else {
            return;
        };
        let machine = self.machines.entry(socket.machine).or_default();
        *machine.ready.entry(socket.tag).or_default() |= events;
        if let Some((endpoint, bits)) = &machine.notify {
            let _ = endpoint.signal(*bits);
        }
    }

    fn add(&mut self, machine: u64, tag: u32, kind: Kind) -> u64 {
        self.next += 1;
        self.sockets
            .insert(self.next, Socket { machine, tag, kind });
        self.next
    }

    /// Whether a machine may have another stream. One that waits to be accepted is no
    /// socket of its own yet.
    fn may_have_more(&self, machine: u64) -> Result<(), NetError> {
        let is_one = |socket: &&Socket| {
            socket.machine == machine && socket.tag != 0 && matches!(socket.kind, Kind::Tcp { .. })
        };
        let count = self.sockets.values().filter(is_one).count();
        match count < self.most.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(NetError::TooManySockets),
        }
    }

    fn client<C: From<libipc::Capability>>(&self, badge: u64) -> C {
        self.endpoint.mint_client(badge).expect("there is room")
    }
}

pub(crate) fn address(machine: u64) -> SocketAddress {
    let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, machine as u16);
    SocketAddress {
        address: IpAddr::V6(ip).into(),
        port: 7355,
    }
}

struct Session<'s, 'e> {
    server: &'s mut Server<'e>,
    badge: u64,
}

impl Session<'_, '_> {
    fn kind(&mut self) -> &mut Kind {
        let socket = self.server.sockets.get_mut(&self.badge);
        &mut socket.expect("the socket is open").kind
    }

    fn machine(&self) -> u64 {
        let socket = self.server.sockets.get(&self.badge);
        socket.map_or(self.badge, |socket| socket.machine)
    }
}

impl Net for Session<'_, '_> {
    fn udp(&mut self, _: u16, tag: u32) -> Result<UdpClient, NetError> {
        let badge = self.server.add(self.badge, tag, Kind::Udp(VecDeque::new()));
        Ok(self.server.client(badge))
    }
    fn connect(&mut self, remote: SocketAddress, tag: u32) -> Result<TcpClient, NetError> {
        self.server.may_have_more(self.badge)?;
        let listener = self.server.sockets.iter().find(|(_, socket)| {
            matches!(socket.kind, Kind::Listener(_))
                && address(socket.machine).address == remote.address
        });
        let (listener, machine) = match listener {
            Some((badge, socket)) => (*badge, socket.machine),
            None => return Err(NetError::Unreachable),
        };
        let stream = |other| Kind::Tcp {
            other,
            bytes: VecDeque::new(),
            has_ended: false,
            is_reset: false,
        };
        let mine = self.server.add(self.badge, tag, stream(0));
        let its = self.server.add(machine, 0, stream(mine));
        let mut streams = self.server.streams.lock().unwrap();
        streams.insert(mine, [self.badge, machine]);
        drop(streams);
        if let Some(Socket {
            kind: Kind::Tcp { other, .. },
            ..
        }) = self.server.sockets.get_mut(&mine)
        {
            *other = its;
        }
        if let Some(Socket {
            kind: Kind::Listener(waiting),
            ..
        }) = self.server.sockets.get_mut(&listener)
        {
            waiting.push_back(its);
        }
        self.server.tell(listener, Events::READABLE);
        self.server.tell(mine, Events::WRITABLE);
        Ok(self.server.client(mine))
    }
    fn listen(&mut self, _: u16, _: u16, tag: u32) -> Result<ListenerClient, NetError> {
        let badge = self
            .server
            .add(self.badge, tag, Kind::Listener(VecDeque::new()));
        Ok(self.server.client(badge))
    }
    fn ping(&mut self, _: u32) -> Result<PingClient, NetError> {
        Err(NetError::NotPermitted)
    }
    fn lookup(&mut self, _: Text<MAX_NAME>, _: bool, reply: Reply<Addresses, NetError>) {
        reply.answer(Err(NetError::NoServer));
    }
    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), NetError> {
        let machine = self.server.machines.entry(self.badge).or_default();
        machine.notify = Some((endpoint, signals));
        Ok(())
    }
    fn collect(&mut self) -> Result<Ready, NetError> {
        let machine = self.server.machines.entry(self.badge).or_default();
        let mut ready = Ready::default();
        while !ready.is_full()
            && let Some((tag, events)) = machine.ready.pop_first()
        {
            ready.push(tag, events);
        }
        Ok(ready)
    }
    fn interface(&mut self) -> Result<InterfaceInfo, NetError> {
        Ok(InterfaceInfo::default())
    }
    fn address(&mut self, _: u64) -> Result<Cidr, NetError> {
        Err(NetError::NotFound)
    }
    fn restrict(&mut self, _: u64) -> Result<NetClient, NetError> {
        Err(NetError::NotPermitted)
    }
}

impl Udp for Session<'_, '_> {
    fn send(&mut self, to: SocketAddress, from: Lease) -> Result<(), NetError> {
        let mut bytes = vec![0; from.len()];
        from.read_at(0, &mut bytes)
            .map_err(|_| NetError::BadMemory)?;
        let me = self.machine();
        let is_group = matches!(IpAddr::from(to.address), IpAddr::V6(ip) if ip.is_multicast());
        let mut reached = Vec::new();
        for (badge, socket) in &mut self.server.sockets {
            let is_meant =
                socket.machine != me && (is_group || address(socket.machine).address == to.address);
            if let (true, Kind::Udp(waiting)) = (is_meant, &mut socket.kind) {
                waiting.push_back((address(me), bytes.clone()));
                reached.push(*badge);
            }
        }
        reached
            .into_iter()
            .for_each(|badge| self.server.tell(badge, Events::READABLE));
        Ok(())
    }
    fn receive(&mut self, _: LeaseId, reply: Reply<Datagram, NetError>) {
        reply.answer(Err(NetError::Busy));
    }
    fn try_receive(&mut self, into: LeaseMut) -> Result<Datagram, NetError> {
        let Kind::Udp(waiting) = self.kind() else {
            return Err(NetError::Stale);
        };
        let (source, bytes) = waiting.pop_front().ok_or(NetError::WouldBlock)?;
        into.write_at(0, &bytes).map_err(|_| NetError::TooLarge)?;
        Ok(Datagram {
            length: bytes.len() as u64,
            source,
            target: IpAddress::UNSPECIFIED,
        })
    }
    fn join(&mut self, _: IpAddress) -> Result<(), NetError> {
        Ok(())
    }
    fn leave(&mut self, _: IpAddress) -> Result<(), NetError> {
        Ok(())
    }
    fn port(&mut self) -> Result<u16, NetError> {
        Ok(7355)
    }
    fn set_hop_limit(&mut self, _: u8) -> Result<(), NetError> {
        Ok(())
    }
}

impl Listener for Session<'_, '_> {
    fn accept(&mut self, _: u32, reply: Reply<TcpClient, NetError>) {
        reply.answer(Err(NetError::Busy));
    }
    fn try_accept(&mut self, tag: u32) -> Result<TcpClient, NetError> {
        let may = self.server.may_have_more(self.machine());
        let Kind::Listener(waiting) = self.kind() else {
            return Err(NetError::Stale);
        };
        if !waiting.is_empty() {
            may?;
        }
        let badge = waiting.pop_front().ok_or(NetError::WouldBlock)?;
        if let Some(socket) = self.server.sockets.get_mut(&badge) {
            socket.tag = tag;
        }
        Ok(self.server.client(badge))
    }
    fn port(&mut self) -> Result<u16, NetError> {
        Ok(7355)
    }
}

impl Tcp for Session<'_, '_> {
    fn connected(&mut self, reply: Reply<(), NetError>) {
        reply.answer(Ok(()));
    }
    fn read(&mut self, _: LeaseId, reply: Reply<u64, NetError>) {
        reply.answer(Err(NetError::Busy));
    }
    fn write(&mut self, _: LeaseId, reply: Reply<u64, NetError>) {
        reply.answer(Err(NetError::Busy));
    }
    fn try_read(&mut self, into: LeaseMut) -> Result<u64, NetError> {
        let Kind::Tcp {
            other,
            bytes,
            has_ended,
            is_reset,
        } = self.kind()
        else {
            return Err(NetError::Stale);
        };
        if bytes.is_empty() {
            return if *is_reset {
                Err(NetError::Reset)
            } else if *has_ended {
                Ok(0)
            } else {
                Err(NetError::WouldBlock)
            };
        }
        let other = *other;
        let count = bytes.len().min(into.len());
        let taken: Vec<u8> = bytes.drain(..count).collect();
        into.write_at(0, &taken).map_err(|_| NetError::BadMemory)?;
        self.server.tell(other, Events::WRITABLE);
        Ok(count as u64)
    }
    fn try_write(&mut self, from: Lease) -> Result<u64, NetError> {
        let Kind::Tcp { other, .. } = self.kind() else {
            return Err(NetError::Stale);
        };
        let other = *other;
        let Some(Socket {
            kind: Kind::Tcp { bytes, .. },
            ..
        }) = self.server.sockets.get_mut(&other)
        else {
            return Err(NetError::Reset);
        };
        let count = from.len().min(ROOM - bytes.len());
        if count == 0 && !from.is_empty() {
            return Err(NetError::WouldBlock);
        }
        let mut taken = vec![0; count];
        from.read_at(0, &mut taken)
            .map_err(|_| NetError::BadMemory)?;
        bytes.extend(taken);
        self.server.tell(other, Events::READABLE);
        Ok(count as u64)
    }
    fn shutdown(&mut self) -> Result<(), NetError> {
        Ok(())
    }
    fn abort(&mut self) -> Result<(), NetError> {
        let Kind::Tcp { other, .. } = *self.kind() else {
            return Err(NetError::Stale);
        };
        if let Some(Socket {
            kind: Kind::Tcp { is_reset, .. },
            ..
        }) = self.server.sockets.get_mut(&other)
        {
            *is_reset = true;
        }
        self.server.tell(other, Events::READABLE);
        Ok(())
    }
    fn drained(&mut self, reply: Reply<(), NetError>) {
        reply.answer(Ok(()));
    }
    fn info(&mut self) -> Result<TcpInfo, NetError> {
        let Kind::Tcp { other, .. } = self.kind() else {
            return Err(NetError::Stale);
        };
        let other = *other;
        let remote = self
            .server
            .sockets
            .get(&other)
            .map(|socket| address(socket.machine));
        Ok(TcpInfo {
            remote: remote.unwrap_or_default(),
            ..TcpInfo::default()
        })
    }
}
