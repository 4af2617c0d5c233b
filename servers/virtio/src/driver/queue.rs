//! A queue of requests, each of a few parts of memory that the device can reach.

use super::{hal::Shared, transport::Proxied};
use alloc::{rc::Rc, vec::Vec};
use core::array;
use libipc::memory::Mapping;
use virtio_drivers::{Result, queue::VirtQueue};

/// Most parts of a request.
const PARTS: usize = 3;

/// Part of the queue's own memory.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Where in it.
    pub offset: usize,
    /// Its bytes.
    pub length: usize,
}

/// Memory of whoever makes a request.
#[derive(Clone, Debug)]
pub struct Data {
    /// Where it lies, mapped and known to the device.
    pub memory: Rc<Mapping>,
    /// Where in that it begins.
    pub offset: usize,
    /// Its bytes.
    pub length: usize,
    /// The device writes there, rather than reads.
    pub written: bool,
}

/// What a request is made of, in the order in which the device gets it.
#[derive(Debug, Default)]
struct Request {
    /// Address and length of each part.
    parts: [(usize, usize); PARTS],
    /// How many the device reads, and how many there are.
    read: usize,
    count: usize,
    /// Keeps the data mapped.
    _data: Option<Rc<Mapping>>,
}

/// A queue of `SIZE` descriptors, with memory for what comes before and after data.
pub struct Queue<const SIZE: usize> {
    queue: VirtQueue<Shared, SIZE>,
    own: Rc<Mapping>,
    /// By the descriptor with which each begins.
    requests: Vec<Request>,
}

impl<const SIZE: usize> Queue<SIZE> {
    /// The device's queue with this number. `own` is known to the device.
    pub fn new(transport: &mut Proxied, number: u16, own: Rc<Mapping>) -> Result<Self> {
        Ok(Queue {
            queue: VirtQueue::new(transport, number, false, false)?,
            own,
            requests: (0..SIZE).map(|_| Request::default()).collect(),
        })
    }

    /// Makes a request available, of what the device reads before the data, the data,
    /// and what the device writes after it; its number until it was used. `None` if
    /// there is no room, or a part is empty or none of its memory.
    pub fn add(
        &mut self,
        before: Option<Own>,
        data: Option<Data>,
        after: Option<Own>,
    ) -> Option<u16> {
        let mut request = Request::default();
        if let Some(before) = before {
            request.push(&self.own, before)?;
            request.read += 1;
        }
        if let Some(data) = data {
            let part = Own {
                offset: data.offset,
                length: data.length,
            };
            request.push(&data.memory, part)?;
            request.read += usize::from(!data.written);
            request._data = Some(data.memory);
        }
        if let Some(after) = after {
            request.push(&self.own, after)?;
        }
        let number = request.slices(|inputs, outputs| {
            // SAFETY: the request is kept until it was popped, and with it its memory.
            // That is the device's and whoever's registered it: this task does not
            // read or write it before.
            unsafe { self.queue.add(inputs, outputs) }
        });
        let number = number.ok()?;
        *self.requests.get_mut(usize::from(number))? = request;
        Some(number)
    }

    /// Whether the endpoint is told when the device has used something. Otherwise
    /// it shows when something is announced.
    pub fn set_told(&mut self, told: bool) {
        self.queue.set_dev_notify(told);
    }

    /// The next request that the device has used, and how many bytes it says that it
    /// has written.
    pub fn pop(&mut self) -> Option<(u16, u32)> {
        let number = self.queue.peek_used()?;
        let request = self.requests.get_mut(usize::from(number))?;
        let popped = request.slices(|inputs, outputs| {
            // SAFETY: these are the parts that were added under this number.
            unsafe { self.queue.pop_used(number, inputs, outputs) }
        });
        request._data = None;
        Some((number, popped.ok()?))
    }
}

impl Request {
    /// Adds a part of memory that is mapped.
    #[inline]
    fn push(&mut self, memory: &Mapping, part: Own) -> Option<()> {
        let end = part.offset.checked_add(part.length)?;
        if part.length == 0 || end > memory.len() {
            return None;
        }
        *self.parts.get_mut(self.count)? = (memory.address() + part.offset, part.length);
        self.count += 1;
        Some(())
    }

    /// Calls `work` with the parts as slices: those that the device reads, and those
    /// that it writes.
    #[inline]
    fn slices<T>(
        &self,
        work: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T,
    ) -> T {
        let inputs: [&[u8]; PARTS] = array::from_fn(|index| {
            let (address, length) = self.parts[index];
            let address = if index < self.read { address } else { 1 };
            let length = if index < self.read { length } else { 0 };
            // SAFETY: `push` made sure that it lies in a mapping, which the request or
            // the queue keeps; or it is empty. The crate takes no more of it than
            // address and length.
            unsafe { core::slice::from_raw_parts(address as *const u8, length) }
        });
        let mut outputs: [&mut [u8]; PARTS] = array::from_fn(|index| {
            let part = self.parts.get(self.read + index);
            let (address, length) = *part.unwrap_or(&(1, 0));
            let address = if address == 0 { 1 } else { address };
            // SAFETY: as above.
            unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length) }
        });
        work(&inputs[..self.read], &mut outputs[..self.count - self.read])
    }
}
