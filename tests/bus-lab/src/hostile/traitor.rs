//! What a device says that was trusted once and breaks every rule.

use libipc_abi::operation::Class;
use libipc_abi::status::TransportError;
use tessera_softbus_protocol::random::{self, Random};
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, Outcome, Payload, Piece, Reply, Rights,
};

use crate::random::Rng;

/// What somebody says who is let in and keeps no rule.
pub(super) fn misbehave(what: u64, epoch: u64, rng: &mut Rng, send: &mut Vec<Vec<u8>>) {
    let mut sequence = 0;
    let mut say = |send: &mut Vec<Vec<u8>>, body: Body| {
        sequence += 1;
        send.push(Message::Sequenced(sequence, body).to_bytes());
    };
    let beat = Beat {
        received: u64::MAX >> rng.below(64),
        credit: u64::MAX,
        stamp: u64::MAX,
        echo: u64::MAX >> rng.below(64),
    };
    match what % 11 {
        0 => {
            let mut bytes = vec![0; rng.below(4_000) as usize];
            rng.fill(&mut bytes);
            send.push(bytes);
        }
        1 => {
            // Far more than it was promised.
            for call in 1..60 {
                let mut call = call_of(call, ObjectId { number: 1, epoch });
                call.payload.bytes = vec![1; 4_096];
                call.leases = vec![
                    LeaseHead {
                        access: Access::Write,
                        length: 1 << 20
                    };
                    2
                ];
                say(send, Body::Call(call));
            }
        }
        2 => send.push(Message::Sequenced(7, Body::Cancel(1)).to_bytes()),
        3 => send.push(Message::Beat(beat).to_bytes()),
        4 | 5 => {
            // The objects of others.
            for number in 1..40 {
                let object = ObjectId {
                    number,
                    epoch: if what & 16 == 0 { epoch } else { rng.word() },
                };
                say(send, Body::Call(call_of(number, object)));
                say(send, Body::Release(object, u32::MAX));
                say(send, Body::Revoked(object));
            }
        }
        6 => say(
            send,
            Body::Reply(Reply {
                call: rng.below(100),
                outcome: Outcome::Failed(TransportError {
                    cause: libipc_abi::status::Cause::Died,
                    delivered: false,
                }),
                payload: Payload::default(),
                objects: Vec::new(),
            }),
        ),
        7 => {
            let mut call = call_of(1, ObjectId { number: 1, epoch });
            call.leases = vec![LeaseHead {
                access: Access::Read,
                length: 100,
            }];
            say(send, Body::Call(call));
            let piece = Piece {
                call: 1,
                lease: rng.below(4) as u8,
                offset: rng.below(200) as u32,
                bytes: vec![1; 90],
            };
            say(send, Body::Lend(piece.clone()));
            say(send, Body::Fill(piece));
        }
        8 => {
            // Calls without end whose answers it does not take.
            for call in 1..6_000 {
                say(
                    send,
                    Body::Call(call_of(call, ObjectId { number: 9, epoch })),
                );
            }
        }
        _ => {
            // It may ask the device itself, but gets nothing of others.
            for (call, operation) in (1..).zip([2, 3, 2, 200, 3]) {
                let mut root = call_of(call, ObjectId::ROOT);
                root.operation = operation;
                root.payload.words[0] = rng.below(20);
                root.payload.words[1..3].fill(epoch);
                root.payload.bytes = random::array::<65>(rng).to_vec();
                let bytes = [vec![7; 32], vec![0; 33]].concat();
                if operation == 2 {
                    root.payload.bytes = bytes;
                } else if operation == 3 {
                    root.payload.bytes.truncate(32);
                }
                say(send, Body::Call(root));
            }
            let _ = Rights::ALL;
        }
    }
}

fn call_of(call: u64, object: ObjectId) -> Call {
    Call {
        remaining: u32::MAX,
        call,
        object,
        operation: 0,
        class: Class::Once,
        hash: 0,
        payload: Payload::default(),
        leases: Vec::new(),
        objects: Vec::new(),
    }
}
