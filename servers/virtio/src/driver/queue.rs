//! A queue of requests, each of a few parts of memory that the device can reach.

use super::{hal::Shared, transport::Proxied};
use alloc::{rc::Rc, vec::Vec};
use core::array;
use libipc::memory::Mapping;
use virtio_drivers::{Result, queue::VirtQueue};

/// Most parts of a request.
pub const MOST_PARTS: usize = 3;

/// Memory of a request.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it lies, mapped and known to the device.
    pub memory: Rc<Mapping>,
    /// Where in that it begins.
    pub offset: usize,
    /// Its bytes.
    pub length: usize,
    /// The device writes there, rather than reads.
    pub written: bool,
}

/// A queue of `SIZE` descriptors.
pub struct Queue<const SIZE: usize> {
    queue: VirtQueue<Shared, SIZE>,
    /// Parts of the request that begins with each descriptor.
    parts: Vec<[Option<Part>; MOST_PARTS]>,
}

impl<const SIZE: usize> Queue<SIZE> {
    /// The device's queue with this number.
    pub fn new(transport: &mut Proxied, number: u16) -> Result<Self> {
        Ok(Queue {
            queue: VirtQueue::new(transport, number, false, false)?,
            parts: (0..SIZE).map(|_| [const { None }; MOST_PARTS]).collect(),
        })
    }

    /// Makes a request available; its number until it was used. Parts that the device
    /// reads come first. `None` if there is no room, or a part is empty or none of its
    /// memory.
    pub fn add(&mut self, parts: [Option<Part>; MOST_PARTS]) -> Option<u16> {
        let given = parts.iter().flatten();
        let inside = |part: &Part| {
            let end = part.offset.checked_add(part.length);
            part.length > 0 && end.is_some_and(|end| end <= part.memory.len())
        };
        if !given.clone().all(inside) {
            return None;
        }
        let number = with(&parts, |inputs, outputs| {
            // SAFETY: the parts are kept until the request was popped, and with them
            // their memory. It is the device's and whoever's registered it: this task
            // does not read or write it before.
            unsafe { self.queue.add(inputs, outputs) }
        })
        .ok()?;
        *self.parts.get_mut(usize::from(number))? = parts;
        Some(number)
    }

    /// The next request that the device has used.
    pub fn pop(&mut self) -> Option<u16> {
        let number = self.queue.peek_used()?;
        let parts = self.parts.get_mut(usize::from(number))?;
        let parts = core::mem::replace(parts, [const { None }; MOST_PARTS]);
        with(&parts, |inputs, outputs| {
            // SAFETY: these are the parts that were added under this number.
            unsafe { self.queue.pop_used(number, inputs, outputs) }
        })
        .ok()?;
        Some(number)
    }
}

/// Calls `work` with the parts as slices: those that the device reads, and those that
/// it writes.
fn with<T>(
    parts: &[Option<Part>; MOST_PARTS],
    work: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T,
) -> T {
    let mut inputs: [&[u8]; MOST_PARTS] = [&[]; MOST_PARTS];
    let mut outputs: [&mut [u8]; MOST_PARTS] = array::from_fn(|_| &mut [][..]);
    let (mut reads, mut writes) = (0, 0);
    for part in parts.iter().flatten() {
        let start = (part.memory.address() + part.offset) as *mut u8;
        if part.written {
            // SAFETY: `add` made sure that it lies in the mapping, which the part
            // keeps. The crate takes no more than its address and length.
            outputs[writes] = unsafe { core::slice::from_raw_parts_mut(start, part.length) };
            writes += 1;
        } else {
            // SAFETY: as above.
            inputs[reads] = unsafe { core::slice::from_raw_parts(start, part.length) };
            reads += 1;
        }
    }
    work(&inputs[..reads], &mut outputs[..writes])
}
