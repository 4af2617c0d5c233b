//! A disk in memory: for tests of whoever uses one.

use crate::disk::{Disk, Transfer};
use alloc::{collections::VecDeque, vec, vec::Vec};
use libipc::{
    handle::Rights,
    interfaces::block::{BlockAction, BlockError, Geometry, SECTOR},
    memory::Mapping,
    objects::MemoryClient,
    start::AnyError,
};

/// Sectors that are kept in memory, and forgotten with it.
#[derive(Debug)]
pub struct Ram {
    bytes: Vec<u8>,
    read_only: bool,
    ended: VecDeque<(usize, Result<(), BlockError>)>,
}

impl Ram {
    /// A disk of so many sectors, full of zeros.
    pub fn new(sectors: usize) -> Ram {
        Ram::with(vec![0; sectors * SECTOR], false)
    }

    /// A disk that holds these bytes, as many as are whole sectors.
    pub fn with(bytes: Vec<u8>, read_only: bool) -> Ram {
        Ram {
            bytes,
            read_only,
            ended: VecDeque::new(),
        }
    }
}

impl Disk for Ram {
    type Memory = Mapping;

    fn geometry(&self) -> Geometry {
        Geometry {
            sectors: (self.bytes.len() / SECTOR) as u64,
            block: SECTOR as u64,
            read_only: self.read_only,
            exclusive: false,
            volatile_cache: false,
            max_sectors: 256,
            max_requests: 32,
            max_memories: 16,
        }
    }

    fn register(&mut self, memory: MemoryClient) -> Result<(Mapping, u64), BlockError> {
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE);
        let mapping = mapping.map_err(|_| BlockError::NoResources)?;
        let length = mapping.len() as u64;
        Ok((mapping, length))
    }

    fn unregister(&mut self, _memory: Mapping) {}

    fn take(&mut self, number: usize, transfer: Transfer, memory: Option<&Mapping>) -> bool {
        let first = transfer.sector as usize * SECTOR;
        let sectors = self
            .bytes
            .get_mut(first..first + transfer.count as usize * SECTOR);
        let offset = transfer.offset as usize;
        let done = match (sectors, memory, transfer.action) {
            (_, _, BlockAction::Flush) => Some(()),
            (Some(sectors), Some(memory), BlockAction::Read) => memory.copy_in(offset, sectors),
            (Some(sectors), Some(memory), BlockAction::Write) => memory.copy_out(offset, sectors),
            _ => None,
        };
        self.ended.push_back((number, done.ok_or(BlockError::Io)));
        true
    }

    fn begin(&mut self) -> Result<bool, AnyError> {
        Ok(!self.ended.is_empty())
    }

    fn ended(&mut self) -> Option<(usize, Result<(), BlockError>)> {
        self.ended.pop_front()
    }
}
