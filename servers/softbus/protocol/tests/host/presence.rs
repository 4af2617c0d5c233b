//! Who is there, when somebody says again what a device said before.

use tessera_softbus_protocol::announce::{Datagram, HELLO};
use tessera_softbus_protocol::limits::UNICASTS;
use tessera_softbus_protocol::node::{Event, Output};
use tessera_softbus_protocol::trust::Trust;

use crate::calls::nodes;
use crate::net::{Net, Packet, address};
use crate::readers::Changes;

/// Two devices that know where the other is, and the announcements of each.
fn heard() -> (Net, Vec<Packet>) {
    let mut net = nodes(2);
    net.run(30_000);
    assert!(net.nodes[0].trusted().all(|(.., there)| there));
    let said = net.wire.iter().filter(|packet| packet.stream.is_none());
    let hellos = said.filter(|packet| packet.bytes.len() == HELLO);
    let hellos = hellos.cloned().collect();
    (net, hellos)
}

#[test]
fn nobody_stays_by_what_it_said_before() {
    let (mut net, hellos) = heard();
    net.events.clear();
    net.away.insert(1);
    let gone = (0, Event::Gone(net.key(1)));
    for _ in 0..60 {
        for packet in hellos.iter().filter(|packet| packet.from == 1) {
            net.nodes[0].datagram(address(1), &packet.bytes, net.now);
        }
        net.run(1_000);
    }
    assert!(net.events.contains(&gone));
    let mut trusted = net.nodes[0].trusted();
    assert!(!trusted.any(|(.., there)| there));
}

#[test]
fn a_parser_that_lies_of_pings_sends_no_stream_elsewhere() {
    let (mut net, _) = heard();
    net.restart(0);
    let trust = Trust::read(&net.disks[0]).unwrap();
    let elsewhere = Changes::datagrams(|datagram| {
        if let Datagram::Ping(ping, _) = datagram {
            ping.port = 9;
        }
    });
    net.nodes[0] = net.start_with(0, trust, elsewhere);
    net.run(20_000);
    assert!(!net.nodes[0].trusted().any(|(.., there)| there));
    let one = net.key(1);
    net.nodes[0].watch(&one, true, net.now);
    let outputs = std::iter::from_fn(|| net.nodes[0].poll());
    let mut dialled = outputs.filter(|output| matches!(output, Output::Connect(..)));
    assert_eq!(dialled.next(), None);
}

#[test]
fn a_flood_is_answered_only_so_often_a_second() {
    let (mut net, hellos) = heard();
    // Its own, of another run, and those of a device that it knows.
    net.restart(0);
    net.settle();
    for _ in 0..3 {
        let mut asked = 0;
        for number in 0..10 * UNICASTS as usize {
            let from = address(20 + number % 100);
            let bytes = &hellos[number % hellos.len()].bytes;
            net.nodes[0].datagram(from, bytes, net.now);
            let outputs = std::iter::from_fn(|| net.nodes[0].poll());
            let pings = outputs.filter(|output| matches!(output, Output::Datagram(Some(_), _)));
            asked += pings.count();
        }
        assert_eq!(asked, UNICASTS as usize);
        net.now += 1_000;
    }
}
