//! Devices of other versions, and who would make two devices speak an older one.

use tessera_softbus_protocol::announce::Datagram;
use tessera_softbus_protocol::bytes::Malformed;
use tessera_softbus_protocol::keys::{Holder, Keys, Pattern, Side};
use tessera_softbus_protocol::link::{Got, Link, LinkError, PREAMBLE, Purpose};
use tessera_softbus_protocol::node::Output;
use tessera_softbus_protocol::suite::Noise;
use tessera_softbus_protocol::versions::Versions;

use crate::calls::nodes;
use crate::net::address;

/// Where a preamble and a datagram have the range of versions.
const RANGE: core::ops::Range<usize> = 4..6;

pub(crate) fn keys() -> [Holder<Noise>; 2] {
    [1, 2].map(|byte| Holder::new(&[byte; 32]))
}

/// A stream that the first opens to the second, and what it sends.
pub(crate) fn dial([first, second]: &mut [Holder<Noise>; 2], purpose: Purpose) -> (Link, Vec<u8>) {
    let peer = second.public();
    let peer = (purpose == Purpose::Session).then_some(&peer);
    Link::dial(first, purpose, peer, [0; 16], [3; 32], 0).unwrap()
}

/// A frame with a message of a handshake.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u16).to_le_bytes();
    [&length, &[1][..], message].concat()
}

#[test]
fn who_speaks_no_version_of_ours_is_told_in_fewer_bytes_than_it_sent() {
    for range in [[2, 9], [0, 0], [9, 0]] {
        let mut net = nodes(2);
        let (_, mut bytes) = dial(&mut keys(), Purpose::Session);
        bytes[RANGE].copy_from_slice(&range);
        let from = address(7);
        let stream = net.nodes[0].accepted(from, net.now).unwrap();
        net.nodes[0].received(stream, &bytes[..PREAMBLE], net.now);
        let said: Vec<_> = std::iter::from_fn(|| net.nodes[0].poll()).collect();
        let refusal = vec![2, 0, 4, 1, 1];
        assert!(refusal.len() < PREAMBLE);
        let wanted = [Output::Send(stream, refusal), Output::Close(stream)];
        assert!(said.ends_with(&wanted), "{said:?}");
    }
}

#[test]
fn who_is_refused_knows_which_versions_there_are() {
    let (mut link, _) = dial(&mut keys(), Purpose::Session);
    link.push(&[2, 0, 4, 2, 9]);
    let theirs = Versions {
        oldest: 2,
        newest: 9,
    };
    assert_eq!(link.poll(), Err(LinkError::Version(theirs)));
}

#[test]
fn a_range_that_is_changed_on_the_way_ends_the_handshake() {
    for purpose in [Purpose::Session, Purpose::Pairing] {
        for range in [[1, 1], [0, 1], [1, 2]] {
            let mut keys = keys();
            let (mut dialled, mut bytes) = dial(&mut keys, purpose);
            let is_changed = bytes[RANGE] != range;
            bytes[RANGE].copy_from_slice(&range);
            let mut answers = Link::answer(0);
            answers.push(&bytes);
            let opened = answers.poll().unwrap();
            assert!(matches!(opened, Some(Got::Opened(..))), "one is ours");
            answers.proceed(&mut keys[1], [4; 32]).unwrap();
            let met = answers.poll().and_then(|got| {
                dialled.push(&match got {
                    Some(Got::Send(bytes)) => bytes,
                    _ => answers.admit()?,
                });
                dialled.poll()
            });
            match is_changed {
                true => assert_eq!(met, Err(LinkError::Broken), "{range:?}"),
                false => assert!(matches!(met, Ok(Some(_))), "{met:?}"),
            }
        }
    }
}

#[test]
fn who_answers_with_another_version_than_both_would_choose_is_left() {
    for (said, is_right) in [
        ([1, 1, 1], true),
        ([1, 1, 9], true),
        ([2, 1, 9], false),
        ([0, 0, 1], false),
        ([1, 2, 9], false),
        ([1, 9, 1], false),
    ] {
        let mut keys = keys();
        let (mut dialled, bytes) = dial(&mut keys, Purpose::Session);
        let mut prologue = b"tessera soft bus".to_vec();
        prologue.extend_from_slice(&bytes[..PREAMBLE]);
        let (pattern, side) = (Pattern::Known, Side::Responder);
        let session = keys[1].handshake(pattern, side, None, &prologue, [4; 32]);
        let mut session = session.unwrap();
        session.read(&bytes[PREAMBLE + 3..]).unwrap();
        let message = session.write(&said).unwrap();
        dialled.push(&frame(&message));
        let (oldest, newest) = (said[1], said[2]);
        let expected = match is_right {
            true => Ok(Some(Got::Ready(keys[1].public()))),
            false => Err(LinkError::Version(Versions { oldest, newest })),
        };
        assert_eq!(dialled.poll(), expected, "{said:?}");
    }
}

#[test]
fn datagrams_of_other_versions_are_dropped() {
    let mut net = nodes(1);
    net.run(10_000);
    let hello = net.wire.first().unwrap().bytes.clone();
    for (range, is_read) in [
        ([1, 1], true),
        ([0, 1], true),
        ([1, 9], true),
        ([2, 9], false),
        ([0, 0], false),
        ([9, 1], false),
    ] {
        let mut other = hello.clone();
        other[RANGE].copy_from_slice(&range);
        let read = Datagram::read(&other);
        match is_read {
            true => assert!(read.is_ok(), "{range:?}"),
            false => assert_eq!(read, Err(Malformed), "{range:?}"),
        }
    }
}
