//! `Listener`: a port at which others connect.

use super::{Client, net::STREAM, settle::is_made};
use crate::{
    port::Port,
    sockets::{Connection, Kind, Socket},
    waiting::Waiting,
};
use libipc::{
    interfaces::net::{Events, Listener, NetError, TcpClient},
    server::Reply,
};
use smoltcp::socket::tcp;

impl<P: Port> Client<'_, '_, P> {
    /// Takes a connection that was made; another socket listens in its place.
    pub(super) fn accept_now(&mut self, tag: u32) -> Result<TcpClient, NetError> {
        let server = &mut *self.server;
        let socket = server.sockets.get(&self.badge);
        let socket = socket.ok_or(NetError::Stale)?;
        let account = socket.account;
        let Kind::Listener { handles, port } = &socket.kind else {
            return Err(NetError::Stale);
        };
        let port = *port;
        let sockets = &server.stack.sockets;
        let made = handles
            .iter()
            .position(|handle| is_made(sockets.get::<tcp::Socket>(*handle)));
        let Some(made) = made else {
            self.arm(Events::READABLE);
            return Err(NetError::WouldBlock);
        };
        // The connection is paid for anew, and its place by the listener as before.
        server.begin(account, STREAM)?;
        let next = server.stack.listen(port);
        let next = next.inspect_err(|_| server.accounts.end(account, STREAM))?;
        let socket = server.sockets.get_mut(&self.badge);
        let Some(Kind::Listener { handles, .. }) = socket.map(|socket| &mut socket.kind) else {
            return Err(NetError::Stale);
        };
        handles.push(next);
        let handle = handles.remove(made);
        let state = server.stack.sockets.get::<tcp::Socket>(handle).state();
        let connection = Connection::new(handle, state, server.clock.now());
        let badge = server.add(Socket::new(account, tag, Kind::Tcp(connection), STREAM));
        server.capability(badge)
    }
}

impl<P: Port> Listener for Client<'_, '_, P> {
    fn accept(&mut self, tag: u32, reply: Reply<TcpClient, NetError>) {
        match self.accept_now(tag) {
            Err(NetError::WouldBlock) => self.server.wait(self.badge, Waiting::Accept(tag, reply)),
            result => drop(reply.answer(result)),
        }
    }

    fn try_accept(&mut self, tag: u32) -> Result<TcpClient, NetError> {
        self.accept_now(tag)
    }

    fn port(&mut self) -> Result<u16, NetError> {
        match self.socket()?.kind {
            Kind::Listener { port, .. } => Ok(port),
            _ => Err(NetError::Stale),
        }
    }
}
