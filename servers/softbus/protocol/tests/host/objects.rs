//! Objects of one device that another one holds: how many, of which run, and for whom.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::limits::{EXPORTS, SERVICES};
use tessera_softbus_protocol::node::Event;
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Service, Table};
use tessera_softbus_protocol::wire::{ObjectId, Rights};

use crate::calls::{open_at, service};
use crate::net::Net;

const EPOCH: u64 = 3;
const PEER: PublicKey = PublicKey([1; 32]);
const OTHER: PublicKey = PublicKey([2; 32]);

fn alive(_: &PublicKey) -> Option<u64> {
    Some(0)
}

/// A table of which the first peer holds an object.
fn table() -> (Table, ObjectId) {
    let mut table = Table::new(EPOCH);
    let object = table.export(&PEER, Local(5), Rights::ALL, None).unwrap();
    (table, object)
}

#[test]
fn an_object_of_another_run_is_none_of_this() {
    let (mut table, object) = table();
    assert_eq!(table.check(&PEER, object, 0, alive, 0), Ok(Local(5)));
    for epoch in [0, 1, EPOCH - 1, EPOCH + 1, u64::MAX] {
        let old = ObjectId { epoch, ..object };
        let changed = Cause::EpochChanged;
        assert_eq!(table.check(&PEER, old, 0, alive, 0), Err(changed));
        assert_eq!(table.home(&PEER, old, alive, 0), Err(changed));
        let grantor = Grantor {
            peer: PEER,
            number: object.number,
            bound: 5_000,
        };
        let handed = table.hand_on(grantor, epoch, &OTHER, Rights::ALL, alive, 0);
        assert_eq!(handed, Err(changed));
        assert_eq!(table.take_back(&PEER, &OTHER, old), Err(changed));
        assert!(table.release(&PEER, old, 1).is_empty());
        assert_eq!(table.held(&PEER), 1);
    }
}

#[test]
fn a_number_counts_for_its_holder_alone() {
    let (table, object) = table();
    let denied = Err(Cause::Denied);
    assert_eq!(table.check(&OTHER, object, 0, alive, 0), denied);
    assert_eq!(table.home(&OTHER, object, alive, 0), Err(Cause::Denied));
}

#[test]
fn nobody_takes_back_what_another_handed_on() {
    let (mut table, object) = table();
    let grantor = Grantor {
        peer: PEER,
        number: object.number,
        bound: 5_000,
    };
    let third = PublicKey([9; 32]);
    let handed = table.hand_on(grantor, EPOCH, &third, Rights::ALL, alive, 0);
    let (handed, _) = handed.unwrap();
    let own = table.export(&third, Local(6), Rights::ALL, None).unwrap();
    let denied = Err(Cause::Denied);
    assert_eq!(table.take_back(&OTHER, &third, handed), denied);
    assert_eq!(table.take_back(&third, &third, handed), denied);
    // Nor what the owner gave itself.
    assert_eq!(table.take_back(&PEER, &third, own), denied);
    for (object, local) in [(handed, 5), (own, 6)] {
        let checked = table.check(&third, object, 0, alive, 0);
        assert_eq!(checked, Ok(Local(local)));
    }
    assert!(table.take_back(&PEER, &third, handed).is_ok());
}

#[test]
fn a_device_publishes_so_many_services() {
    let mut table = Table::new(EPOCH);
    for number in 0..SERVICES {
        assert!(table.publish(&format!("service {number}"), service(5)));
    }
    assert!(!table.publish("more", service(5)));
    assert!(table.publish("service 0", service(6)), "it is there");
    assert!(table.withdraw("service 1").is_some());
    assert!(table.publish("more", service(5)));
}

#[test]
fn a_peer_holds_so_many_objects_and_the_next_is_not_exported() {
    let mut table = Table::new(EPOCH);
    let export = |table: &mut Table, peer: &PublicKey, local: usize| {
        table.export(peer, Local(local as u64), Rights::ALL, None)
    };
    for local in 0..EXPORTS {
        assert!(export(&mut table, &PEER, local).is_ok());
    }
    let more = export(&mut table, &PEER, EXPORTS);
    assert_eq!(more, Err(Cause::QuotaExceeded));
    assert_eq!(table.held(&PEER), EXPORTS);
    // Another reference of one that it has, and others' objects, are none more.
    assert!(export(&mut table, &PEER, 0).is_ok());
    assert!(export(&mut table, &OTHER, EXPORTS).is_ok());
    table.revoke(Local(1), None);
    assert!(export(&mut table, &PEER, EXPORTS).is_ok());
    assert_eq!(table.held(&PEER), EXPORTS);
}

/// What a device sees of the first.
fn seen(net: &mut Net, at: usize) -> Vec<String> {
    let zero = net.key(0);
    net.nodes[at].browse(&zero, None, net.now).unwrap();
    net.run(10);
    let listed = net.events_of(at).into_iter().find_map(|event| match event {
        Event::Browsed(_, Ok(listed)) => Some(listed),
        _ => None,
    });
    let names = listed.unwrap().into_iter().map(|listed| listed.name);
    names.collect()
}

#[test]
fn what_is_for_one_device_is_neither_seen_nor_opened_by_another() {
    let mut net = Net::new(3);
    net.pair(0, 1);
    net.pair(0, 2);
    let private = Service {
        only: Some(vec![net.key(1)]),
        ..service(5)
    };
    assert!(net.nodes[0].publish("private", private));
    assert!(net.nodes[0].publish("public", service(6)));
    net.run(1_000);
    net.events.clear();
    assert_eq!(seen(&mut net, 1), ["private", "public"]);
    assert_eq!(seen(&mut net, 2), ["public"]);
    assert!(open_at(&mut net, 1, 0, "private").is_ok());
    // Whether it is there, the other does not learn.
    let opened = ["private", "none"].map(|name| open_at(&mut net, 2, 0, name).unwrap_err());
    assert_eq!(opened[0].cause, Cause::Denied);
    assert_eq!(opened[0], opened[1]);
}
