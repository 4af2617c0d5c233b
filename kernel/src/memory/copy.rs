//! Copies between tasks and memory objects.
//!
//! User memory is never a Rust reference in the kernel: each piece, within one
//! page on both sides, is found through the page tables and copied raw through
//! the physical map.

use crate::{
    Entered,
    arch::{Access, Arch, Entry, Port},
    memory::{fill, space},
    object::{memory::Memory, task::Task},
};
use core::{
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use libipc_abi::{PAGE, USER_END};

/// Where bytes come from or go to.
#[derive(Clone, Copy)]
pub enum Place<'k> {
    /// An address of a task.
    Task(&'k Task, u64),
    /// An offset in a memory object.
    Memory(&'k Memory, u64),
}

/// Why a copy stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The source cannot be read.
    Source,
    /// The destination cannot be written.
    Destination,
    /// An interrupt waits; so many bytes are done.
    Interrupt(u64),
}

impl Place<'_> {
    fn at(self, done: u64) -> Option<Self> {
        Some(match self {
            Place::Task(task, address) => Place::Task(task, address.checked_add(done)?),
            Place::Memory(memory, offset) => Place::Memory(memory, offset.checked_add(done)?),
        })
    }

    /// The whole page that begins here is about to be written: if memory has none yet
    /// it gets one that is not cleared first.
    fn take_page(self, k: Entered<'_>) {
        if let Place::Memory(memory, offset) = self
            && !memory.is_device()
            && offset.is_multiple_of(PAGE as u64)
        {
            memory.page_to_fill(k, offset / PAGE as u64);
        }
    }

    /// Physical address of the first byte and how many follow in its page.
    fn piece(self, k: Entered<'_>, access: Access) -> Option<(u64, u64)> {
        let (physical, position) = match self {
            Place::Task(task, address) => {
                let (physical, allowed) = fill::resolve(k, task, address, access).ok()?;
                // Only devices themselves are spoken to in device memory.
                if allowed.contains(Access::DEVICE) {
                    return None;
                }
                (physical, address)
            }
            Place::Memory(memory, offset) => {
                if memory.is_device() {
                    return None;
                }
                let frame = memory.page(k, offset / PAGE as u64)?;
                (frame + offset % PAGE as u64, offset)
            }
        };
        Some((physical, PAGE as u64 - position % PAGE as u64))
    }
}

/// Copies `length` bytes, in pieces of at most a page. Each page is looked for once.
pub fn copy(k: Entered<'_>, from: Place<'_>, to: Place<'_>, length: u64) -> Result<(), Stop> {
    let (mut source, mut readable) = (0, 0);
    let (mut destination, mut writable) = (0, 0);
    let mut done = 0;
    while done < length {
        if readable == 0 {
            let place = from.at(done);
            let piece = place.and_then(|place| place.piece(k, Access::READ));
            (source, readable) = piece.ok_or(Stop::Source)?;
        }
        if writable == 0 {
            let place = to.at(done);
            if readable == PAGE as u64 && length - done >= readable {
                // From one page to another, in one piece.
                place.inspect(|place| place.take_page(k));
            }
            let piece = place.and_then(|place| place.piece(k, Access::WRITE));
            (destination, writable) = piece.ok_or(Stop::Destination)?;
        }
        let piece = readable.min(writable).min(length - done);
        move_bytes(source, destination, piece as usize);
        k.core.copied.add(piece);
        done += piece;
        (source, readable) = (source + piece, readable - piece);
        (destination, writable) = (destination + piece, writable - piece);
        if done < length && k.wanted() {
            return Err(Stop::Interrupt(done));
        }
    }
    Ok(())
}

/// No more than a page of a task's memory, in one page of the tables or two.
struct Present {
    /// Physical address of the first byte.
    first: u64,
    /// Physical address of the page with what is not in the first one's.
    second: u64,
    /// How many bytes there can be in the first one's page.
    left: u64,
}

impl Present {
    /// Finds it, if it is there and may be accessed so.
    #[inline(always)]
    fn find(
        k: Entered<'_>,
        (task, address): (&Task, u64),
        length: u64,
        access: Access,
    ) -> Option<Self> {
        if address > USER_END - PAGE as u64 {
            return None;
        }
        let offset = address % PAGE as u64;
        let left = PAGE as u64 - offset;
        let entries = space::leaves(k, task, address, 1 + u64::from(length > left));
        Some(Present {
            first: Self::page(entries.first()?, access)? + offset,
            second: Self::page(entries.last()?, access)?,
            left,
        })
    }

    /// The page of this entry, if it may be accessed so.
    #[inline(always)]
    fn page(entry: &AtomicU64, access: Access) -> Option<u64> {
        match Port::entry(entry.load(Relaxed), 0) {
            Entry::Page(frame, allowed) => {
                (allowed & (access | Access::DEVICE) == access).then_some(frame)
            }
            _ => None,
        }
    }

    /// Goes on after so many bytes, which are no more than are left in the page.
    #[inline(always)]
    fn skip(&mut self, bytes: u64) {
        self.first += bytes;
        self.left -= bytes;
        if self.left == 0 {
            self.first = self.second;
            self.left = PAGE as u64;
        }
    }
}

/// Copies no more than a page between two tasks, if all of it is there and may be
/// accessed so. `false`, and nothing done, if not.
#[inline(always)]
pub fn copy_present(k: Entered<'_>, from: (&Task, u64), to: (&Task, u64), length: u64) -> bool {
    if length > PAGE as u64 {
        return false;
    }
    let Some(mut source) = Present::find(k, from, length, Access::READ) else {
        return false;
    };
    let Some(mut destination) = Present::find(k, to, length, Access::WRITE) else {
        return false;
    };
    let mut rest = length;
    while rest > 0 {
        let piece = rest.min(source.left).min(destination.left);
        move_bytes(source.first, destination.first, piece as usize);
        source.skip(piece);
        destination.skip(piece);
        rest -= piece;
    }
    k.core.copied.add(length);
    true
}

/// Copies from memory of the kernel to a place; the bytes are few.
pub fn write(k: Entered<'_>, bytes: &[u8], to: Place<'_>) -> Result<(), Stop> {
    let mut done = 0;
    while done < bytes.len() {
        let (destination, writable) = to
            .at(done as u64)
            .and_then(|place| place.piece(k, Access::WRITE))
            .ok_or(Stop::Destination)?;
        let piece = (writable as usize).min(bytes.len() - done);
        // SAFETY: the destination is `writable` bytes of one frame that belongs
        // to a memory object, which no Rust reference covers; the source is a
        // slice of the kernel, so they do not overlap.
        #[allow(unsafe_code, reason = "user memory is raw memory")]
        unsafe {
            ptr::copy_nonoverlapping(bytes[done..].as_ptr(), Port::physical(destination), piece);
        }
        done += piece;
    }
    Ok(())
}

/// Copies from a place to memory of the kernel; the bytes are few.
pub fn read(k: Entered<'_>, from: Place<'_>, bytes: &mut [u8]) -> Result<(), Stop> {
    let mut done = 0;
    while done < bytes.len() {
        let (source, readable) = from
            .at(done as u64)
            .and_then(|place| place.piece(k, Access::READ))
            .ok_or(Stop::Source)?;
        let piece = (readable as usize).min(bytes.len() - done);
        // SAFETY: as in `write`, the other way round.
        #[allow(unsafe_code, reason = "user memory is raw memory")]
        unsafe {
            ptr::copy_nonoverlapping(Port::physical(source), bytes[done..].as_mut_ptr(), piece);
        }
        done += piece;
    }
    Ok(())
}

/// Copies words between two message buffers, from so many bytes behind the beginning of
/// each frame on, with no call.
#[inline(always)]
pub fn move_words(source: u64, destination: u64, bytes: usize) {
    debug_assert!(source != destination && bytes > 0 && bytes.is_multiple_of(8));
    let (source, destination) = (Port::physical(source), Port::physical(destination));
    // SAFETY: each lies in the frame of a message buffer, of which there are only
    // references to atomics; two threads have two.
    #[allow(unsafe_code, reason = "user memory is raw memory")]
    unsafe {
        libipc_mem::copy_words(source, destination, bytes);
    }
}

/// Copies from one physical address to another, each within one frame of user memory
/// or of a message buffer.
pub fn move_bytes(source: u64, destination: u64, length: usize) {
    let (source, destination) = (Port::physical(source), Port::physical(destination));
    // SAFETY: both lie, `length` bytes long, in one frame each that user programs
    // write as they like: a memory object's, which no Rust reference covers, or a
    // message buffer, of which there are only references to atomics. They may be the
    // same frame, so the copy allows overlap.
    #[allow(unsafe_code, reason = "user memory is raw memory")]
    unsafe {
        ptr::copy(source, destination, length);
    }
}
