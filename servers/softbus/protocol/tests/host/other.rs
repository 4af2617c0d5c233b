//! One other device as a node keeps it, beneath streams: what it says is taken as from one.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::limits::PEER_BYTES;
use tessera_softbus_protocol::peer::{Heard, Hostile, Peer, Request};
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, Outcome, Payload, Piece, Reply, Resume,
};

/// It, and how much it has said.
pub(crate) struct Other {
    pub(crate) peer: Peer,
    said: u64,
}

impl Other {
    /// There is a stream, and nothing was said over it yet.
    pub(crate) fn new() -> Other {
        let mut peer = Peer::new((1, 1));
        let resume = Resume {
            boot: 2,
            epoch: 2,
            seen: (0, 0),
            received: 0,
            credit: PEER_BYTES,
            generation: 1,
            fresh: false,
        };
        peer.resumed_by_initiator(&resume, |_| false).unwrap();
        Other { peer, said: 0 }
    }

    /// It says something, at this moment.
    pub(crate) fn says_at(&mut self, body: Body, now: Millis) -> Result<Heard, Hostile> {
        self.said += 1;
        let message = Message::Sequenced(self.said, body);
        self.peer.receive(message, PEER_BYTES, now)
    }

    pub(crate) fn says(&mut self, body: Body) -> Result<Heard, Hostile> {
        self.says_at(body, 0)
    }

    /// It calls, and the call goes to the host.
    pub(crate) fn calls(&mut self, call: Call) -> u64 {
        match self.says(Body::Call(call)) {
            Ok(Heard::Call(serial)) => serial,
            other => panic!("{other:?}"),
        }
    }

    /// What it says next has this number.
    pub(crate) fn says_again(&mut self, number: u64) {
        self.said = number - 1;
    }

    /// It says that it has so many of the messages that were sent to it.
    pub(crate) fn beats(&mut self, received: u64) -> Result<Heard, Hostile> {
        let beat = Beat {
            received,
            credit: PEER_BYTES,
            stamp: 0,
            echo: 0,
        };
        self.peer.receive(Message::Beat(beat), 0, 0)
    }

    /// It has them.
    pub(crate) fn has(&mut self, received: u64) {
        assert_eq!(self.beats(received), Ok(Heard::Nothing));
    }

    /// What is said to it, but for beats.
    pub(crate) fn hears(&mut self) -> Vec<Body> {
        let sent = std::iter::from_fn(|| self.peer.poll(0));
        let read = sent.map(|bytes| Message::read(&bytes).unwrap());
        read.filter_map(|message| match message {
            Message::Sequenced(_, body) => Some(body),
            _ => None,
        })
        .collect()
    }

    /// The host answers one of its calls.
    pub(crate) fn is_answered(&mut self, serial: u64, written: &[Vec<u8>]) {
        let payload = Payload::default();
        let answered = self
            .peer
            .answer(serial, Outcome::Ok, payload, Vec::new(), written);
        assert!(answered);
    }
}

/// A call that lends so many bytes in each lease.
pub(crate) fn lending(number: u64, leases: &[(Access, u64)]) -> Call {
    let heads = leases.iter().map(|&(access, length)| LeaseHead {
        access,
        length: length as u32,
    });
    Call {
        remaining: u32::MAX,
        call: number,
        object: ObjectId {
            number: 3,
            epoch: 1,
        },
        operation: 1,
        class: Class::Once,
        hash: 7,
        payload: Payload::default(),
        leases: heads.collect(),
        objects: Vec::new(),
    }
}

/// A call of ours at it.
pub(crate) fn request(number: u64) -> Request {
    let call = lending(number, &[]);
    Request {
        call: number,
        object: call.object,
        operation: call.operation,
        class: Class::Once,
        hash: call.hash,
        payload: call.payload,
        leases: Vec::new(),
        objects: Vec::new(),
        deadline: None,
    }
}

/// Bytes of a lease.
pub(crate) fn lent(call: u64, lease: u8, offset: u32, length: usize) -> Body {
    Body::Lend(Piece {
        call,
        lease,
        offset,
        bytes: vec![7; length],
    })
}

/// An answer of the device to a call that did not run.
pub(crate) fn refused(call: u64, cause: Cause) -> Body {
    Body::Reply(Reply {
        call,
        outcome: Outcome::Failed(TransportError {
            cause,
            delivered: false,
        }),
        payload: Payload::default(),
        objects: Vec::new(),
    })
}
