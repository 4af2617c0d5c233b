//! What was found.

use alloc::string::String;
use alloc::vec::Vec;

/// Most findings that are told one by one.
const MOST: usize = 100;

/// Findings, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<String>,
    count: u64,
}

impl Report {
    /// Something is wrong.
    pub fn add(&mut self, line: String) {
        self.count += 1;
        if self.lines.len() < MOST {
            self.lines.push(line);
        }
    }

    /// How much is wrong.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first findings.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// Adds a finding in words.
macro_rules! found {
    ($report:expr, $($text:tt)*) => {
        $report.add(alloc::format!($($text)*))
    };
}
pub(crate) use found;
