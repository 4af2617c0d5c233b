//! A reservation: a budget of processor time, refilled each period.

use crate::{
    Entered,
    cell::{Link, Word},
    memory::slab::{self, Object},
    object::{binding::Binding, task::Task, thread::Thread},
};
use libipc_abi::objects::ObjectError;

/// A budget of processor time. In any stretch of time as long as its period it
/// gives at most twice its budget: the end of one period's and the beginning of
/// the next one's.
#[derive(Default)]
pub struct Reservation {
    /// Unique number.
    pub id: Word<u64>,
    /// Counter ticks in each period.
    pub budget: Word<u64>,
    /// Counter ticks from one refill to the next.
    pub period: Word<u64>,
    /// What is left of the budget.
    pub left: Word<u64>,
    /// When it is full again.
    pub refill: Word<u64>,
    /// Ticks that ran on it so far.
    pub spent: Word<u64>,
    /// How often it was used up.
    pub overruns: Word<u64>,
    /// The thread that it is for; counted in `uses`.
    pub thread: Link<Thread>,
    /// Whom it signals when it is used up.
    pub watcher: Binding,
    /// Capabilities that lead here, and the thread.
    pub uses: Word<u64>,
}

impl Object for Reservation {
    const CLASS: usize = 7;
}

impl Reservation {
    /// A reservation for nobody yet, which `payer` pays for.
    pub fn create<'k>(
        k: Entered<'k>,
        payer: &Task,
        budget: u64,
        period: u64,
    ) -> Result<&'k Reservation, ObjectError> {
        let fields = Reservation {
            id: Word::new(k.kernel.new_id()),
            budget: Word::new(budget),
            period: Word::new(period),
            left: Word::new(budget),
            ..Reservation::default()
        };
        slab::create(k, payer, fields)
    }

    /// Whether any is left now. Full again if its period is over: the next one
    /// begins there, or now if nobody used it for so long.
    pub fn has_time(&self, now: u64) -> bool {
        let (refill, period) = (self.refill.get(), self.period.get());
        if now >= refill {
            self.left.set(self.budget.get());
            let late = now - refill;
            let begin = if late < period { refill } else { now };
            self.refill.set(begin.saturating_add(period));
        }
        self.left.get() > 0
    }

    /// Takes so many ticks off what is left now; not if nothing would be left then, or
    /// if its period is over.
    pub fn spend(&self, now: u64, ticks: u64) -> bool {
        let left = self.left.get();
        if left <= ticks || now >= self.refill.get() {
            return false;
        }
        self.left.set(left - ticks);
        self.spent.add(ticks);
        true
    }

    /// One use less; the last one ends the object. By then no thread runs on it.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            self.watcher.end(k);
            slab::retire(k, self);
        }
    }
}
