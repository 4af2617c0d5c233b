//! What a peer answers to our calls, and what it may not.

use libipc_abi::operation::Class;
use libipc_abi::status::Cause;
use tessera_softbus_protocol::limits::{CALL_BYTES, LEASE, QUEUE_BYTES, UNREAD};
use tessera_softbus_protocol::peer::{Heard, Hostile, Lent, Request};
use tessera_softbus_protocol::wire::{Access, Body, ObjectId, Outcome, Payload, Piece, Reply};

use crate::other::{Other, request};

fn lends(number: u64, leases: &[(Access, usize)]) -> Request {
    let leases = leases.iter().map(|&(access, length)| Lent {
        access,
        bytes: vec![1; length],
    });
    Request {
        leases: leases.collect(),
        ..request(number)
    }
}

fn written(lease: u8, offset: u32, length: usize) -> Body {
    Body::Fill(Piece {
        call: 1,
        lease,
        offset,
        bytes: vec![7; length],
    })
}

fn reply(call: u64) -> Body {
    Body::Reply(Reply {
        call,
        outcome: Outcome::Ok,
        payload: Payload::default(),
        objects: Vec::new(),
    })
}

#[test]
fn what_a_server_wrote_comes_in_order_and_where_it_may_write() {
    let leases = [(Access::Write, 10), (Access::Read, 10), (Access::Both, 10)];
    for (lease, offset, length, is_right) in [
        (0, 0, 10, true),
        (2, 0, 3, true),
        (0, 0, 11, false),
        (0, 1, 9, false),
        (0, u32::MAX, 1, false),
        (1, 0, 1, false),
        (3, 0, 1, false),
    ] {
        let mut other = Other::new();
        other.peer.request(lends(1, &leases), 0).unwrap();
        other.hears();
        let said = other.says(written(lease, offset, length));
        let expected = match is_right {
            true => Ok(Heard::Nothing),
            false => Err(Hostile::Lease),
        };
        assert_eq!(said, expected, "{length} at {offset} of {lease}");
    }
}

#[test]
fn only_what_was_asked_is_answered_and_once() {
    for call in [0, 2] {
        let mut other = Other::new();
        other.peer.request(request(1), 0).unwrap();
        assert_eq!(other.says(reply(call)), Err(Hostile::Unasked));
    }
    let mut other = Other::new();
    assert_eq!(other.says(written(0, 0, 1)), Err(Hostile::Unasked));
    let mut other = Other::new();
    other.peer.request(request(1), 0).unwrap();
    assert!(matches!(other.says(reply(1)), Ok(Heard::Answered(1, ..))));
    assert_eq!(other.says(reply(1)), Err(Hostile::Unasked));
}

#[test]
fn a_late_answer_is_kept_of_a_recorded_call_alone_and_comes_once() {
    for class in [Class::Once, Class::Idempotent, Class::Recorded] {
        let mut other = Other::new();
        let call = Request {
            class,
            ..request(1)
        };
        other.peer.request(call, 0).unwrap();
        other.hears();
        assert_eq!(other.peer.again(1, None), Err(Cause::Denied), "it waits");
        assert_eq!(other.peer.end(1), Some(true));
        if class != Class::Recorded {
            assert_eq!(other.peer.again(1, None), Err(Cause::Denied));
            let unwanted = Ok(Heard::Unwanted(Vec::new()));
            assert_eq!(other.says(reply(1)), unwanted);
            continue;
        }
        assert_eq!(other.says(reply(1)), Ok(Heard::Nothing));
        assert_eq!(other.says(reply(1)), Err(Hostile::Unasked));
        let again = other.peer.again(1, None);
        assert!(matches!(again, Ok(Some(_))), "{again:?}");
        assert_eq!(other.peer.again(1, None), Err(Cause::EpochChanged));
    }
}

#[test]
fn we_lend_a_call_no_more_than_a_peer_takes() {
    let full = (Access::Write, LEASE);
    assert_eq!(CALL_BYTES, 2 * LEASE as u64);
    let mut other = Other::new();
    assert_eq!(other.peer.request(lends(1, &[full, full]), 0), Ok(()));
    let more = lends(2, &[full, full, (Access::Write, 1)]);
    assert_eq!(other.peer.request(more, 0), Err(Cause::QuotaExceeded));
}

#[test]
fn only_so_much_waits_for_a_peer_that_reads_nothing() {
    let mut other = Other::new();
    let made = (1..).map(|number| {
        let call = lends(number, &[(Access::Read, LEASE)]);
        other.peer.request(call, 0)
    });
    let made = made.take_while(Result::is_ok).take(100).count();
    // Each takes some more than it lends.
    assert_eq!(made as u64, QUEUE_BYTES / LEASE as u64 - 1);
    let name = ObjectId {
        number: 9,
        epoch: 2,
    };
    let mut other = Other::new();
    for _ in 0..2 * UNREAD {
        other.peer.tell(&Body::Release(name, 1));
    }
    let told = other.hears().len();
    assert_eq!(told, UNREAD / 2 + 1, "what it finds out otherwise too");
}
