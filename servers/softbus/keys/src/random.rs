//! Random numbers from a seed that the entropy server gave.

use alloc::boxed::Box;
use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tessera_softbus_protocol::random::{Random, Source};

struct Generator(ChaCha20Rng);

impl Random for Generator {
    fn fill(&mut self, into: &mut [u8]) {
        self.0.fill_bytes(into);
    }
}

/// A source that nobody can guess who does not know the seed.
pub fn source(seed: [u64; 4]) -> Source {
    let mut bytes = [0; 32];
    for (place, word) in bytes.chunks_exact_mut(8).zip(seed) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Box::new(Generator(ChaCha20Rng::from_seed(bytes)))
}
