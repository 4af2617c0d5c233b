//! Who calls the supervisor, by the badge of the capability.

use tessera_page::Power;

/// What a capability for the supervisor's endpoint stands for. The number is
/// that of a [`crate::slots::Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Badge {
    /// The kernel tells of a fault in the task of this slot.
    Fault(u64),
    /// The task of this slot uses a power.
    Power(Power, u64),
    /// Somebody looks after the program of this slot.
    Program(u64),
}

const NUMBER_BITS: u32 = 48;
const FAULT: u64 = 1;
const PROGRAM: u64 = 2;
/// The first power; the others follow in the order of [`Power::ALL`].
const POWER: u64 = 16;

impl Badge {
    /// The badge's number.
    pub fn to_word(self) -> u64 {
        let (kind, number) = match self {
            Badge::Fault(number) => (FAULT, number),
            Badge::Program(number) => (PROGRAM, number),
            Badge::Power(power, number) => {
                let index = Power::ALL.iter().position(|one| *one == power);
                (POWER + index.unwrap_or(0) as u64, number)
            }
        };
        kind << NUMBER_BITS | number & ((1 << NUMBER_BITS) - 1)
    }

    /// What the number stands for; `None` for one that was never minted.
    pub fn from_word(word: u64) -> Option<Badge> {
        let number = word & ((1 << NUMBER_BITS) - 1);
        match word >> NUMBER_BITS {
            FAULT => Some(Badge::Fault(number)),
            PROGRAM => Some(Badge::Program(number)),
            kind => {
                let index = usize::try_from(kind.checked_sub(POWER)?).ok()?;
                Some(Badge::Power(*Power::ALL.get(index)?, number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_survive_their_words() {
        let powers = Power::ALL.iter().map(|power| Badge::Power(*power, 7));
        for badge in powers.chain([Badge::Fault(1), Badge::Program(1 << 40)]) {
            assert_eq!(Badge::from_word(badge.to_word()), Some(badge));
        }
        assert_eq!(Badge::from_word(0), None);
        assert_eq!(Badge::from_word((POWER - 1) << NUMBER_BITS), None);
        assert_eq!(Badge::from_word(u64::MAX), None);
    }
}
