//! Which cases of a suite to run, as one short argument: `0-4,7`.

use core::fmt;

/// Most cases that a suite can have.
pub const MAX_CASES: usize = 256;

/// A set of cases by their place in the suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    bits: [u64; MAX_CASES / 64],
}

impl Selection {
    /// No case.
    pub const fn none() -> Self {
        Self {
            bits: [0; MAX_CASES / 64],
        }
    }

    /// The first `count` cases.
    pub fn first(count: usize) -> Self {
        let mut all = Self::none();
        (0..count).for_each(|index| all.insert(index));
        all
    }

    /// Adds a case. Places past [`MAX_CASES`] are ignored; the table's test
    /// makes sure that there are none.
    pub fn insert(&mut self, index: usize) {
        if let Some(word) = self.bits.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Takes a case out.
    pub fn remove(&mut self, index: usize) {
        if let Some(word) = self.bits.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    /// Whether the case is to run.
    pub fn contains(&self, index: usize) -> bool {
        self.bits
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether no case is to run.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// The places of the cases, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..MAX_CASES).filter(|index| self.contains(*index))
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut selection = Self::none();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= MAX_CASES {
                return None;
            }
            (first..=last).for_each(|index| selection.insert(index));
        }
        Some(selection)
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut index = 0;
        while index < MAX_CASES {
            if !self.contains(index) {
                index += 1;
                continue;
            }
            let first = index;
            while self.contains(index) {
                index += 1;
            }
            write!(f, "{separator}{first}")?;
            if index - first > 1 {
                write!(f, "-{}", index - 1)?;
            }
            separator = ",";
        }
        Ok(())
    }
}
