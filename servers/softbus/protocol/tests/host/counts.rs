//! How many calls there are between two devices, and how much they lend.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::limits::{ACKNOWLEDGE, CALL_BYTES, CALLS, LEASE, OWN_CALLS};
use tessera_softbus_protocol::peer::Heard;
use tessera_softbus_protocol::wire::{
    Access, Body, ObjectId, ObjectRef, Outcome, Payload, Reply, Rights,
};

use crate::other::{Other, lending, refused, request};

#[test]
fn a_peer_has_so_many_calls_here_and_the_next_is_refused() {
    let mut other = Other::new();
    let serials: Vec<_> = (1..=CALLS)
        .map(|number| other.calls(lending(number as u64, &[])))
        .collect();
    let name = ObjectId {
        number: 9,
        epoch: 2,
    };
    let objects = vec![ObjectRef::Export(name, Rights::ALL)];
    let mut more = lending(CALLS as u64 + 1, &[]);
    more.objects = objects.clone();
    // What it brings is given back.
    assert_eq!(other.says(Body::Call(more)), Ok(Heard::Unwanted(objects)));
    assert_eq!(other.peer.calls(), CALLS);
    let answer = refused(CALLS as u64 + 1, Cause::QuotaExceeded);
    assert_eq!(other.hears(), [answer]);
    other.is_answered(serials[0], &[]);
    assert_eq!(other.hears().len(), 1);
    other.has(2);
    other.calls(lending(CALLS as u64 + 2, &[]));
}

#[test]
fn a_call_counts_until_the_peer_has_its_answer() {
    let mut other = Other::new();
    let serial = other.calls(lending(1, &[(Access::Write, 1000)]));
    let held = other.peer.held();
    assert!(held > 1000);
    other.is_answered(serial, &[vec![7; 1000]]);
    // What was written, and the answer.
    assert_eq!(other.hears().len(), 2);
    for received in [0, 1] {
        other.has(received);
        assert_eq!((other.peer.calls(), other.peer.held()), (1, held));
    }
    other.has(2);
    assert_eq!((other.peer.calls(), other.peer.held()), (0, 0));
}

#[test]
fn one_call_lends_so_much_and_no_byte_more() {
    assert_eq!(CALL_BYTES, 2 * LEASE as u64);
    for access in [Access::Read, Access::Write, Access::Both] {
        let full = (access, LEASE as u64);
        let mut other = Other::new();
        let heard = other.says(Body::Call(lending(1, &[full, full])));
        assert!(!matches!(heard, Ok(Heard::Unwanted(_)) | Err(_)));
        let mut other = Other::new();
        let heard = other.says(Body::Call(lending(1, &[full, full, (access, 1)])));
        assert_eq!(heard, Ok(Heard::Unwanted(Vec::new())), "{access:?}");
        assert_eq!(other.peer.reserved(), 0);
        assert_eq!(other.hears(), [refused(1, Cause::QuotaExceeded)]);
    }
}

#[test]
fn we_have_fewer_calls_at_a_peer_than_it_lets_us_have() {
    // By as many as there can be answers that it does not know to be here.
    assert_eq!(OWN_CALLS + ACKNOWLEDGE as usize, CALLS);
    let mut other = Other::new();
    for number in 1..=OWN_CALLS {
        assert_eq!(other.peer.request(request(number as u64), 0), Ok(()));
    }
    let number = OWN_CALLS as u64 + 1;
    let more = other.peer.request(request(number), 0);
    assert_eq!(more, Err(Cause::QuotaExceeded));
    assert_eq!(other.hears().len(), OWN_CALLS);
    let reply = Reply {
        call: 1,
        outcome: Outcome::Ok,
        payload: Payload::default(),
        objects: Vec::new(),
    };
    let heard = other.says(Body::Reply(reply));
    assert!(matches!(heard, Ok(Heard::Answered(1, ..))));
    assert_eq!(other.peer.request(request(number), 0), Ok(()));
}
