//! Messages that are nearly right.

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::random::Random;
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::wire::{
    Access, Beat, Body, Call, LeaseHead, Message, ObjectId, ObjectRef, Outcome, Payload, Piece,
    Reply, Resume, Rights,
};

/// What somebody who plays along knows: so it can be nearly right.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The other side's boot and epoch.
    pub it: (u64, u64),
    /// The number of the last message.
    pub sequence: u64,
    /// The number of the last call.
    pub call: u64,
}

/// A small number, mostly; sometimes any.
fn number(rng: &mut Rng, around: u64) -> u64 {
    match rng.below(16) {
        0 => rng.word(),
        1 => u64::MAX - rng.below(3),
        _ => (around + rng.below(5)).saturating_sub(2),
    }
}

fn object(rng: &mut Rng, known: &Known) -> ObjectId {
    match rng.below(8) {
        0 => ObjectId::ROOT,
        1 => ObjectId {
            number: rng.word(),
            epoch: rng.word(),
        },
        _ => ObjectId {
            number: rng.below(6),
            epoch: known.it.1,
        },
    }
}

fn rights(rng: &mut Rng) -> Rights {
    Rights {
        hand_on: rng.chance(700_000),
        operations: [rng.word() | 15, rng.word(), 0, u64::MAX],
    }
}

fn payload(rng: &mut Rng) -> Payload {
    let mut payload = Payload::default();
    for word in payload.words.iter_mut().take(rng.below(9) as usize) {
        *word = number(rng, 3);
    }
    let length = match rng.below(12) {
        0 => 4_096,
        1 => 65,
        2 => 32,
        _ => rng.below(40),
    };
    payload.bytes = vec![0; length as usize];
    rng.fill(&mut payload.bytes);
    if rng.chance(200_000) {
        payload.bytes = b"fuzz".to_vec();
    }
    payload
}

fn objects(rng: &mut Rng, known: &Known) -> Vec<ObjectRef> {
    let count = rng.below(10).saturating_sub(5);
    let one = |rng: &mut Rng| match rng.below(3) {
        0 => ObjectRef::Export(object(rng, known), rights(rng)),
        1 => ObjectRef::Home(object(rng, known)),
        _ => ObjectRef::Ticket {
            owner: PublicKey([rng.below(6) as u8; 32]),
            address: Address::default(),
            object: object(rng, known),
            rights: rights(rng),
        },
    };
    (0..count).map(|_| one(rng)).collect()
}

fn piece(rng: &mut Rng, known: &Known) -> Piece {
    let length = if rng.chance(100_000) {
        4_096
    } else {
        rng.within(1, 64)
    };
    Piece {
        call: number(rng, known.call),
        lease: rng.below(5) as u8,
        offset: if rng.chance(500_000) {
            0
        } else {
            number(rng, 64) as u32
        },
        bytes: vec![7; length as usize],
    }
}

/// A body, mostly of a sort that means something.
pub fn body(rng: &mut Rng, known: &mut Known) -> Body {
    match rng.below(12) {
        0..5 => {
            known.call = if rng.chance(30_000) {
                rng.below(9)
            } else {
                known.call + 1
            };
            let count = rng.below(8).saturating_sub(3);
            let lease = |rng: &mut Rng| LeaseHead {
                access: [Access::Read, Access::Write, Access::Both][rng.below(3) as usize],
                length: if rng.chance(100_000) {
                    1 << 20
                } else {
                    rng.below(80) as u32
                },
            };
            Body::Call(Call {
                remaining: [u32::MAX, 0, 5, 1_000][rng.below(4) as usize],
                call: known.call,
                object: object(rng, known),
                operation: rng.below(5) as u8,
                class: [Class::Once, Class::Idempotent, Class::Recorded][rng.below(3) as usize],
                hash: rng.below(4) as u32,
                payload: payload(rng),
                leases: (0..count).map(|_| lease(rng)).collect(),
                objects: objects(rng, known),
            })
        }
        5 | 6 => Body::Reply(Reply {
            call: number(rng, 4),
            outcome: match rng.below(4) {
                0 => Outcome::Error,
                1 => Outcome::Failed(TransportError {
                    cause: Cause::ALL[rng.below(14) as usize],
                    delivered: rng.chance(500_000),
                }),
                _ => Outcome::Ok,
            },
            payload: payload(rng),
            objects: objects(rng, known),
        }),
        7 => Body::Lend(piece(rng, known)),
        8 => Body::Fill(Piece {
            call: number(rng, 4),
            ..piece(rng, known)
        }),
        9 => Body::Cancel(number(rng, known.call)),
        10 => Body::Release(object(rng, known), number(rng, 2) as u32),
        _ => Body::Revoked(object(rng, known)),
    }
}

/// A message: with the right number, mostly.
pub fn message(rng: &mut Rng, known: &mut Known) -> Message {
    match rng.below(24) {
        0 => Message::Resume(resume(rng, known)),
        1..4 => Message::Beat(Beat {
            received: number(rng, 4),
            credit: if rng.chance(500_000) {
                8 << 20
            } else {
                rng.word()
            },
            stamp: rng.word() >> rng.below(60),
            echo: rng.word() >> rng.below(60),
        }),
        _ => {
            known.sequence = if rng.chance(30_000) {
                number(rng, known.sequence)
            } else {
                known.sequence + 1
            };
            Message::Sequenced(known.sequence, body(rng, known))
        }
    }
}

/// A message of somebody who keeps the rules of the stream and asks for what it should
/// not have: it stays in for longer.
pub fn patient(rng: &mut Rng, known: &mut Known) -> Message {
    if rng.chance(100_000) {
        return Message::Beat(Beat {
            received: 0,
            credit: 8 << 20,
            stamp: rng.below(1 << 20),
            echo: rng.below(1 << 20),
        });
    }
    let mut body = body(rng, known);
    match &mut body {
        Body::Call(call) => {
            call.call = call.call.max(known.call);
            if rng.chance(200_000) {
                call.object = ObjectId::ROOT;
                call.operation = 1;
                call.payload.bytes = b"fuzz".to_vec();
            }
        }
        Body::Reply(_) | Body::Fill(_) | Body::Lend(_) => body = Body::Cancel(known.call),
        _ => {}
    }
    known.sequence += 1;
    Message::Sequenced(known.sequence, body)
}

/// Where a stream says to go on.
pub fn resume(rng: &mut Rng, known: &Known) -> Resume {
    Resume {
        boot: 1 + rng.below(3),
        epoch: 1 + rng.below(3),
        seen: if rng.chance(500_000) {
            known.it
        } else {
            (rng.below(3), rng.below(3))
        },
        received: number(rng, 2),
        credit: rng.word() >> rng.below(64),
        generation: number(rng, 1),
        fresh: rng.chance(500_000),
    }
}
