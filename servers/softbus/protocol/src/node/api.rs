//! What a node and its host say to each other.

use alloc::{string::String, vec::Vec};

use libipc_abi::operation::Class;
use libipc_abi::status::TransportError;

use crate::Millis;
use crate::address::Address;
use crate::pairing::PairingError;
pub use crate::peer::Lent;
use crate::suite::PublicKey;
use crate::table::Local;
pub use crate::table::{Import, Object};
use crate::trust::Trusted;
use crate::wire::{Outcome, Payload};

/// A stream, as node and host call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A call that the host made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A call that the host has to answer, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A hand-over that can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub u64);

/// A revocation that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevocationId(pub u64);

/// What a node starts with.
pub struct Config {
    /// What is told of this device: to peers when they are paired, to strangers while
    /// pairing is open.
    pub me: Trusted,
    /// Port of streams.
    pub port: u16,
    /// What was kept of [`Output::Store`], if anything was.
    pub trust: crate::trust::Trust,
}

/// What a node wants of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram: to everybody on the segment, if there is no address.
    Datagram(Option<Address>, Vec<u8>),
    /// Open a stream, then say [`connected`](super::Node::connected) or
    /// [`closed`](super::Node::closed).
    Connect(StreamId, Address),
    /// Send these bytes over a stream, in order. They are bounded by the credit that the
    /// peer gave and a beat each 400 ms.
    Send(StreamId, Vec<u8>),
    /// Close a stream. Nothing more is said about it.
    Close(StreamId),
    /// Keep these bytes in place of what was kept before, then say
    /// [`stored`](super::Node::stored) with this number.
    Store(u64, Vec<u8>),
    /// Something happened.
    Event(Event),
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation's number.
    pub operation: u8,
    /// Its class, from the interface's table.
    pub class: Class,
    /// The interface's hash.
    pub hash: u32,
    /// Words and bytes.
    pub payload: Payload,
    /// Memory that is lent, by value: what may be written comes back with the answer.
    pub leases: Vec<Lent>,
    /// Objects.
    pub objects: Vec<Object>,
    /// When the caller stops waiting.
    pub deadline: Option<Millis>,
}

/// A call that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// To answer it.
    pub token: Token,
    /// Whose call it is.
    pub peer: PublicKey,
    /// The object that is called.
    pub local: Local,
    /// The operation's number.
    pub operation: u8,
    /// Its class, as the caller's table has it.
    pub class: Class,
    /// The interface's hash.
    pub hash: u32,
    /// Words and bytes.
    pub payload: Payload,
    /// Memory that is lent: what may be read is there, what may be written has its
    /// length.
    pub leases: Vec<Lent>,
    /// Objects.
    pub objects: Vec<Object>,
    /// When the caller stops waiting.
    pub deadline: Option<Millis>,
}

/// An answer of the host.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How the call ended.
    pub outcome: Outcome,
    /// Words and bytes.
    pub payload: Payload,
    /// For each lease, what was written to it, from its beginning on.
    pub written: Vec<Vec<u8>>,
    /// Objects.
    pub objects: Vec<Object>,
}

/// An answer of another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The server refused, and its code is in word 0.
    pub is_error: bool,
    /// Words and bytes.
    pub payload: Payload,
    /// The leases of the call, with what was written; those that are only read are empty.
    pub leases: Vec<Lent>,
    /// Objects.
    pub objects: Vec<Object>,
}

/// A service of another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// By which name it is opened.
    pub name: String,
    /// The name of its interface.
    pub interface: String,
}

/// How a revocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Nothing runs any more, by the owner's word.
    Confirmed,
    /// The owner was not heard; nothing can begin any more, for the bound has passed.
    Expired,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer is on the network.
    Appeared(PublicKey),
    /// It is no longer.
    Gone(PublicKey),
    /// There is a session with a peer.
    Connected(PublicKey),
    /// A peer was lost: its calls have ended, what is called now fails at once.
    Lost(PublicKey),
    /// The list of strangers has changed.
    Strangers,
    /// Another device uses our key.
    Twin(Address),
    /// Two devices trust each other, and it is on the disk.
    Paired(PublicKey),
    /// Pairing with another device failed.
    PairingFailed(PairingError),
    /// Pairing is no longer open here.
    PairingClosed,
    /// A device is no longer trusted, and it is on the disk.
    Distrusted(PublicKey),
    /// What a peer publishes, from [`browse`](super::Node::browse).
    Browsed(CallId, Result<Vec<Listed>, TransportError>),
    /// A service was opened, from [`open`](super::Node::open). It is the peer's, or a
    /// third device's, or has come home.
    Opened(CallId, Result<Object, TransportError>),
    /// A call ended.
    Answered(CallId, Result<Answered, TransportError>),
    /// A call came.
    Incoming(Incoming),
    /// Nobody waits for it any longer. It has to be answered all the same.
    Cancelled(Token),
    /// What it calls was taken back: it must not begin any more, and if it runs, the
    /// revocation waits for its answer.
    Stopped(Token),
    /// An object of another device can be called no more, for this reason.
    Dead(Import, libipc_abi::status::Cause),
    /// An object was handed on to a third device.
    HandedOn(GrantId, Import, PublicKey),
    /// A revocation has ended.
    Revoked(RevocationId, Revocation),
}
