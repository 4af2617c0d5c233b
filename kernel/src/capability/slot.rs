//! A slot: where a capability is kept.

use super::{derivation::Place, object::Target};
use crate::{
    Entered,
    cell::{Link, Word},
    object::{
        binding::Binding, dma::Dma, endpoint::Endpoint, interrupt::Interrupt, memory::Memory,
        region::Region, reservation::Reservation, session::Session, task::Task, thread::Thread,
    },
};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use libipc_abi::handle::{Handle, ObjectType, Rights};

/// A place for a capability. Written by who is inside alone.
///
/// An empty slot's word has the generation that the next capability gets, and
/// type 0, so it equals no handle.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Slot {
    word: Word<u64>,
    /// The object, of the type that the word says.
    object: AtomicPtr<()>,
    /// Endpoint: the session of its badge.
    session: Link<Session>,
    /// Endpoint: its epoch when this capability was made, and what the fast path may
    /// do by it. Reply: the call's number. Empty: the next free slot's index.
    number: Word<u64>,
    /// Where it comes from, and what comes from it.
    pub(super) place: Place,
}

const _: () = assert!(size_of::<Slot>() == 64);

/// Type of the slot of a mapping, which is no capability and has no handle.
const MAPPING: u64 = 15 << 28;

/// Type of the slot of a binding, which is none either.
const BINDING: u64 = 14 << 28;

/// What the fast path may do by an endpoint's capability, a bit of `number`: the right
/// is there, no mark speaks against it, and what comes from it is not being taken back.
#[derive(Clone, Copy)]
pub enum May {
    /// Call.
    Call = 63,
    /// Receive, and answer.
    Receive = 62,
    /// Signal.
    Signal = 61,
}

/// In `number`: what comes from this capability is being taken back.
const REVOKING: u64 = 1 << 60;

/// In `number`: the rest.
const NUMBER: u64 = REVOKING - 1;

/// What of [`May`] a handle allows.
fn may(handle: Handle) -> u64 {
    let rights = handle.rights();
    if handle.object_type() != Some(ObjectType::Endpoint) || rights.contains(Rights::FAR_ONLY) {
        return 0;
    }
    let bit = |right, may: May| u64::from(rights.contains(right)) << may as u64;
    bit(Rights::CALL, May::Call)
        | bit(Rights::RECEIVE, May::Receive)
        | bit(Rights::SIGNAL, May::Signal)
}

impl Slot {
    /// An empty slot, never used.
    pub const fn new() -> Slot {
        Slot {
            word: Word::zeroed(),
            object: AtomicPtr::new(core::ptr::null_mut()),
            session: Link::none(),
            number: Word::zeroed(),
            place: Place::none(),
        }
    }

    /// Makes this the slot of a mapping, as which it comes from its memory's
    /// capability.
    pub fn fill_mapping(&self, region: &Region) {
        self.object
            .store((&raw const *region).cast::<()>().cast_mut(), Relaxed);
        self.word.set(MAPPING);
    }

    /// Makes this the slot of a binding, as which it comes from its endpoint's
    /// capability.
    pub fn fill_binding(&self, binding: &Binding) {
        self.object
            .store((&raw const *binding).cast::<()>().cast_mut(), Relaxed);
        self.word.set(BINDING);
    }

    /// The binding, if this is the slot of one.
    pub fn binding<'k>(&self, k: Entered<'k>) -> Option<&'k Binding> {
        if self.word.get() != BINDING {
            return None;
        }
        follow::<Binding>(k, self.object.load(Relaxed))
    }

    /// The region, if this is the slot of a mapping.
    pub fn mapping<'k>(&self, k: Entered<'k>) -> Option<&'k Region> {
        if self.word.get() != MAPPING {
            return None;
        }
        follow::<Region>(k, self.object.load(Relaxed))
    }

    /// Whether what comes from it is being taken back: until that is done it
    /// allows nothing.
    pub fn is_revoking(&self) -> bool {
        self.number.get() & REVOKING != 0
    }

    /// Begins or ends taking back.
    pub fn set_revoking(&self, revoking: bool) {
        let flags = match revoking {
            true => REVOKING,
            false => may(self.handle()),
        };
        self.number.set(self.number.get() & NUMBER | flags);
    }

    /// The handle of what is here; of type 0 if that is nothing.
    pub fn handle(&self) -> Handle {
        Handle(self.word.get())
    }

    /// Fills an empty slot and returns the handle. The reference is counted by
    /// the caller.
    #[inline(always)]
    pub fn fill(&self, index: u32, target: &Target<'_>, rights: Rights) -> Handle {
        let generation = (self.word.get() >> 32) as u32;
        let handle = Handle::new(index, rights, target.object_type(), generation);
        let (object, session, number): (*const (), _, _) = match target {
            Target::Task(task) => ((&raw const **task).cast(), None, 0),
            Target::Thread(thread) => ((&raw const **thread).cast(), None, 0),
            Target::Endpoint(endpoint, session, epoch) => {
                ((&raw const **endpoint).cast(), *session, *epoch)
            }
            Target::Memory(memory) => ((&raw const **memory).cast(), None, 0),
            Target::Interrupt(interrupt) => ((&raw const **interrupt).cast(), None, 0),
            Target::Reservation(reservation) => ((&raw const **reservation).cast(), None, 0),
            Target::Dma(dma) => ((&raw const **dma).cast(), None, 0),
            Target::System => (core::ptr::null(), None, 0),
            Target::Reply(thread, number) => ((&raw const **thread).cast(), None, *number),
        };
        self.object.store(object.cast_mut(), Relaxed);
        self.session.set(session);
        self.number.set(number | may(handle));
        self.word.set(handle.0);
        handle
    }

    /// Fills an empty slot with what is in `old`, which is to be emptied, and returns
    /// the handle. What is counted stays the same.
    pub fn take_over(&self, index: u32, old: &Slot) -> Handle {
        let (word, generation) = (old.word.get(), self.word.get() >> 32);
        let kept = word as u32 & !((1 << Handle::INDEX_BITS) - 1);
        let handle = Handle(generation << 32 | u64::from(kept | index));
        self.object.store(old.object.load(Relaxed), Relaxed);
        self.session.copy(&old.session);
        self.number.set(old.number.get());
        self.word.set(handle.0);
        handle
    }

    /// The endpoint, and its epoch when this capability was made, if this is one by which
    /// the fast path may do that.
    #[inline(always)]
    pub fn endpoint<'k>(&self, k: Entered<'k>, may: May) -> Option<(&'k Endpoint, u64)> {
        let number = self.number.get();
        if number >> may as u64 & 1 == 0 {
            return None;
        }
        let endpoint = follow::<Endpoint>(k, self.object.load(Relaxed));
        debug_assert!(endpoint.is_some(), "what may be called is there");
        // SAFETY: `fill` sets these bits with an endpoint, and `empty` clears them with it.
        #[allow(unsafe_code, reason = "asked at each message")]
        let endpoint = unsafe { endpoint.unwrap_unchecked() };
        Some((endpoint, number & NUMBER))
    }

    /// The session of an endpoint's badge.
    #[inline(always)]
    pub fn session<'k>(&self, k: Entered<'k>) -> Option<&'k Session> {
        self.session.get(k)
    }

    /// What is here. Inlined, so that who wants one type looks at no other.
    #[inline(always)]
    pub fn target<'k>(&self, k: Entered<'k>) -> Option<Target<'k>> {
        let object = self.object.load(Relaxed);
        // Each cast is right because `fill` stored the object's own type in the
        // word together with the pointer.
        Some(match self.handle().object_type()? {
            ObjectType::Task => Target::Task(follow::<Task>(k, object)?),
            ObjectType::Thread => Target::Thread(follow::<Thread>(k, object)?),
            ObjectType::Endpoint => Target::Endpoint(
                follow::<Endpoint>(k, object)?,
                self.session.get(k),
                self.number.get() & NUMBER,
            ),
            ObjectType::Memory => Target::Memory(follow::<Memory>(k, object)?),
            ObjectType::Interrupt => Target::Interrupt(follow::<Interrupt>(k, object)?),
            ObjectType::System => Target::System,
            ObjectType::Reply => Target::Reply(follow::<Thread>(k, object)?, self.number.get()),
            ObjectType::Dma => Target::Dma(follow::<Dma>(k, object)?),
            ObjectType::Reservation => Target::Reservation(follow::<Reservation>(k, object)?),
        })
    }

    /// Empties the slot. `false` if its generations are used up: it is retired.
    pub fn empty(&self) -> bool {
        let generation = (self.word.get() >> 32) as u32;
        self.object.store(core::ptr::null_mut(), Relaxed);
        self.session.set(None);
        self.number.set(0);
        self.word.set(u64::from(generation.wrapping_add(1)) << 32);
        generation != u32::MAX
    }

    /// Pretends that the empty slot was used so often before.
    #[cfg(test)]
    pub fn set_generation(&self, generation: u32) {
        self.word.set(u64::from(generation) << 32);
    }

    /// Makes an endpoint's capability as new as `epoch`.
    pub fn set_epoch(&self, epoch: u64) {
        self.number.set(self.number.get() & !NUMBER | epoch);
    }

    /// Index + 1 of the next free slot; only while empty.
    pub fn next_free(&self) -> u32 {
        self.number.get() as u32
    }

    /// Notes the next free slot; only while empty.
    pub fn set_next_free(&self, next: u32) {
        self.number.set(u64::from(next));
    }
}

#[inline(always)]
fn follow<'k, T>(_: Entered<'k>, object: *mut ()) -> Option<&'k T> {
    // SAFETY: the slot's word says that the pointer was made from a `&T`. A
    // capability is counted in its object's uses, and the slots of regions and
    // bindings are parts of them, so the object lives.
    #[allow(unsafe_code, reason = "a slot holds objects of all types")]
    unsafe {
        object.cast::<T>().as_ref()
    }
}
