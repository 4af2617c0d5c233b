//! Memory that a device may reach.

use crate::{
    Entered,
    cell::{Link, Word},
    memory::{
        slab::{self, Object},
        space::Progress,
    },
    object::{memory::Memory, task::Task},
};
use libipc_abi::objects::ObjectError;

/// Most pins of a device.
const PINS: usize = 64;

/// Pins of memory for one device. Each is a use of the memory that no death and no
/// revocation takes away, so the memory's frames stay with it, and charged, for as
/// long as the device may write to them.
pub struct Dma {
    /// Unique number.
    pub id: Word<u64>,
    /// Capabilities that lead here.
    pub uses: Word<u64>,
    /// How many pins there are.
    pub count: Word<u64>,
    /// By their numbers; counted in the memory's uses.
    pins: [Link<Memory>; PINS],
}

impl Object for Dma {
    const CLASS: usize = 8;
}

impl Dma {
    /// An object without pins, which `payer` pays for.
    pub fn create<'k>(k: Entered<'k>, payer: &Task) -> Result<&'k Dma, ObjectError> {
        let fields = Dma {
            id: Word::new(k.kernel.new_id()),
            uses: Word::default(),
            count: Word::default(),
            pins: [const { Link::none() }; PINS],
        };
        slab::create(k, payer, fields)
    }

    /// Pins memory; the pin's number, if there was room.
    pub fn pin(&self, memory: &Memory) -> Option<usize> {
        let free = self.pins.iter().position(Link::is_none)?;
        memory.uses.add(1);
        self.pins[free].set(Some(memory));
        self.count.add(1);
        Some(free)
    }

    /// What is pinned with this number.
    pub fn pinned<'k>(&self, k: Entered<'k>, pin: u64) -> Option<&'k Memory> {
        self.pins.get(usize::try_from(pin).ok()?)?.get(k)
    }

    /// Takes a pin away; `false` if there is none with this number.
    pub fn unpin(&self, k: Entered<'_>, pin: u64) -> bool {
        let pin = usize::try_from(pin).ok().and_then(|pin| self.pins.get(pin));
        let Some(memory) = pin.and_then(|pin| pin.take(k)) else {
            return false;
        };
        self.count.take(1);
        memory.release(k);
        true
    }

    /// Takes all pins away, one after another.
    pub fn release_all(&self, k: Entered<'_>) -> Progress {
        for pin in 0..PINS as u64 {
            if self.unpin(k, pin) && k.wanted() {
                return Progress::Again;
            }
        }
        Progress::Done
    }

    /// One capability less. With the last one the object ends, unless something is
    /// pinned: nobody can say any more that its device was reset.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 && self.count.get() == 0 {
            slab::retire(k, self);
        }
    }
}
