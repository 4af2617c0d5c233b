//! How long a call is waited for, at its server.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::node::{Event, Incoming};
use tessera_softbus_protocol::peer::Heard;
use tessera_softbus_protocol::wire::{Access, Body, ObjectId, ObjectRef};

use crate::calls::{call, failed, incoming, make, nodes, open};
use crate::net::Net;
use crate::other::{Other, lending, lent, refused};

#[test]
fn what_is_left_of_the_callers_time_counts_from_when_it_came() {
    for (remaining, deadline) in [
        (1, Some(5_001)),
        (300, Some(5_300)),
        (u32::MAX - 1, Some(5_000 + u64::from(u32::MAX) - 1)),
        (u32::MAX, None),
    ] {
        let mut other = Other::new();
        let mut call = lending(1, &[]);
        call.remaining = remaining;
        let heard = other.says_at(Body::Call(call), 5_000);
        let Ok(Heard::Call(serial)) = heard else {
            panic!("{heard:?}");
        };
        let (.., until) = other.peer.contents(serial).unwrap();
        assert_eq!(until, deadline, "{remaining} ms");
    }
}

#[test]
fn a_call_for_which_nobody_waits_does_not_begin() {
    let home = ObjectId {
        number: 4,
        epoch: 1,
    };
    let objects = vec![ObjectRef::Home(home)];
    for (remaining, leases, came) in [
        (0, &[][..], 5_000),
        // The last of what it lends comes at its end, or later.
        (300, &[(Access::Read, 10)], 5_300),
        (300, &[(Access::Read, 10)], 9_000),
    ] {
        let mut other = Other::new();
        let mut call = lending(1, leases);
        call.remaining = remaining;
        call.objects = objects.clone();
        let mut heard = other.says_at(Body::Call(call), 5_000);
        if !leases.is_empty() {
            assert_eq!(heard, Ok(Heard::Nothing));
            heard = other.says_at(lent(1, 0, 0, 10), came);
        }
        assert_eq!(heard, Ok(Heard::Unwanted(objects.clone())));
        assert_eq!(other.hears(), [refused(1, Cause::TimedOut)]);
    }
}

/// The first device has a call of the second for which that waits so long.
fn called(net: &mut Net, time: u64) -> Incoming {
    let import = open(net, 1);
    let mut call = call(3);
    call.deadline = Some(net.now + time);
    make(net, 1, import, call);
    incoming(net, 0)
}

#[test]
fn a_server_hears_when_the_time_is_over_though_its_caller_is_not_heard() {
    let mut net = nodes(2);
    let came = called(&mut net, 300);
    assert_eq!(came.deadline, Some(net.now + 300));
    net.away.insert(1);
    let cancelled = Event::Cancelled(came.token);
    net.run(299);
    assert!(!net.events_of(0).contains(&cancelled));
    net.run(1);
    assert!(net.events_of(0).contains(&cancelled));
}

#[test]
fn a_call_that_is_sent_again_says_what_is_left_by_then() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    net.away.insert(0);
    let until = net.now + 5_000;
    let [mut long, mut short] = [call(3), call(4)];
    long.deadline = Some(until);
    short.deadline = Some(net.now + 1_000);
    make(&mut net, 1, import, long);
    let short = make(&mut net, 1, import, short);
    net.run(1_500);
    let ended = crate::calls::ending(&mut net, 1, short);
    assert_eq!(ended, failed(Cause::TimedOut, true), "it may have run");
    net.away.clear();
    net.run(1_000);
    let came: Vec<_> = net.events_of(0).into_iter().collect();
    let came = came.into_iter().filter_map(|event| match event {
        Event::Incoming(incoming) => Some((incoming.operation, incoming.deadline)),
        _ => None,
    });
    assert_eq!(came.collect::<Vec<_>>(), [(3, Some(until))]);
}
