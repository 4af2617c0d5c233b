//! Objects that go on to a third device: as arguments, in answers, and when a service is
//! opened.

use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::limits::{EXPORTS, GRANTS, GUESTS};
use tessera_softbus_protocol::node::{Event, Import, Object, Revocation};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Service, Table};
use tessera_softbus_protocol::wire::{Outcome, Rights};

use crate::calls::{
    answer, call, ending, failed, incoming, make, nodes, open, open_at, reply, service,
};
use crate::net::Net;

pub(crate) fn imported(opened: Result<Object, TransportError>) -> Import {
    match opened {
        Ok(Object::Import(import, ..)) => import,
        other => panic!("{other:?}"),
    }
}

/// The second node has the first one's object, and publishes it.
pub(crate) fn passed_on(bound: u64) -> (Net, Import) {
    let mut net = nodes(3);
    let object = open(&mut net, 1);
    let service = Service {
        object: Object::Import(object, Rights::ALL, bound),
        interface: "Canary".into(),
        only: None,
    };
    assert!(net.nodes[1].publish("outside", service));
    (net, object)
}

/// A call of the third node gets to the first, by itself.
fn calls_through(net: &mut Net, import: Import) {
    let id = make(net, 2, import, call(3));
    net.run(10);
    let came = incoming(net, 0);
    assert_eq!((came.local, came.peer), (Local(5), net.key(2)));
    reply(net, 0, came.token, answer(Outcome::Ok, vec![]));
    assert_eq!(ending(net, 2, id), Ok(9));
}

fn is_over(net: &mut Net, import: Import) {
    let ends = match net.nodes[2].call(import, call(3), net.now) {
        Err(cause) => Err(TransportError {
            cause,
            delivered: false,
        }),
        Ok(id) => {
            net.run(10);
            ending(net, 2, id)
        }
    };
    assert_eq!(ends, failed(Cause::Revoked, false));
}

#[test]
fn what_is_published_of_another_device_is_reached_there() {
    let (mut net, _) = passed_on(5_000);
    let import = imported(open_at(&mut net, 2, 1, "outside"));
    assert_eq!(net.nodes[2].owner(import), Some(net.key(0)));
    calls_through(&mut net, import);
    // The owner takes it back: both know.
    net.nodes[0].revoke(Local(5), None, net.now);
    net.run(10);
    is_over(&mut net, import);
    let again = open_at(&mut net, 2, 1, "outside");
    assert_eq!(again.unwrap_err().cause, Cause::Revoked);
}

#[test]
fn a_service_that_is_taken_back_ends_for_who_opened_it() {
    let (mut net, object) = passed_on(5_000);
    let import = imported(open_at(&mut net, 2, 1, "outside"));
    let id = make(&mut net, 2, import, call(3));
    net.run(10);
    let came = incoming(&mut net, 0);
    let revocation = net.nodes[1].revoke_service("outside", net.now).unwrap();
    net.settle();
    let done = Event::Revoked(revocation, Revocation::Confirmed);
    assert!(!net.events.contains(&(1, done.clone())), "a call runs");
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    assert!(net.events.contains(&(1, done)));
    assert_eq!(ending(&mut net, 2, id), Ok(9));
    is_over(&mut net, import);
    assert_eq!(
        open_at(&mut net, 2, 1, "outside").unwrap_err().cause,
        Cause::Denied
    );
    make(&mut net, 1, object, call(3));
    assert_eq!(incoming(&mut net, 0).peer, net.key(1), "it keeps its own");
    assert_eq!(net.nodes[1].revoke_service("outside", net.now), None);
}

#[test]
fn a_service_that_is_taken_back_while_the_owner_is_away_ends_within_the_bound() {
    let (mut net, _) = passed_on(4_000);
    let import = imported(open_at(&mut net, 2, 1, "outside"));
    calls_through(&mut net, import);
    net.away.insert(0);
    net.run(100);
    let revocation = net.nodes[1].revoke_service("outside", net.now).unwrap();
    net.run(4_000);
    let expired = (1, Event::Revoked(revocation, Revocation::Expired));
    assert!(!net.events.contains(&expired));
    net.run(200);
    assert!(net.events.contains(&expired));
    net.away.insert(1);
    net.away.remove(&0);
    net.run(4_000);
    let id = net.nodes[2].call(import, call(3), net.now).unwrap();
    net.run(10);
    assert_eq!(ending(&mut net, 2, id), failed(Cause::Revoked, false));
}

#[test]
fn a_service_of_an_owner_that_is_trusted_no_longer_ends_within_the_bound() {
    let (mut net, object) = passed_on(4_000);
    let import = imported(open_at(&mut net, 2, 1, "outside"));
    calls_through(&mut net, import);
    // The owner is told nothing, and goes on until the bound has passed.
    let owner = net.key(0);
    assert!(net.nodes[1].distrust(&owner, net.now));
    net.nodes[1].release(object, net.now);
    net.run(10);
    let revocation = net.nodes[1].revoke_service("outside", net.now).unwrap();
    net.run(4_000);
    let ends = |how| (1, Event::Revoked(revocation, how));
    assert!(!net.events.contains(&ends(Revocation::Confirmed)));
    assert!(!net.events.contains(&ends(Revocation::Expired)));
    net.run(200);
    assert!(net.events.contains(&ends(Revocation::Expired)));
    is_over(&mut net, import);
}

#[test]
fn who_opens_while_the_service_is_taken_back_gets_nothing() {
    let (mut net, _) = passed_on(5_000);
    // The question to the owner is under way.
    net.away.insert(0);
    let one = net.key(1);
    net.nodes[2].open(&one, "outside", None, net.now).unwrap();
    net.settle();
    let revocation = net.nodes[1].revoke_service("outside", net.now).unwrap();
    net.settle();
    let done = Event::Revoked(revocation, Revocation::Confirmed);
    assert!(net.events.contains(&(1, done)));
    let opened = net.events_of(2).into_iter().find_map(|event| match event {
        Event::Opened(_, result) => Some(result.map(|_| ())),
        _ => None,
    });
    let error = opened.expect("it ends").unwrap_err();
    assert_eq!(error.cause, Cause::Revoked);
}

#[test]
fn what_is_opened_at_a_third_device_comes_home() {
    let (mut net, _) = passed_on(5_000);
    let opened = open_at(&mut net, 0, 1, "outside");
    assert!(
        matches!(opened, Ok(Object::Local(Local(5), _))),
        "{opened:?}"
    );
}

#[test]
fn what_may_not_be_handed_on_is_not_opened() {
    let mut net = nodes(3);
    let own = Service {
        object: Object::Local(Local(6), Rights::only(&[3])),
        interface: "Canary".into(),
        only: None,
    };
    assert!(net.nodes[0].publish("mine", own));
    let object = imported(open_at(&mut net, 1, 0, "mine"));
    let service = Service {
        object: Object::Import(object, Rights::ALL, 5_000),
        interface: "Canary".into(),
        only: None,
    };
    assert!(net.nodes[1].publish("outside", service));
    let opened = open_at(&mut net, 2, 1, "outside");
    assert_eq!(opened.unwrap_err().cause, Cause::Denied);
}

/// However often something is opened and dropped, nothing of it is left.
#[test]
fn what_is_dropped_is_forgotten_by_who_handed_it_on() {
    let (mut net, _) = passed_on(5_000);
    let kept = imported(open_at(&mut net, 2, 1, "outside"));
    for _ in 0..GRANTS.max(EXPORTS) + 10 {
        let import = imported(open_at(&mut net, 2, 1, "outside"));
        net.nodes[2].release(import, net.now);
        net.run(10);
    }
    calls_through(&mut net, kept);
}

/// Devices that an object was handed on to, and that never came for it, leave room for
/// others once it was taken back.
#[test]
fn what_was_taken_back_makes_room() {
    let mut table = Table::new(3);
    let key = |number: usize| PublicKey([number as u8; 32]);
    let trusted = |peer: &PublicKey| *peer == key(0);
    let alive = |_: &PublicKey| Some(0);
    let held = table.export(&key(0), Local(5), Rights::ALL, None).unwrap();
    let grantor = Grantor {
        peer: key(0),
        number: held.number,
        bound: 5_000,
    };
    for number in 1..=GUESTS + 10 {
        let third = key(number);
        let has_room = table.has_room_for(&third, trusted);
        assert_eq!(has_room, number <= GUESTS);
        assert!(has_room || table.drop_guest(&third, trusted).is_some());
        let handed = table.hand_on(grantor, 3, &third, Rights::ALL, alive, 0);
        let object = handed.unwrap().0;
        table.take_back(&key(0), &third, object).unwrap();
    }
    let third = key(1);
    let kept = table.hand_on(grantor, 3, &third, Rights::ALL, alive, 0);
    for _ in 0..EXPORTS + 10 {
        let handed = table.hand_on(grantor, 3, &third, Rights::ALL, alive, 0);
        let object = handed.unwrap().0;
        table.take_back(&key(0), &third, object).unwrap();
        let stale = table.check(&third, object, 0, alive, 0);
        assert_eq!(stale, Err(Cause::Revoked), "while there is room");
    }
    let checked = table.check(&third, kept.unwrap().0, 0, alive, 0);
    assert_eq!(checked, Ok(Local(5)));
}

/// What does not arrive is taken back, so that it holds no place at its owner.
#[test]
fn what_did_not_get_to_the_third_device_is_taken_back() {
    let (mut net, object) = passed_on(5_000);
    assert!(net.nodes[2].publish("sink", service(8)));
    let sink = imported(open_at(&mut net, 1, 2, "sink"));
    for _ in 0..EXPORTS.max(GRANTS) + 10 {
        let mut carries = call(1);
        carries.objects = vec![Object::Import(object, Rights::ALL, 4_000)];
        let id = net.nodes[1].call(sink, carries, net.now).unwrap();
        // Before the owner has answered.
        net.nodes[1].cancel(id, net.now);
        net.run(10);
        assert_eq!(ending(&mut net, 1, id), failed(Cause::Cancelled, false));
    }
    let import = imported(open_at(&mut net, 2, 1, "outside"));
    calls_through(&mut net, import);
}

#[test]
fn an_object_goes_on_to_a_third_device_and_is_taken_back() {
    for owner_revokes in [true, false] {
        let mut net = nodes(3);
        assert!(net.nodes[1].publish("relay", service(6)));
        let object = open(&mut net, 1);
        let relay = imported(open_at(&mut net, 2, 1, "relay"));
        // The third asks the second, which answers with the first's object.
        let id = make(&mut net, 2, relay, call(1));
        let came = incoming(&mut net, 1);
        let mut with_object = answer(Outcome::Ok, vec![]);
        with_object.objects = vec![Object::Import(object, Rights::only(&[3]), 5_000)];
        reply(&mut net, 1, came.token, with_object);
        net.run(10);
        let (mut grant, mut import) = (None, None);
        for (_, event) in std::mem::take(&mut net.events) {
            match event {
                Event::HandedOn(handed, ..) => grant = Some(handed),
                Event::Answered(of, Ok(answered)) if of == id => {
                    if let [Object::Import(arrived, ..)] = answered.objects[..] {
                        import = Some(arrived);
                    }
                }
                _ => {}
            }
        }
        let import = import.expect("it arrived");
        assert_eq!(
            net.nodes[2].call(import, call(4), net.now),
            Err(Cause::Denied)
        );
        let id = make(&mut net, 2, import, call(3));
        net.run(10);
        let came = incoming(&mut net, 0);
        assert_eq!((came.local, came.peer), (Local(5), net.key(2)));
        // A guest learns nothing but that object.
        let zero = net.key(0);
        net.nodes[2].browse(&zero, None, net.now).unwrap();
        net.settle();
        let denied = net.events_of(2).into_iter().any(|event| match event {
            Event::Browsed(_, Err(error)) => error.cause == Cause::Denied,
            _ => false,
        });
        assert!(denied);
        let revocation = if owner_revokes {
            net.nodes[0].revoke(Local(5), None, net.now)
        } else {
            net.nodes[1].take_back(grant.unwrap(), net.now).unwrap()
        };
        net.settle();
        let done = Event::Revoked(revocation, Revocation::Confirmed);
        assert!(
            !net.events.iter().any(|(_, event)| *event == done),
            "a call runs"
        );
        reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
        assert!(net.events.iter().any(|(_, event)| *event == done));
        assert_eq!(ending(&mut net, 2, id), Ok(9));
        assert_eq!(
            net.nodes[2].call(import, call(3), net.now),
            Err(Cause::Revoked)
        );
        let second = net.nodes[1].call(object, call(3), net.now);
        assert_eq!(second.is_err(), owner_revokes);
    }
}

#[test]
fn a_hand_over_expires_when_its_maker_is_not_heard() {
    let mut net = nodes(3);
    // The third knows the first too, so that only the second goes away.
    let object = open(&mut net, 1);
    assert!(net.nodes[2].publish("sink", service(8)));
    let sink = imported(open_at(&mut net, 1, 2, "sink"));
    let mut carries = call(1);
    carries.objects = vec![Object::Import(object, Rights::ALL, 4_000)];
    make(&mut net, 1, sink, carries);
    net.run(500);
    let import = match incoming(&mut net, 2).objects[..] {
        [Object::Import(import, ..)] => import,
        _ => panic!("the object arrived"),
    };
    make(&mut net, 2, import, call(3));
    net.run(10);
    let came = incoming(&mut net, 0);
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    net.away.insert(1);
    net.run(4_500);
    net.events.clear();
    let id = make(&mut net, 2, import, call(3));
    net.run(10);
    assert_eq!(ending(&mut net, 2, id), failed(Cause::Revoked, false));
}

#[test]
fn an_object_that_comes_home_is_the_local_one() {
    let mut net = nodes(2);
    let import = open(&mut net, 1);
    let mut carries = call(1);
    carries.objects = vec![
        Object::Import(import, Rights::ALL, 0),
        Object::Local(Local(77), Rights::ALL),
    ];
    make(&mut net, 1, import, carries);
    let came = incoming(&mut net, 0);
    assert!(matches!(came.objects[0], Object::Local(Local(5), _)));
    let Object::Import(callback, ..) = came.objects[1] else {
        panic!("the other one is the caller's");
    };
    make(&mut net, 0, callback, call(2));
    assert_eq!(incoming(&mut net, 1).local, Local(77), "a callback");
}

/// Opens the second node's service at the third, and calls it before its owner is dialled.
fn calls_at_once(net: &mut Net) -> Import {
    let (zero, one) = (net.key(0), net.key(1));
    let now = net.now;
    net.nodes[2].open(&one, "outside", None, now).unwrap();
    let mut import = None;
    while import.is_none() {
        net.step();
        for event in net.events_of(2) {
            if let Event::Opened(_, Ok(Object::Import(opened, ..))) = event {
                import = Some(opened);
            }
        }
    }
    let import = import.unwrap();
    assert!(!net.nodes[2].is_connected(&zero));
    calls_through(net, import);
    import
}

/// What is said to a device before there is anything between it and us outlasts the
/// beginning of that.
#[test]
fn what_is_called_before_a_session_lives() {
    let (mut net, _) = passed_on(5_000);
    let import = calls_at_once(&mut net);
    let mut carries = call(3);
    carries.objects = vec![Object::Local(Local(77), Rights::ALL)];
    make(&mut net, 2, import, carries);
    let came = incoming(&mut net, 0);
    let Object::Import(callback, ..) = came.objects[0] else {
        panic!("it is the caller's");
    };
    reply(&mut net, 0, came.token, answer(Outcome::Ok, vec![]));
    make(&mut net, 0, callback, call(2));
    assert_eq!(incoming(&mut net, 2).local, Local(77));
    // A guest that has nothing any more is forgotten, and comes again.
    net.nodes[0].release(callback, net.now);
    net.nodes[2].release(import, net.now);
    net.run(10);
    let zero = net.key(0);
    assert!(!net.nodes[2].is_connected(&zero));
    calls_at_once(&mut net);
}

/// An object that is exported in a first call is there when the call is.
#[test]
fn what_a_first_call_carries_lives() {
    let (mut net, object) = passed_on(5_000);
    assert!(net.nodes[2].publish("sink", service(8)));
    let sink = imported(open_at(&mut net, 1, 2, "sink"));
    let mut carries = call(1);
    carries.objects = vec![Object::Import(object, Rights::ALL, 5_000)];
    net.nodes[1].call(sink, carries, net.now).unwrap();
    let mut came = None;
    while came.is_none() {
        net.step();
        for event in net.events_of(2) {
            if let Event::Incoming(incoming) = event {
                came = Some(incoming);
            }
        }
    }
    let Object::Import(import, ..) = came.unwrap().objects[0] else {
        panic!("it is the first one's");
    };
    let zero = net.key(0);
    assert!(!net.nodes[2].is_connected(&zero));
    let mut carries = call(3);
    carries.objects = vec![Object::Local(Local(77), Rights::ALL)];
    make(&mut net, 2, import, carries);
    net.run(10);
    let Object::Import(callback, ..) = incoming(&mut net, 0).objects[0] else {
        panic!("it is the caller's");
    };
    make(&mut net, 0, callback, call(2));
    assert_eq!(incoming(&mut net, 2).local, Local(77));
}

#[test]
fn a_session_that_nobody_needs_makes_room() {
    let mut net = nodes(3);
    net.pair(0, 2);
    let imports = [1, 2].map(|at| open(&mut net, at));
    let [zero, one, two] = [0, 1, 2].map(|index| net.key(index));
    // Each has something of the first node's.
    let now = net.now;
    assert!(!net.nodes[0].spare(now) && !net.nodes[1].spare(now));
    net.nodes[2].release(imports[1], now);
    net.run(10);
    let now = net.now;
    assert!(net.nodes[0].spare(now) && !net.nodes[0].spare(now));
    net.run(5_000);
    assert!(!net.nodes[0].is_connected(&two) && !net.nodes[2].is_connected(&zero));
    assert!(net.nodes[0].is_connected(&one));
    // Nothing was lost by that, and it comes again with what needs it.
    let lost = |event: &Event| matches!(event, Event::Lost(_));
    assert!(!net.events.iter().any(|(_, event)| lost(event)));
    let import = open(&mut net, 2);
    make(&mut net, 2, import, call(2));
    assert_eq!(incoming(&mut net, 0).local, Local(5));
}
