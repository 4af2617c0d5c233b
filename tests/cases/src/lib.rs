//! What the host's harness and the suites inside the guest share: the table of
//! cases, which of them to run, and the lines on the serial port that say how
//! they went. Both sides compile this one crate, so neither can drift.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod disk;
pub mod random;
mod report;
pub mod script;
mod selection;
mod table;

pub use report::Line;
pub use selection::{MAX_CASES, Selection};
pub use table::{SUITES, Suite};

/// Begins each line of the outcome matrix, which the suite `conformance` prints, and
/// of what other cases measured.
pub const MATRIX: &str = "[matrix] ";

/// Stands in a test system's page for the argument that selects the cases:
/// the harness puts a [`Selection`] in its place.
pub const SELECTION_ARGUMENT: &str = "@cases";
