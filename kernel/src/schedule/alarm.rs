//! Waits that have an end: a hierarchical timing wheel. Setting and clearing an
//! alarm take constant time; alarms far away that lie near one another are looked at
//! again a few times as they come nearer, and each look is bounded.
//!
//! After G. Varghese and A. Lauck, "Hashed and Hierarchical Timing Wheels"
//! (SOSP 1987), scheme 7.

use crate::{
    Entered,
    cell::{Bits, Word},
    list::{List, Node, Through},
    object::thread::{Special, Thread},
};
use libipc_abi::FOREVER;

/// Bits of a level's slot number.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 64_usize.div_ceil(BITS as usize);

/// A thread's place in the wheel.
#[derive(Default)]
pub struct Alarm {
    deadline: Word<u64>,
    /// Level and slot, while in the wheel.
    place: Word<Place>,
    node: Node<Thread>,
}

/// Where in the wheel, if anywhere.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Place(Option<(u8, u8)>);

impl Bits for Place {
    fn to_bits(self) -> u64 {
        self.0.map_or(0, |(level, slot)| {
            1 << 16 | u64::from(level) << 8 | u64::from(slot)
        })
    }
    fn from_bits(bits: u64) -> Self {
        Place((bits != 0).then_some(((bits >> 8) as u8, bits as u8)))
    }
}

/// The list of a slot of the wheel.
#[derive(Debug)]
pub struct InWheel;

impl Through<Thread> for InWheel {
    fn node(object: &Thread) -> &Node<Thread> {
        &object.alarm.node
    }
}

impl Alarm {
    /// When the wait ends; `FOREVER` if it is not set.
    pub fn deadline(&self) -> u64 {
        if self.is_set() {
            self.deadline.get()
        } else {
            FOREVER
        }
    }

    /// Whether it is in a core's wheel.
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        self.place.bits() != 0
    }
}

/// The slot that comes first.
struct First<'k> {
    /// The first thread in it.
    thread: &'k Thread,
    level: usize,
    slot: usize,
    /// When the slot begins.
    begin: u64,
    /// When to look at it: when it begins, or when its thread is due if that is alone.
    when: u64,
}

/// All alarms of a core.
pub struct Wheel {
    /// Everything before this has been delivered.
    base: Word<u64>,
    /// When to look next, subtracted from `FOREVER`.
    left: Word<u64>,
    /// A slot that time has reached but that was not yet emptied: what is left
    /// in it comes before everything else.
    reached: Word<Place>,
    /// Levels in which anything is.
    levels: Word<u64>,
    /// Slots of each level in which anything is.
    occupied: [Word<u64>; LEVELS],
    slots: [[List<Thread, InWheel>; SLOTS]; LEVELS],
}

impl Default for Wheel {
    fn default() -> Self {
        Self::empty()
    }
}

impl Wheel {
    /// No alarm is set.
    pub const fn empty() -> Wheel {
        Wheel {
            base: Word::zeroed(),
            left: Word::zeroed(),
            reached: Word::zeroed(),
            levels: Word::zeroed(),
            occupied: [const { Word::zeroed() }; LEVELS],
            slots: [const { [const { List::empty() }; SLOTS] }; LEVELS],
        }
    }

    /// Notes when the thread's wait ends; `FOREVER` sets no alarm.
    pub fn set(&self, k: Entered<'_>, thread: &Thread, deadline: u64) {
        thread.alarm.deadline.set(deadline);
        if deadline == FOREVER {
            return;
        }
        // What is due already goes where the next look finds it.
        let when = deadline.max(self.base.get());
        let differing = when ^ self.base.get();
        let level = (63 - (differing | 1).leading_zeros()) / BITS;
        let slot = (when >> (level * BITS)) as usize % SLOTS;
        let (level, group) = (level as usize, &self.occupied[level as usize]);
        self.slots[level][slot].push(k, thread);
        group.set(group.get() | 1 << slot);
        self.levels.set(self.levels.get() | 1 << level);
        thread
            .alarm
            .place
            .set(Place(Some((level as u8, slot as u8))));
        thread.mark(Special::ALARM, true);
        self.left.set(self.left.get().max(FOREVER - when));
    }

    /// Forgets the thread's alarm. When it would have rung, if it had one.
    pub fn clear(&self, k: Entered<'_>, thread: &Thread) -> Option<u64> {
        let deadline = self.take(k, thread)?;
        if self.levels.get() == 0 || deadline <= self.next() {
            self.look(k);
        }
        Some(deadline)
    }

    /// The same; when to look next may be later.
    fn take(&self, k: Entered<'_>, thread: &Thread) -> Option<u64> {
        let Place(Some((level, slot))) = thread.alarm.place.replace(Place(None)) else {
            return None;
        };
        thread.mark(Special::ALARM, false);
        let list = &self.slots[level as usize][slot as usize];
        list.remove(k, thread);
        if list.is_empty() {
            let group = &self.occupied[level as usize];
            group.set(group.get() & !(1 << slot));
            if group.get() == 0 {
                self.levels.set(self.levels.get() & !(1 << level));
            }
            // What is put there from now on is of the wheel's next turn.
            if self.reached.get() == Place(Some((level, slot))) {
                self.reached.set(Place(None));
            }
        }
        Some(thread.alarm.deadline.get())
    }

    /// The slot that comes first.
    fn first<'k>(&self, k: Entered<'k>) -> Option<First<'k>> {
        if let Place(Some((level, slot))) = self.reached.get()
            && self.occupied[level as usize].get() >> slot & 1 != 0
        {
            let begin = self.base.get();
            let first = self.at(k, level as usize, slot as usize, begin)?;
            // Those that were in it are in lower levels now and may come before.
            return Some(First {
                when: begin,
                ..first
            });
        }
        let levels = self.levels.get();
        if levels == 0 {
            return None;
        }
        let level = levels.trailing_zeros() as usize;
        let slot = self.occupied[level].get().trailing_zeros();
        let shift = level as u32 * BITS;
        let above = self.base.get().checked_shr(shift + BITS).unwrap_or(0);
        let begin = above.checked_shl(shift + BITS).unwrap_or(0) | u64::from(slot) << shift;
        self.at(k, level, slot as usize, begin.max(self.base.get()))
    }

    /// This slot, which begins then.
    fn at<'k>(&self, k: Entered<'k>, level: usize, slot: usize, begin: u64) -> Option<First<'k>> {
        let list = &self.slots[level][slot];
        let thread = list.first(k)?;
        let when = match list.after(k, thread) {
            None => thread.alarm.deadline.get().max(begin),
            Some(_) => begin,
        };
        Some(First {
            thread,
            level,
            slot,
            begin,
            when,
        })
    }

    /// Notes when to look next.
    fn look<'k>(&self, k: Entered<'k>) -> Option<First<'k>> {
        let first = self.first(k);
        let when = first.as_ref().map_or(FOREVER, |first| first.when);
        self.left.set(FOREVER - when);
        first
    }

    /// When to look next; `FOREVER` if no alarm is set.
    pub fn next(&self) -> u64 {
        FOREVER - self.left.get()
    }

    /// A thread whose deadline has come, its alarm cleared. `looks` is how many
    /// more alarms may be looked at; at zero there may be more to come.
    #[inline(always)]
    pub fn due<'k>(&self, k: Entered<'k>, now: u64, looks: &mut u32) -> Option<&'k Thread> {
        if self.next() <= now {
            return self.take_due(k, now, looks);
        }
        if self.levels.get() == 0 {
            self.base.set(now.max(self.base.get()));
        }
        None
    }

    fn take_due<'k>(&self, k: Entered<'k>, now: u64, looks: &mut u32) -> Option<&'k Thread> {
        // Time can move on to `now`, but into no slot before that is looked at.
        let mut limit = now;
        while let Some(first) = self.look(k) {
            if first.when > now {
                limit = now.min(first.begin.saturating_sub(1));
                break;
            }
            *looks = looks.checked_sub(1)?;
            let (level, slot, thread) = (first.level, first.slot, first.thread);
            // Time reaches the slot's begin before anything inside it, so what
            // stays in the wheel keeps its place.
            self.base.set(first.begin);
            self.reached.set(Place(Some((level as u8, slot as u8))));
            self.take(k, thread);
            // A slot of the lowest level is one moment, and who is alone comes before
            // all others. Else they are spread over lower levels first, so that a late
            // look finds alarms in order.
            if level == 0 || thread.alarm.deadline.get() <= first.when {
                return Some(thread);
            }
            self.set(k, thread, thread.alarm.deadline.get());
        }
        self.base.set(limit.max(self.base.get()));
        None
    }
}
