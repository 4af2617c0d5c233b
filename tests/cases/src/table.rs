//! The one table of in-guest suites and cases.

/// A suite: cases that run one after another in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name, the third part of a case's full name.
    pub name: &'static str,
    /// The system page that it runs in: `tests/systems/SYSTEM.toml`.
    pub system: &'static str,
    /// Names of its cases, in the order in which they run.
    pub cases: &'static [&'static str],
}

/// All suites.
pub const SUITES: &[Suite] = &[];

impl Suite {
    /// The suite of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.name == name)
    }

    /// The place of a case in the suite.
    pub fn index(&self, case: &str) -> Option<usize> {
        self.cases.iter().position(|name| *name == case)
    }
}
