//! Where bytes of leases pass through: the device reaches no lease.

use crate::disk::Disk;
use alloc::vec::Vec;
use libipc::{
    PAGE,
    handle::Rights,
    interfaces::block::{BlockError, MAX_COPY},
    memory::Mapping,
};

/// How many requests by lease are under way at once; others wait.
const PLACES: usize = 4;

/// The memory, and which places of it are free.
#[derive(Debug)]
pub struct Bounce<M> {
    /// As the disk knows it.
    pub memory: M,
    /// As the server does.
    pub mapping: Mapping,
    free: Vec<usize>,
}

impl<M> Bounce<M> {
    /// Makes it.
    pub fn new(disk: &mut impl Disk<Memory = M>) -> Result<Self, BlockError> {
        let none = |_| BlockError::NoResources;
        let pages = (PLACES * MAX_COPY / PAGE) as u64;
        let memory = libipc::task().create_memory(pages).map_err(none)?;
        let access = Rights::READ | Rights::WRITE;
        let mapping = Mapping::new(&memory, access).map_err(none)?;
        let (memory, _) = disk.register(memory)?;
        Ok(Bounce {
            memory,
            mapping,
            free: (0..PLACES).map(|place| place * MAX_COPY).collect(),
        })
    }

    /// Where the next request may have its bytes.
    pub fn take(&mut self) -> Option<usize> {
        self.free.pop()
    }

    /// It has ended.
    pub fn give(&mut self, place: usize) {
        self.free.push(place);
    }
}
