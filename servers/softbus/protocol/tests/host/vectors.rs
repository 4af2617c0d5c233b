//! The test vectors of `PROTOCOL.md` are what the code writes.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::{Hello, Ping};
use tessera_softbus_protocol::keys::{Holder, Keys, Tagged};
use tessera_softbus_protocol::link::{Link, Purpose};
use tessera_softbus_protocol::suite::{Noise, PublicKey, Suite};
use tessera_softbus_protocol::trust::{Trust, Trusted};
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, ObjectRef, Outcome, Payload, Piece,
    Reply, Resume, Rights,
};

const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each vector, as the document describes it.
fn vectors() -> Vec<(&'static str, Vec<u8>)> {
    let [a, b] = [1, 2].map(|byte| Noise::identity(&[byte; 32]));
    let (key, other) = (Noise::public(&a), Noise::public(&b));
    let pair = Noise::pair_key(&a, &other);
    let hello = Hello {
        instance: 0x0102_0304_0506_0708,
        sequence: 9,
        interval: 40,
        port: 700,
        seeks: true,
        leaves: false,
        open: None,
        tags: [[0; 8]; 16],
    };
    let ping = Ping {
        instance: 0x0102_0304_0506_0708,
        nonce: 0x11,
        echo: 0,
        port: 700,
    };
    let object = ObjectId {
        number: 3,
        epoch: 0x0a0b,
    };
    let resume = Resume {
        boot: 1,
        epoch: 2,
        seen: (3, 4),
        received: 5,
        credit: 6,
        generation: 7,
        fresh: true,
    };
    let beat = Beat {
        received: 1,
        credit: 2,
        stamp: 3,
        echo: 4,
    };
    let call = Call {
        remaining: 1_000,
        call: 8,
        object,
        operation: 2,
        class: Class::Recorded,
        hash: 0xfeed_beef,
        payload: Payload {
            words: [1, 0, 0, 0, 0, 0, 0, 0],
            bytes: b"hi".to_vec(),
        },
        leases: vec![LeaseHead {
            access: Access::Write,
            length: 4_096,
        }],
        objects: vec![ObjectRef::Export(object, Rights::only(&[0, 2]))],
    };
    let reply = Reply {
        call: 8,
        outcome: Outcome::Failed(TransportError {
            cause: Cause::Revoked,
            delivered: false,
        }),
        payload: Payload::default(),
        objects: vec![
            ObjectRef::Home(object),
            ObjectRef::Ticket {
                owner: PublicKey([5; 32]),
                address: Address {
                    ip: [6; 16],
                    port: 700,
                },
                object,
                rights: Rights::only(&[]),
            },
        ],
    };
    let piece = Piece {
        call: 8,
        lease: 1,
        offset: 16,
        bytes: vec![0xaa, 0xbb],
    };
    let said = |body| Message::Sequenced(0x21, body).to_bytes();
    let mut trust = Trust::default();
    let trusted = Trusted {
        name: "lamp".into(),
        kind: 2,
    };
    assert!(trust.add(PublicKey([7; 32]), trusted));
    let mut keys = Holder::<Noise>::new(&[1; 32]);
    let purpose = Purpose::Session;
    let dialled = Link::dial(&mut keys, purpose, Some(&other), [0; 16], [3; 32], 0).unwrap();
    let (head, question) = (hello.head(), ping.head());
    vec![
        ("public key of 01..01", key.0.to_vec()),
        ("public key of 02..02", other.0.to_vec()),
        ("pair key", pair.to_vec()),
        ("hello, first 64 bytes", head.clone()),
        (
            "its tag",
            keys.tags(Tagged::Hello, &[other], &head).unwrap()[0][..8].to_vec(),
        ),
        ("ping, first 48 bytes", question.clone()),
        (
            "its tag, whole",
            keys.tags(Tagged::Ping, &[other], &question).unwrap()[0].to_vec(),
        ),
        ("preamble", dialled.1[..24].to_vec()),
        ("handshake 1, with its header", dialled.1[24..].to_vec()),
        ("Resume", Message::Resume(resume).to_bytes()),
        ("Beat", Message::Beat(beat).to_bytes()),
        ("Call", said(Body::Call(call))),
        ("Reply", said(Body::Reply(reply))),
        ("Lend", said(Body::Lend(piece.clone()))),
        ("Fill", said(Body::Fill(piece))),
        ("Cancel", said(Body::Cancel(8))),
        ("Release", said(Body::Release(object, 2))),
        ("Revoked", said(Body::Revoked(object))),
        ("trust", trust.to_bytes()),
    ]
}

#[test]
fn the_vectors_of_the_document_are_what_is_written() {
    let text: String = DOCUMENT
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    for (name, bytes) in vectors() {
        let line = format!("{name}: {}\n", hex(&bytes));
        assert!(text.contains(&line), "PROTOCOL.md lacks\n{line}");
    }
}

/// The bounds that the document's table names are the code's.
#[test]
fn the_bounds_of_the_document_are_those_of_the_code() {
    use tessera_softbus_protocol::limits as l;
    let bounds: [(&str, u64); 35] = [
        ("TRUSTED", l::TRUSTED as u64),
        ("GUESTS", l::GUESTS as u64),
        ("GUESTS_EACH", l::GUESTS_EACH as u64),
        ("STRANGERS_EACH", l::STRANGERS_EACH as u64),
        ("HOPS", l::HOPS.into()),
        ("GRANTS_EACH", l::GRANTS_EACH as u64),
        ("ALL_BYTES", l::ALL_BYTES),
        ("SMALL_BYTES", l::SMALL_BYTES),
        ("LENT_BYTES", l::LENT_BYTES),
        ("FLYING", l::FLYING as u64),
        ("HELLO_LEAST", l::HELLO_LEAST),
        ("HAND_OVER", l::HAND_OVER),
        ("REVISIT", l::REVISIT),
        ("STRANGERS", l::STRANGERS as u64),
        ("PENDING", l::PENDING as u64),
        ("SERVICES", l::SERVICES as u64),
        ("EXPORTS", l::EXPORTS as u64),
        ("IMPORTS", l::IMPORTS as u64),
        ("CALLS", l::CALLS as u64),
        ("OWN_CALLS", l::OWN_CALLS as u64),
        ("GRANTS", l::GRANTS as u64),
        ("PEER_BYTES", l::PEER_BYTES),
        ("QUEUE_BYTES", l::QUEUE_BYTES),
        ("CALL_BYTES", l::CALL_BYTES),
        ("UNREAD", l::UNREAD as u64),
        ("FRAME", l::FRAME as u64),
        ("BEAT", l::BEAT),
        ("SUSPECT", l::SUSPECT),
        ("REPLACE", l::REPLACE),
        ("LOST", l::LOST),
        ("UNUSABLE", l::UNUSABLE),
        ("HANDSHAKE", l::HANDSHAKE),
        ("FORGET", l::FORGET),
        ("PAIRING", l::PAIRING),
        ("HELLO_EVERY", l::HELLO_EVERY),
    ];
    for (name, value) in bounds {
        let row = format!("| `{name}` | {value} |");
        assert!(DOCUMENT.contains(&row), "PROTOCOL.md lacks {row}");
    }
}
