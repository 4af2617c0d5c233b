//! Kernel objects in frames: each task has frames of its own for each type of
//! object, so that one task's objects never keep another's frames.

use crate::{
    Entered,
    arch::{Arch, Port},
    memory::{frames::Record, quota},
    object::task::Task,
};
use core::ptr;
use libipc_abi::{PAGE, objects::ObjectError};

/// Types that live in slabs.
pub const CLASSES: usize = 9;

/// Class of a frame that holds slots of a capability table.
pub const SLOTS: usize = CLASSES;

/// A kernel object's type.
pub trait Object: Sync + Sized {
    /// Its slab, different for each type.
    const CLASS: usize;
    /// Objects in a frame.
    const CAPACITY: usize = if PAGE / size_of::<Self>() > 64 {
        64
    } else {
        PAGE / size_of::<Self>()
    };
}

/// An object's type of which zeros are a value.
///
/// # Safety
///
/// They are: it is made of words, links, lists, nodes, slots and contexts alone.
#[allow(unsafe_code, reason = "the allocator of kernel objects")]
pub unsafe trait Zeroed: Object {}

#[allow(unsafe_code, reason = "the allocator of kernel objects")]
mod zeroed {
    use super::{Task, Zeroed};
    use crate::object::{endpoint::Endpoint, memory::Memory, region::Region, thread::Thread};

    // SAFETY: they are made of such fields.
    unsafe impl Zeroed for Endpoint {}
    // SAFETY: as above.
    unsafe impl Zeroed for Memory {}
    // SAFETY: as above.
    unsafe impl Zeroed for Region {}
    // SAFETY: as above.
    unsafe impl Zeroed for Task {}
    // SAFETY: as above.
    unsafe impl Zeroed for Thread {}
}

const fn full(capacity: usize) -> u64 {
    if capacity == 64 {
        u64::MAX
    } else {
        (1 << capacity) - 1
    }
}

/// Makes an object that `payer` pays for.
pub fn create<'k, T: Object>(k: Entered<'k>, payer: &Task, value: T) -> Result<&'k T, ObjectError> {
    let place = place::<T>(k, payer)?;
    // SAFETY: the place is for a `T`, and nothing lives there.
    #[allow(unsafe_code, reason = "the allocator of kernel objects")]
    unsafe {
        ptr::write(place, value);
    }
    Ok(made(k, place))
}

/// The same, all of its bits zero: what is large is not built elsewhere first.
pub fn create_zeroed<'k, T: Zeroed>(k: Entered<'k>, payer: &Task) -> Result<&'k T, ObjectError> {
    let place = place::<T>(k, payer)?;
    // SAFETY: as in `create`; zeros are a value of such a type.
    #[allow(unsafe_code, reason = "the allocator of kernel objects")]
    unsafe {
        ptr::write_bytes(place, 0, 1);
    }
    Ok(made(k, place))
}

/// The object that was just written there.
fn made<T: Object>(_: Entered<'_>, place: *const T) -> &T {
    // SAFETY: only `create` and `create_zeroed` call this. The object stays until
    // retired and until this core has left the kernel after that, and objects are
    // changed through atomics only.
    #[allow(unsafe_code, reason = "the allocator of kernel objects")]
    unsafe {
        &*place
    }
}

/// A place where no object lives, and will from now on.
fn place<T: Object>(k: Entered<'_>, payer: &Task) -> Result<*mut T, ObjectError> {
    const { assert!(size_of::<T>() <= PAGE && !core::mem::needs_drop::<T>() && align_of::<T>() <= PAGE) };
    let frames = &k.kernel.frames;
    let slab = &payer.slabs[T::CLASS];
    let (record, physical) = match frames.numbered(slab.get()) {
        Some(partial) => partial,
        None => {
            let physical = quota::allocate_dirty(k, payer)?;
            let record = frames.record(physical);
            record.class.set(T::CLASS as u32);
            record.payer.set(Some(payer));
            record.used.set(0);
            record.retired.set(0);
            record.next_retired.set(0);
            link(k, payer, record, physical);
            (record, physical)
        }
    };
    let index = record.used.get().trailing_ones() as usize;
    record.used.set(record.used.get() | 1 << index);
    if record.used.get() == full(T::CAPACITY) {
        unlink(k, payer, record);
    }
    // The frame belongs to this slab and the bit said that nothing lives at `index`,
    // which is below CAPACITY because the frame was not full; the frame is
    // page-aligned and T's size a multiple of its alignment.
    Ok(Port::physical(physical).cast::<T>().wrapping_add(index))
}

/// Frames with retired objects at which long operations stop, so that these are
/// freed: that is done when the kernel is left.
const MANY: u64 = 16;

/// Whether it is time to leave the kernel, since much waits to be freed.
pub fn is_crowded(k: Entered<'_>) -> bool {
    k.kernel.retired_count.get() >= MANY
}

/// An object that programs can name by where it is.
pub trait Named: Object {
    /// The object's unique number.
    fn id(&self) -> u64;
}

/// Bits of a name that are the object's number's, so that a successor at the same
/// place has another name.
const ID_BITS: u32 = 26;

/// The object's name, which is never 0: the frame, the place there, and what is
/// left of its number.
pub fn name<T: Named>(k: Entered<'_>, object: &T) -> u64 {
    let physical = k.kernel.physical(object);
    let frame = physical & !(PAGE as u64 - 1);
    let index = (physical - frame) / size_of::<T>() as u64;
    let number = u64::from(k.kernel.frames.number(frame));
    number << 32 | index << ID_BITS | object.id() & ((1 << ID_BITS) - 1)
}

/// The object with this name, whosever it is, if it lives. A program may ask for
/// any number.
pub fn named<T: Named>(k: Entered<'_>, wanted: u64) -> Option<&T> {
    let (record, physical) = k.kernel.frames.numbered((wanted >> 32) as u32)?;
    let index = (wanted >> ID_BITS) as usize % 64;
    let lives = record.used.get() & !record.retired.get();
    if record.class.get() as usize != T::CLASS || lives >> index & 1 == 0 {
        return None;
    }
    let pointer = Port::physical(physical).cast::<T>().wrapping_add(index);
    // SAFETY: the record says that a `T` lives there, which nobody has retired.
    #[allow(unsafe_code, reason = "the allocator of kernel objects")]
    let object = unsafe { &*pointer };
    (name(k, object) == wanted).then_some(object)
}

/// Gives an object up. Its memory is used again only after the core has left the
/// kernel; the caller has cleared all links to it.
pub fn retire<T: Object>(k: Entered<'_>, object: &T) {
    let physical = k.kernel.physical(object);
    let frame = physical & !(PAGE as u64 - 1);
    let record = k.kernel.frames.record(frame);
    let index = (physical - frame) as usize / size_of::<T>();
    if record.retired.get() == 0 {
        record.next_retired.set(k.kernel.retired.get());
        k.kernel.retired.set(k.kernel.frames.number(frame));
        k.kernel.retired_count.add(1);
        k.kernel.untidy.set(true);
    }
    record.retired.set(record.retired.get() | 1 << index);
}

/// Frees what was retired. Called by a core that is about to leave the kernel and
/// uses nothing any more but the thread that it will run; the others are outside.
///
/// A task whose last object goes may be the last of its parent's: as many as are
/// nested end here one after another, unless something else waits.
pub fn drain(k: Entered<'_>) {
    let mut freed = 0;
    while let Some((record, physical)) = k.kernel.frames.numbered(k.kernel.retired.get()) {
        if freed >= 2 * MANY && k.wanted() {
            break;
        }
        freed += 1;
        k.kernel.retired.set(record.next_retired.replace(0));
        k.kernel.retired_count.take(1);
        let Some(payer) = record.payer.get(k) else {
            continue;
        };
        let was_linked = !is_full(record);
        record
            .used
            .set(record.used.get() & !record.retired.replace(0));
        if !was_linked {
            link(k, payer, record, physical);
        }
        if record.used.get() == 0 {
            unlink(k, payer, record);
            quota::free(k, payer, physical);
        }
    }
}

fn is_full(record: &Record) -> bool {
    record.used.get() == full(CAPACITIES[record.class.get() as usize])
}

const CAPACITIES: [usize; CLASSES] = {
    use crate::object::{
        dma::Dma, endpoint::Endpoint, interrupt::Interrupt, memory::Memory, region::Region,
        reservation::Reservation, session::Session, thread::Thread,
    };
    let mut capacities = [0; CLASSES];
    capacities[Task::CLASS] = Task::CAPACITY;
    capacities[Thread::CLASS] = Thread::CAPACITY;
    capacities[Endpoint::CLASS] = Endpoint::CAPACITY;
    capacities[Session::CLASS] = Session::CAPACITY;
    capacities[Memory::CLASS] = Memory::CAPACITY;
    capacities[Interrupt::CLASS] = Interrupt::CAPACITY;
    capacities[Region::CLASS] = Region::CAPACITY;
    capacities[Reservation::CLASS] = Reservation::CAPACITY;
    capacities[Dma::CLASS] = Dma::CAPACITY;
    capacities
};

/// Puts a frame in front of its slab's list of frames with room.
fn link(k: Entered<'_>, payer: &Task, record: &Record, physical: u64) {
    let slab = &payer.slabs[record.class.get() as usize];
    let number = k.kernel.frames.number(physical);
    if let Some((first, _)) = k.kernel.frames.numbered(slab.get()) {
        first.previous.set(number);
    }
    record.next.set(slab.get());
    record.previous.set(0);
    slab.set(number);
}

fn unlink(k: Entered<'_>, payer: &Task, record: &Record) {
    let (next, previous) = (record.next.replace(0), record.previous.replace(0));
    match k.kernel.frames.numbered(previous) {
        Some((before, _)) => before.next.set(next),
        None => payer.slabs[record.class.get() as usize].set(next),
    }
    if let Some((after, _)) = k.kernel.frames.numbered(next) {
        after.previous.set(previous);
    }
}
