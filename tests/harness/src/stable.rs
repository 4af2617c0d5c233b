//! What a listener could know a machine by who heard it in two boots: addresses, and parts of
//! what it sends over TCP and UDP, which it alone sent in both.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use xtask::hub::carried;

/// Frames that a machine has sent in one boot.
pub type Said = Vec<Box<[u8]>>;

/// Bytes that are looked for. Fewer are found by chance.
const WINDOW: usize = 8;

/// In at least so many of them it differs from all that other machines say: what is a
/// protocol's but for a byte or two is the same by chance.
const OWN: usize = 3;

/// Parts of a machine's boot without which there was nothing to look at.
const LEAST: usize = 200;

type Parts<'s> = BTreeSet<&'s [u8]>;

/// Fails if one of the machines has said something in two of its boots that no other machine
/// has said.
pub fn look(machines: &[Vec<Said>]) -> Result<()> {
    for (machine, boots) in machines.iter().enumerate() {
        let number = machine + 1;
        ensure!(boots.len() > 1, "machine {number} has started once");
        let said: Vec<Parts<'_>> = boots.iter().map(parts).collect();
        for (boot, parts) in said.iter().enumerate() {
            let (boot, count) = (boot + 1, parts.len());
            ensure!(
                count >= LEAST,
                "machine {number} has said {count} parts in boot {boot}"
            );
        }
        let others = machines.iter().enumerate();
        let others = others.filter(|(other, _)| *other != machine);
        let others: Parts<'_> = others
            .flat_map(|(_, boots)| boots)
            .flat_map(parts)
            .collect();
        for (index, first) in said.iter().enumerate() {
            for second in &said[index + 1..] {
                let mut same = first.intersection(second);
                if let Some(part) = same.find(|part| is_own(part, &others)) {
                    bail!("machine {number} can be known by {part:02x?}");
                }
            }
        }
    }
    Ok(())
}

/// Whether nobody else has said something like this.
fn is_own(part: &[u8], others: &Parts<'_>) -> bool {
    let differs = |other: &[u8]| part.iter().zip(other).filter(|(a, b)| a != b).count();
    let is_like = |other: &&[u8]| other.len() == part.len() && differs(other) < OWN;
    !others.contains(part) && !others.iter().any(is_like)
}

/// Parts of what a machine has said, and its addresses. What is mostly zeros is the same by
/// chance.
fn parts(said: &Said) -> Parts<'_> {
    let says = |part: &&[u8]| part.iter().filter(|byte| **byte != 0).count() > WINDOW / 2;
    let mut parts = Parts::new();
    for frame in said {
        parts.extend(frame.get(6..12));
        if frame.get(12..14) == Some(&[0x86, 0xdd]) {
            // The interface's half of the source.
            parts.extend(frame.get(30..38).filter(says));
        }
        if let Some(carried) = carried(frame) {
            parts.extend(frame[carried].windows(WINDOW).filter(says));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram over IPv6 of a machine with this address, which carries `bytes`.
    fn frame(address: u8, bytes: &[u8]) -> Box<[u8]> {
        let mut frame = vec![0; 6];
        let [a, b] = [address, address ^ 0x55];
        frame.extend([2, a, b, a, b, 6, 0x86, 0xdd, 0x60, 0, 0, 0, 0]);
        frame.extend([8 + bytes.len() as u8, 17, 1, 0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
        frame.extend([1, a, b, 4, 5, a, b, 8]);
        frame.extend([0; 16 + 8]);
        frame.extend(bytes);
        frame.into()
    }

    /// Enough to be looked at, of a boot with this address: nothing of it is in another's.
    fn boot(address: u8) -> Said {
        let frames = (0..LEAST as u32 / 100).map(|index| {
            let words = (0..40_u32).map(|at| {
                let word = at | index << 8 | u32::from(address) << 16;
                word.wrapping_mul(0x9e37_79b1) | 0x0101_0101
            });
            let bytes: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
            frame(address, &bytes)
        });
        frames.collect()
    }

    #[test]
    fn what_is_the_same_is_found() {
        let machines = vec![vec![boot(1), boot(2)], vec![boot(3), boot(4)]];
        look(&machines).unwrap();
        let mut named = machines.clone();
        named[1][0].push(frame(3, b"a stable name"));
        named[1][1].push(frame(4, b"a stable name"));
        let error = look(&named).unwrap_err().to_string();
        assert!(error.starts_with("machine 2 can be known by"), "{error}");
        // It does not tell one from the other.
        named[0][1].push(frame(2, b"a stable name"));
        look(&named).unwrap();
        // A number of three bytes does, a byte may be the same by chance.
        for (own, is_known) in [(1, false), (3, true)] {
            let mut numbered = machines.clone();
            for (machine, boots) in numbered.iter_mut().enumerate() {
                for (boot, said) in boots.iter_mut().enumerate() {
                    let address = 1 + 2 * machine + boot;
                    let mut bytes = *b"\x63\x35\x01\x01\x3d\x07\x01\x00";
                    bytes[8 - own..].fill(0x70 + machine as u8);
                    said.push(frame(address as u8, &bytes));
                }
            }
            assert_eq!(look(&numbered).is_err(), is_known, "{own}");
        }
        // An address alone suffices.
        let mut same = machines.clone();
        same[0][1].push(frame(1, &[]));
        look(&same).unwrap_err();
        look(&machines[..1]).unwrap();
        look(&[vec![boot(1)]]).unwrap_err();
        look(&[vec![boot(1), Said::new()]]).unwrap_err();
    }
}
