//! The cryptography that devices use: records, handshakes and exchanges over a PIN that
//! somebody has changed.

use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::keys::{Holder, Keys, Pattern, Session, Side};
use tessera_softbus_protocol::limits::FRAME;
use tessera_softbus_protocol::random;
use tessera_softbus_protocol::suite::Noise as Suite;

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// One in so many executions makes keys, which takes a thousand times as long as a record.
const KEYS: u64 = 256;

/// What is not as it was written is not read.
pub struct Noise {
    /// Both ends of a stream.
    ends: Option<[Box<dyn Session>; 2]>,
}

impl Noise {
    /// Keys are made when they are needed.
    pub fn new() -> Self {
        Noise { ends: None }
    }
}

impl Default for Noise {
    fn default() -> Self {
        Noise::new()
    }
}

/// A handshake whose message number `changed` somebody changes. None if it does not end
/// on both sides.
fn handshake(
    pattern: Pattern,
    changed: usize,
    rng: &mut Rng,
    input: &mut Vec<u8>,
) -> Option<[Box<dyn Session>; 2]> {
    let mut holders = [1, 2].map(|secret| Holder::<Suite>::new(&[secret; 32]));
    let known = holders[1].public();
    let mut begin = |side: Side, peer| {
        let random = random::array(rng);
        holders[side as usize].handshake(pattern, side, peer, b"prologue", random)
    };
    let initiator = begin(Side::Initiator, Some(&known)).ok()?;
    let responder = begin(Side::Responder, None).ok()?;
    let mut ends = [initiator, responder];
    let steps = match pattern {
        Pattern::Known => 2,
        Pattern::Unknown => 3,
    };
    let mut is_sound = true;
    for step in 0..steps {
        let mut message = ends[step % 2].write(b"payload").ok()?;
        if step == changed {
            let sound = message.clone();
            mutate(&mut message, rng);
            is_sound = message == sound;
            input.extend_from_slice(&message);
        }
        let payload = ends[1 - step % 2].read(&message).ok()?;
        // The first message of strangers is in the clear: what follows tells.
        assert!(!is_sound || payload == b"payload");
    }
    for end in &mut ends {
        end.complete().ok()?;
    }
    assert!(is_sound, "a changed handshake is not completed");
    Some(ends)
}

/// An exchange whose messages somebody changes.
fn exchange(rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
    let Some(mut ends) = handshake(Pattern::Unknown, usize::MAX, rng, input) else {
        panic!("nobody changed it");
    };
    let said = [0, 1].map(|end| ends[end].exchange(b"123456", random::array(rng)));
    let [Ok(first), Ok(mut second)] = said else {
        panic!("both begin");
    };
    let mut changed = second.to_vec();
    mutate(&mut changed, rng);
    changed.resize(second.len(), 0);
    input.extend_from_slice(&changed);
    let is_sound = changed == second;
    second.copy_from_slice(&changed);
    let agreed = [ends[0].agree(&second), ends[1].agree(&first)];
    if agreed.iter().any(Result::is_err) {
        return 64;
    }
    let me = tessera_softbus_protocol::trust::Trusted {
        name: "fuzzed".into(),
        kind: 1,
    };
    let shown = ends[0].confirmation(&me).unwrap_or_default();
    let confirms = ends[1].confirms(&shown, &me);
    assert_eq!(confirms == Ok(true), is_sound, "both have one key or none");
    128
}

impl Target for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        match rng.below(KEYS) {
            0 => return exchange(rng, input),
            1 | 2 => {
                let pattern = match rng.chance(500_000) {
                    true => Pattern::Known,
                    false => Pattern::Unknown,
                };
                let changed = rng.below(4) as usize;
                let ends = handshake(pattern, changed, rng, input);
                return 16 | u64::from(ends.is_some()) << 5;
            }
            _ => {}
        }
        let ends =
            self.ends
                .get_or_insert_with(|| match handshake(Pattern::Known, 9, rng, input) {
                    Some(ends) => ends,
                    None => panic!("nobody changed it"),
                });
        let (from, to) = if rng.chance(500_000) { (0, 1) } else { (1, 0) };
        let mut plain = from_corpus(rng);
        plain.truncate(FRAME - 16);
        let Ok(sealed) = ends[from].seal(std::slice::from_ref(&plain)) else {
            panic!("it is short enough");
        };
        let mut record = sealed.concat();
        match rng.below(8) {
            0 => {}
            1 => record = from_corpus(rng),
            _ => mutate(&mut record, rng),
        }
        input.extend_from_slice(&record);
        let is_sound = record == sealed.concat();
        let opened = ends[to].open(&[record]);
        if is_sound {
            assert!(opened == [plain], "it is what was written");
            return 1;
        }
        assert!(opened.is_empty(), "what was not written is not read");
        // It is of no more use; but what was written can still be read, which saves keys.
        if ends[to].open(&sealed) != [plain] {
            self.ends = None;
            return 4;
        }
        2
    }
}
