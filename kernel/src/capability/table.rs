//! A task's capability table: pages of slots, the first named by itself and the others
//! in directories, so that looking a handle up is three loads at most, and up to 2^20
//! capabilities cost what they use.

use super::{derivation, object::Target, slot::Slot};
use crate::{
    Entered,
    arch::{Arch, ENTRIES, Port},
    cell::{Link, Word},
    ipc::end,
    memory::{frames, quota, slab, space::Progress},
    object::task::Task,
};
use core::{hint, sync::atomic::Ordering::Relaxed};
use libipc_abi::{
    PAGE,
    handle::{Handle, ObjectType, Rights},
    objects::ObjectError,
    status::Cause,
};

/// Slots in a page.
const SLOTS: u32 = (PAGE / size_of::<Slot>()) as u32;

/// A page of slots.
type Page = [Slot; SLOTS as usize];

/// Directories of a table.
const DIRECTORIES: usize = 1 << (Handle::INDEX_BITS as usize - 9 - SLOTS.trailing_zeros() as usize);

/// A task's capabilities. Written by who is inside alone.
pub struct Table {
    /// The first page, in which most tasks have all that they hold.
    first: Link<Page>,
    directories: [Word<u64>; DIRECTORIES],
    /// Slots that exist.
    pub slots: Word<u32>,
    /// Slots that were ever used, and slot 0, which never is.
    fresh: Word<u32>,
    /// Index of the first free slot that was used before, or 0.
    free: Word<u32>,
    /// Capabilities.
    pub count: Word<u64>,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// No capabilities.
    pub const fn new() -> Table {
        Table {
            first: Link::none(),
            directories: [const { Word::zeroed() }; DIRECTORIES],
            slots: Word::zeroed(),
            fresh: Word::zeroed(),
            free: Word::zeroed(),
            count: Word::zeroed(),
        }
    }

    /// Physical addresses of the directories; 0 for those that do not exist.
    pub fn directories(&self) -> impl Iterator<Item = u64> {
        self.directories.iter().map(Word::get)
    }

    /// The slot with this index.
    #[inline(always)]
    pub fn slot<'k>(&self, k: Entered<'k>, index: u32) -> Option<&'k Slot> {
        if index < SLOTS {
            return Some(&self.first.get(k)?[index as usize]);
        }
        hint::cold_path();
        self.far_slot(k, index)
    }

    /// The slot whose word is `handle`: that may be empty, or being taken back. The
    /// shortest way to it.
    #[inline(always)]
    pub fn named<'k>(&self, k: Entered<'k>, handle: Handle) -> Option<&'k Slot> {
        let index = handle.index();
        let near = &self.first.get(k)?[(index % SLOTS) as usize];
        if near.handle() == handle {
            return Some(near);
        }
        hint::cold_path();
        if index < SLOTS {
            return None;
        }
        let far = self.far_slot(k, index)?;
        (far.handle() == handle).then_some(far)
    }

    #[inline(always)]
    fn far_slot<'k>(&self, k: Entered<'k>, index: u32) -> Option<&'k Slot> {
        if index >= self.slots.get() {
            return None;
        }
        let number = index / SLOTS;
        let directory = self.directories[number as usize / ENTRIES].get();
        let frame = frames::words(k, directory)[number as usize % ENTRIES].load(Relaxed);
        Some(&slots(k, frame)[(index % SLOTS) as usize])
    }

    /// The slot that `handle` names, if the handle is the one that was given.
    pub fn find<'k>(&self, k: Entered<'k>, handle: Handle) -> Option<&'k Slot> {
        self.find_any(k, handle).filter(|slot| !slot.is_revoking())
    }

    /// As `find`, also if what comes from it is being taken back.
    pub fn find_any<'k>(&self, k: Entered<'k>, handle: Handle) -> Option<&'k Slot> {
        self.named(k, handle)
            .filter(|_| handle.object_type().is_some())
    }

    /// What `handle` leads to, if it is of this type and has all these rights.
    pub fn get<'k>(
        &self,
        k: Entered<'k>,
        handle: Handle,
        kind: ObjectType,
        rights: Rights,
    ) -> Result<Target<'k>, ObjectError> {
        if handle.object_type() != Some(kind) || !handle.rights().contains(rights) {
            return Err(ObjectError::Denied);
        }
        self.find(k, handle)
            .and_then(|slot| slot.target(k))
            .ok_or(ObjectError::Denied)
    }

    /// Makes a capability. `payer`, whose table this is, pays for more slots.
    pub fn insert(
        &self,
        k: Entered<'_>,
        payer: &Task,
        target: &Target<'_>,
        rights: Rights,
    ) -> Result<Handle, ObjectError> {
        self.insert_known(k, payer, target, rights)
    }

    /// The same for who knows what the target is when it compiles.
    #[inline(always)]
    pub fn insert_known(
        &self,
        k: Entered<'_>,
        payer: &Task,
        target: &Target<'_>,
        rights: Rights,
    ) -> Result<Handle, ObjectError> {
        let (index, slot) = self.take_free(k, payer)?;
        target.acquire(rights);
        Ok(slot.fill(index, target, rights))
    }

    /// Moves the capability in a slot of the table `from` here. `payer`, whose table
    /// this is, pays for more slots.
    #[inline(always)]
    pub fn move_from(
        &self,
        k: Entered<'_>,
        payer: &Task,
        from: &Table,
        old: &Slot,
    ) -> Result<Handle, ObjectError> {
        let (index, slot) = self.take_free(k, payer)?;
        let handle = slot.take_over(index, old);
        derivation::replace(k, old, slot);
        from.count.take(1);
        from.clear_slot(old);
        Ok(handle)
    }

    /// A free slot, counted as full, and its index.
    #[inline(always)]
    fn take_free<'k>(&self, k: Entered<'k>, payer: &Task) -> Result<(u32, &'k Slot), ObjectError> {
        // A dying task's table is being emptied and takes nothing more.
        if payer.dying.get() {
            return Err(ObjectError::Died);
        }
        let index = match self.free.get() {
            0 => self.fresh.get(),
            free => free,
        };
        if index == self.slots.get() {
            self.grow(k, payer)?;
        }
        let index = index.max(1);
        let slot = self.slot(k, index).ok_or(ObjectError::QuotaExceeded)?;
        match self.free.get() {
            0 => self.fresh.set(index + 1),
            _ => self.free.set(slot.next_free()),
        }
        self.count.add(1);
        Ok((index, slot))
    }

    /// Empties a slot of this table that is in no tree any more.
    #[inline(always)]
    fn clear_slot(&self, slot: &Slot) {
        let index = slot.handle().index();
        if slot.empty() {
            slot.set_next_free(self.free.replace(index));
        }
    }

    /// Makes a capability that comes from the one in `parent`.
    pub fn insert_from(
        &self,
        k: Entered<'_>,
        payer: &Task,
        target: &Target<'_>,
        rights: Rights,
        parent: &Slot,
    ) -> Result<Handle, ObjectError> {
        let handle = self.insert(k, payer, target, rights)?;
        if let Some(slot) = self.slot(k, handle.index()) {
            derivation::add(k, parent, slot);
        }
        Ok(handle)
    }

    /// Adds a page of free slots.
    fn grow(&self, k: Entered<'_>, payer: &Task) -> Result<(), ObjectError> {
        let slots = self.slots.get();
        let page = (slots / SLOTS) as usize;
        let directory = self
            .directories
            .get(page / ENTRIES)
            .ok_or(ObjectError::QuotaExceeded)?;
        let frame = quota::allocate(k, payer)?;
        if page == 0 {
            self.first.set(Some(self::slots(k, frame)));
        } else {
            if directory.get() == 0 {
                let made = quota::allocate(k, payer);
                directory.set(made.inspect_err(|_| quota::free_zeroed(k, payer, frame))?);
            }
            frames::words(k, directory.get())[page % ENTRIES].store(frame, Relaxed);
        }
        // Whoever finds a slot by the tree of derivations finds its table so.
        let record = k.kernel.frames.record(frame);
        record.class.set(slab::SLOTS as u32);
        record.payer.set(Some(payer));
        self.slots.set(slots + SLOTS);
        Ok(())
    }

    /// Empties a slot of this table and returns what was there, still counted.
    pub fn take<'k>(&self, k: Entered<'k>, slot: &Slot) -> Option<(Target<'k>, Rights)> {
        let (target, handle) = (slot.target(k)?, slot.handle());
        derivation::remove(k, slot);
        self.take_alone(slot);
        Some((target, handle.rights()))
    }

    /// The same of a slot that is in no tree.
    #[inline(always)]
    pub fn take_alone(&self, slot: &Slot) {
        self.count.take(1);
        self.clear_slot(slot);
    }

    /// Deletes the capability in a slot of this table.
    pub fn delete(&self, k: Entered<'_>, slot: &Slot) {
        if let Some((target, rights)) = self.take(k, slot) {
            target.release(k, rights);
        }
    }

    /// Empties a dying task's table, from the last page on, and gives the pages
    /// back.
    pub fn clear(&self, k: Entered<'_>, payer: &Task) -> Progress {
        while self.slots.get() > 0 {
            let first = self.slots.get() - SLOTS;
            for index in first..self.fresh.get() {
                let Some(slot) = self.slot(k, index) else {
                    continue;
                };
                let Some(target) = slot.target(k) else {
                    continue;
                };
                if let Target::Reply(thread, number) = target {
                    end::unanswered(k, thread, number, Cause::Died);
                }
                self.delete(k, slot);
                if k.wanted() {
                    return Progress::Again;
                }
            }
            self.fresh.set(first);
            self.slots.set(first);
            self.shrink(k, payer, (first / SLOTS) as usize);
            if k.wanted() {
                return Progress::Again;
            }
        }
        self.free.set(0);
        Progress::Done
    }

    /// Gives the last page back, which has this number.
    fn shrink(&self, k: Entered<'_>, payer: &Task, page: usize) {
        if page == 0 {
            if let Some(first) = self.first.take(k) {
                quota::free(k, payer, k.kernel.physical(first));
            }
            return;
        }
        let directory = &self.directories[page / ENTRIES];
        let entry = &frames::words(k, directory.get())[page % ENTRIES];
        let frame = entry.load(Relaxed);
        entry.store(0, Relaxed);
        quota::free(k, payer, frame);
        if page.is_multiple_of(ENTRIES) || page == 1 {
            quota::free_zeroed(k, payer, directory.replace(0));
        }
    }
}

/// The page of slots in a frame.
fn slots<'k>(_: Entered<'k>, frame: u64) -> &'k Page {
    let pointer = Port::physical(frame).cast::<Page>();
    // SAFETY: a page of slots below the table's `slots` exists until the task is
    // reaped, holds nothing but slots, and zeros are a valid slot.
    #[allow(unsafe_code, reason = "slots live in frames")]
    unsafe {
        &*pointer
    }
}
