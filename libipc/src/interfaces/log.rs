//! `Log`: lines with a level, kept in a bounded ring.

use super::*;

/// Why the log refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum LogError {
    /// This client writes faster than it may. The line is counted, and the
    /// number of lost lines appears once there is room again.
    TooFast = 1,
    /// As many clients follow as the log keeps.
    TooManyFollowers = 2,
    /// Not even one line fits into the lease.
    TooSmall = 3,
    /// The lease is memory that cannot be written.
    BadMemory = 4,
}

describe!(LogError {
    TooFast => "more log lines than this client may write",
    TooManyFollowers => "too many clients follow the log",
    TooSmall => "not even one line fits",
    BadMemory => "the memory lent cannot be used",
});

/// How much a line matters. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Wire)]
#[repr(u64)]
pub enum LogLevel {
    /// Something failed that should not.
    Error = 0,
    /// Something is odd and was dealt with.
    Warn = 1,
    /// Something worth knowing happened.
    Info = 2,
    /// For whoever looks for a defect.
    Debug = 3,
}

/// The answer to `read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct LogPage {
    /// Position of the first byte copied: later than the one asked for if the
    /// ring has lost what was there, earlier if the log was restarted and has
    /// never been there.
    pub start: u64,
    /// Bytes copied, whole lines; 0 if there is nothing newer.
    pub bytes: u64,
}

impl LogPage {
    /// Where to go on reading.
    pub const fn next(&self) -> u64 {
        self.start + self.bytes
    }
}

/// Longest text that one call appends, in bytes.
pub const LINE: usize = 240;

/// The log. Each line reads `SECONDS.MICROSECONDS LEVEL SOURCE TEXT`, with the
/// level as one of `E W I D`; lines of the kernel have the source `kernel`.
#[interface]
pub trait Log {
    /// Appends a line from this client. Control characters are replaced, each
    /// newline begins a line of its own. `TooFast`.
    #[op(0)]
    fn append(&mut self, level: LogLevel, text: Text<240>) -> Result<(), LogError>;

    /// Copies whole lines from byte position `cursor` on into `into`. Begin at 0
    /// for the oldest that is kept. `TooSmall`.
    #[op(1, idempotent)]
    fn read(&mut self, cursor: u64, into: LeaseMut) -> Result<LogPage, LogError>;

    /// Names the endpoint whose signal bits `signals` are set when the log
    /// grows; it replaces the one that this client named before.
    /// `TooManyFollowers`.
    #[op(2, idempotent)]
    fn follow(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), LogError>;

    /// Ends `follow`.
    #[op(3, idempotent)]
    fn unfollow(&mut self) -> Result<(), LogError>;
}
