//! The protocols over one device: addresses, routes, names, and smoltcp's sockets.
//!
//! smoltcp looks at everything that a frame holds. Its features that reassemble, that
//! take addresses from routers' announcements, and that speak to other media are not
//! built in.

use crate::{port::Port, sockets::connection};
use alloc::{collections::BTreeMap, vec::Vec};
use libipc::interfaces::net::{Cidr, InterfaceInfo, IpAddress, NetError, SocketAddress};
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    socket::{Socket as Any, dhcpv4, dns, tcp, udp},
    time::Instant,
    wire::{
        DnsQueryType, EthernetAddress, HardwareAddress, IpAddress as Address, IpCidr, IpEndpoint,
        Ipv4Address, Ipv6Address,
    },
};

/// What is random about a machine on the network, or fixed by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address on the link.
    pub mac: [u8; 6],
    /// The lower half of the link-local address.
    pub interface: u64,
    /// For sequence numbers, ports and transaction numbers.
    pub seed: u64,
}

impl Identity {
    /// One of random words. The address on the link is a local one of one machine
    /// (IEEE 802, 8.2).
    pub fn random(words: [u64; 4]) -> Identity {
        let [_, _, mac @ ..] = words[0].to_be_bytes();
        let [first, ..] = mac;
        let mut mac = mac;
        mac[0] = first & !1 | 2;
        Identity {
            mac,
            interface: words[1],
            seed: words[2],
        }
    }
}

/// First port of those that are given to who asks for none in particular.
pub const EPHEMERAL: u16 = 49152;

/// The protocols, and the device that they run over.
pub struct Stack<P> {
    /// The device.
    pub port: P,
    interface: Interface,
    /// All sockets.
    pub sockets: SocketSet<'static>,
    names: SocketHandle,
    dhcp: Option<SocketHandle>,
    name_server: IpAddress,
    /// Groups that sockets have joined, and how many have.
    groups: BTreeMap<IpAddress, usize>,
    next_port: u16,
    /// When something was last done.
    now: Instant,
}

impl<P: Port> Stack<P> {
    /// The protocols over this device, with a link-local address.
    pub fn new(mut port: P, identity: Identity, now: Instant) -> Self {
        let mac = EthernetAddress(identity.mac);
        let mut config = Config::new(HardwareAddress::Ethernet(mac));
        config.random_seed = identity.seed;
        let mut interface = Interface::new(config, &mut port, now);
        let bits = 0xfe80_u128 << 112 | u128::from(identity.interface);
        let local = IpCidr::new(Address::Ipv6(Ipv6Address::from_bits(bits)), 64);
        interface.update_ip_addrs(|addresses| {
            // It is the first one.
            let _ = addresses.push(local);
        });
        let mut sockets = SocketSet::new(Vec::new());
        let names = sockets.add(dns::Socket::new(&[], Vec::new()));
        Stack {
            port,
            interface,
            sockets,
            names,
            dhcp: None,
            name_server: IpAddress::UNSPECIFIED,
            groups: BTreeMap::new(),
            next_port: EPHEMERAL | (identity.seed >> 48) as u16,
            now,
        }
    }

    /// Does what is due. Whether anything may have changed at sockets.
    pub fn poll(&mut self, now: Instant) {
        self.now = now;
        self.interface.poll(now, &mut self.port, &mut self.sockets);
        self.configure();
        self.port.flush();
    }

    /// When something will be due, if nothing happens before.
    pub fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        if self.port.waits() {
            return Some(now);
        }
        self.interface.poll_at(now, &self.sockets)
    }

    /// Takes what DHCP says.
    fn configure(&mut self) {
        let Some(dhcp) = self.dhcp else { return };
        let socket = self.sockets.get_mut::<dhcpv4::Socket>(dhcp);
        match socket.poll() {
            None => {}
            Some(dhcpv4::Event::Deconfigured) => {
                self.remove_ipv4();
                self.interface.routes_mut().remove_default_ipv4_route();
            }
            // It is asked again at its address, and smoltcp panics if nobody can be there.
            Some(dhcpv4::Event::Configured(config)) if !is_somebody(config.server.address) => {
                socket.reset();
            }
            Some(dhcpv4::Event::Configured(config)) => {
                let address = config.address;
                let router = config.router.filter(|router| is_somebody(*router));
                let servers = config.dns_servers;
                self.remove_ipv4();
                let cidr = Cidr {
                    address: to_address(Address::Ipv4(address.address())),
                    prefix: address.prefix_len().into(),
                };
                // One that cannot be used is as good as none.
                let _ = self.insert(cidr);
                self.interface.routes_mut().remove_default_ipv4_route();
                if let Some(router) = router {
                    // A whole table has no room for others.
                    let _ = self.interface.routes_mut().add_default_ipv4_route(router);
                }
                if let Some(server) = servers.first() {
                    let _ = self.set_name_server(to_address(Address::Ipv4(*server)));
                }
            }
        }
    }

    fn remove_ipv4(&mut self) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|cidr| !matches!(cidr, IpCidr::Ipv4(_)));
        });
    }

    /// Adds an address that can be one.
    fn insert(&mut self, cidr: Cidr) -> Result<(), NetError> {
        let address = from_address(cidr.address);
        let (most, usable) = match address {
            Address::Ipv4(address) => (32, !address.is_loopback() && !address.is_broadcast()),
            Address::Ipv6(address) => (128, !address.is_loopback()),
        };
        let prefix = u8::try_from(cidr.prefix).ok();
        let prefix = prefix.filter(|&prefix| prefix <= most && prefix > 0);
        let prefix = prefix.ok_or(NetError::BadAddress)?;
        if !address.is_unicast() || !usable {
            return Err(NetError::BadAddress);
        }
        let cidr = IpCidr::new(address, prefix);
        let mut result = Ok(());
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|known| known.address() != address);
            result = addresses.push(cidr).map_err(|_| NetError::TooManySockets);
        });
        result
    }

    /// Adds an address; see [`libipc::interfaces::net::NetConfig::add_address`].
    pub fn add_address(&mut self, cidr: Cidr) -> Result<(), NetError> {
        let is_v4 = matches!(from_address(cidr.address), Address::Ipv4(_));
        let known = self.interface.ip_addrs().to_vec();
        if is_v4 {
            self.remove_ipv4();
        }
        let added = self.insert(cidr);
        if added.is_err() {
            self.interface.update_ip_addrs(|addresses| {
                addresses.clear();
                // They had room before.
                let _ = addresses.extend_from_slice(&known);
            });
        } else if is_v4 {
            self.set_dhcp(false);
        }
        added
    }

    /// Takes an address away.
    pub fn remove_address(&mut self, address: IpAddress) -> Result<(), NetError> {
        let address = from_address(address);
        let mut result = Err(NetError::BadAddress);
        self.interface.update_ip_addrs(|addresses| {
            let before = addresses.len();
            addresses.retain(|cidr| cidr.address() != address);
            if addresses.len() < before {
                result = Ok(());
            }
        });
        result
    }

    /// To whom packets for other networks go.
    pub fn set_gateway(&mut self, address: IpAddress) -> Result<(), NetError> {
        let routes = self.interface.routes_mut();
        let set = match from_address(address) {
            address if !address.is_unicast() => return Err(NetError::BadAddress),
            Address::Ipv4(address) => routes.add_default_ipv4_route(address),
            Address::Ipv6(address) => routes.add_default_ipv6_route(address),
        };
        set.map(drop).map_err(|_| NetError::NoResources)
    }

    /// Who is asked for names.
    pub fn set_name_server(&mut self, address: IpAddress) -> Result<(), NetError> {
        let server = from_address(address);
        if !server.is_unicast() {
            return Err(NetError::BadAddress);
        }
        let names = self.sockets.get_mut::<dns::Socket>(self.names);
        names.update_servers(&[server]);
        self.name_server = address;
        Ok(())
    }

    /// Whether IPv4 addresses come from a server.
    pub fn set_dhcp(&mut self, on: bool) {
        match self.dhcp {
            None if on => self.dhcp = Some(self.sockets.add(dhcpv4::Socket::new())),
            Some(handle) if !on => {
                self.sockets.remove(handle);
                self.dhcp = None;
            }
            _ => {}
        }
    }

    /// What is known of the interface.
    pub fn info(&self) -> InterfaceInfo {
        let HardwareAddress::Ethernet(mac) = self.interface.hardware_addr();
        let routes = self.interface.routes();
        let gateway = routes.get_default_ipv4_route();
        let gateway = gateway.or_else(|| routes.get_default_ipv6_route());
        let (received, sent) = self.port.counters();
        let fold = |mac: u64, byte: &u8| mac << 8 | u64::from(*byte);
        InterfaceInfo {
            mac: mac.0.iter().fold(0, fold),
            mtu: self.port.capabilities().ip_mtu() as u64,
            addresses: self.interface.ip_addrs().len() as u64,
            up: self.port.is_up(),
            dhcp: self.dhcp.is_some(),
            gateway: gateway.map_or(IpAddress::UNSPECIFIED, |route| to_address(route.via_router)),
            name_server: self.name_server,
            received,
            sent,
        }
    }

    /// One of the addresses.
    pub fn address(&self, index: u64) -> Result<Cidr, NetError> {
        let all = self.interface.ip_addrs();
        let found = usize::try_from(index).ok().and_then(|index| all.get(index));
        let cidr = found.ok_or(NetError::NotFound)?;
        Ok(Cidr {
            address: to_address(cidr.address()),
            prefix: cidr.prefix_len().into(),
        })
    }

    /// Whether packets can be sent to this address, as far as is known here.
    pub fn check_reachable(&self, to: IpAddress) -> Result<Address, NetError> {
        let address = from_address(to);
        if address.is_unspecified() {
            return Err(NetError::BadAddress);
        }
        // For IPv6 there always is a source, if only the loopback's.
        let source = self.interface.get_source_address(&address);
        let own = source.filter(|source| self.interface.has_ip_addr(*source));
        let own = own.ok_or(NetError::Unreachable)?;
        let routes = self.interface.routes();
        let gateway = match address {
            Address::Ipv4(_) => routes.get_default_ipv4_route().is_some(),
            Address::Ipv6(_) => routes.get_default_ipv6_route().is_some(),
        };
        let near = |cidr: &IpCidr| cidr.contains_addr(&address);
        let near = self.interface.ip_addrs().iter().any(near);
        let all = address.is_multicast() || address.is_broadcast();
        match near || gateway || all {
            true => Ok(own),
            false => Err(NetError::Unreachable),
        }
    }

    /// Connects a socket from a port that is free.
    pub fn connect(&mut self, handle: SocketHandle, remote: SocketAddress) -> Result<(), NetError> {
        let port = self.free_port(true)?;
        let remote = IpEndpoint::new(from_address(remote.address), remote.port);
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        let connected = socket.connect(self.interface.context(), remote, port);
        connected.map_err(|_| NetError::BadAddress)
    }

    /// A socket that listens at this port.
    pub fn listen(&mut self, port: u16) -> Result<SocketHandle, NetError> {
        let mut socket = connection()?;
        let listens = socket.listen(port);
        listens.map_err(|_| NetError::BadAddress)?;
        Ok(self.sockets.add(socket))
    }

    /// Ends a connection at once.
    pub fn end(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        let active = socket.is_active();
        socket.abort();
        if active {
            // The other side is told, if there is room for that now.
            self.interface
                .poll_egress(self.now, &mut self.port, &mut self.sockets);
        }
        self.sockets.remove(handle);
    }

    /// Whether a socket listens at, or receives at, this port.
    pub fn is_taken(&self, port: u16, stream: bool) -> bool {
        self.sockets.iter().any(|(_, socket)| match socket {
            Any::Udp(socket) if !stream => socket.endpoint().port == port,
            Any::Tcp(socket) if stream => {
                let local = socket.local_endpoint().map(|local| local.port);
                socket.listen_endpoint().port == port && socket.is_listening()
                    || local == Some(port)
            }
            _ => false,
        })
    }

    /// A port that nobody has.
    pub fn free_port(&mut self, stream: bool) -> Result<u16, NetError> {
        for _ in EPHEMERAL..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(EPHEMERAL);
            if !self.is_taken(port, stream) {
                return Ok(port);
            }
        }
        Err(NetError::NoResources)
    }

    /// One more socket is in the group.
    pub fn join(&mut self, group: IpAddress) -> Result<(), NetError> {
        let address = from_address(group);
        if !address.is_multicast() {
            return Err(NetError::BadAddress);
        }
        let joined = self.interface.join_multicast_group(address);
        joined.map_err(|_| NetError::TooManySockets)?;
        *self.groups.entry(group).or_default() += 1;
        Ok(())
    }

    /// One less is.
    pub fn leave(&mut self, group: IpAddress) {
        let Some(count) = self.groups.get_mut(&group) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.groups.remove(&group);
            // It was joined.
            let _ = self.interface.leave_multicast_group(from_address(group));
        }
    }

    /// Begins to look a name up.
    pub fn look_up(&mut self, name: &str, ipv6: bool) -> Result<dns::QueryHandle, NetError> {
        if self.name_server.is_unspecified() {
            return Err(NetError::NoServer);
        }
        let kind = if ipv6 {
            DnsQueryType::Aaaa
        } else {
            DnsQueryType::A
        };
        let names = self.sockets.get_mut::<dns::Socket>(self.names);
        let query = names.start_query(self.interface.context(), name, kind);
        query.map_err(|_| NetError::NoName)
    }

    /// What came of it: nothing yet, no such name, or its addresses. Only once it is
    /// something is the query over.
    pub fn found(&mut self, query: dns::QueryHandle) -> Option<Result<Vec<IpAddress>, NetError>> {
        let names = self.sockets.get_mut::<dns::Socket>(self.names);
        let result = match names.get_query_result(query) {
            Err(dns::GetQueryResultError::Pending) => return None,
            Err(dns::GetQueryResultError::Failed) => Err(NetError::NoName),
            Ok(found) if found.is_empty() => Err(NetError::NoName),
            Ok(found) => Ok(found.iter().map(|address| to_address(*address)).collect()),
        };
        Some(result)
    }

    /// Nobody waits for it any more.
    pub fn forget(&mut self, query: dns::QueryHandle) {
        let names = self.sockets.get_mut::<dns::Socket>(self.names);
        names.cancel_query(query);
    }

    /// Where a socket for datagrams is.
    pub fn bind(&mut self, socket: &mut udp::Socket<'_>, port: u16) -> Result<u16, NetError> {
        let port = match port {
            0 => self.free_port(false)?,
            port if self.is_taken(port, false) => return Err(NetError::InUse),
            port => port,
        };
        socket.bind(port).map_err(|_| NetError::InUse)?;
        Ok(port)
    }
}

/// As smoltcp has addresses.
pub fn from_address(address: IpAddress) -> Address {
    match core::net::IpAddr::from(address) {
        core::net::IpAddr::V4(address) => Address::Ipv4(Ipv4Address::from_bits(address.to_bits())),
        core::net::IpAddr::V6(address) => Address::Ipv6(Ipv6Address::from_bits(address.to_bits())),
    }
}

/// Whether packets can go to one machine of this address.
fn is_somebody(address: Ipv4Address) -> bool {
    Address::Ipv4(address).is_unicast()
}

/// As messages have them.
pub fn to_address(address: Address) -> IpAddress {
    core::net::IpAddr::from(address).into()
}

/// The same, with a port.
pub fn to_socket_address(endpoint: IpEndpoint) -> SocketAddress {
    SocketAddress {
        address: to_address(endpoint.addr),
        port: endpoint.port,
    }
}
