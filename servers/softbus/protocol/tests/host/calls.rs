//! Calls between devices.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::node::{
    Answer, Call, CallId, Event, Import, Incoming, Lent, Object, Token,
};
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::wire::{Access, Outcome, Payload, Rights};

use crate::net::Net;

pub(crate) fn call(operation: u8) -> Call {
    Call {
        operation,
        class: Class::Once,
        hash: 7,
        payload: Payload {
            words: [1, 2, 0, 0, 0, 0, 0, 0],
            bytes: b"canary of a call".to_vec(),
        },
        leases: Vec::new(),
        objects: Vec::new(),
        deadline: None,
    }
}

pub(crate) fn answer(outcome: Outcome, written: Vec<Vec<u8>>) -> Answer {
    Answer {
        outcome,
        payload: Payload {
            words: [9, 0, 0, 0, 0, 0, 0, 0],
            bytes: b"canary of an answer".to_vec(),
        },
        written,
        objects: Vec::new(),
    }
}

pub(crate) fn service(local: u64) -> Service {
    Service {
        object: Object::Local(Local(local), Rights::ALL),
        interface: "Canary".into(),
        only: None,
    }
}

/// Paired nodes of which the first publishes an object.
pub(crate) fn nodes(count: usize) -> Net {
    let mut net = Net::new(count);
    for other in 1..count {
        net.pair(other - 1, other);
    }
    assert!(net.nodes[0].publish("canary", service(5)));
    net.run(1_000);
    net.events.clear();
    net
}

/// Opens the first node's object at another.
pub(crate) fn open(net: &mut Net, at: usize) -> Import {
    match open_at(net, at, 0, "canary") {
        Ok(Object::Import(import, ..)) => import,
        other => panic!("{other:?}"),
    }
}

/// Opens what a node publishes at another.
pub(crate) fn open_at(
    net: &mut Net,
    at: usize,
    of: usize,
    name: &str,
) -> Result<Object, TransportError> {
    let (key, now) = (net.key(of), net.now);
    net.nodes[at].open(&key, name, None, now).unwrap();
    net.run(10);
    let opened = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Opened(_, result) => Some(result),
        _ => None,
    });
    opened.expect("it ends")
}

pub(crate) fn incoming(net: &mut Net, at: usize) -> Incoming {
    let came = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Incoming(incoming) => Some(incoming),
        _ => None,
    });
    came.expect("a call came")
}

pub(crate) fn ending(net: &mut Net, at: usize, id: CallId) -> Result<u64, TransportError> {
    let ended = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Answered(of, result) if of == id => Some(result),
        _ => None,
    });
    ended
        .expect("the call ended")
        .map(|answered| answered.payload.words[0])
}

pub(crate) fn make(net: &mut Net, at: usize, import: Import, call: Call) -> CallId {
    let id = net.nodes[at].call(import, call, net.now).unwrap();
    net.settle();
    id
}

pub(crate) fn reply(net: &mut Net, at: usize, token: Token, answer: Answer) -> bool {
    let sent = net.nodes[at].answer(token, answer, net.now);
    net.settle();
    sent
}

pub(crate) const fn failed(cause: Cause, delivered: bool) -> Result<u64, TransportError> {
    Err(TransportError { cause, delivered })
}

#[test]
fn a_call_is_answered_and_nothing_of_it_is_on_the_wire() {
    let mut net = nodes(2);
    let zero = net.key(0);
    net.nodes[1].browse(&zero, None, net.now).unwrap();
    net.settle();
    let browsed = net.events_of(1).into_iter().any(|event| match event {
        Event::Browsed(_, Ok(listed)) => listed.len() == 1 && listed[0].name == "canary",
        _ => false,
    });
    assert!(browsed);
    let import = open(&mut net, 1);
    let id = make(&mut net, 1, import, call(3));
    let came = incoming(&mut net, 0);
    assert_eq!((came.local, came.operation, came.hash), (Local(5), 3, 7));
    assert_eq!(came.payload, call(3).payload);
    assert!(reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![])));
    assert_eq!(ending(&mut net, 1, id), Ok(9));
    let shows = |canary: &[u8]| {
        let mut sent = net.wire.iter().map(|packet| &packet.bytes);
        sent.any(|bytes| bytes.windows(canary.len()).any(|part| part == canary))
    };
    assert!(!shows(b"anary"), "names and contents are encrypted");
    assert!(
        !shows(&net.key(0).0) && !shows(&net.key(1).0),
        "and so are keys"
    );
}

#[test]
fn leases_of_a_mebibyte_go_both_ways() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let bytes: Vec<u8> = (0..1 << 20)
        .map(|index: u32| (index * 7 / 8) as u8)
        .collect();
    for access in [Access::Read, Access::Write, Access::Both] {
        let contents = if access.reads() {
            bytes.clone()
        } else {
            vec![0; 1 << 20]
        };
        let mut call = call(1);
        call.leases = vec![Lent {
            access,
            bytes: contents.clone(),
        }];
        let id = make(&mut net, 1, import, call);
        net.run(500);
        let came = incoming(&mut net, 0);
        assert!(came.leases[0].bytes == contents);
        let written: Vec<u8> = bytes.iter().rev().copied().collect();
        reply(
            &mut net,
            0,
            came.token,
            answer(Outcome::Ok, vec![written.clone()]),
        );
        net.run(500);
        let back = net.events_of(1).into_iter().find_map(|event| match event {
            Event::Answered(of, Ok(answered)) if of == id => Some(answered.leases),
            _ => None,
        });
        // What was only read does not come back.
        let expected = if access.writes() { written } else { Vec::new() };
        assert!(back.unwrap()[0].bytes == expected);
    }
    assert_eq!(net.nodes[0].held(&net.key(1)), 0);
}

#[test]
fn a_lost_peer_ends_calls_and_fails_new_ones_at_once() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let id = make(&mut net, 1, import, call(1));
    let came = incoming(&mut net, 0);
    net.away.insert(0);
    net.run(2_400);
    assert_eq!(ending(&mut net, 1, id), failed(Cause::Unreachable, true));
    let refused = net.nodes[1].call(import, call(1), net.now);
    assert_eq!(refused, Err(Cause::Unreachable));
    assert!(reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![])));
    net.away.clear();
    net.run(10_000);
    let id = make(&mut net, 1, import, call(2));
    let came = incoming(&mut net, 0);
    assert_eq!(came.operation, 2, "the import outlived the partition");
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    assert_eq!(ending(&mut net, 1, id), Ok(9));
}

#[test]
fn a_short_break_costs_no_call() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let id = make(&mut net, 1, import, call(1));
    let came = incoming(&mut net, 0);
    net.away.insert(0);
    net.run(1_000);
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    net.run(500);
    net.away.clear();
    net.run(2_000);
    assert_eq!(ending(&mut net, 1, id), Ok(9));
}

#[test]
fn a_recorded_call_is_answered_from_its_record() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let mut recorded = call(1);
    recorded.class = Class::Recorded;
    recorded.deadline = Some(net.now + 300);
    let id = make(&mut net, 1, import, recorded);
    let came = incoming(&mut net, 0);
    net.run(400);
    assert_eq!(ending(&mut net, 1, id), failed(Cause::TimedOut, true));
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    net.run(100);
    net.nodes[1].again(id, None, net.now).unwrap();
    net.settle();
    assert_eq!(ending(&mut net, 1, id), Ok(9));
    assert!(
        !net.events_of(0)
            .iter()
            .any(|event| matches!(event, Event::Incoming(_)))
    );
}

#[test]
fn a_restart_of_the_server_ends_calls_with_its_epoch() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let id = make(&mut net, 1, import, call(1));
    net.restart(0);
    net.run(2_000);
    assert_eq!(ending(&mut net, 1, id), failed(Cause::EpochChanged, true));
    assert_eq!(
        net.nodes[1].call(import, call(1), net.now),
        Err(Cause::EpochChanged)
    );
}

#[test]
fn what_was_not_given_is_not_even_sent() {
    let mut net = nodes(2);
    let mut limited = service(5);
    limited.object = Object::Local(Local(5), Rights::only(&[3]));
    assert!(net.nodes[0].publish("canary", limited));
    let import = open(&mut net, 1);
    assert_eq!(
        net.nodes[1].call(import, call(4), net.now),
        Err(Cause::Denied)
    );
    make(&mut net, 1, import, call(3));
    assert_eq!(incoming(&mut net, 0).operation, 3);
}
