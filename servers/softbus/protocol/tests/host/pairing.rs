//! Pairing: what makes two devices trust each other, and what does not.

use tessera_softbus_protocol::node::Event;
use tessera_softbus_protocol::pairing::PairingError;

use crate::calls::nodes;
use crate::net::{Net, address};

#[test]
fn two_devices_pair_and_meet_again_from_their_disks() {
    let mut net = Net::new(2);
    net.run(2_000);
    net.pair(0, 1);
    net.run(2_000);
    for index in 0..2 {
        let other = net.key(1 - index);
        assert!(net.events_of(index).contains(&Event::Appeared(other)));
    }
    for index in 0..2 {
        net.restart(index);
    }
    net.run(2_000);
    for index in 0..2 {
        let other = net.key(1 - index);
        assert!(net.events_of(index).contains(&Event::Appeared(other)));
    }
}

#[test]
fn three_wrong_pins_close_pairing() {
    let mut net = Net::new(2);
    let pin = net.nodes[0].open_pairing(net.now);
    let wrong = if pin == *b"000000" {
        *b"000001"
    } else {
        *b"000000"
    };
    for run in 0..3 {
        assert!(
            !net.events.contains(&(0, Event::PairingClosed)),
            "after {run} runs"
        );
        net.nodes[1].pair(address(0), wrong, net.now).unwrap();
        net.settle();
        let failed = Event::PairingFailed(PairingError::WrongPin);
        assert!(net.events_of(1).contains(&failed));
    }
    assert!(net.events_of(0).contains(&Event::PairingClosed));
    net.nodes[1].pair(address(0), pin, net.now).unwrap();
    net.settle();
    let failed = Event::PairingFailed(PairingError::Unreachable);
    assert!(
        net.events_of(1).contains(&failed),
        "the right PIN comes too late"
    );
    assert!(net.nodes.iter().all(|node| node.trusted().next().is_none()));
}

#[test]
fn pairing_closes_after_a_minute() {
    let mut net = Net::new(2);
    net.nodes[0].open_pairing(net.now);
    net.run(59_000);
    assert!(!net.events_of(0).contains(&Event::PairingClosed));
    net.run(2_000);
    assert!(net.events_of(0).contains(&Event::PairingClosed));
}

#[test]
fn a_device_that_is_trusted_no_longer_gets_nothing() {
    let mut net = Net::new(2);
    net.pair(0, 1);
    net.run(2_000);
    let [zero, one] = [net.key(0), net.key(1)];
    assert!(net.nodes[0].distrust(&one, net.now));
    net.settle();
    assert!(net.events_of(0).contains(&Event::Distrusted(one)));
    net.nodes[1].watch(&zero, true, net.now);
    net.run(3_000);
    assert!(!net.nodes[1].is_connected(&zero));
    assert!(net.events_of(1).contains(&Event::Lost(zero)));
    net.restart(0);
    assert!(net.nodes[0].trusted().next().is_none(), "it is on the disk");
}

#[test]
fn strangers_see_a_name_only_while_pairing_is_open() {
    let mut net = Net::new(2);
    net.run(2_000);
    let name = |net: &Net| net.nodes[1].strangers().next().unwrap().open.clone();
    assert_eq!(name(&net), None);
    net.nodes[0].open_pairing(net.now);
    net.settle();
    net.run(1_000);
    assert_eq!(name(&net), Some(("device 0".into(), 1)));
}

/// A peer is looked for before it is gone; one that starts anew just then is found all the
/// same within a second.
#[test]
fn who_comes_while_it_is_looked_for_is_found_at_once() {
    let gone = |net: &mut Net| {
        let gone = Event::Gone(net.key(1));
        net.events_of(0).contains(&gone)
    };
    let start = || {
        let mut net = nodes(2);
        net.restart(1);
        net.run(2_000);
        net.events.clear();
        net.away.insert(1);
        net
    };
    let mut net = start();
    let mut until = 0;
    while !gone(&mut net) {
        net.run(100);
        until += 100;
    }
    for before in (0..4_000).step_by(200) {
        let mut net = start();
        net.run(until - before);
        net.restart(1);
        net.away.clear();
        net.run(1_000);
        let appeared = Event::Appeared(net.key(1));
        let events = net.events_of(0);
        assert!(events.contains(&appeared), "{before} ms: {events:?}");
    }
}
