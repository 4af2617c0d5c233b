//! `Net`: sockets are opened, names looked up.

use super::{Client, Lookup};
use crate::{
    accounts::LOOKUP,
    port::Port,
    sockets::{
        self, BACKLOG, CONNECTING, Connection, DATAGRAMS, ECHOES, Kind, RECEIVE, SEND, Socket,
    },
};
use alloc::vec::Vec;
use core::net::IpAddr;
use libipc::{
    Text,
    interfaces::{
        clients::SERVER_BADGES,
        net::{
            Addresses, Allowed, Cidr, InterfaceInfo, ListenerClient, MAX_NAME, Net, NetClient,
            NetError, PingClient, Ready, SocketAddress, TcpClient, UdpClient,
        },
    },
    objects::EndpointClient,
    server::Reply,
};
use smoltcp::socket::tcp;

/// Bytes of a connection.
pub(super) const STREAM: usize = RECEIVE + SEND;

impl<P: Port> Client<'_, '_, P> {
    /// The caller's account, if it may do this.
    fn allow(&mut self, wanted: Allowed) -> Result<u64, NetError> {
        let accounts = &mut self.server.accounts;
        if self.badge < SERVER_BADGES {
            accounts.open(self.badge);
        }
        let account = accounts.get(self.badge).ok_or(NetError::Stale)?;
        match account.allowed.contains(wanted) {
            true => Ok(self.badge),
            false => Err(NetError::NotPermitted),
        }
    }

    /// Whether the account's client may receive at this port.
    fn check_port(&self, account: u64, port: u16) -> Result<(), NetError> {
        let account = self.server.accounts.get(account);
        let name = account.map_or("", |account| &account.name);
        let mut kept = self.server.ports.iter();
        match kept.any(|(kept, task)| *kept == port && task != name) {
            true => Err(NetError::NotPermitted),
            false => Ok(()),
        }
    }

    /// Pays for a socket, and adds it if it can be made; its badge.
    fn begin(
        &mut self,
        account: u64,
        tag: u32,
        bytes: usize,
        make: impl FnOnce(&mut Self) -> Result<Kind, NetError>,
    ) -> Result<u64, NetError> {
        self.server.begin(account, bytes)?;
        let kind = make(self).inspect_err(|_| self.server.accounts.end(account, bytes))?;
        Ok(self.server.add(Socket::new(account, tag, kind, bytes)))
    }

    /// A name that is to be found.
    fn begin_lookup(&mut self, name: &str, ipv6: bool) -> Result<Found, NetError> {
        let account = self.allow(Allowed::NAMES)?;
        if let Ok(address) = name.parse::<IpAddr>() {
            if address.is_ipv6() != ipv6 {
                return Err(NetError::NoName);
            }
            let mut addresses = Addresses {
                count: 1,
                ..Addresses::default()
            };
            addresses.list[0] = address.into();
            return Ok(Found::Here(addresses));
        }
        self.server.begin(account, LOOKUP)?;
        let query = self.server.stack.look_up(name, ipv6);
        let query = query.inspect_err(|_| self.server.accounts.end(account, LOOKUP))?;
        Ok(Found::Asked(account, query))
    }
}

enum Found {
    Here(Addresses),
    Asked(u64, smoltcp::socket::dns::QueryHandle),
}

impl<P: Port> Net for Client<'_, '_, P> {
    fn udp(&mut self, port: u16, tag: u32) -> Result<UdpClient, NetError> {
        let account = self.allow(Allowed::DATAGRAMS)?;
        self.check_port(account, port)?;
        let badge = self.begin(account, tag, 2 * DATAGRAMS, |client| {
            let stack = &mut client.server.stack;
            let mut socket = sockets::datagrams()?;
            stack.bind(&mut socket, port)?;
            let handle = stack.sockets.add(socket);
            let groups = Vec::new();
            Ok(Kind::Udp { handle, groups })
        })?;
        self.server.capability(badge)
    }

    fn connect(&mut self, remote: SocketAddress, tag: u32) -> Result<TcpClient, NetError> {
        let account = self.allow(Allowed::CONNECT)?;
        self.server.stack.check_reachable(remote.address)?;
        let badge = self.begin(account, tag, STREAM, |client| {
            let stack = &mut client.server.stack;
            let mut socket = sockets::connection()?;
            socket.set_timeout(Some(CONNECTING));
            let handle = stack.sockets.add(socket);
            if let Err(error) = stack.connect(handle, remote) {
                stack.end(handle);
                return Err(error);
            }
            let state = tcp::State::SynSent;
            let now = client.server.clock.now();
            Ok(Kind::Tcp(Connection::new(handle, state, now)))
        })?;
        self.server.capability(badge)
    }

    fn listen(&mut self, port: u16, backlog: u16, tag: u32) -> Result<ListenerClient, NetError> {
        let account = self.allow(Allowed::LISTEN)?;
        self.check_port(account, port)?;
        let mut others = self.server.sockets.values();
        let port = match port {
            0 => self.server.stack.free_port(true)?,
            wanted if others.any(|other| other.listens_at(wanted)) => {
                return Err(NetError::InUse);
            }
            wanted => wanted,
        };
        let backlog = backlog.clamp(*BACKLOG.start(), *BACKLOG.end());
        let bytes = usize::from(backlog) * STREAM;
        let badge = self.begin(account, tag, bytes, |client| {
            let stack = &mut client.server.stack;
            let mut handles = Vec::new();
            for _ in 0..backlog {
                match stack.listen(port) {
                    Ok(handle) => handles.push(handle),
                    Err(error) => {
                        handles.into_iter().for_each(|handle| stack.end(handle));
                        return Err(error);
                    }
                }
            }
            Ok(Kind::Listener { handles, port })
        })?;
        self.server.capability(badge)
    }

    fn ping(&mut self, tag: u32) -> Result<PingClient, NetError> {
        let account = self.allow(Allowed::PING)?;
        let badge = self.begin(account, tag, 2 * ECHOES, |client| {
            let number = client.server.next_echo;
            client.server.next_echo = number.wrapping_add(1);
            let handle = client.server.stack.sockets.add(sockets::echo(number)?);
            Ok(Kind::Ping { handle, number })
        })?;
        self.server.capability(badge)
    }

    fn lookup(&mut self, name: Text<MAX_NAME>, ipv6: bool, reply: Reply<Addresses, NetError>) {
        match self.begin_lookup(name.as_str(), ipv6) {
            Ok(Found::Here(addresses)) => drop(reply.answer(Ok(addresses))),
            Ok(Found::Asked(account, query)) => self.server.lookups.push(Lookup {
                account,
                query,
                reply,
            }),
            Err(error) => drop(reply.answer(Err(error))),
        }
    }

    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), NetError> {
        let account = self.allow(Allowed::empty())?;
        self.server.accounts.notify(account, endpoint, signals);
        Ok(())
    }

    fn collect(&mut self) -> Result<Ready, NetError> {
        let account = self.allow(Allowed::empty())?;
        let account = self.server.accounts.get_mut(account);
        let ready = &mut account.ok_or(NetError::Stale)?.ready;
        let mut taken = Ready::default();
        while !taken.is_full()
            && let Some(badge) = ready.pop_front()
        {
            // One that was closed meanwhile has nothing to tell.
            if let Some(socket) = self.server.sockets.get_mut(&badge)
                && !socket.fresh.is_empty()
            {
                let fresh = core::mem::take(&mut socket.fresh);
                taken.push(socket.tag, fresh);
            }
        }
        Ok(taken)
    }

    fn interface(&mut self) -> Result<InterfaceInfo, NetError> {
        self.allow(Allowed::empty())?;
        Ok(self.server.stack.info())
    }

    fn address(&mut self, index: u64) -> Result<Cidr, NetError> {
        self.allow(Allowed::empty())?;
        self.server.stack.address(index)
    }

    fn restrict(&mut self, allowed: u64) -> Result<NetClient, NetError> {
        let account = self.allow(Allowed::empty())?;
        let badge = self.server.next_badge;
        self.server.next_badge += 1;
        let allowed = Allowed::from_bits_truncate(allowed);
        self.server.accounts.derive(badge, account, allowed)?;
        let minted = self.server.endpoint.mint_client(badge);
        minted.map_err(|_| {
            self.server.accounts.closed(badge);
            NetError::NoResources
        })
    }
}
