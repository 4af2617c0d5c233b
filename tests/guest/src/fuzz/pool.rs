//! What a hostile task draws from: random numbers, and the handles that it has.

use alloc::vec::Vec;
use libipc::handle::{Handle, ObjectType};

/// Random numbers (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// Begins with a seed and the number of the task that draws.
    pub(crate) fn new(seed: u64, task: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ task.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Yes, in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Most handles that are remembered.
const ROOM: usize = 96;

/// The handles that a hostile task has.
pub(super) struct Pool {
    handles: Vec<Handle>,
    /// The first ones, without which it could do little.
    given: usize,
}

impl Pool {
    /// Begins with what was given.
    pub(super) fn new(given: Vec<Handle>) -> Pool {
        Pool {
            given: given.len(),
            handles: given,
        }
    }

    /// Remembers another one. If there are too many, one is returned to delete.
    pub(super) fn add(&mut self, handle: Handle, random: &mut Random) -> Option<Handle> {
        if self.handles.len() < ROOM {
            self.handles.push(handle);
            return None;
        }
        let spare = (ROOM - self.given) as u64;
        let place = self.given + random.below(spare) as usize;
        Some(core::mem::replace(&mut self.handles[place], handle))
    }

    /// Forgets one that was deleted or moved.
    pub(super) fn forget(&mut self, handle: Handle) {
        if let Some(place) = self.handles.iter().position(|held| *held == handle)
            && place >= self.given
        {
            self.handles.swap_remove(place);
        }
    }

    /// Whether it is one of the first.
    pub(super) fn is_given(&self, handle: Handle) -> bool {
        self.handles[..self.given].contains(&handle)
    }

    /// Any.
    pub(super) fn any(&self, random: &mut Random) -> Handle {
        random.one(&self.handles)
    }

    /// One of this type.
    pub(super) fn of(&self, kind: ObjectType, random: &mut Random) -> Handle {
        let mut of_kind = self.handles.iter();
        let count = of_kind
            .clone()
            .filter(|held| held.object_type() == Some(kind))
            .count();
        if count == 0 {
            return Handle::NULL;
        }
        let place = random.below(count as u64) as usize;
        let found = of_kind
            .by_ref()
            .filter(|held| held.object_type() == Some(kind))
            .nth(place);
        found.copied().unwrap_or_default()
    }
}
