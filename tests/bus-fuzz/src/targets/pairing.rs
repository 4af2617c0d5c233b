//! The exchange over a PIN, with somebody who does not know it or does not keep to it.

use tessera_bus_lab::cheap::Cheap;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::pairing::{Run, Step};
use tessera_softbus_protocol::random;
use tessera_softbus_protocol::suite::{PublicKey, Side};
use tessera_softbus_protocol::trust::Trusted;

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// Trust comes only of messages that nobody changed.
pub struct Pairing;

impl Target for Pairing {
    fn name(&self) -> &'static str {
        "pairing"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let me = Trusted {
            name: "me".into(),
            kind: 1,
        };
        let keys = [PublicKey([1; 32]), PublicKey([2; 32])];
        let wrong = rng.chance(300_000);
        let pins: [&[u8]; 2] = [b"123456", if wrong { b"123457" } else { b"123456" }];
        let (mut a, first) = Run::<Cheap>::new(
            Side::Initiator,
            pins[0],
            [7; 32],
            (&keys[0], &keys[1]),
            random::array(rng),
        );
        let (mut b, _) = Run::<Cheap>::new(
            Side::Responder,
            pins[1],
            [7; 32],
            (&keys[1], &keys[0]),
            random::array(rng),
        );
        let mut message = first.unwrap_or_default();
        let changed = rng.below(6);
        let mut is_sound = !wrong;
        for turn in 0..5 {
            if turn == changed {
                let before = message.clone();
                if rng.chance(200_000) {
                    message = from_corpus(rng);
                } else {
                    mutate(&mut message, rng);
                }
                is_sound &= message == before;
                input.extend_from_slice(&message);
            }
            let run = if turn % 2 == 0 { &mut b } else { &mut a };
            match run.receive(&message, &me) {
                Ok(Step::Send(next)) => message = next,
                Ok(Step::Keep(_, next)) => {
                    assert!(is_sound, "it trusts what somebody changed");
                    message = next;
                }
                Ok(Step::Done) => return 100 + turn,
                Err(error) => return 10 * turn + error as u64,
            }
        }
        1
    }
}
