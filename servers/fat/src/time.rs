//! Times, as FAT has them and as clients are told them.

use core::sync::atomic::{AtomicU64, Ordering};
use hadris_fs::{Clock, DateTime, NoClock};

const SECOND: u64 = 1_000_000_000;

/// What time it is: nanoseconds since 1970, set before each change. A server has one.
#[derive(Debug)]
pub struct Now(AtomicU64);

/// The server's.
pub static NOW: Now = Now(AtomicU64::new(0));

impl Now {
    /// It is now so late.
    pub fn set(&self, nanoseconds: u64) {
        self.0.store(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for Now {
    fn now(&self) -> DateTime {
        let now = self.0.load(Ordering::Relaxed);
        let seconds = i64::try_from(now / SECOND).unwrap_or(i64::MAX);
        DateTime::new(seconds, (now % SECOND) as u32).unwrap_or(NoClock::TIME)
    }
}

/// Nanoseconds since 1970; 0 where the disk does not say.
pub fn nanoseconds(time: Option<DateTime>) -> u64 {
    let Some(time) = time else { return 0 };
    let seconds = u64::try_from(time.unix_seconds()).unwrap_or(0);
    let nanoseconds = seconds.checked_mul(SECOND);
    nanoseconds.map_or(u64::MAX, |n| n.saturating_add(time.nanoseconds().into()))
}
