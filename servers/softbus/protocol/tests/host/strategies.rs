//! Any message that can be said.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use proptest::collection::vec;
use proptest::prelude::*;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, ObjectRef, Outcome, Payload, Piece,
    Reply, Resume, Rights,
};

fn id() -> impl Strategy<Value = ObjectId> {
    any::<(u64, u64)>().prop_map(|(number, epoch)| ObjectId { number, epoch })
}

fn rights() -> impl Strategy<Value = Rights> {
    any::<(bool, [u64; 4])>().prop_map(|(hand_on, operations)| Rights {
        hand_on,
        operations,
    })
}

fn object() -> impl Strategy<Value = ObjectRef> {
    prop_oneof![
        (id(), rights()).prop_map(|(id, rights)| ObjectRef::Export(id, rights)),
        id().prop_map(ObjectRef::Home),
        (any::<([u8; 32], [u8; 16], u16)>(), id(), rights()).prop_map(|(a, object, rights)| {
            ObjectRef::Ticket {
                owner: PublicKey(a.0),
                address: Address { ip: a.1, port: a.2 },
                object,
                rights,
            }
        }),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    (any::<[u64; 8]>(), vec(any::<u8>(), 0..4097))
        .prop_map(|(words, bytes)| Payload { words, bytes })
}

fn piece() -> impl Strategy<Value = Piece> {
    (any::<(u64, u32)>(), 0..4_u8, vec(any::<u8>(), 1..4097)).prop_map(
        |((call, offset), lease, bytes)| Piece {
            call,
            lease,
            offset,
            bytes,
        },
    )
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Once),
        Just(Class::Idempotent),
        Just(Class::Recorded)
    ]
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Read), Just(Access::Write), Just(Access::Both)]
}

fn body() -> impl Strategy<Value = Body> {
    let lease =
        (access(), 0..=1_u32 << 20).prop_map(|(access, length)| LeaseHead { access, length });
    let call = (
        any::<(u32, u64, u8, u32)>(),
        id(),
        class(),
        payload(),
        vec(lease, 0..5),
        vec(object(), 0..5),
    );
    let call = call.prop_map(|(numbers, object, class, payload, leases, objects)| {
        let (remaining, call, operation, hash) = numbers;
        Body::Call(Call {
            remaining,
            call,
            object,
            operation,
            class,
            hash,
            payload,
            leases,
            objects,
        })
    });
    let outcome = prop_oneof![
        Just(Outcome::Ok),
        Just(Outcome::Error),
        (0..Cause::ALL.len(), any::<bool>()).prop_map(|(cause, delivered)| {
            Outcome::Failed(TransportError {
                cause: Cause::ALL[cause],
                delivered,
            })
        }),
    ];
    let reply = (any::<u64>(), outcome, payload(), vec(object(), 0..5));
    let reply = reply.prop_map(|(call, outcome, payload, objects)| {
        Body::Reply(Reply {
            call,
            outcome,
            payload,
            objects,
        })
    });
    prop_oneof![
        call,
        reply,
        piece().prop_map(Body::Lend),
        piece().prop_map(Body::Fill),
        any::<u64>().prop_map(Body::Cancel),
        (id(), any::<u32>()).prop_map(|(id, count)| Body::Release(id, count)),
        id().prop_map(Body::Revoked),
    ]
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let resume = any::<([u64; 5], bool)>().prop_map(|(words, fresh)| Resume {
        boot: words[0].max(1),
        epoch: words[1].max(1),
        seen: (words[2], words[3]),
        received: words[4],
        credit: words[0] ^ words[4],
        generation: words[1] ^ words[2],
        fresh,
    });
    let beat = any::<[u64; 4]>().prop_map(|[received, credit, stamp, echo]| Beat {
        received,
        credit,
        stamp,
        echo,
    });
    prop_oneof![
        resume.prop_map(Message::Resume),
        beat.prop_map(Message::Beat),
        (any::<u64>(), body()).prop_map(|(number, body)| Message::Sequenced(number, body)),
    ]
}
