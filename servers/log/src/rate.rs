//! A bucket of lines: so many at once, so many a second.

const MICROSECONDS: u64 = 1_000_000;

/// What a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Lines that may come at once.
    pub burst: u64,
    /// Lines a second after that.
    pub per_second: u64,
}

/// A bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    /// In millionths of a line.
    level: u64,
    /// When the level was right, in microseconds.
    at: u64,
    /// Lines that did not fit since the last that did.
    lost: u64,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: u64) -> Self {
        Bucket {
            rate,
            level: rate.burst * MICROSECONDS,
            at: now,
            lost: 0,
        }
    }

    /// Takes a line out and says how many were lost before it. `None`: it is
    /// lost too.
    pub fn take(&mut self, now: u64) -> Option<u64> {
        let elapsed = now.saturating_sub(self.at);
        self.at = now;
        let gained = elapsed.saturating_mul(self.rate.per_second);
        let full = self.rate.burst * MICROSECONDS;
        self.level = self.level.saturating_add(gained).min(full);
        if self.level < MICROSECONDS {
            self.lost += 1;
            return None;
        }
        self.level -= MICROSECONDS;
        Some(core::mem::take(&mut self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate {
        burst: 3,
        per_second: 2,
    };

    #[test]
    fn a_burst_then_a_trickle() {
        let mut bucket = Bucket::new(RATE, 0);
        let taken = [(); 5].map(|()| bucket.take(0));
        assert_eq!(taken, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(bucket.take(499_999), None);
        assert_eq!(bucket.take(500_000), Some(3));
        assert_eq!(bucket.take(500_000), None);
        // Full again, and no fuller.
        let later = [(); 4].map(|()| bucket.take(u64::MAX));
        assert_eq!(later, [Some(1), Some(0), Some(0), None]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate(gaps in proptest::collection::vec(0_u64..400_000, 1..200)) {
            let mut bucket = Bucket::new(RATE, 0);
            let (mut now, mut taken, mut lost) = (0, 0, 0);
            for gap in gaps {
                now += gap;
                match bucket.take(now) {
                    Some(before) => {
                        prop_assert_eq!(before, lost);
                        taken += 1;
                        lost = 0;
                    }
                    None => lost += 1,
                }
                prop_assert!(taken <= RATE.burst + now * RATE.per_second / MICROSECONDS);
            }
        }
    }
}
