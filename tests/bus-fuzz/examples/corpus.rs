//! Writes the corpus again, after a layout has changed: `corpus FOLDER`.

#![forbid(unsafe_code)]

use std::path::Path;

use libipc_abi::operation::Class;
use tessera_bus_lab::cheap::Cheap;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::{Hello, Ping};
use tessera_softbus_protocol::keys::Holder;
use tessera_softbus_protocol::link::{Link, Purpose};
use tessera_softbus_protocol::pairing::Said;
use tessera_softbus_protocol::suite::{PAKE, PublicKey, Side, Suite};
use tessera_softbus_protocol::trust::{Trust, Trusted};
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, ObjectRef, Outcome, Payload, Piece,
    Reply, Resume, Rights,
};

fn main() -> std::io::Result<()> {
    let folder = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "tests/bus-fuzz/corpus".into());
    for (name, bytes) in corpus() {
        std::fs::write(Path::new(&folder).join(name), bytes)?;
    }
    Ok(())
}

fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let hello = |open| {
        let hello = Hello {
            instance: 7,
            sequence: 3,
            interval: 40,
            port: 700,
            seeks: true,
            leaves: false,
            open,
            tags: [[5; 8]; 16],
        };
        hello.finish(hello.head())
    };
    let ping = Ping {
        instance: 7,
        nonce: 8,
        echo: 9,
        port: 700,
    };
    let object = ObjectId {
        number: 1,
        epoch: 6,
    };
    let call = |objects| Call {
        remaining: u32::MAX,
        call: 1,
        object,
        operation: 2,
        class: Class::Once,
        hash: 3,
        payload: Payload {
            words: [1, 2, 3, 0, 0, 0, 0, 0],
            bytes: b"bytes of a call".to_vec(),
        },
        leases: vec![LeaseHead {
            access: Access::Both,
            length: 100,
        }],
        objects,
    };
    let ticket = ObjectRef::Ticket {
        owner: PublicKey([3; 32]),
        address: Address::default(),
        object,
        rights: Rights::ALL,
    };
    let reply = |objects| Reply {
        call: 1,
        outcome: Outcome::Ok,
        payload: Payload::default(),
        objects,
    };
    let both = vec![
        ObjectRef::Export(object, Rights::ALL),
        ObjectRef::Home(object),
    ];
    let said = |body| Message::Sequenced(1, body).to_bytes();
    let piece = Piece {
        call: 1,
        lease: 0,
        offset: 0,
        bytes: vec![1; 50],
    };
    let resume = Resume {
        boot: 1,
        epoch: 1,
        seen: (5, 6),
        received: 0,
        credit: 1 << 20,
        generation: 1,
        fresh: false,
    };
    let beat = Beat {
        received: 0,
        credit: 1 << 20,
        stamp: 5,
        echo: 0,
    };
    let mut keys = Holder::<Cheap>::new(&[1; 32]);
    let peer = Cheap::public(&Cheap::identity(&[2; 32]));
    let opening = Link::dial(
        &mut keys,
        Purpose::Session,
        Some(&peer),
        [0; 16],
        [3; 32],
        0,
    );
    let mut message = [4; PAKE];
    message[0] = Side::Initiator as u8;
    let exchange = Said::Exchange(message).to_bytes();
    let mut trust = Trust::default();
    for key in 1..4 {
        let name = "a device".into();
        let _ = trust.add(PublicKey([key; 32]), Trusted { name, kind: 1 });
    }
    vec![
        ("hello", hello(None)),
        ("hello-open", hello(Some(("a device".into(), 1)))),
        ("ping", [ping.head(), vec![6; 16]].concat()),
        ("opening", opening.map_or(Vec::new(), |(_, bytes)| bytes)),
        ("resume", Message::Resume(resume).to_bytes()),
        ("beat", Message::Beat(beat).to_bytes()),
        ("call", said(Body::Call(call(Vec::new())))),
        ("call-objects", said(Body::Call(call(both)))),
        ("lend", said(Body::Lend(piece))),
        ("reply", said(Body::Reply(reply(Vec::new())))),
        ("reply-ticket", said(Body::Reply(reply(vec![ticket])))),
        ("release", said(Body::Release(object, 1))),
        ("trust", trust.to_bytes()),
        ("pairing", exchange),
    ]
}
