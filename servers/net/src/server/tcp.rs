//! `Tcp`: a connection.

use super::{Client, state};
use crate::{
    port::Port,
    sockets::{Connection, Kind},
    stack::to_socket_address,
    waiting::Waiting,
};
use libipc::{
    Lease, LeaseMut,
    interfaces::net::{Events, MAX_STREAM, NetError, Tcp, TcpInfo},
    server::{LeaseId, Reply},
};
use smoltcp::socket::tcp;

impl<P: Port> Client<'_, '_, P> {
    /// The caller's connection, and smoltcp's socket of it.
    fn connection(&mut self) -> Result<(&mut Connection, &mut tcp::Socket<'static>), NetError> {
        let socket = self.server.sockets.get_mut(&self.badge);
        let Kind::Tcp(connection) = &mut socket.ok_or(NetError::Stale)?.kind else {
            return Err(NetError::Stale);
        };
        let sockets = &mut self.server.stack.sockets;
        let socket = sockets.get_mut::<tcp::Socket>(connection.handle);
        Ok((connection, socket))
    }

    /// Why nothing can be read or written: not yet, or not any more.
    fn would_block(&mut self, events: Events) -> NetError {
        self.arm(events);
        NetError::WouldBlock
    }

    pub(super) fn is_connected(&mut self) -> Result<(), NetError> {
        let (connection, _) = self.connection()?;
        match connection.failed {
            Some(error) => Err(error),
            None if connection.is_connecting() => Err(self.would_block(Events::WRITABLE)),
            None if connection.is_over() => Err(NetError::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn is_drained(&mut self) -> Result<(), NetError> {
        use tcp::State::{Closing, FinWait1, LastAck};
        let (connection, socket) = self.connection()?;
        let ending = matches!(socket.state(), FinWait1 | Closing | LastAck);
        match connection.failed {
            Some(error) => Err(error),
            None if connection.is_connecting() || socket.send_queue() > 0 || ending => {
                Err(NetError::WouldBlock)
            }
            None => Ok(()),
        }
    }

    fn read_now(&mut self, into: &LeaseMut<'_>) -> Result<u64, NetError> {
        let (connection, socket) = self.connection()?;
        let most = into.len().min(MAX_STREAM);
        let mut done = 0;
        // The buffer is a ring: what is in it may be in two pieces.
        while done < most && socket.can_recv() {
            let read = socket.recv(|bytes| {
                let count = bytes.len().min(most - done);
                match into.write_at(done, &bytes[..count]) {
                    Ok(()) => (count, Ok(count)),
                    Err(_) => (0, Err(NetError::BadMemory)),
                }
            });
            match read {
                Ok(Ok(count)) => done += count,
                Ok(Err(error)) if done == 0 => return Err(error),
                _ => break,
            }
        }
        if done > 0 || most == 0 {
            return Ok(done as u64);
        }
        match connection.failed {
            Some(error) => Err(error),
            None if socket.may_recv() || connection.is_connecting() => {
                Err(self.would_block(Events::READABLE))
            }
            None => Ok(0),
        }
    }

    fn write_now(&mut self, from: &Lease<'_>) -> Result<u64, NetError> {
        let (connection, socket) = self.connection()?;
        let most = from.len().min(MAX_STREAM);
        let mut done = 0;
        while done < most && socket.can_send() {
            let written = socket.send(|room| {
                let count = room.len().min(most - done);
                match from.read_at(done, &mut room[..count]) {
                    Ok(()) => (count, Ok(count)),
                    Err(_) => (0, Err(NetError::BadMemory)),
                }
            });
            match written {
                Ok(Ok(count)) => done += count,
                Ok(Err(error)) if done == 0 => return Err(error),
                _ => break,
            }
        }
        if done > 0 {
            return Ok(done as u64);
        }
        match connection.failed {
            Some(error) => Err(error),
            None if connection.is_connecting() => Err(self.would_block(Events::WRITABLE)),
            None if !socket.may_send() => Err(NetError::Closed),
            None if most == 0 => Ok(0),
            None => Err(self.would_block(Events::WRITABLE)),
        }
    }

    /// The same for calls that wait.
    pub(super) fn read_for(
        &mut self,
        into: LeaseId,
        reply: &Reply<u64, NetError>,
    ) -> Result<u64, NetError> {
        let into = reply.lease_mut(into);
        self.read_now(&into.map_err(|_| NetError::BadMemory)?)
    }

    pub(super) fn write_for(
        &mut self,
        from: LeaseId,
        reply: &Reply<u64, NetError>,
    ) -> Result<u64, NetError> {
        self.write_now(&reply.lease(from))
    }
}

impl<P: Port> Tcp for Client<'_, '_, P> {
    fn connected(&mut self, reply: Reply<(), NetError>) {
        match self.is_connected() {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Connected(reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn read(&mut self, into: LeaseId, reply: Reply<u64, NetError>) {
        match self.read_for(into, &reply) {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Read(into, reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn write(&mut self, from: LeaseId, reply: Reply<u64, NetError>) {
        match self.write_for(from, &reply) {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Write(from, reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn try_read(&mut self, into: LeaseMut<'_>) -> Result<u64, NetError> {
        self.read_now(&into)
    }

    fn try_write(&mut self, from: Lease<'_>) -> Result<u64, NetError> {
        self.write_now(&from)
    }

    fn shutdown(&mut self) -> Result<(), NetError> {
        let (connection, socket) = self.connection()?;
        connection.shut = true;
        if connection.is_connecting() {
            connection.abort();
        }
        socket.close();
        Ok(())
    }

    fn abort(&mut self) -> Result<(), NetError> {
        let (connection, socket) = self.connection()?;
        connection.abort();
        socket.abort();
        Ok(())
    }

    fn drained(&mut self, reply: Reply<(), NetError>) {
        match self.is_drained() {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Drained(reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn info(&mut self) -> Result<TcpInfo, NetError> {
        let (_, socket) = self.connection()?;
        let (local, remote) = (socket.local_endpoint(), socket.remote_endpoint());
        let room = match socket.can_send() {
            true => socket.send_capacity() - socket.send_queue(),
            false => 0,
        };
        Ok(TcpInfo {
            state: state(socket.state()),
            local: local.map_or_else(Default::default, to_socket_address),
            remote: remote.map_or_else(Default::default, to_socket_address),
            readable: socket.recv_queue() as u64,
            writable: room as u64,
            unsent: socket.send_queue() as u64,
        })
    }
}
