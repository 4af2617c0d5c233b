//! The lines by which a suite tells how its cases go.

use core::fmt;

/// One line of a suite's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `[case] SUITE/CASE start`
    Start {
        /// The suite.
        suite: &'a str,
        /// The case.
        case: &'a str,
    },
    /// `[case] SUITE/CASE ok`
    Passed {
        /// The suite.
        suite: &'a str,
        /// The case.
        case: &'a str,
    },
    /// `[case] SUITE/CASE FAILED: REASON`
    Failed {
        /// The suite.
        suite: &'a str,
        /// The case.
        case: &'a str,
        /// What went wrong, in one line.
        reason: &'a str,
    },
    /// `[suite] SUITE done P F`: the suite has come to its end.
    Done {
        /// The suite.
        suite: &'a str,
        /// How many cases passed.
        passed: usize,
        /// How many failed.
        failed: usize,
    },
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { suite, case } => write!(f, "[case] {suite}/{case} start"),
            Self::Passed { suite, case } => write!(f, "[case] {suite}/{case} ok"),
            Self::Failed {
                suite,
                case,
                reason,
            } => {
                write!(f, "[case] {suite}/{case} FAILED: {reason}")
            }
            Self::Done {
                suite,
                passed,
                failed,
            } => {
                write!(f, "[suite] {suite} done {passed} {failed}")
            }
        }
    }
}

impl<'a> Line<'a> {
    /// Finds a report in a line of the console, which may have something of
    /// another writer in front of it.
    pub fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        if let Some((_, rest)) = line.split_once("[case] ") {
            let (name, outcome) = rest.split_once(' ')?;
            let (suite, case) = name.split_once('/')?;
            return match outcome {
                "start" => Some(Self::Start { suite, case }),
                "ok" => Some(Self::Passed { suite, case }),
                _ => {
                    let reason = outcome.strip_prefix("FAILED: ")?;
                    Some(Self::Failed {
                        suite,
                        case,
                        reason,
                    })
                }
            };
        }
        let (_, rest) = line.split_once("[suite] ")?;
        let (suite, counts) = rest.split_once(" done ")?;
        let (passed, failed) = counts.split_once(' ')?;
        Some(Self::Done {
            suite,
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }
}
