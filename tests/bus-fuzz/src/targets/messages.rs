//! Plain text of a session, as it comes out of decryption.

use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::wire::Message;

use super::Target;
use crate::build::{Known, message};
use crate::mutate::{from_corpus, mutate};

/// Whatever is read is written as it was read.
pub struct Messages;

impl Target for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let bytes = if rng.chance(500_000) {
            from_corpus(rng)
        } else {
            let mut known = Known {
                it: (1, 1),
                sequence: 0,
                call: 3,
            };
            let mut bytes = message(rng, &mut known).to_bytes();
            if rng.chance(800_000) {
                mutate(&mut bytes, rng);
            }
            bytes
        };
        input.extend_from_slice(&bytes);
        match Message::read(&bytes) {
            Ok(message) => {
                let written = message.to_bytes();
                assert_eq!(Message::read(&written).as_ref(), Ok(&message));
                u64::from(bytes.first().copied().unwrap_or(0))
            }
            Err(_) => 256,
        }
    }
}
