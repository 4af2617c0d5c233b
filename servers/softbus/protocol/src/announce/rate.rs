//! How often a device announces itself: rarely where there are many, never when it has
//! just heard many.

use alloc::collections::VecDeque;

use crate::Millis;
use crate::limits::{
    HELLO_EVERY, HELLO_FEW, HELLO_MOST, HELLO_POPULATION, HELLO_SLOWEST, HELLO_SPREAD, HELLO_STEADY,
};
use crate::random::{self, Random};

/// Announcements heard are counted over spans of this length.
const SPAN: Millis = 4_000;
/// Binary digits behind the point of logarithms.
const POINT: u32 = 8;

/// What was heard, and so when to speak.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When the announcements of the last second came.
    recent: VecDeque<Millis>,
    /// Announcements of devices that begin.
    beginnings: usize,
    /// Sum of the intervals stated in the announcements of this span and the last one.
    /// Somebody with the interval t is heard every t, so the sum over a second is the
    /// number of devices, whoever they are.
    sums: [u64; 2],
    span: Millis,
}

impl Rate {
    /// An announcement that states this interval was heard, of a device that begins if it
    /// seeks others.
    pub(super) fn heard(&mut self, now: Millis, interval: Millis, seeks: bool) {
        self.roll(now);
        self.sums[1] += interval.min(HELLO_SLOWEST);
        self.beginnings = self.beginnings.saturating_add(seeks.into());
        self.recent.push_back(now);
        if self.recent.len() > HELLO_FEW {
            self.recent.pop_front();
        }
    }

    fn roll(&mut self, now: Millis) {
        while self.span + SPAN <= now {
            self.sums = if self.span + 2 * SPAN <= now {
                self.span = now - now % SPAN;
                [0, 0]
            } else {
                self.span += SPAN;
                [self.sums[1], 0]
            };
        }
    }

    /// About how many other devices there are.
    pub(super) fn population(&mut self, now: Millis) -> u64 {
        self.roll(now);
        self.sums.iter().sum::<u64>() / (SPAN + now - self.span)
    }

    /// How long to wait until the next announcement, without jitter.
    pub(super) fn interval(&mut self, now: Millis) -> Millis {
        let all = (self.population(now) + 1) * 1_000 / HELLO_STEADY;
        all.clamp(HELLO_EVERY, HELLO_SLOWEST)
    }

    /// Whether so much was heard in the last second that this device has to be silent.
    pub(super) fn is_crowded(&mut self, now: Millis) -> bool {
        self.last_second(now) >= HELLO_MOST
    }

    fn last_second(&mut self, now: Millis) -> usize {
        while self.recent.front().is_some_and(|at| at + 1_000 <= now) {
            self.recent.pop_front();
        }
        self.recent.len()
    }

    /// Whether those that began when this device did are many, judged by their first
    /// announcements: by [`spread`] twice as many have spoken after each of equal times.
    pub(super) fn are_many(&mut self, began: Millis, now: Millis) -> bool {
        let Some(left) = (began + HELLO_SPREAD).checked_sub(now) else {
            return true;
        };
        let doublings = left * u64::from(HELLO_POPULATION.ilog2() + 1) / HELLO_SPREAD;
        // Those that answer were there before, and do so just as often if one began.
        let begun = self.beginnings.min(HELLO_FEW);
        let heard = self.last_second(now);
        heard >= HELLO_MOST && begun << doublings >= HELLO_FEW
    }
}

/// When one of many answers: exponentially more of them the later it is, so that the
/// first ones silence the rest, however many there are (Nonnenmacher and Biersack,
/// 'Scalable feedback for large groups').
pub(super) fn spread(random: &mut dyn Random) -> Millis {
    let drawn = random::word(random);
    let zeros = drawn.leading_zeros().min(62);
    // -log2 of a number drawn from 0 to 1, linear between powers of two.
    let mantissa = (drawn << (zeros + 1)) >> (64 - POINT);
    let log = (u64::from(zeros + 1) << POINT) - mantissa;
    // log2 of the population, in the same units.
    let most = u64::from(HELLO_POPULATION.ilog2() + 1) << POINT;
    HELLO_SPREAD * most.saturating_sub(log) / most
}

/// A time around this one, an eighth more or less.
pub(super) fn jitter(random: &mut dyn Random, time: Millis) -> Millis {
    time - time / 8 + random::below(random, time / 4 + 1)
}
