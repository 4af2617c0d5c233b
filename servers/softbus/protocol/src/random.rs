//! Random numbers, from whoever hosts the crate.

use alloc::boxed::Box;

/// A source of random bytes that nobody can guess. It must not block: who makes a node
/// waits for entropy first.
pub trait Random {
    /// Fills `into`.
    fn fill(&mut self, into: &mut [u8]);
}

/// The source of a node.
pub type Source = Box<dyn Random + Send>;

/// So many random bytes.
pub fn array<const N: usize>(random: &mut dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// A random number.
pub fn word(random: &mut dyn Random) -> u64 {
    u64::from_le_bytes(array(random))
}

/// A random number that is not zero, so that zero can mean none.
pub fn nonce(random: &mut dyn Random) -> u64 {
    loop {
        match word(random) {
            0 => {}
            nonce => return nonce,
        }
    }
}

/// A random number below `end`, which must not be zero. Without bias that matters: by
/// the upper half of a product of 128 bits.
pub fn below(random: &mut dyn Random, end: u64) -> u64 {
    ((u128::from(word(random)) * u128::from(end)) >> 64) as u64
}
