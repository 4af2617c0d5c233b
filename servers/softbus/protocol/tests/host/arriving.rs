//! Objects that come in a call of a peer that says what it likes.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::limits::{GUESTS, IMPORTS, OBJECTS};
use tessera_softbus_protocol::node::{Call, Event, Import, Object};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::Local;
use tessera_softbus_protocol::trust::Trust;
use tessera_softbus_protocol::wire::{Body, Message, ObjectId, ObjectRef, Outcome, Rights};

use crate::calls::{answer, call, ending, failed, incoming, make, nodes, open, reply, service};
use crate::net::Net;
use crate::readers::Changes;

/// What an object becomes: with the first number it is the first, and so on.
type Becomes = Box<dyn Fn(u64) -> ObjectRef + Send>;

/// The first device, to which the second brings such objects, and what that calls.
fn brought(becomes: Becomes) -> (Net, Import) {
    let mut net = nodes(2);
    net.restart(0);
    let trust = Trust::read(&net.disks[0]).unwrap();
    let mut came = 0;
    let changed = Changes::messages(move |message| {
        if let Message::Sequenced(_, Body::Call(call)) = message {
            for object in &mut call.objects {
                came += 1;
                *object = becomes(came);
            }
        }
    });
    net.nodes[0] = net.start_with(0, trust, changed);
    assert!(net.nodes[0].publish("canary", service(5)));
    net.run(2_000);
    let import = open(&mut net, 1);
    (net, import)
}

fn brings(count: usize) -> Call {
    let mut brings = call(3);
    brings.objects = vec![Object::Local(Local(9), Rights::ALL); count];
    brings
}

/// So many come, and are taken.
fn takes(net: &mut Net, import: Import, count: usize) -> Vec<Object> {
    let mut taken = Vec::new();
    for _ in 0..count / OBJECTS {
        make(net, 1, import, brings(OBJECTS));
        let came = incoming(net, 0);
        assert_eq!(came.objects.len(), OBJECTS);
        taken.extend(came.objects);
        reply(net, 0, came.token, answer(Outcome::Ok, vec![]));
        net.run(1_000);
    }
    taken
}

/// One more is not, and its call does not run.
fn is_refused(net: &mut Net, import: Import, cause: Cause) {
    net.events.clear();
    let id = make(net, 1, import, brings(1));
    net.run(10);
    assert_eq!(ending(net, 1, id), failed(cause, false));
    let ran = net.events_of(0);
    assert!(!ran.iter().any(|event| matches!(event, Event::Incoming(_))));
}

/// A peer's own object.
fn export(number: u64) -> ObjectRef {
    let name = ObjectId { number, epoch: 77 };
    ObjectRef::Export(name, Rights::ALL)
}

/// An object of a third device.
fn ticket(owner: PublicKey, object: ObjectId) -> ObjectRef {
    ObjectRef::Ticket {
        owner,
        address: Address {
            ip: [9; 16],
            port: 700,
        },
        object,
        rights: Rights::ALL,
    }
}

fn drops(net: &mut Net, object: Option<Object>) {
    let Some(Object::Import(dropped, ..)) = object else {
        panic!("it is another device's");
    };
    net.nodes[0].release(dropped, net.now);
}

#[test]
fn of_one_peer_a_device_takes_so_many_objects() {
    let (mut net, import) = brought(Box::new(export));
    let mut taken = takes(&mut net, import, IMPORTS);
    is_refused(&mut net, import, Cause::QuotaExceeded);
    // Calls without objects go, and others when one was dropped.
    make(&mut net, 1, import, brings(0));
    incoming(&mut net, 0);
    drops(&mut net, taken.pop());
    make(&mut net, 1, import, brings(1));
    assert_eq!(incoming(&mut net, 0).objects.len(), 1);
}

#[test]
fn by_hand_overs_a_device_comes_to_know_so_many_others() {
    let name = ObjectId {
        number: 3,
        epoch: 77,
    };
    let stranger = |number: u64| PublicKey([100 + number as u8; 32]);
    let becomes = move |number| ticket(stranger(number), name);
    let (mut net, import) = brought(Box::new(becomes));
    let before = net.nodes[0].peers();
    let mut taken = takes(&mut net, import, GUESTS);
    assert_eq!(net.nodes[0].peers(), before + GUESTS);
    is_refused(&mut net, import, Cause::QuotaExceeded);
    assert_eq!(net.nodes[0].peers(), before + GUESTS);
    drops(&mut net, taken.pop());
    make(&mut net, 1, import, brings(1));
    assert_eq!(incoming(&mut net, 0).objects.len(), 1);
}

#[test]
fn nobody_hands_on_what_is_no_third_devices_object() {
    let net = nodes(2);
    let [own, peers] = [net.key(0), net.key(1)];
    let name = ObjectId {
        number: 3,
        epoch: 77,
    };
    let root = ObjectId::ROOT;
    for (object, cause) in [
        (ticket(own, name), Cause::Denied),
        (ticket(peers, name), Cause::Denied),
        (ticket(PublicKey([99; 32]), root), Cause::Denied),
        (ObjectRef::Export(root, Rights::ALL), Cause::Malformed),
        (ObjectRef::Home(root), Cause::EpochChanged),
    ] {
        let (mut net, import) = brought(Box::new(move |_| object));
        let before = net.nodes[0].peers();
        is_refused(&mut net, import, cause);
        assert_eq!(net.nodes[0].peers(), before);
    }
}
