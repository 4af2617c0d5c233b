//! What the disk holds of the trust: it may be damaged.

use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::trust::Trust;

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// Damaged trust is no trust, and never a panic.
pub struct Disk;

impl Target for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        let mut bytes = include_bytes!("../../corpus/trust").to_vec();
        if rng.chance(900_000) {
            mutate(&mut bytes, rng);
        } else {
            bytes = from_corpus(rng);
        }
        input.extend_from_slice(&bytes);
        match Trust::read(&bytes) {
            Ok(trust) => {
                assert_eq!(Trust::read(&trust.to_bytes()), Ok(trust.clone()));
                trust.iter().count() as u64
            }
            Err(_) => 256,
        }
    }
}
