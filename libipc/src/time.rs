//! Time: the architecture's counter, read without a trap.

use crate::{
    arch,
    handle::Handle,
    label::{Flags, Label},
    registers::{CallIn, WORDS},
    start,
};
use core::{ops::Add, time::Duration};

/// In a second. Times the frequency of the counter, which has at most 32 bits, that is
/// no more than a word.
const NANOSECONDS: u64 = 1_000_000_000;

/// A point in time, in ticks of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// A deadline that never comes.
    pub const FOREVER: Instant = Instant(crate::FOREVER);

    /// A deadline that has passed: who waits for it only looks.
    pub const PAST: Instant = Instant(0);

    /// Now.
    pub fn now() -> Instant {
        Instant(arch::ticks())
    }

    /// `duration` from now; `FOREVER` if that is beyond the counter.
    pub fn after(duration: Duration) -> Instant {
        Instant::now() + duration
    }

    /// From ticks of the counter.
    pub const fn from_ticks(ticks: u64) -> Instant {
        Instant(ticks)
    }

    /// In ticks of the counter.
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// Time since then; zero if it is still to come.
    pub fn elapsed(self) -> Duration {
        Instant::now().since(self)
    }

    /// Time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Instant) -> Duration {
        from_ticks(self.0.saturating_sub(earlier.0))
    }

    /// Whether a deadline has passed.
    pub fn passed(self) -> bool {
        self != Instant::FOREVER && Instant::now() >= self
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(to_ticks(duration)))
    }
}

/// A number of ticks as a duration.
pub fn from_ticks(ticks: u64) -> Duration {
    let frequency = start::frequency();
    let rest = (ticks % frequency).saturating_mul(NANOSECONDS) / frequency;
    Duration::new(ticks / frequency, rest as u32)
}

/// A duration in ticks, rounded up; the greatest number if there are too many.
pub fn to_ticks(duration: Duration) -> u64 {
    let frequency = start::frequency();
    let rest = u64::from(duration.subsec_nanos()).saturating_mul(frequency);
    let whole = duration.as_secs().saturating_mul(frequency);
    whole.saturating_add(rest.div_ceil(NANOSECONDS))
}

/// Waits.
pub fn sleep(duration: Duration) {
    sleep_until(Instant::after(duration));
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Instant) {
    // Receiving from no endpoint can only end by its deadline, or by somebody
    // who cancels the wait on purpose.
    arch::trap(&CallIn {
        handle: Handle::NULL,
        label: Label::control(Flags::RECEIVE, 0),
        words: [0; WORDS],
        deadline: deadline.ticks(),
        request: Handle::NULL,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_durations_agree() {
        for nanoseconds in [0, 1, 999_999_999, 1_000_000_000, 123_456_789_012] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(from_ticks(to_ticks(duration)), duration);
        }
        assert_eq!(Instant::after(Duration::MAX), Instant::FOREVER);
        assert!(Instant::PAST.passed());
        assert!(!Instant::FOREVER.passed());
    }
}
