//! A peer that is let in: what it says, and what that makes us hold.

use libipc_abi::operation::Class;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::limits::{CALLS, PEER_BYTES};
use tessera_softbus_protocol::peer::{Heard, Lent, Peer, Request};
use tessera_softbus_protocol::wire::{Access, Message, ObjectId, Outcome, Payload, Resume};

use super::Target;
use crate::build::{Known, message};
use crate::mutate::mutate;

/// Bounds hold after every message, and calls are answered at most once.
pub struct Peers;

impl Target for Peers {
    fn name(&self) -> &'static str {
        "peers"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let mut peer = Peer::new((5, 6));
        let resume = Resume {
            boot: 1,
            epoch: 1,
            seen: (0, 0),
            received: 0,
            credit: 1 << rng.below(24),
            generation: 1,
            fresh: true,
        };
        let _ = peer.resumed_by_responder(&resume, |_| false);
        let mut known = Known {
            it: (5, 6),
            sequence: 0,
            call: 0,
        };
        let calls = rng.below(5);
        for call in 1..=calls {
            let access = [Access::Read, Access::Write, Access::Both][rng.below(3) as usize];
            let request = Request {
                call,
                object: ObjectId::ROOT,
                operation: 0,
                class: [Class::Once, Class::Recorded][rng.below(2) as usize],
                hash: 0,
                payload: Payload::default(),
                leases: vec![Lent {
                    access,
                    bytes: vec![0; rng.below(100) as usize],
                }],
                objects: Vec::new(),
                deadline: rng.chance(300_000).then_some(50),
            };
            let _ = peer.request(request, 0);
        }
        while peer.poll(1).is_some() {}
        let mut answered = Vec::new();
        let mut feature = calls;
        for now in 2..2 + rng.within(2, 24) {
            let mut bytes = message(rng, &mut known).to_bytes();
            if rng.chance(60_000) {
                mutate(&mut bytes, rng);
            }
            input.extend_from_slice(&bytes);
            let Ok(message) = Message::read(&bytes) else {
                feature |= 1 << 8;
                break;
            };
            match peer.receive(message, u64::MAX, now) {
                Err(hostile) => {
                    feature |= 1 << (9 + hostile as u64);
                    break;
                }
                Ok(Heard::Nothing) => {}
                Ok(Heard::Resume(resume)) => {
                    feature |= 1 << 32;
                    // The node knows where a stream begins.
                    let _ = peer.resumed_by_initiator(&resume, |_| false);
                    known.sequence = 0;
                }
                Ok(Heard::Call(serial)) => {
                    feature |= 1 << 33;
                    let contents = peer.contents(serial);
                    let (payload, leases, _) = contents.expect("the call is there");
                    assert!(payload.bytes.len() <= 4_096 && leases.len() <= 4);
                    if rng.chance(700_000) {
                        let written = leases.iter().map(|lease| vec![1; lease.bytes.len() + 1]);
                        let written: Vec<_> = written.collect();
                        peer.answer(serial, Outcome::Ok, payload, Vec::new(), &written);
                    }
                }
                Ok(Heard::Answered(call, ..)) => {
                    feature |= 1 << 34;
                    assert!((1..=calls).contains(&call) && !answered.contains(&call));
                    answered.push(call);
                }
                Ok(Heard::Unwanted(objects)) => {
                    feature |= 1 << 35;
                    assert!(objects.len() <= 4);
                }
                Ok(Heard::Cancelled(_)) => feature |= 1 << 36,
                Ok(Heard::Released(..)) => feature |= 1 << 37,
                Ok(Heard::Revoked(_)) => feature |= 1 << 38,
            }
            assert!(
                peer.held() <= PEER_BYTES,
                "it makes us hold {}",
                peer.held()
            );
            assert!(peer.calls() <= CALLS);
            if peer.deadline() <= now {
                let _ = peer.expired(now);
            }
            for _ in 0..1_000 {
                if peer.poll(now).is_none() {
                    break;
                }
            }
        }
        feature
    }
}
