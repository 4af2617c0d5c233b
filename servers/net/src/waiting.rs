//! Calls that are answered later.

use libipc::{
    interfaces::net::{Datagram, NetError, PingAnswer, TcpClient},
    server::{LeaseId, Reply},
};

/// Most calls that wait at one socket.
pub const MOST: usize = 8;

/// A call that waits at a socket.
#[derive(Debug)]
pub enum Waiting {
    /// For a datagram.
    Receive(LeaseId, Reply<Datagram, NetError>),
    /// For an answer to an echo request.
    Answer(LeaseId, Reply<PingAnswer, NetError>),
    /// For a connection to be made.
    Connected(Reply<(), NetError>),
    /// For bytes.
    Read(LeaseId, Reply<u64, NetError>),
    /// For room.
    Write(LeaseId, Reply<u64, NetError>),
    /// For all to be confirmed.
    Drained(Reply<(), NetError>),
    /// For somebody to connect, who is then known by this tag.
    Accept(u32, Reply<TcpClient, NetError>),
}

impl Waiting {
    /// Whether the caller has gone.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Waiting::Receive(_, reply) => reply.cancelled(),
            Waiting::Answer(_, reply) => reply.cancelled(),
            Waiting::Connected(reply) | Waiting::Drained(reply) => reply.cancelled(),
            Waiting::Read(_, reply) | Waiting::Write(_, reply) => reply.cancelled(),
            Waiting::Accept(_, reply) => reply.cancelled(),
        }
    }

    /// Ends the call. Who no longer waits need not be told.
    pub fn refuse(self, error: NetError) {
        match self {
            Waiting::Receive(_, reply) => drop(reply.answer(Err(error))),
            Waiting::Answer(_, reply) => drop(reply.answer(Err(error))),
            Waiting::Connected(reply) | Waiting::Drained(reply) => drop(reply.answer(Err(error))),
            Waiting::Read(_, reply) | Waiting::Write(_, reply) => drop(reply.answer(Err(error))),
            Waiting::Accept(_, reply) => drop(reply.answer(Err(error))),
        }
    }
}
