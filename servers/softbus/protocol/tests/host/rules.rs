//! A peer that breaks the rules of a session: it is found out at that message.

use tessera_softbus_protocol::limits::{CALLS, LEASE, MESSAGE_COST, PEER_BYTES, UNREAD};
use tessera_softbus_protocol::peer::{Heard, Hostile};
use tessera_softbus_protocol::wire::{Access, Body, Message, Resume};

use crate::other::{Other, lending, lent};

#[test]
fn a_peer_makes_us_hold_what_it_was_promised_and_no_byte_more() {
    let mut other = Other::new();
    let resume = Message::read(&other.peer.resume(1, true));
    let Ok(Message::Resume(resume)) = resume else {
        panic!("{resume:?}");
    };
    assert_eq!(resume.credit, PEER_BYTES);
    let (mut left, mut number) = (resume.credit, 0);
    while left > 0 {
        number += 1;
        let length = (left - MESSAGE_COST).min(LEASE as u64);
        other.calls(lending(number, &[(Access::Write, length)]));
        left -= MESSAGE_COST + length;
    }
    assert_eq!(other.peer.held(), PEER_BYTES);
    assert_eq!(other.says(Body::Cancel(1)), Err(Hostile::Flood));
}

#[test]
fn no_call_comes_again_under_its_number_nor_under_a_lower_one() {
    for again in [7, 6, 1, 0] {
        for is_known in [true, false] {
            let mut other = Other::new();
            let serial = other.calls(lending(7, &[]));
            if !is_known {
                other.is_answered(serial, &[]);
                assert_eq!(other.hears().len(), 1);
                other.has(1);
                assert_eq!(other.peer.calls(), 0);
            }
            let call = Body::Call(lending(again, &[]));
            assert_eq!(other.says(call), Err(Hostile::CallNumber), "{again}");
        }
    }
    let mut other = Other::new();
    for number in [7, 8, 20] {
        other.calls(lending(number, &[]));
    }
}

#[test]
fn each_message_counts_once_and_none_is_missing() {
    let call = |number| Body::Call(lending(number, &[]));
    let mut other = Other::new();
    let serial = other.calls(lending(1, &[]));
    other.says_again(1);
    // Over another stream, with whatever in it: it came already.
    assert_eq!(other.says(call(2)), Ok(Heard::Nothing));
    assert_eq!(other.peer.calls(), 1);
    assert_eq!(other.says(call(2)), Ok(Heard::Call(serial + 1)));
    other.says_again(4);
    assert_eq!(other.says(call(3)), Err(Hostile::Gap));
}

#[test]
fn nobody_has_what_was_not_sent() {
    for received in [2, 3, u64::MAX] {
        let mut other = Other::new();
        let serial = other.calls(lending(1, &[]));
        other.is_answered(serial, &[]);
        assert_eq!(other.hears().len(), 1);
        let acknowledged = other.beats(received);
        assert_eq!(acknowledged, Err(Hostile::Acknowledged), "{received}");
    }
    let mut other = Other::new();
    let serial = other.calls(lending(1, &[]));
    other.is_answered(serial, &[]);
    assert_eq!(other.beats(1), Err(Hostile::Acknowledged), "it waits here");
}

#[test]
fn nobody_goes_on_where_nothing_was() {
    let resume = |boot, epoch, seen, fresh| Resume {
        boot,
        epoch,
        seen,
        received: 0,
        credit: PEER_BYTES,
        generation: 1,
        fresh,
    };
    for (resume, is_right) in [
        (resume(2, 2, (1, 1), false), true),
        (resume(2, 2, (0, 0), true), true),
        (resume(2, 2, (0, 0), false), false),
        (resume(2, 2, (1, 2), false), false),
        (resume(3, 2, (1, 1), false), false),
        (resume(2, 3, (1, 1), false), false),
    ] {
        let mut other = Other::new();
        let resumed = other.peer.resumed_by_responder(&resume, |_| false);
        match is_right {
            true => assert!(resumed.is_ok(), "{resume:?}"),
            false => assert_eq!(resumed, Err(Hostile::Resume), "{resume:?}"),
        }
    }
}

#[test]
fn nothing_is_lent_before_its_call() {
    let mut other = Other::new();
    assert_eq!(other.says(lent(1, 0, 0, 10)), Err(Hostile::Lease));
}

#[test]
fn what_is_lent_comes_in_order_and_is_as_long_as_was_said() {
    let leases = [(Access::Read, 10), (Access::Write, 10), (Access::Both, 10)];
    for (lease, offset, length, is_right) in [
        (0, 0, 10, true),
        (2, 0, 3, true),
        (0, 0, 11, false),
        (2, 0, 4096, false),
        (0, 1, 9, false),
        (0, u32::MAX, 1, false),
        (1, 0, 1, false),
        (3, 0, 1, false),
    ] {
        let mut other = Other::new();
        let call = other.says(Body::Call(lending(1, &leases)));
        assert_eq!(call, Ok(Heard::Nothing), "it waits for what is lent");
        let said = other.says(lent(1, lease, offset, length));
        let expected = match is_right {
            true => Ok(Heard::Nothing),
            false => Err(Hostile::Lease),
        };
        assert_eq!(said, expected, "{length} at {offset} of {lease}");
    }
    // Nor is a lease that is full made longer.
    let mut other = Other::new();
    assert!(other.says(Body::Call(lending(1, &leases))).is_ok());
    assert!(other.says(lent(1, 0, 0, 10)).is_ok());
    assert_eq!(other.says(lent(1, 0, 10, 1)), Err(Hostile::Lease));
}

/// Says so many calls more than it may have, and returns how many of them were refused
/// before it was left.
fn is_refused(acknowledges: bool) -> usize {
    let mut other = Other::new();
    for number in 1..=CALLS {
        other.calls(lending(number as u64, &[]));
    }
    for more in 1..=2 * UNREAD {
        let number = (CALLS + more) as u64;
        match other.says(Body::Call(lending(number, &[]))) {
            Ok(Heard::Unwanted(_)) => {}
            Err(Hostile::Flood) => return more - 1,
            heard => panic!("{heard:?}"),
        }
        other.hears();
        if acknowledges {
            other.has(more as u64);
        }
    }
    2 * UNREAD
}

#[test]
fn who_acknowledges_nothing_is_left_when_too_much_waits_for_it() {
    assert_eq!(is_refused(true), 2 * UNREAD, "who does may go on");
    assert_eq!(is_refused(false), UNREAD + 1);
}
