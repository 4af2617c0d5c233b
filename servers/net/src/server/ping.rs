//! `Ping`: ICMP echo (RFC 792; RFC 4443, 4).

use super::Client;
use crate::{
    port::Port,
    sockets::Kind,
    stack::{from_address, to_address},
    waiting::Waiting,
};
use alloc::vec;
use libipc::{
    Lease, LeaseMut,
    interfaces::net::{Events, IpAddress, MAX_DATAGRAM, NetError, Ping, PingAnswer},
    server::{LeaseId, Reply},
};
use smoltcp::{
    iface::SocketHandle,
    phy::ChecksumCapabilities,
    socket::icmp,
    wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress as Address},
};

/// Bytes of the header of a request or an answer, in either version.
const HEADER: usize = 8;

impl<P: Port> Client<'_, '_, P> {
    fn echoes(&mut self) -> Result<(SocketHandle, u16), NetError> {
        match self.socket()?.kind {
            Kind::Ping { handle, number } => Ok((handle, number)),
            _ => Err(NetError::Stale),
        }
    }

    /// Takes an answer that is there.
    fn answer_now(&mut self, into: &LeaseMut<'_>) -> Result<PingAnswer, NetError> {
        let (handle, _) = self.echoes()?;
        let socket = self.server.stack.sockets.get_mut::<icmp::Socket>(handle);
        while let Ok((bytes, from)) = socket.recv() {
            // smoltcp hands on what is for this number, errors among it.
            let is_answer = matches!(
                (from, bytes.first()),
                (Address::Ipv4(_), Some(0)) | (Address::Ipv6(_), Some(129))
            );
            let Some((header, data)) = bytes.split_at_checked(HEADER).filter(|_| is_answer) else {
                continue;
            };
            if data.len() > into.len() {
                return Err(NetError::TooLarge);
            }
            let written = into.write_at(0, data);
            written.map_err(|_| NetError::BadMemory)?;
            return Ok(PingAnswer {
                source: to_address(from),
                sequence: u16::from_be_bytes([header[6], header[7]]),
                length: data.len() as u64,
            });
        }
        self.arm(Events::READABLE);
        Err(NetError::WouldBlock)
    }

    /// The same for a call that waits.
    pub(super) fn answer_for(
        &mut self,
        into: LeaseId,
        reply: &Reply<PingAnswer, NetError>,
    ) -> Result<PingAnswer, NetError> {
        let into = reply.lease_mut(into);
        self.answer_now(&into.map_err(|_| NetError::BadMemory)?)
    }
}

impl<P: Port> Ping for Client<'_, '_, P> {
    fn request(&mut self, to: IpAddress, sequence: u16, data: Lease<'_>) -> Result<(), NetError> {
        let (handle, number) = self.echoes()?;
        if data.len() + HEADER > MAX_DATAGRAM {
            return Err(NetError::TooLarge);
        }
        let source = self.server.stack.check_reachable(to)?;
        let address = from_address(to);
        let mut bytes = vec![0; data.len()];
        let read = data.read_at(0, &mut bytes);
        read.map_err(|_| NetError::BadMemory)?;
        let socket = self.server.stack.sockets.get_mut::<icmp::Socket>(handle);
        let checksums = ChecksumCapabilities::default();
        let room = match socket.send(HEADER + bytes.len(), address) {
            Ok(room) => room,
            Err(icmp::SendError::BufferFull) => {
                self.arm(Events::WRITABLE);
                return Err(NetError::WouldBlock);
            }
            Err(icmp::SendError::Unaddressable) => return Err(NetError::BadAddress),
        };
        match (source, address) {
            (Address::Ipv6(source), Address::Ipv6(address)) => {
                let request = Icmpv6Repr::EchoRequest {
                    ident: number,
                    seq_no: sequence,
                    data: &bytes,
                };
                let mut packet = Icmpv6Packet::new_unchecked(room);
                request.emit(&source, &address, &mut packet, &checksums);
            }
            _ => {
                let request = Icmpv4Repr::EchoRequest {
                    ident: number,
                    seq_no: sequence,
                    data: &bytes,
                };
                request.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
            }
        }
        Ok(())
    }

    fn answer(&mut self, into: LeaseId, reply: Reply<PingAnswer, NetError>) {
        match self.answer_for(into, &reply) {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Answer(into, reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn try_answer(&mut self, into: LeaseMut<'_>) -> Result<PingAnswer, NetError> {
        self.answer_now(&into)
    }
}
