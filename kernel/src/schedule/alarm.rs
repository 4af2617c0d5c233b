//! Waits that have an end: a hierarchical timing wheel. Setting and clearing an
//! alarm take constant time; an alarm far away is looked at again a few times
//! as it comes nearer, and each look is bounded.
//!
//! After G. Varghese and A. Lauck, "Hashed and Hierarchical Timing Wheels"
//! (SOSP 1987), scheme 7.

use crate::{
    Entered,
    cell::{Bits, Word},
    list::{List, Node, Through},
    object::thread::Thread,
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

/// All alarms of a core.
pub struct Wheel {
    /// Everything before this has been delivered.
    base: Word<u64>,
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
    }

    /// Forgets the thread's alarm. When it would have rung, if it had one.
    pub fn clear(&self, k: Entered<'_>, thread: &Thread) -> Option<u64> {
        let Place(Some((level, slot))) = thread.alarm.place.replace(Place(None)) else {
            return None;
        };
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

    /// The slot that comes first: level, slot, and when it begins.
    fn first(&self) -> Option<(usize, usize, u64)> {
        if let Place(Some((level, slot))) = self.reached.get()
            && self.occupied[level as usize].get() >> slot & 1 != 0
        {
            return Some((level as usize, slot as usize, self.base.get()));
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
        Some((level, slot as usize, begin.max(self.base.get())))
    }

    /// When to look next; `FOREVER` if no alarm is set.
    pub fn next(&self) -> u64 {
        self.first().map_or(FOREVER, |(.., begin)| begin)
    }

    /// A thread whose deadline has come, its alarm cleared. `looks` is how many
    /// more alarms may be looked at; at zero there may be more to come.
    pub fn due<'k>(&self, k: Entered<'k>, now: u64, looks: &mut u32) -> Option<&'k Thread> {
        while let Some((level, slot, begin)) = self.first().filter(|first| first.2 <= now) {
            let thread = self.slots[level][slot].first(k)?;
            *looks = looks.checked_sub(1)?;
            // Time reaches the slot's begin before anything inside it, so what
            // stays in the wheel keeps its place.
            self.base.set(begin);
            self.reached.set(Place(Some((level as u8, slot as u8))));
            self.clear(k, thread);
            // A slot of the lowest level is one moment. Others are spread over
            // lower levels first, so that a late look finds alarms in order.
            if level == 0 {
                return Some(thread);
            }
            self.set(k, thread, thread.alarm.deadline.get());
        }
        // Nothing begins before `now`, so time can move on to it.
        self.base.set(now.max(self.base.get()));
        None
    }
}
