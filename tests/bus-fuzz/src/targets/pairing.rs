//! The exchange over a PIN, with somebody who does not know it or does not keep to it.

use tessera_bus_lab::cheap::Cheap;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::keys::{HeldSession, Holder, Pattern, Session, Side};
use tessera_softbus_protocol::pairing::{PairingError, Run, Said, Step};
use tessera_softbus_protocol::random;
use tessera_softbus_protocol::trust::Trusted;

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// Trust comes only of messages that nobody changed.
pub struct Pairing;

/// Both ends of a stream between strangers.
fn sessions(rng: &mut Rng) -> Option<[HeldSession<Cheap>; 2]> {
    let mut begin = |secret: u8, side| {
        let keys = Holder::<Cheap>::new(&[secret; 32]);
        keys.session(Pattern::Unknown, side, None, b"fuzz", random::array(rng))
    };
    let mut one = begin(1, Side::Initiator).ok()?;
    let mut two = begin(2, Side::Responder).ok()?;
    two.read(&one.write(&[]).ok()?).ok()?;
    one.read(&two.write(&[]).ok()?).ok()?;
    two.read(&one.write(&[]).ok()?).ok()?;
    one.complete().ok()?;
    two.complete().ok()?;
    Some([one, two])
}

impl Target for Pairing {
    fn name(&self) -> &'static str {
        "pairing"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let me = Trusted {
            name: "me".into(),
            kind: 1,
        };
        let Some([mut one, mut two]) = sessions(rng) else {
            return 0;
        };
        let wrong = rng.chance(300_000);
        let pins: [&[u8]; 2] = [b"123456", if wrong { b"123457" } else { b"123456" }];
        let a = Run::new(Side::Initiator, pins[0], &mut one, random::array(rng));
        let b = Run::new(Side::Responder, pins[1], &mut two, random::array(rng));
        let (Ok((mut a, Some(mut message))), Ok((mut b, _))) = (a, b) else {
            return 0;
        };
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
            let (run, keys) = if turn % 2 == 0 {
                (&mut b, &mut two)
            } else {
                (&mut a, &mut one)
            };
            let said = Said::read(&message).map_err(|_| PairingError::Broken);
            match said.and_then(|said| run.receive(said, keys, &me)) {
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
