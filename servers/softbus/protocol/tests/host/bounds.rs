//! What one device, or somebody in its name, makes another one hold, do or believe.

use std::collections::BTreeSet;

use libipc_abi::status::Cause;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::{Datagram, Hello};
use tessera_softbus_protocol::limits::{
    ALL_BYTES, EXPORTS, FLYING, HELLO_LEAST, HELLO_SLOWEST, HOPS, LENT_BYTES, PENDING, REVISIT,
    STRANGERS,
};
use tessera_softbus_protocol::node::{Event, Lent, Output};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Table};
use tessera_softbus_protocol::trust::Trust;
use tessera_softbus_protocol::wire::{Access, Outcome, Rights};

use crate::calls::service;
use crate::calls::{answer, call, ending, failed, incoming, make, nodes, open, open_at, reply};
use crate::net::{Net, address};
use crate::readers::Changes;

const ALIVE: fn(&PublicKey) -> Option<u64> = |_| Some(0);

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn grantor(peer: PublicKey, number: u64) -> Grantor {
    Grantor {
        peer,
        number,
        bound: 5_000,
    }
}

#[test]
fn an_object_goes_from_device_to_device_only_so_often() {
    let mut table = Table::new(3);
    let mut held = table
        .export(&key(0), Local(5), Rights::ALL, None)
        .unwrap()
        .number;
    for hop in 0..HOPS {
        let (from, to) = (key(hop % 2), key((hop + 1) % 2));
        let handed = table.hand_on(grantor(from, held), 3, &to, Rights::ALL, ALIVE, 0);
        held = handed.unwrap().0.number;
    }
    let by = grantor(key(HOPS % 2), held);
    let again = table.hand_on(by, 3, &key(9), Rights::ALL, ALIVE, 0);
    assert_eq!(again.unwrap_err(), Cause::QuotaExceeded);
    // All of it goes with the first.
    assert_eq!(table.revoke(Local(5), None).0.len(), usize::from(HOPS) + 1);
}

#[test]
fn what_a_device_hands_on_is_on_its_own_account() {
    let mut table = Table::new(3);
    let held = table.export(&key(0), Local(5), Rights::ALL, None).unwrap();
    let by = grantor(key(0), held.number);
    let third = key(1);
    for _ in 0..EXPORTS {
        table.hand_on(by, 3, &third, Rights::ALL, ALIVE, 0).unwrap();
    }
    let more = table.hand_on(by, 3, &key(2), Rights::ALL, ALIVE, 0);
    assert_eq!(more.unwrap_err(), Cause::QuotaExceeded);
    assert!(table.export(&third, Local(6), Rights::ALL, None).is_ok());
}

#[test]
fn what_was_taken_back_is_told_once() {
    let mut table = Table::new(3);
    let held = table.export(&key(0), Local(5), Rights::ALL, None).unwrap();
    let by = grantor(key(0), held.number);
    let (object, _) = table
        .hand_on(by, 3, &key(1), Rights::ALL, ALIVE, 0)
        .unwrap();
    for told in [1, 0] {
        let (fresh, all) = table.take_back(&key(0), &key(1), object).unwrap();
        assert_eq!((fresh.len(), all.len()), (told, 1));
    }
}

fn lends(bytes: usize) -> tessera_softbus_protocol::node::Call {
    let mut lends = call(1);
    lends.leases = vec![Lent {
        access: Access::Write,
        bytes: vec![0; bytes],
    }];
    lends
}

/// The first device trusts the two others.
fn star() -> Net {
    let mut net = Net::new(3);
    net.pair(0, 1);
    net.pair(0, 2);
    assert!(net.nodes[0].publish("canary", service(5)));
    net.run(1_000);
    net.events.clear();
    net
}

#[test]
fn all_peers_together_make_a_device_hold_only_so_much() {
    let mut net = star();
    let [one, two] = [1, 2].map(|at| open(&mut net, at));
    let mut came = Vec::new();
    for (at, import) in [(1, one), (2, two)] {
        make(&mut net, at, import, lends(1 << 20));
        came.push(incoming(&mut net, 0));
        assert!(net.nodes[0].held_by_all() <= ALL_BYTES);
    }
    let id = make(&mut net, 2, two, lends(1 << 20));
    assert_eq!(ending(&mut net, 2, id), failed(Cause::QuotaExceeded, false));
    // Small ones go all the same, and large ones as soon as there is room.
    make(&mut net, 2, two, call(1));
    reply(
        &mut net,
        0,
        came.remove(0).token,
        answer(Outcome::Ok, vec![]),
    );
    net.run(1_000);
    incoming(&mut net, 0);
    make(&mut net, 2, two, lends(1 << 20));
    incoming(&mut net, 0);
}

#[test]
fn a_device_lends_only_so_much() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    make(&mut net, 1, import, lends(1 << 20));
    make(&mut net, 1, import, lends(LENT_BYTES as usize - (1 << 20)));
    let more = net.nodes[1].call(import, lends(1), net.now);
    assert_eq!(more.unwrap_err(), Cause::QuotaExceeded);
}

#[test]
fn a_stream_is_given_no_more_than_the_peer_takes() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let mut large = lends(1 << 20);
    large.leases[0].access = Access::Read;
    net.nodes[1].call(import, large, net.now).unwrap();
    let mut given = 0;
    while let Some(output) = net.nodes[1].poll() {
        if let Output::Send(_, bytes) = output {
            given += bytes.len();
        }
    }
    assert!((FLYING..FLYING + FLYING / 4).contains(&given), "{given}");
}

#[test]
fn pairing_that_is_closed_trusts_nobody() {
    let mut late = 0;
    for steps in 0..60 {
        let mut net = Net::new(2);
        let pin = net.nodes[0].open_pairing(net.now);
        net.nodes[1].pair(address(0), pin, net.now).unwrap();
        for _ in 0..steps {
            net.step();
        }
        let paired = |net: &Net| net.nodes[0].trusted().count() == 1;
        let before = paired(&net);
        net.nodes[0].close_pairing(net.now);
        net.settle();
        late += u8::from(!before && paired(&net));
    }
    // While the disk keeps what was confirmed before.
    assert!(late <= 1, "closed {late} times, and paired all the same");
}

#[test]
fn trust_that_the_disk_did_not_take_is_none() {
    let mut net = Net::new(3);
    net.full = BTreeSet::from([0]);
    let pin = net.nodes[0].open_pairing(net.now);
    net.nodes[1].pair(address(0), pin, net.now).unwrap();
    net.run(100);
    net.full.clear();
    net.pair(0, 2);
    let trusted: Vec<_> = net.nodes[0].trusted().map(|(key, ..)| *key).collect();
    assert_eq!(trusted, [net.key(2)]);
    assert!(!Trust::read(&net.disks[0]).unwrap().holds(&net.key(1)));
    // Withdrawn trust ends at once, and is told when the disk has it.
    net.full = BTreeSet::from([0]);
    net.events.clear();
    let two = net.key(2);
    assert!(net.nodes[0].distrust(&two, net.now));
    net.run(REVISIT + 100);
    let told = |net: &mut Net| net.events_of(0).contains(&Event::Distrusted(two));
    assert!(!told(&mut net) && net.nodes[0].trusted().count() == 0);
    net.full.clear();
    net.run(REVISIT);
    assert!(told(&mut net));
    let kept = Trust::read(&net.disks[0]).unwrap();
    assert!(!kept.holds(&two));
}

#[test]
fn who_says_nothing_keeps_nobody_out() {
    let mut net = nodes(2);
    for stranger in 0..2 * PENDING {
        let from = address(100 + stranger);
        assert!(net.nodes[0].accepted(from, net.now).is_some());
    }
    net.nodes[0].tick(net.now);
    let opened = open_at(&mut net, 1, 0, "canary");
    assert!(opened.is_ok(), "{opened:?}");
}

fn hello(instance: u64, interval: u16, name: &str) -> Vec<u8> {
    let hello = Hello {
        instance,
        sequence: 1,
        interval,
        port: 700,
        seeks: false,
        leaves: false,
        open: Some((name.into(), 1)),
        tags: core::array::from_fn(|index| [index as u8; 8]),
    };
    hello.finish(hello.head())
}

#[test]
fn forged_strangers_hide_nobody() {
    let mut net = nodes(1);
    let flood = |net: &mut Net, address: &dyn Fn(usize) -> Address| {
        for number in 0..2 * STRANGERS {
            let bytes = hello(number as u64 + 1, u16::MAX, "forged");
            net.nodes[0].datagram(address(number), &bytes, net.now);
        }
    };
    flood(&mut net, &|number| address(number % 100 + 20));
    net.run(10);
    let real = hello(7_000, 40, "real");
    net.nodes[0].datagram(address(1), &real, net.now);
    // As many again, of one address.
    flood(&mut net, &|_| address(3));
    let is_there = |net: &Net| net.nodes[0].strangers().any(|seen| seen.instance == 7_000);
    assert!(is_there(&net));
    net.run(5 * HELLO_SLOWEST);
    assert_eq!(net.nodes[0].strangers().count(), 0);
}

#[test]
fn a_flood_of_announcements_silences_nobody_for_ever() {
    let mut net = Net::new(1);
    net.run(20_000);
    net.wire.clear();
    for number in 0..2 * HELLO_LEAST / 50 {
        let bytes = hello(number, 1, "loud");
        net.nodes[0].datagram(address(5), &bytes, net.now);
        net.run(50);
    }
    let hellos = net.wire.iter().filter(|packet| packet.stream.is_none());
    assert!((1..4).contains(&hellos.count()));
}

#[test]
fn what_a_device_said_itself_makes_no_twin() {
    let mut net = Net::new(2);
    net.run(5_000);
    let said: Vec<_> = net
        .wire
        .iter()
        .filter(|sent| sent.from == 0)
        .cloned()
        .collect();
    assert!(!said.is_empty());
    net.restart(0);
    for packet in said {
        net.nodes[0].datagram(address(1), &packet.bytes, net.now);
        net.run(2_000);
    }
    let twin = |(_, event): &(usize, Event)| matches!(event, Event::Twin(_));
    assert!(!net.events.iter().any(twin));
}

#[test]
fn a_parser_that_lies_sends_nobody_away() {
    let mut net = nodes(2);
    let trust = Trust::read(&net.disks[0]).unwrap();
    let goes = Changes::datagrams(|datagram| {
        if let Datagram::Hello(hello) = datagram {
            hello.leaves = true;
        }
    });
    net.nodes[0] = net.start_with(0, trust, goes);
    net.run(10_000);
    let gone = Event::Gone(net.key(1));
    assert!(!net.events.contains(&(0, gone)));
}
