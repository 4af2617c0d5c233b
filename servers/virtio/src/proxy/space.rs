//! The space of addresses that a driver uses: which frames are where.

use alloc::{rc::Rc, vec::Vec};
use libipc::{
    PAGE,
    handle::Rights,
    interfaces::virtio::VirtioError,
    memory::Mapping,
    objects::{DmaClient, MemoryClient},
};

/// Who knows the frames of memory and keeps them in place: the kernel.
pub trait Pinner {
    /// Keeps memory in place and tells its frames; also a number by which to let go.
    fn pin(&mut self, memory: &MemoryClient) -> Option<(u64, Vec<u64>)>;
    /// Lets go.
    fn unpin(&mut self, pin: u64);
}

impl Pinner for DmaClient {
    fn pin(&mut self, memory: &MemoryClient) -> Option<(u64, Vec<u64>)> {
        let pages = memory.pages().ok()?;
        let mut frames = Vec::new();
        frames
            .try_reserve_exact(usize::try_from(pages).ok()?)
            .ok()?;
        let pin = DmaClient::pin(self, memory).ok()?;
        while (frames.len() as u64) < pages {
            let Ok(next) = self.addresses(pin, frames.len() as u64) else {
                Pinner::unpin(self, pin);
                return None;
            };
            let left = pages - frames.len() as u64;
            frames.extend(next.into_iter().take(left as usize));
        }
        // A page that could not be filled has no frame.
        if frames.contains(&0) {
            Pinner::unpin(self, pin);
            return None;
        }
        Some((pin, frames))
    }

    fn unpin(&mut self, pin: u64) {
        // A pin that is gone needs no more.
        let _ = DmaClient::unpin(self, pin);
    }
}

/// Memory in the space.
#[derive(Debug)]
pub struct Region {
    start: u64,
    memory: MemoryClient,
    pin: u64,
    frames: Vec<u64>,
    /// As this task sees it, if it has a queue.
    mapping: Option<Rc<Mapping>>,
    /// What tells it from others that were, or will be, at the same address.
    number: u32,
}

impl Region {
    fn length(&self) -> u64 {
        (self.frames.len() * PAGE) as u64
    }

    /// What tells it from others.
    #[inline]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The frames of so many bytes of it, in order, each piece as long as it can be.
    /// `None` if not all of them lie in it, or `add` takes no more.
    #[inline]
    pub fn pieces(
        &self,
        address: u64,
        length: u32,
        mut add: impl FnMut(u64, u32) -> Option<()>,
    ) -> Option<()> {
        let mut at = address.checked_sub(self.start)?;
        let end = at.checked_add(length.into())?;
        if length == 0 {
            return None;
        }
        while at < end {
            let mut page = (at / BYTES) as usize;
            let mut frame = *self.frames.get(page)?;
            let first = frame + at % BYTES;
            let mut stop = at - at % BYTES + BYTES;
            while stop < end && *self.frames.get(page + 1)? == frame + BYTES {
                (page, frame, stop) = (page + 1, frame + BYTES, stop + BYTES);
            }
            let stop = stop.min(end);
            add(first, (stop - at) as u32)?;
            at = stop;
        }
        Some(())
    }
}

/// The space.
#[derive(Debug)]
pub struct Space {
    /// By address.
    regions: Vec<Region>,
    next: u32,
}

const BYTES: u64 = PAGE as u64;

impl Space {
    /// Nothing is there.
    pub fn new() -> Space {
        Space {
            regions: Vec::new(),
            next: 0,
        }
    }

    /// Puts memory there.
    pub fn map(
        &mut self,
        pinner: &mut impl Pinner,
        start: u64,
        memory: MemoryClient,
    ) -> Result<(), VirtioError> {
        let pages = memory.pages().map_err(|_| VirtioError::NoResources)?;
        let length = pages.checked_mul(BYTES).ok_or(VirtioError::BadAddress)?;
        let end = start.checked_add(length).ok_or(VirtioError::BadAddress)?;
        let index = self.regions.partition_point(|region| region.start < start);
        let before = index.checked_sub(1).map(|before| &self.regions[before]);
        let overlaps = before.is_some_and(|region| region.start + region.length() > start)
            || self
                .regions
                .get(index)
                .is_some_and(|region| region.start < end);
        if overlaps || start == 0 || !start.is_multiple_of(BYTES) {
            return Err(VirtioError::BadAddress);
        }
        let none = VirtioError::NoResources;
        self.regions.try_reserve(1).map_err(|_| none)?;
        let (pin, frames) = pinner.pin(&memory).ok_or(none)?;
        self.next = self.next.wrapping_add(1);
        let region = Region {
            start,
            memory,
            pin,
            frames,
            mapping: None,
            number: self.next,
        };
        self.regions.insert(index, region);
        Ok(())
    }

    /// Takes the memory out that begins there, unless it is in use.
    pub fn unmap(
        &mut self,
        pinner: &mut impl Pinner,
        start: u64,
        in_use: impl FnOnce(u32) -> bool,
    ) -> Result<(), VirtioError> {
        let found = self
            .regions
            .binary_search_by_key(&start, |region| region.start);
        let index = found.map_err(|_| VirtioError::BadAddress)?;
        let region = &self.regions[index];
        if region.mapping.is_some() || in_use(region.number) {
            return Err(VirtioError::InUse);
        }
        pinner.unpin(self.regions.remove(index).pin);
        Ok(())
    }

    /// Takes all out: the device was reset.
    pub fn clear(&mut self, pinner: &mut impl Pinner) {
        self.regions
            .drain(..)
            .for_each(|region| pinner.unpin(region.pin));
    }

    /// The memory in which an address lies.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Region> {
        let after = self
            .regions
            .partition_point(|region| region.start <= address);
        self.regions.get(after.checked_sub(1)?)
    }

    /// Where so many bytes are in this task, aligned as asked.
    pub fn share(
        &mut self,
        address: u64,
        length: usize,
        align: u64,
    ) -> Result<(Rc<Mapping>, usize), VirtioError> {
        let bad = VirtioError::BadAddress;
        let after = self
            .regions
            .partition_point(|region| region.start <= address);
        let index = after.checked_sub(1).ok_or(bad)?;
        let region = &mut self.regions[index];
        let offset = address - region.start;
        let end = offset.checked_add(length as u64).ok_or(bad)?;
        if end > region.length() || !address.is_multiple_of(align) {
            return Err(bad);
        }
        let mapping = match &region.mapping {
            Some(mapping) => mapping.clone(),
            None => {
                let mapping = Mapping::new(&region.memory, Rights::READ | Rights::WRITE);
                let mapping = mapping.map_err(|_| VirtioError::NoResources)?;
                region.mapping.insert(Rc::new(mapping)).clone()
            }
        };
        Ok((mapping, offset as usize))
    }
}
