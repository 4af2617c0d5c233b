//! `Clock`: what time it is outside the machine.

use super::*;

/// Why the clock cannot tell. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum ClockError {
    /// The machine's clock is not set, or does not run.
    NotSet = 1,
}

describe!(ClockError {
    NotSet => "the machine's clock is not set",
});

/// A time outside the machine, and when it was so by the machine's counter. Whoever
/// has it knows all later times without asking, until somebody sets the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct WallTime {
    /// Nanoseconds since 1970 began, in UTC without leap seconds. How fine they are is
    /// the device's matter: it may count seconds.
    pub nanoseconds: u64,
    /// The counter then, in ticks.
    pub ticks: u64,
}

/// Tells the time.
#[interface]
pub trait Clock {
    /// The time. `NotSet`.
    #[op(0, idempotent)]
    fn now(&mut self) -> Result<WallTime, ClockError>;
}
