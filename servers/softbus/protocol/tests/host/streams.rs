//! Streams that somebody opens to a device, until they are anything.

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::keys::Holder;
use tessera_softbus_protocol::limits::{COOKIE, COOKIES_FROM, HANDSHAKE, PENDING};
use tessera_softbus_protocol::link::{Cookie, Got, Link, PREAMBLE, Purpose};
use tessera_softbus_protocol::node::{Output, StreamId};
use tessera_softbus_protocol::suite::Noise;

use crate::calls::nodes;
use crate::net::{Net, address};

/// A node, and a device that it trusts, which speaks by hand.
fn trusting() -> Net {
    let mut net = nodes(2);
    net.away.insert(1);
    net
}

/// What that device sends first.
fn dial(net: &Net, purpose: Purpose, cookie: Cookie) -> (Link, Vec<u8>) {
    let mut keys = Holder::<Noise>::new(&[2; 32]);
    let peer = net.key(0);
    let peer = (purpose == Purpose::Session).then_some(&peer);
    Link::dial(&mut keys, purpose, peer, cookie, [3; 32], net.now).unwrap()
}

/// What the node does with a stream.
fn about(net: &mut Net, stream: StreamId) -> Vec<Output> {
    let outputs = std::iter::from_fn(|| net.nodes[0].poll());
    outputs
        .filter(|output| match output {
            Output::Send(of, _) | Output::Close(of) => *of == stream,
            _ => false,
        })
        .collect()
}

/// Opens a stream and asks for a session: what comes of it.
fn asks(net: &mut Net, from: Address, cookie: Cookie) -> Got {
    let (mut link, first) = dial(net, Purpose::Session, cookie);
    let stream = net.nodes[0].accepted(from, net.now).unwrap();
    net.nodes[0].received(stream, &first, net.now);
    let Some(Output::Send(_, said)) = about(net, stream).into_iter().next() else {
        panic!("not a byte");
    };
    net.nodes[0].closed(stream, net.now);
    link.push(&said);
    link.poll().unwrap().unwrap()
}

/// So many say nothing that whoever comes has to show a cookie.
fn crowd(net: &mut Net) {
    for number in 0..COOKIES_FROM {
        let from = address(100 + number);
        assert!(net.nodes[0].accepted(from, net.now).is_some());
    }
}

/// The cookie for this address.
fn cookie(net: &mut Net, from: Address) -> Cookie {
    match asks(net, from, [0; 16]) {
        Got::Retry(cookie) => cookie,
        got => panic!("{got:?}"),
    }
}

#[test]
fn who_comes_in_a_crowd_shows_first_that_it_is_where_it_says() {
    let mut net = trusting();
    let (from, ready) = (address(50), Got::Ready(net.key(0)));
    assert_eq!(asks(&mut net, from, [0; 16]), ready, "there is no crowd");
    crowd(&mut net);
    let cookie = cookie(&mut net, from);
    assert_eq!(asks(&mut net, from, cookie), ready);
}

#[test]
fn a_cookie_is_good_as_it_was_made() {
    let mut net = trusting();
    let (from, ready) = (address(50), Got::Ready(net.key(0)));
    crowd(&mut net);
    let cookie = cookie(&mut net, from);
    for place in 0..cookie.len() {
        let mut changed = cookie;
        changed[place] ^= 1 << (place % 8);
        assert_ne!(asks(&mut net, from, changed), ready, "byte {place}");
    }
    assert_ne!(asks(&mut net, from, [u8::MAX; 16]), ready);
    assert_eq!(asks(&mut net, from, cookie), ready);
}

#[test]
fn a_cookie_is_good_for_its_address_alone() {
    let mut net = trusting();
    let (from, ready) = (address(50), Got::Ready(net.key(0)));
    crowd(&mut net);
    let cookie = cookie(&mut net, from);
    assert_ne!(asks(&mut net, address(51), cookie), ready);
    let same = Address { port: 9, ..from };
    assert_eq!(asks(&mut net, same, cookie), ready, "from any port");
}

#[test]
fn a_cookie_is_good_for_a_while_alone() {
    let mut net = trusting();
    let (from, ready) = (address(50), Got::Ready(net.key(0)));
    crowd(&mut net);
    let cookie = cookie(&mut net, from);
    net.now += COOKIE;
    assert_eq!(asks(&mut net, from, cookie), ready);
    net.now += COOKIE;
    assert_ne!(asks(&mut net, from, cookie), ready);
}

#[test]
fn one_address_has_two_streams_that_are_not_yet_anything() {
    let mut net = trusting();
    let now = net.now;
    let node = &mut net.nodes[0];
    let from = |port: u16| Address {
        port,
        ..address(50)
    };
    let first = node.accepted(from(1), now).unwrap();
    assert!(node.accepted(from(2), now).is_some());
    assert_eq!(node.accepted(from(3), now), None);
    assert!(node.accepted(address(51), now).is_some(), "others come");
    node.closed(first, now);
    assert!(node.accepted(from(3), now).is_some());
}

#[test]
fn there_are_only_so_many_that_are_not_yet_anything() {
    let mut net = trusting();
    let mut open = Vec::new();
    for number in 0..4 * PENDING {
        net.now += 1;
        let stream = net.nodes[0].accepted(address(100 + number), net.now);
        open.push(stream.unwrap());
        // The oldest makes room.
        if open.len() > PENDING {
            let oldest = open.remove(0);
            assert_eq!(about(&mut net, oldest), [Output::Close(oldest)]);
        }
    }
}

#[test]
fn a_stream_of_which_nothing_comes_is_closed() {
    // Silent; with a preamble; admitted, and then silent.
    for said in [0, PREAMBLE, usize::MAX] {
        let mut net = trusting();
        let (_, first) = dial(&net, Purpose::Session, [0; 16]);
        let stream = net.nodes[0].accepted(address(50), net.now).unwrap();
        let said = &first[..said.min(first.len())];
        net.nodes[0].received(stream, said, net.now);
        about(&mut net, stream);
        let until: Millis = net.now + HANDSHAKE;
        assert!(net.nodes[0].deadline() <= until);
        net.nodes[0].tick(until - 1);
        assert_eq!(about(&mut net, stream), [], "it has time still");
        net.nodes[0].tick(until);
        assert_eq!(about(&mut net, stream), [Output::Close(stream)]);
    }
}

#[test]
fn while_one_tries_a_pin_no_other_gets_a_byte() {
    let mut net = Net::new(1);
    net.nodes[0].open_pairing(net.now);
    // The answer to who wants to pair, if it gets any.
    let pairs = |net: &mut Net, from: Address| {
        let (link, first) = dial(net, Purpose::Pairing, [0; 16]);
        let stream = net.nodes[0].accepted(from, net.now).unwrap();
        net.nodes[0].received(stream, &first, net.now);
        (link, stream, about(net, stream))
    };
    let (mut link, stream, about_it) = pairs(&mut net, address(50));
    let [Output::Send(_, said)] = about_it.as_slice() else {
        panic!("{about_it:?}");
    };
    link.push(said);
    let Ok(Some(Got::Send(last))) = link.poll() else {
        panic!("the handshake is complete");
    };
    net.nodes[0].received(stream, &last, net.now);
    assert_eq!(about(&mut net, stream), []);
    let (_, other, about_it) = pairs(&mut net, address(51));
    assert_eq!(about_it, [Output::Close(other)]);
    net.nodes[0].closed(stream, net.now);
    let (.., about_it) = pairs(&mut net, address(51));
    assert!(matches!(about_it[..], [Output::Send(..)]), "{about_it:?}");
}
