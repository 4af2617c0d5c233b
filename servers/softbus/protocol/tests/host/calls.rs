//! Calls between devices.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::node::{
    Answer, Call, CallId, Event, Import, Incoming, Lent, Object, Revocation, Token,
};
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::wire::{Access, Outcome, Payload, Rights};

use crate::net::Net;

fn call(operation: u8) -> Call {
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

fn answer(outcome: Outcome, written: Vec<Vec<u8>>) -> Answer {
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

fn service(local: u64) -> Service {
    Service {
        local: Local(local),
        rights: Rights::ALL,
        interface: "Canary".into(),
        only: None,
    }
}

/// Paired nodes of which the first publishes an object.
fn nodes(count: usize) -> Net {
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
fn open(net: &mut Net, at: usize) -> Import {
    let zero = net.key(0);
    let now = net.now;
    net.nodes[at].open(&zero, "canary", None, now).unwrap();
    net.run(10);
    let opened = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Opened(_, result) => Some(result),
        _ => None,
    });
    opened.unwrap().unwrap()
}

fn incoming(net: &mut Net, at: usize) -> Incoming {
    let came = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Incoming(incoming) => Some(incoming),
        _ => None,
    });
    came.expect("a call came")
}

fn ending(net: &mut Net, at: usize, id: CallId) -> Result<u64, TransportError> {
    let ended = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Answered(of, result) if of == id => Some(result),
        _ => None,
    });
    ended
        .expect("the call ended")
        .map(|answered| answered.payload.words[0])
}

fn make(net: &mut Net, at: usize, import: Import, call: Call) -> CallId {
    let id = net.nodes[at].call(import, call, net.now).unwrap();
    net.settle();
    id
}

fn reply(net: &mut Net, at: usize, token: Token, answer: Answer) -> bool {
    let sent = net.nodes[at].answer(token, answer, net.now);
    net.settle();
    sent
}

const fn failed(cause: Cause, delivered: bool) -> Result<u64, TransportError> {
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
    let shows = |canary: &[u8]| net.wire.windows(canary.len()).any(|part| part == canary);
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
        let expected = if access.writes() { written } else { contents };
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
fn the_owner_checks_rights_on_every_call() {
    let mut net = nodes(2);
    let mut limited = service(5);
    limited.rights = Rights::only(&[3]);
    assert!(net.nodes[0].publish("canary", limited));
    let import = open(&mut net, 1);
    assert_eq!(
        net.nodes[1].call(import, call(4), net.now),
        Err(Cause::Denied)
    );
    make(&mut net, 1, import, call(3));
    assert_eq!(incoming(&mut net, 0).operation, 3);
}

#[test]
fn an_object_goes_on_to_a_third_device_and_is_taken_back() {
    for owner_revokes in [true, false] {
        let mut net = nodes(3);
        assert!(net.nodes[1].publish("relay", service(6)));
        let object = open(&mut net, 1);
        let one = net.key(1);
        let now = net.now;
        net.nodes[2].open(&one, "relay", None, now).unwrap();
        net.run(10);
        let relay = net.events_of(2).into_iter().find_map(|event| match event {
            Event::Opened(_, result) => result.ok(),
            _ => None,
        });
        // The third asks the second, which answers with the first's object.
        let id = make(&mut net, 2, relay.unwrap(), call(1));
        let came = incoming(&mut net, 1);
        let mut with_object = answer(Outcome::Ok, vec![]);
        with_object.objects = vec![Object::Import(object, Rights::only(&[3]), 5_000)];
        reply(&mut net, 1, came.token, with_object);
        net.run(10);
        let (mut grant, mut import) = (None, None);
        for (_, event) in std::mem::take(&mut net.events) {
            match event {
                Event::HandedOn(handed, ..) => grant = Some(handed),
                Event::Answered(of, Ok(answered)) if of == id => {
                    if let [Object::Import(arrived, ..)] = answered.objects[..] {
                        import = Some(arrived);
                    }
                }
                _ => {}
            }
        }
        let import = import.expect("it arrived");
        assert_eq!(
            net.nodes[2].call(import, call(4), net.now),
            Err(Cause::Denied)
        );
        let id = make(&mut net, 2, import, call(3));
        net.run(10);
        let came = incoming(&mut net, 0);
        assert_eq!((came.local, came.peer), (Local(5), net.key(2)));
        // A guest learns nothing but that object.
        let zero = net.key(0);
        net.nodes[2].browse(&zero, None, net.now).unwrap();
        net.settle();
        let denied = net.events_of(2).into_iter().any(|event| match event {
            Event::Browsed(_, Err(error)) => error.cause == Cause::Denied,
            _ => false,
        });
        assert!(denied);
        let revocation = if owner_revokes {
            net.nodes[0].revoke(Local(5), None, net.now)
        } else {
            net.nodes[1].take_back(grant.unwrap(), net.now).unwrap()
        };
        net.settle();
        let done = Event::Revoked(revocation, Revocation::Confirmed);
        assert!(
            !net.events.iter().any(|(_, event)| *event == done),
            "a call runs"
        );
        reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
        assert!(net.events.iter().any(|(_, event)| *event == done));
        assert_eq!(ending(&mut net, 2, id), Ok(9));
        assert_eq!(
            net.nodes[2].call(import, call(3), net.now),
            Err(Cause::Revoked)
        );
        let second = net.nodes[1].call(object, call(3), net.now);
        assert_eq!(second.is_err(), owner_revokes);
    }
}

#[test]
fn a_hand_over_expires_when_its_maker_is_not_heard() {
    let mut net = nodes(3);
    // The third knows the first too, so that only the second goes away.
    let object = open(&mut net, 1);
    assert!(net.nodes[2].publish("sink", service(8)));
    let two = net.key(2);
    let now = net.now;
    net.nodes[1].open(&two, "sink", None, now).unwrap();
    net.run(10);
    let sink = net.events_of(1).into_iter().find_map(|event| match event {
        Event::Opened(_, result) => result.ok(),
        _ => None,
    });
    let mut carries = call(1);
    carries.objects = vec![Object::Import(object, Rights::ALL, 4_000)];
    make(&mut net, 1, sink.unwrap(), carries);
    net.run(500);
    let import = match incoming(&mut net, 2).objects[..] {
        [Object::Import(import, ..)] => import,
        _ => panic!("the object arrived"),
    };
    make(&mut net, 2, import, call(3));
    net.run(10);
    let came = incoming(&mut net, 0);
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    net.away.insert(1);
    net.run(4_500);
    net.events.clear();
    let id = make(&mut net, 2, import, call(3));
    net.run(10);
    assert_eq!(ending(&mut net, 2, id), failed(Cause::Revoked, false));
}

#[test]
fn an_object_that_comes_home_is_the_local_one() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let mut carries = call(1);
    carries.objects = vec![
        Object::Import(import, Rights::ALL, 0),
        Object::Local(Local(77), Rights::ALL),
    ];
    make(&mut net, 1, import, carries);
    let came = incoming(&mut net, 0);
    assert!(matches!(came.objects[0], Object::Local(Local(5), _)));
    let Object::Import(callback, ..) = came.objects[1] else {
        panic!("the other one is the caller's");
    };
    make(&mut net, 0, callback, call(2));
    assert_eq!(incoming(&mut net, 1).local, Local(77), "a callback");
}
