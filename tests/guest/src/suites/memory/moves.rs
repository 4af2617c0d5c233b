//! Copies and fills: `libipc/mem`, which the kernel has too.

use crate::{
    check::{Failure, Verdict},
    run::World,
};
use alloc::{vec, vec::Vec};
use core::hint::black_box;

/// Bytes around what is copied, which stay as they are.
const EDGE: usize = 24;
/// Where in a word, a pair of them and a cache line things may lie.
const PLACES: [usize; 7] = [0, 1, 4, 7, 8, 15, 16];

fn lengths() -> impl Iterator<Item = usize> {
    (0..72).chain([95, 96, 127, 128, 129, 144, 256, 384])
}

fn pattern(index: usize) -> u8 {
    (index * 7 + 3) as u8
}

/// A byte at a time, so that this is no copy.
fn patterned(length: usize) -> Vec<u8> {
    (0..length).map(|index| black_box(pattern(index))).collect()
}

fn check(what: &str, bytes: &[u8], expected: impl Fn(usize) -> u8, case: [usize; 3]) -> Verdict {
    match (0..bytes.len()).find(|&index| bytes[index] != expected(index)) {
        None => Ok(()),
        Some(index) => Err(Failure::new(format_args!(
            "{what} {case:?}: byte {index} is {} and not {}",
            bytes[index],
            expected(index)
        ))),
    }
}

pub(super) fn copies_change_what_they_should(_: &mut World) -> Verdict {
    for length in lengths() {
        let source = patterned(length + 2 * EDGE);
        for (from, to) in PLACES.iter().flat_map(|&a| PLACES.map(|b| (a, b))) {
            let case = [length, from, to];
            let moved = |index: usize| {
                let inside = (to..to + length).contains(&index);
                pattern(if inside { index - to + from } else { index })
            };
            let length = black_box(length);
            let mut bytes = source.clone();
            bytes.copy_within(from..from + length, to);
            check("within", &bytes, moved, case)?;

            let mut bytes = vec![0; length + 2 * EDGE];
            bytes[to..to + length].copy_from_slice(&source[from..from + length]);
            let copied = |index: usize| match (to..to + length).contains(&index) {
                true => pattern(index - to + from),
                false => 0,
            };
            check("between", &bytes, copied, case)?;
        }
    }
    Ok(())
}

pub(super) fn fills_change_what_they_should(_: &mut World) -> Verdict {
    for length in lengths().chain([511, 512, 513, 575, 576, 1000, 4096, 5000]) {
        let source = patterned(length + 2 * EDGE);
        for (to, byte) in PLACES.iter().flat_map(|&to| [(to, 0), (to, 0xa5)]) {
            let mut bytes = source.clone();
            bytes[to..to + black_box(length)].fill(black_box(byte));
            let filled = |index: usize| match (to..to + length).contains(&index) {
                true => byte,
                false => pattern(index),
            };
            check("fill", &bytes, filled, [length, to, byte.into()])?;
        }
    }
    Ok(())
}
