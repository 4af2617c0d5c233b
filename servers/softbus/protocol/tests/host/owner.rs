//! What an owner decides, and what is done with one that does not do its part.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::limits::{BOUND_LONGEST, GRANTS_EACH};
use tessera_softbus_protocol::node::Object;
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Service, Table};
use tessera_softbus_protocol::trust::Trust;
use tessera_softbus_protocol::wire::{Body, Message, ObjectId, Rights};

use crate::calls::{nodes, open, open_at, service};
use crate::readers::Changes;

/// The operation of a device that takes back what was handed on.
const TAKE_BACK: u8 = 3;

/// A device that refuses to take anything back.
fn keeps(message: &mut Message) {
    if let Message::Sequenced(_, Body::Call(call)) = message
        && call.object == ObjectId::ROOT
        && call.operation == TAKE_BACK
    {
        call.operation = u8::MAX;
    }
}

/// Otherwise whoever opens there could make us remember more and more.
#[test]
fn an_owner_that_takes_nothing_back_is_handed_on_nothing_more() {
    let mut net = nodes(3);
    let trust = Trust::read(&net.disks[0]).unwrap();
    net.nodes[0] = net.start_with(0, trust, Changes::messages(keeps));
    assert!(net.nodes[0].publish("canary", service(5)));
    net.run(10_000);
    let object = open(&mut net, 1);
    let lent = Service {
        object: Object::Import(object, Rights::ALL, BOUND_LONGEST),
        interface: "Canary".into(),
        only: None,
    };
    let mut made = 0;
    let refused = loop {
        assert!(net.nodes[1].publish("outside", lent.clone()));
        match open_at(&mut net, 2, 1, "outside") {
            Ok(_) => made += 1,
            Err(error) => break error.cause,
        }
        net.nodes[1].revoke_service("outside", net.now).unwrap();
        net.run(10);
        assert!(made <= GRANTS_EACH);
    };
    assert_eq!((refused, made), (Cause::QuotaExceeded, GRANTS_EACH));
}

/// Whatever a holder asks for: what it was given is all that there is, for it and for whom
/// it hands the object on to.
#[test]
fn the_owner_runs_what_it_gave_alone() {
    let mut table = Table::new(3);
    let [holder, third] = [PublicKey([1; 32]), PublicKey([2; 32])];
    let alive = |_: &PublicKey| Some(0);
    let mut given = Rights::only(&[3, 200]);
    given.hand_on = true;
    let held = table.export(&holder, Local(5), given, None).unwrap();
    let grantor = Grantor {
        peer: holder,
        number: held.number,
        bound: 5_000,
    };
    let handed = table.hand_on(grantor, 3, &third, Rights::ALL, alive, 0);
    let (handed, rights) = handed.unwrap();
    assert_eq!(rights.operations, given.operations);
    for (peer, object) in [(holder, held), (third, handed)] {
        for operation in 0..=u8::MAX {
            let expected = match operation {
                3 | 200 => Ok(Local(5)),
                _ => Err(Cause::Denied),
            };
            assert_eq!(table.check(&peer, object, operation, alive, 0), expected);
        }
    }
}
