//! `Udp`: datagrams.

use super::Client;
use crate::{
    port::Port,
    sockets::{GROUPS, Kind},
    stack::{from_address, to_address, to_socket_address},
    waiting::Waiting,
};
use libipc::{
    Lease, LeaseMut,
    interfaces::net::{Datagram, Events, IpAddress, MAX_DATAGRAM, NetError, SocketAddress, Udp},
    server::{LeaseId, Reply},
};
use smoltcp::{iface::SocketHandle, socket::udp, wire::IpEndpoint};

impl<P: Port> Client<'_, '_, P> {
    fn datagrams(&mut self) -> Result<SocketHandle, NetError> {
        self.handle_of(|kind| match kind {
            Kind::Udp { handle, .. } => Some(*handle),
            _ => None,
        })
    }

    /// Takes a datagram that is there.
    fn receive_now(&mut self, into: &LeaseMut<'_>) -> Result<Datagram, NetError> {
        let handle = self.datagrams()?;
        let socket = self.server.stack.sockets.get_mut::<udp::Socket>(handle);
        let Ok((bytes, from)) = socket.recv() else {
            self.arm(Events::READABLE);
            return Err(NetError::WouldBlock);
        };
        if bytes.len() > into.len() {
            return Err(NetError::TooLarge);
        }
        let written = into.write_at(0, bytes);
        written.map_err(|_| NetError::BadMemory)?;
        Ok(Datagram {
            length: bytes.len() as u64,
            source: to_socket_address(from.endpoint),
            target: from
                .local_address
                .map_or(IpAddress::UNSPECIFIED, to_address),
        })
    }

    /// The same for a call that waits.
    pub(super) fn receive_for(
        &mut self,
        into: LeaseId,
        reply: &Reply<Datagram, NetError>,
    ) -> Result<Datagram, NetError> {
        let into = reply.lease_mut(into);
        self.receive_now(&into.map_err(|_| NetError::BadMemory)?)
    }
}

impl<P: Port> Udp for Client<'_, '_, P> {
    fn send(&mut self, to: SocketAddress, from: Lease<'_>) -> Result<(), NetError> {
        let handle = self.datagrams()?;
        let length = from.len();
        if length > MAX_DATAGRAM {
            return Err(NetError::TooLarge);
        }
        if to.port == 0 {
            return Err(NetError::BadAddress);
        }
        self.server.stack.check_reachable(to.address)?;
        let endpoint = IpEndpoint::new(from_address(to.address), to.port);
        let socket = self.server.stack.sockets.get_mut::<udp::Socket>(handle);
        match socket.send(length, endpoint) {
            Ok(room) => {
                if from.read_at(0, room).is_err() {
                    // It has its place in the queue already: it goes out as zeros,
                    // which whoever lends no memory has asked for.
                    room.fill(0);
                    return Err(NetError::BadMemory);
                }
                Ok(())
            }
            Err(udp::SendError::BufferFull) => {
                self.arm(Events::WRITABLE);
                Err(NetError::WouldBlock)
            }
            Err(udp::SendError::Unaddressable) => Err(NetError::BadAddress),
        }
    }

    fn receive(&mut self, into: LeaseId, reply: Reply<Datagram, NetError>) {
        match self.receive_for(into, &reply) {
            Err(NetError::WouldBlock) => {
                self.server.wait(self.badge, Waiting::Receive(into, reply));
            }
            result => drop(reply.answer(result)),
        }
    }

    fn try_receive(&mut self, into: LeaseMut<'_>) -> Result<Datagram, NetError> {
        self.receive_now(&into)
    }

    fn join(&mut self, group: IpAddress) -> Result<(), NetError> {
        let stack = &mut self.server.stack;
        let socket = self.server.sockets.get_mut(&self.badge);
        let Kind::Udp { groups, .. } = &mut socket.ok_or(NetError::Stale)?.kind else {
            return Err(NetError::Stale);
        };
        if groups.contains(&group) {
            return Ok(());
        }
        if groups.len() >= GROUPS {
            return Err(NetError::TooManySockets);
        }
        stack.join(group)?;
        groups.push(group);
        Ok(())
    }

    fn leave(&mut self, group: IpAddress) -> Result<(), NetError> {
        let Kind::Udp { groups, .. } = &mut self.socket()?.kind else {
            return Err(NetError::Stale);
        };
        if let Some(index) = groups.iter().position(|known| *known == group) {
            groups.swap_remove(index);
            self.server.stack.leave(group);
        }
        Ok(())
    }

    fn port(&mut self) -> Result<u16, NetError> {
        let handle = self.datagrams()?;
        let socket = self.server.stack.sockets.get::<udp::Socket>(handle);
        Ok(socket.endpoint().port)
    }

    fn set_hop_limit(&mut self, hops: u8) -> Result<(), NetError> {
        let handle = self.datagrams()?;
        if hops == 0 {
            return Err(NetError::BadAddress);
        }
        let socket = self.server.stack.sockets.get_mut::<udp::Socket>(handle);
        socket.set_hop_limit(Some(hops));
        Ok(())
    }
}
