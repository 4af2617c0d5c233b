//! `Pipes`: bounded streams between two programs.

use super::*;

/// Makes pipes. Served by the file server at the capabilities that the system
/// page hands out, which are [`Directory`] too; what is opened through them
/// makes none.
#[interface]
pub trait Pipes {
    /// Makes a pipe that holds up to 4096 bytes and returns its reading and its
    /// writing end. When the last capability of the writing end is gone, reads
    /// return 0 after the rest; when that of the reading end is gone, writes
    /// fail with `Closed`. `TooManyOpen`, `NoSpace`, `NoResources`.
    #[op(0)]
    fn pipe(&mut self) -> Result<(StreamClient, StreamClient), FileError>;
}
