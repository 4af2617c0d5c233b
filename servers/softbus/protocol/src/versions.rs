//! Which version of the protocol two devices speak.

use crate::bytes::{Malformed, Reader};

/// The versions that somebody speaks, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl Versions {
    /// Ours.
    pub const OURS: Versions = Versions {
        oldest: 1,
        newest: 1,
    };

    /// The newest that both speak. Each side computes it from both ranges.
    pub fn common(self, other: Versions) -> Option<u8> {
        let (oldest, newest) = (self.oldest.max(other.oldest), self.newest.min(other.newest));
        (oldest <= newest).then_some(newest)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Versions, Malformed> {
        Ok(Versions {
            oldest: reader.u8()?,
            newest: reader.u8()?,
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; 2] {
        [self.oldest, self.newest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_speak() {
        for (one, other, common) in [
            ((1, 1), (1, 1), Some(1)),
            ((1, 1), (1, 9), Some(1)),
            ((2, 5), (3, 9), Some(5)),
            ((2, 5), (1, 2), Some(2)),
            ((2, 5), (3, 4), Some(4)),
            ((2, 5), (6, 9), None),
            ((2, 5), (0, 1), None),
            // No range, though one of ours is between its ends.
            ((2, 5), (4, 3), None),
            ((2, 5), (9, 0), None),
        ] {
            let [one, other] = [one, other].map(|(oldest, newest)| Versions { oldest, newest });
            assert_eq!(one.common(other), common, "{one:?} {other:?}");
            assert_eq!(other.common(one), common, "{other:?} {one:?}");
        }
    }
}
