//! What has become so at sockets: who is answered, and who is told.

use super::{Client, Server};
use crate::{
    accounts::LOOKUP,
    port::Port,
    sockets::{Kind, Socket},
    waiting::Waiting,
};
use alloc::vec::Vec;
use libipc::interfaces::net::{Addresses, Events, NetError};
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::{icmp, tcp, udp},
    time::Instant,
};

impl<P: Port> Server<'_, P> {
    /// Looks at all sockets after something has happened. Whether a call was answered
    /// after which there may be more to send.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        self.look_at_names();
        let mut answered = false;
        let mut over = Vec::new();
        let mut waiting = Vec::new();
        for (&badge, socket) in &mut self.sockets {
            let events = events(socket, &mut self.stack.sockets, now);
            if socket.becomes(events) {
                self.accounts.ready(socket.account, badge);
            }
            if !socket.waiting.is_empty() {
                waiting.push(badge);
            }
            if let Kind::Tcp(connection) = &socket.kind
                && connection.orphan
                && connection.is_gone()
            {
                over.push(badge);
            }
        }
        over.into_iter().for_each(|badge| self.remove(badge));
        for badge in waiting {
            answered |= self.advance(badge);
        }
        answered
    }

    /// Answers calls that wait at a socket, in the order in which they came. Whether
    /// one was after which there may be more to send.
    fn advance(&mut self, badge: u64) -> bool {
        let Some(socket) = self.sockets.get_mut(&badge) else {
            return false;
        };
        let calls = core::mem::take(&mut socket.waiting);
        let before = calls.len();
        let mut client = Client {
            server: self,
            badge,
        };
        // One that was refused holds up those of its kind, for bytes have an order.
        let left: Vec<Waiting> = calls
            .into_iter()
            .filter_map(|call| client.attempt(call))
            .collect();
        let sends = matches!(
            self.sockets.get(&badge),
            Some(Socket {
                kind: Kind::Tcp(_) | Kind::Listener { .. },
                ..
            })
        );
        let answered = left.len() < before && sends;
        if let Some(socket) = self.sockets.get_mut(&badge) {
            socket.waiting.splice(0..0, left);
        }
        answered
    }

    /// Answers those whose names were found, or were not.
    fn look_at_names(&mut self) {
        let mut index = 0;
        while let Some(lookup) = self.lookups.get(index) {
            let (account, query) = (lookup.account, lookup.query);
            if lookup.reply.cancelled() {
                self.stack.forget(query);
                self.lookups.swap_remove(index);
                self.accounts.end(account, LOOKUP);
                continue;
            }
            let Some(found) = self.stack.found(query) else {
                index += 1;
                continue;
            };
            let lookup = self.lookups.swap_remove(index);
            self.accounts.end(account, LOOKUP);
            lookup.reply.answer(found.map(|found| {
                let mut addresses = Addresses::default();
                for (place, address) in addresses.list.iter_mut().zip(found) {
                    *place = address;
                    addresses.count += 1;
                }
                addresses
            }));
        }
    }
}

impl<P: Port> Client<'_, '_, P> {
    /// Answers a call if that can be done now; else it is left.
    fn attempt(&mut self, call: Waiting) -> Option<Waiting> {
        macro_rules! answer {
            ($reply:expr, $result:expr, $call:expr) => {
                match $result {
                    Err(NetError::WouldBlock) => return Some($call),
                    result => drop($reply.answer(result)),
                }
            };
        }
        match call {
            Waiting::Receive(into, reply) => match self.receive_for(into, &reply) {
                Err(NetError::WouldBlock) => return Some(Waiting::Receive(into, reply)),
                result => drop(reply.answer(result)),
            },
            Waiting::Answer(into, reply) => match self.answer_for(into, &reply) {
                Err(NetError::WouldBlock) => return Some(Waiting::Answer(into, reply)),
                result => drop(reply.answer(result)),
            },
            Waiting::Connected(reply) => {
                answer!(reply, self.is_connected(), Waiting::Connected(reply));
            }
            Waiting::Drained(reply) => {
                answer!(reply, self.is_drained(), Waiting::Drained(reply));
            }
            Waiting::Read(into, reply) => match self.read_for(into, &reply) {
                Err(NetError::WouldBlock) => return Some(Waiting::Read(into, reply)),
                result => drop(reply.answer(result)),
            },
            Waiting::Write(from, reply) => match self.write_for(from, &reply) {
                Err(NetError::WouldBlock) => return Some(Waiting::Write(from, reply)),
                result => drop(reply.answer(result)),
            },
            Waiting::Accept(..) if call.is_cancelled() => {}
            Waiting::Accept(tag, reply) => {
                answer!(reply, self.accept_now(tag), Waiting::Accept(tag, reply));
            }
        }
        None
    }
}

/// What is so at a socket now.
fn events(socket: &mut Socket, sockets: &mut SocketSet<'static>, now: Instant) -> Events {
    let mut events = Events::empty();
    match &mut socket.kind {
        Kind::Udp { handle, .. } => {
            let socket = sockets.get::<udp::Socket>(*handle);
            events.set(Events::READABLE, socket.can_recv());
            events.set(Events::WRITABLE, socket.can_send());
        }
        Kind::Ping { handle, .. } => {
            let socket = sockets.get::<icmp::Socket>(*handle);
            events.set(Events::READABLE, socket.can_recv());
            events.set(Events::WRITABLE, socket.can_send());
        }
        Kind::Tcp(connection) => {
            let socket = sockets.get_mut::<tcp::Socket>(connection.handle);
            connection.look(socket, now);
            let over = connection.is_over();
            let ended = connection.made && !socket.may_recv();
            events.set(Events::READABLE, socket.can_recv() || ended);
            events.set(Events::WRITABLE, socket.can_send());
            events.set(Events::ENDED, over);
        }
        Kind::Listener { handles, port } => {
            listen_again(handles, *port, sockets);
            let mut all = handles.iter();
            let any_made = all.any(|handle| is_made(sockets.get(*handle)));
            events.set(Events::READABLE, any_made);
        }
    }
    events
}

/// Sockets that whoever wanted to connect has given up listen again. If none does, so does
/// that which waits the longest for the other side to confirm: who asks for connections in
/// others' names would keep them all.
fn listen_again(handles: &mut [SocketHandle], port: u16, sockets: &mut SocketSet<'static>) {
    use tcp::State::{Closed, Listen, SynReceived};
    let state = |handle: &SocketHandle| sockets.get::<tcp::Socket>(*handle).state();
    let mut states = handles.iter().map(state);
    let is_full = !states.any(|state| matches!(state, Listen | Closed));
    let half = |handle: &&SocketHandle| state(handle) == SynReceived;
    let mut half = handles.iter().filter(half);
    // One alone may be somebody who means it.
    if let (true, Some(&oldest), Some(_)) = (is_full, half.next(), half.next()) {
        sockets.get_mut::<tcp::Socket>(oldest).abort();
    }
    for handle in &*handles {
        // The port is one, and those that are open stay as they are.
        let _ = sockets.get_mut::<tcp::Socket>(*handle).listen(port);
    }
    // Who is taken from now on comes behind those that were taken before.
    handles.sort_by_key(|handle| sockets.get::<tcp::Socket>(*handle).is_listening());
}

/// Whether somebody has connected to a socket that listened.
pub(super) fn is_made(socket: &tcp::Socket<'_>) -> bool {
    matches!(
        socket.state(),
        tcp::State::Established | tcp::State::CloseWait
    )
}
