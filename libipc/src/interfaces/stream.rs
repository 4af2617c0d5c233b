//! `Stream`: bytes in order.

use super::*;

/// Why a stream refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum StreamError {
    /// Nobody can read what is written here any more.
    Closed = 1,
    /// This end cannot be read.
    NotReadable = 2,
    /// This end cannot be written.
    NotWritable = 3,
    /// The file behind it has no room left: a quota is exhausted.
    NoSpace = 4,
    /// Ctrl-C ended the wait.
    Interrupted = 5,
    /// Too many calls wait at this stream.
    Busy = 6,
    /// This capability is no stream, or its server was restarted and has
    /// forgotten it.
    Stale = 7,
    /// The lease is memory that cannot be read, or written.
    BadMemory = 8,
}

describe!(StreamError {
    Closed => "nobody reads the other end",
    NotReadable => "this stream cannot be read",
    NotWritable => "this stream cannot be written",
    NoSpace => "no space left",
    Interrupted => "interrupted",
    Busy => "too many calls wait at this stream",
    Stale => "this capability is no open stream (any more)",
    BadMemory => "the memory lent cannot be used",
});

/// What is behind a stream. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum StreamKind {
    /// A seat at the terminal: it also answers [`Console`].
    Terminal = 0,
    /// One end of a pipe.
    Pipe = 1,
    /// A file, read or written from some position on.
    File = 2,
}

/// Bytes in order: a terminal, a pipe's end or a file.
#[interface]
pub trait Stream {
    /// Waits until there is something, fills `into` with as much as there is
    /// and returns the number of bytes; 0 is the end. `NotReadable` at a
    /// writing end, `Interrupted` by Ctrl-C, `Busy` if too many calls wait.
    #[op(0)]
    #[deferred]
    fn read(&mut self, into: LeaseMut) -> Result<u64, StreamError>;

    /// Waits until there is room, takes as much of `from` as fits and returns
    /// the number of bytes, at least one unless `from` is empty. `NotWritable`
    /// at a reading end, `Closed` if nobody can read it any more, `NoSpace` if
    /// a quota of the file system is exhausted, `Busy` if too many calls wait.
    #[op(1)]
    #[deferred]
    fn write(&mut self, from: Lease) -> Result<u64, StreamError>;

    /// What is behind it.
    #[op(2, idempotent)]
    fn kind(&mut self) -> Result<StreamKind, StreamError>;
}
