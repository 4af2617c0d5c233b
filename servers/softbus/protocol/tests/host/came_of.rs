//! What a device got through an object of another one: files of a directory. It ends when
//! that object is taken back, and not when it is dropped.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::node::{Event, Import, Object, Revocation, Token};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Table};
use tessera_softbus_protocol::wire::{Outcome, Rights};

use crate::calls::{answer, call, ending, failed, incoming, make, nodes, open, reply};
use crate::handing::{imported, passed_on};
use crate::net::Net;

/// A call of `at` gets to the first node, which has not answered yet.
fn calls(net: &mut Net, at: usize, import: Import, local: u64) -> Token {
    make(net, at, import, call(3));
    net.run(10);
    let came = incoming(net, 0);
    assert_eq!((came.local, came.peer), (Local(local), net.key(at)));
    came.token
}

/// The first node answers a call with another object.
fn answers_with(net: &mut Net, at: usize, token: Token, local: u64) -> Import {
    let mut with_object = answer(Outcome::Ok, vec![]);
    with_object.objects = vec![Object::Local(Local(local), Rights::ALL)];
    assert!(reply(net, 0, token, with_object));
    net.run(10);
    let arrived = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Answered(_, Ok(answered)) => answered.objects.first().copied(),
        _ => None,
    });
    imported(Ok(arrived.expect("it is answered")))
}

/// Gets an object through another.
fn gets(net: &mut Net, at: usize, import: Import, of: u64, local: u64) -> Import {
    let token = calls(net, at, import, of);
    answers_with(net, at, token, local)
}

fn is_refused(net: &mut Net, at: usize, import: Import) {
    match net.nodes[at].call(import, call(3), net.now) {
        Err(cause) => assert_eq!(cause, Cause::Revoked),
        Ok(id) => {
            net.run(10);
            assert_eq!(ending(net, at, id), failed(Cause::Revoked, false));
        }
    }
}

#[test]
fn it_is_taken_back_with_what_it_came_of_once_nothing_runs() {
    let mut net = nodes(2);
    let directory = open(&mut net, 1);
    let below = gets(&mut net, 1, directory, 5, 6);
    let file = gets(&mut net, 1, below, 6, 7);
    let token = calls(&mut net, 1, file, 7);
    let revocation = net.nodes[0].revoke(Local(5), None, net.now);
    net.settle();
    let done = (0, Event::Revoked(revocation, Revocation::Confirmed));
    assert!(!net.events.contains(&done), "the file is written still");
    reply(&mut net, 0, token, answer(Outcome::Ok, vec![]));
    assert!(net.events.contains(&done));
    for import in [directory, below, file] {
        is_refused(&mut net, 1, import);
    }
}

#[test]
fn it_outlives_that_this_was_dropped_and_ends_with_it_still() {
    let mut net = nodes(2);
    let directory = open(&mut net, 1);
    let file = gets(&mut net, 1, directory, 5, 6);
    net.nodes[1].release(directory, net.now);
    net.run(10);
    let token = calls(&mut net, 1, file, 6);
    reply(&mut net, 0, token, answer(Outcome::Ok, vec![]));
    net.nodes[0].revoke(Local(5), None, net.now);
    net.run(10);
    is_refused(&mut net, 1, file);
}

#[test]
fn a_call_that_runs_meanwhile_brings_nothing() {
    let mut net = nodes(2);
    let directory = open(&mut net, 1);
    let id = make(&mut net, 1, directory, call(3));
    let token = incoming(&mut net, 0).token;
    net.nodes[0].revoke(Local(5), None, net.now);
    let mut with_object = answer(Outcome::Ok, vec![]);
    with_object.objects = vec![Object::Local(Local(6), Rights::ALL)];
    assert!(!reply(&mut net, 0, token, with_object));
    assert_eq!(ending(&mut net, 1, id), failed(Cause::Revoked, true));
    assert!(!net.nodes[0].is_exported(Local(6)));
}

#[test]
fn what_a_third_device_got_ends_with_the_hand_over() {
    for is_silent in [false, true] {
        let (mut net, _) = passed_on(4_000);
        let directory = imported(crate::calls::open_at(&mut net, 2, 1, "outside"));
        let file = gets(&mut net, 2, directory, 5, 6);
        let token = calls(&mut net, 2, file, 6);
        reply(&mut net, 0, token, answer(Outcome::Ok, vec![]));
        if is_silent {
            net.away.insert(1);
            net.run(8_000);
        } else {
            net.nodes[1].revoke_service("outside", net.now).unwrap();
            net.run(10);
        }
        is_refused(&mut net, 2, file);
    }
}

#[test]
fn nothing_is_left_once_all_is_dropped() {
    let mut table = Table::new(3);
    let [peer, third] = [PublicKey([1; 32]), PublicKey([2; 32])];
    let alive = |_: &PublicKey| Some(0);
    let root = table.export(&peer, Local(5), Rights::ALL, None).unwrap();
    table.began(&peer, root.number);
    let file = table.export(&peer, Local(6), Rights::ALL, Some(root.number));
    let file = file.unwrap();
    let grantor = Grantor {
        peer,
        number: file.number,
        bound: 5_000,
    };
    table
        .hand_on(grantor, 3, &third, Rights::ALL, alive, 0)
        .unwrap();
    assert!(table.release(&peer, root, 1).is_empty());
    assert!(table.is_exported(Local(5)), "a call runs");
    table.ended(&peer, root.number);
    assert!(!table.is_exported(Local(5)), "nobody has it");
    assert_eq!(table.held(&peer), 2, "what it came of is remembered");
    let checked = |table: &Table, object| table.check(&peer, object, 0, alive, 0);
    assert_eq!(checked(&table, root), Err(Cause::Denied), "it was dropped");
    assert_eq!(checked(&table, file), Ok(Local(6)));
    assert_eq!(table.release(&peer, file, 1).len(), 1, "the third's");
    assert_eq!((table.held(&peer), table.held(&third)), (0, 1));
}
