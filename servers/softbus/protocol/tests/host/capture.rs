//! What somebody who listens learns, and what he does by saying it again, as it was or
//! changed.

use std::collections::BTreeSet;

use libipc_abi::status::Cause;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::keys::Holder;
use tessera_softbus_protocol::link::{Link, Purpose};
use tessera_softbus_protocol::node::{Event, Output, StreamId};
use tessera_softbus_protocol::suite::Noise;
use tessera_softbus_protocol::wire::Outcome;

use crate::calls::{answer, call, ending, incoming, make, nodes, open, reply, service};
use crate::net::{Net, Packet, address};

/// Bytes that are looked for. Fewer are found by chance.
const WINDOW: usize = 6;

/// Parts of what a node sent, datagrams and streams; those that are mostly zeros are the
/// same by chance.
fn parts(net: &Net, of: impl Fn(usize) -> bool) -> BTreeSet<Vec<u8>> {
    let sent = net.wire.iter().filter(|packet| of(packet.from));
    let says = |part: &&[u8]| part.iter().filter(|byte| **byte != 0).count() >= 4;
    sent.flat_map(|packet| packet.bytes.windows(WINDOW).filter(says).map(Vec::from))
        .collect()
}

/// The first two nodes call each other's objects, and each is open to be paired with for a
/// while.
fn live(net: &mut Net) {
    net.run(6_000);
    for (at, of) in [(1, 0), (0, 1)] {
        let opened = crate::calls::open_at(net, at, of, "canary");
        assert!(opened.is_ok(), "{opened:?}");
    }
    for index in 0..3 {
        net.nodes[index].open_pairing(net.now);
        net.run(1_000);
        net.nodes[index].close_pairing(net.now);
    }
    net.run(20_000);
    for node in &mut net.nodes {
        node.leave(net.now);
    }
    net.settle();
}

/// What a device sends in one boot has nothing in common with what it sends in another,
/// but for what all devices send, and its name while pairing is open.
#[test]
fn nothing_that_is_sent_is_the_same_in_two_boots() {
    let mut net = nodes(3);
    assert!(net.nodes[1].publish("canary", service(6)));
    live(&mut net);
    let first = parts(&net, |from| from == 0);
    let others = parts(&net, |from| from != 0);
    assert!(first.len() > 2_000, "{} parts", first.len());
    for index in 0..3 {
        net.restart(index);
    }
    net.wire.clear();
    for index in [0, 1] {
        assert!(net.nodes[index].publish("canary", service(5)));
    }
    live(&mut net);
    let second = parts(&net, |from| from == 0);
    let others: BTreeSet<_> = others
        .union(&parts(&net, |from| from != 0))
        .cloned()
        .collect();
    // Pairing shows the name, behind numbers that are the same for all.
    let mut shown = vec![40, 0, 188, 2, 1, net.nodes[0].name().len() as u8];
    shown.extend_from_slice(net.nodes[0].name().as_bytes());
    shown.extend([0; 32]);
    let is_own = |part: &&Vec<u8>| {
        !others.contains(*part) && !shown.windows(WINDOW).any(|shown| shown == **part)
    };
    let same: Vec<_> = first.intersection(&second).filter(is_own).collect();
    assert!(same.is_empty(), "{same:02x?}");
}

/// What has happened, but for strangers that were heard.
fn happened(net: &mut Net) -> Vec<(usize, Event)> {
    let events = std::mem::take(&mut net.events);
    let counts = |(_, event): &(usize, Event)| *event != Event::Strangers;
    events.into_iter().filter(counts).collect()
}

/// Each byte of a packet changed in turn, and the packet as it was.
fn versions(packet: &Packet, step: usize) -> Vec<Vec<u8>> {
    let changed = (0..packet.bytes.len()).step_by(step).map(|place| {
        let mut bytes = packet.bytes.clone();
        bytes[place] ^= 1 << (place % 8);
        bytes
    });
    std::iter::once(packet.bytes.clone())
        .chain(changed)
        .collect()
}

/// Two nodes with a session, in which a call has run, and the import by which it did.
fn with_session() -> (Net, tessera_softbus_protocol::node::Import) {
    let mut net = nodes(2);
    net.wire.clear();
    for index in [0, 1] {
        net.restart(index);
    }
    assert!(net.nodes[0].publish("canary", service(5)));
    net.run(2_000);
    let import = open(&mut net, 1);
    still_calls(&mut net, import);
    net.events.clear();
    (net, import)
}

fn still_calls(net: &mut Net, import: tessera_softbus_protocol::node::Import) {
    let id = make(net, 1, import, call(3));
    let came = incoming(net, 0);
    assert_eq!(came.peer, net.key(1));
    reply(net, 0, came.token, answer(Outcome::Ok, vec![]));
    assert_eq!(ending(net, 1, id), Ok(9));
}

#[test]
fn datagrams_that_are_repeated_or_changed_change_nothing() {
    let (mut net, import) = with_session();
    let heard: Vec<_> = net.wire.clone();
    let heard: Vec<_> = heard
        .iter()
        .filter(|packet| packet.stream.is_none())
        .collect();
    assert!(heard.len() > 4, "{} datagrams", heard.len());
    net.wire.clear();
    let elsewhere = address(77);
    for packet in heard {
        for bytes in versions(packet, 1) {
            for from in [address(packet.from), elsewhere] {
                let to = 1 - packet.from;
                net.nodes[to].datagram(from, &bytes, net.now);
                let mut answered = 0;
                while let Some(output) = net.nodes[to].poll() {
                    match output {
                        Output::Datagram(Some(_), answer) => answered += answer.len(),
                        Output::Datagram(None, _) | Output::Event(Event::Strangers) => {}
                        other => panic!("{other:?} follows"),
                    }
                }
                assert!(answered <= bytes.len(), "{answered} bytes");
            }
        }
    }
    let [zero, one] = [net.key(0), net.key(1)];
    assert!(net.nodes[0].is_connected(&one) && net.nodes[1].is_connected(&zero));
    net.run(10_000);
    assert_eq!(happened(&mut net), []);
    let there = |index: usize| net.nodes[index].trusted().all(|(.., there)| there);
    assert!(there(0) && there(1));
    still_calls(&mut net, import);
}

#[test]
fn streams_that_are_repeated_or_changed_change_nothing() {
    let (mut net, import) = with_session();
    let streams: BTreeSet<(usize, StreamId, usize)> = net
        .wire
        .iter()
        .filter_map(|packet| packet.stream.map(|(id, to)| (packet.from, id, to)))
        .collect();
    assert!(streams.len() > 1);
    let heard = std::mem::take(&mut net.wire);
    for (from, id, to) in streams {
        let its = heard.iter();
        let its = its.filter(|packet| packet.from == from && packet.stream == Some((id, to)));
        let whole = Packet {
            from,
            stream: None,
            bytes: its.flat_map(|packet| packet.bytes.clone()).collect(),
        };
        for bytes in versions(&whole, 7) {
            let Some(stream) = net.nodes[to].accepted(address(77), net.now) else {
                panic!("the last one was closed");
            };
            net.nodes[to].received(stream, &bytes, net.now);
            while let Some(output) = net.nodes[to].poll() {
                match output {
                    // The second message of a handshake, which only the other key reads.
                    Output::Send(of, _) | Output::Close(of) if of == stream => {}
                    other => panic!("{other:?} follows"),
                }
            }
            net.nodes[to].closed(stream, net.now);
            net.settle();
        }
    }
    assert_eq!(happened(&mut net), []);
    still_calls(&mut net, import);
}

/// A stream that somebody in between changes is closed, and costs no call its outcome.
#[test]
fn a_call_whose_stream_is_changed_on_the_way_runs_once() {
    let (mut net, import) = with_session();
    for place in 0..200 {
        let id = net.nodes[1].call(import, call(3), net.now).unwrap();
        net.change = Some(place);
        net.run(3_000);
        assert_eq!(net.change, None, "something was changed");
        let came = incoming(&mut net, 0);
        reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
        net.run(3_000);
        let ran = net.events_of(0);
        let runs = |event: &Event| matches!(event, Event::Incoming(_));
        assert!(!ran.iter().any(runs), "once");
        assert_eq!(ending(&mut net, 1, id), Ok(9));
    }
}

#[test]
fn somebody_who_is_not_paired_gets_nothing() {
    let (mut net, import) = with_session();
    let zero = net.key(0);
    let mut stranger = Holder::<Noise>::new(&[99; 32]);
    let from = Address {
        ip: [9; 16],
        port: 700,
    };
    for purpose in [Purpose::Session, Purpose::Pairing] {
        let dialled = Link::dial(
            &mut stranger,
            purpose,
            Some(&zero),
            [0; 16],
            [3; 32],
            net.now,
        );
        let Ok((_, first)) = dialled else {
            panic!("he knows the key");
        };
        let stream = net.nodes[0].accepted(from, net.now).unwrap();
        net.nodes[0].received(stream, &first, net.now);
        let mut follows = Vec::new();
        while let Some(output) = net.nodes[0].poll() {
            follows.push(output);
        }
        assert_eq!(follows, [Output::Close(stream)], "not a byte");
    }
    // Nor does who is paired get what is not his.
    let key = net.key(1);
    assert!(net.nodes[0].distrust(&key, net.now));
    net.settle();
    net.events.clear();
    let ended = net.nodes[1].call(import, call(3), net.now);
    if let Ok(id) = ended {
        net.run(3_000);
        let error = ending(&mut net, 1, id).unwrap_err();
        assert_ne!(error.cause, Cause::Denied, "it is not heard at all");
    }
    let ran = net.events_of(0);
    assert!(!ran.iter().any(|event| matches!(event, Event::Incoming(_))));
}
