//! A checksum against damage, not against intent: who can alter an archive can
//! alter what it says of itself too (`docs/decisions/0011-a-checksum-of-programs.md`).
//!
//! Each step can be undone, for a given word and for a given state. So a change
//! within one aligned word is always found; any other one is missed as seldom as 64 bits are guessed.
#![allow(unsafe_code, reason = "reads bytes as words")]

/// Odd, so that a product has one factor only; its bits are 2^64 by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The checksum of `data`.
pub(crate) fn checksum(data: &[u8]) -> u64 {
    // SAFETY: any eight bytes are a `u64`.
    let (before, words, after) = unsafe { data.align_to::<u64>() };
    // Data of an archive begins on a page; elsewhere it may lie anyhow.
    if before.is_empty() {
        let sum = words.iter().map(|word| u64::from_le(*word));
        end(sum.fold(data.len() as u64, step), after)
    } else {
        let (words, after) = data.as_chunks::<8>();
        let sum = words.iter().map(|word| u64::from_le_bytes(*word));
        end(sum.fold(data.len() as u64, step), after)
    }
}

fn step(sum: u64, word: u64) -> u64 {
    let product = (sum ^ word).wrapping_mul(FACTOR);
    // A product carries upwards only.
    product ^ product >> 32
}

/// The last bytes, fewer than a word.
fn end(sum: u64, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    step(sum, u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    fn sample() -> Vec<u8> {
        (0..203_u32).map(|byte| (byte * 37 % 251) as u8).collect()
    }

    #[test]
    fn each_flipped_bit_is_found() {
        let mut bytes = sample();
        let good = checksum(&bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&bytes), good, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn each_pair_of_flipped_bits_is_found() {
        let mut bytes = sample();
        bytes.truncate(40);
        let good = checksum(&bytes);
        let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        for first in 0..bytes.len() * 8 {
            flip(&mut bytes, first);
            for second in 0..first {
                flip(&mut bytes, second);
                assert_ne!(checksum(&bytes), good, "bits {first} and {second}");
                flip(&mut bytes, second);
            }
            flip(&mut bytes, first);
        }
    }

    #[test]
    fn moved_and_missing_bytes_are_found() {
        let good = sample();
        let sum = checksum(&good);
        for at in 0..good.len() / 8 - 1 {
            let mut swapped = good.clone();
            let (left, right) = swapped[8 * at..].split_at_mut(8);
            left.swap_with_slice(&mut right[..8]);
            assert_ne!(checksum(&swapped), sum, "words {at} and its next");
        }
        for length in 0..64 {
            assert_ne!(checksum(&vec![0; length]), checksum(&vec![0; length + 1]));
        }
    }

    #[test]
    fn it_is_the_same_wherever_the_bytes_lie() {
        let good = sample();
        for shift in 0..16 {
            let mut moved = vec![0xff; shift];
            moved.extend_from_slice(&good);
            assert_eq!(checksum(&moved[shift..]), checksum(&good));
        }
    }
}
