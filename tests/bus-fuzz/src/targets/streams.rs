//! Streams, before anybody has shown who it is and after, on both sides.

use tessera_bus_lab::cheap::Cheap;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::keys::{Holder, Keys, Side};
use tessera_softbus_protocol::link::{Got, Link, Purpose};

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// A stream that breaks the rules is over, and says no more.
pub struct Streams;

/// What each of the two sends next, as far as they get.
fn step(link: &mut Link, secret: u8, out: &mut Vec<u8>) -> Result<u64, ()> {
    let mut keys = Holder::<Cheap>::new(&[secret; 32]);
    let mut feature = 0;
    while let Some(got) = link.poll().map_err(|_| ())? {
        feature |= match got {
            Got::Opened(..) => {
                link.proceed(&mut keys, [5; 32]).map_err(|_| ())?;
                1
            }
            Got::Asked(_) => {
                out.extend(link.admit().map_err(|_| ())?);
                2
            }
            Got::Send(bytes) => {
                out.extend(bytes);
                4
            }
            Got::Ready(_) => 8,
            Got::Data(plain) => {
                assert!(plain.iter().all(|plain| plain.len() <= 5_120));
                16
            }
            Got::Retry(_) => 32,
        };
    }
    if feature != 0 && link.is_ready() && link.side() == Side::Initiator {
        let sealed = link.seal(&[b"first message".to_vec()]).map_err(|_| ())?;
        out.extend(sealed.concat());
    }
    Ok(feature)
}

impl Target for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let purpose = if rng.chance(500_000) {
            Purpose::Session
        } else {
            Purpose::Pairing
        };
        let [caller, called] = [1_u8, 2].map(|secret| Holder::<Cheap>::new(&[secret; 32]));
        let (mut caller, peer) = (caller, called.public());
        let dialled = Link::dial(&mut caller, purpose, Some(&peer), [0; 16], [3; 32], 0);
        let Ok((mut caller, mut bytes)) = dialled else {
            return 0;
        };
        let mut called = Link::answer(0);
        // In one of these steps, what is sent is changed.
        let changed = rng.below(6);
        let mut feature = 0;
        for turn in 0..5 {
            if turn == changed {
                if rng.chance(200_000) {
                    bytes = from_corpus(rng);
                } else {
                    mutate(&mut bytes, rng);
                }
                input.extend_from_slice(&bytes);
            }
            let (link, secret) = if turn % 2 == 0 {
                (&mut called, 2)
            } else {
                (&mut caller, 1)
            };
            // In two parts, for frames need not come whole.
            let middle = rng.below(bytes.len() as u64 + 1) as usize;
            let mut out = Vec::new();
            link.push(&bytes[..middle]);
            let early = step(link, secret, &mut out);
            link.push(&bytes[middle..]);
            let result = early.and_then(|_| step(link, secret, &mut out));
            match result {
                Ok(got) => feature |= got << (8 * (turn % 2)),
                Err(()) => {
                    link.push(&[0; 8]);
                    assert!(link.poll().is_err(), "an error is the end");
                    assert!(link.seal(&[b"more".to_vec()]).is_err());
                    return feature | 1 << 20 | turn << 24;
                }
            }
            bytes = out;
        }
        feature
    }
}
