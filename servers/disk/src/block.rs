//! The disk of a block server.

use crate::{Disk, DiskError, SECTOR};
use core::ops::Range;
use libipc::{
    CallError,
    interfaces::block::{BlockClient, BlockError, Geometry, MAX_COPY},
    memory::Share,
};

/// How often a request is made before its server is taken to be gone: it is
/// restarted meanwhile, and writing the same again does no harm.
const ATTEMPTS: usize = 4;

/// A request for sectors, their number, a memory and a place in it.
type InPlace = fn(&BlockClient, u64, u64, u64, u64) -> Result<(), CallError<BlockError>>;

/// A disk that a block server serves.
#[derive(Debug)]
pub struct BlockDisk {
    client: BlockClient,
    geometry: Geometry,
    /// What is in this memory the device reads and writes by itself; all else is
    /// copied.
    share: Option<Share>,
    /// The server's number for it.
    number: Option<u64>,
}

impl BlockDisk {
    /// Asks what the disk is like; waits for its server.
    pub fn new(client: BlockClient, share: Option<Share>) -> Result<Self, DiskError> {
        let geometry = again(|| client.geometry())?;
        Ok(BlockDisk {
            client,
            geometry,
            share,
            number: None,
        })
    }

    /// Where these bytes are in memory that the server knows, if they are there.
    fn place(&self, bytes: &[u8]) -> Option<u64> {
        self.share.as_ref()?.place(bytes)
    }

    /// Has so many bytes at this place of the memory moved.
    fn move_in_place(
        &mut self,
        sector: u64,
        place: Range<u64>,
        request: InPlace,
    ) -> Result<(), DiskError> {
        let most = self.geometry.max_sectors * SECTOR as u64;
        let mut at = place.start;
        while at < place.end {
            let count = (place.end - at).min(most) / SECTOR as u64;
            let sector = sector + (at - place.start) / SECTOR as u64;
            again(|| {
                let number = self.register()?;
                let result = request(&self.client, sector, count, number, at);
                if let Err(CallError::Server(BlockError::NoSuchMemory)) = result {
                    self.number = None;
                }
                result
            })?;
            at += count * SECTOR as u64;
        }
        Ok(())
    }

    /// The number of the memory, which a server that was restarted does not know.
    fn register(&mut self) -> Result<u64, CallError<BlockError>> {
        match (self.number, &self.share) {
            (Some(number), _) => Ok(number),
            (None, Some(share)) => Ok(*self.number.insert(share.register(&self.client)?)),
            (None, None) => Err(CallError::Server(BlockError::NoResources)),
        }
    }
}

impl Disk for BlockDisk {
    fn sectors(&self) -> u64 {
        self.geometry.sectors
    }

    fn is_read_only(&self) -> bool {
        self.geometry.read_only
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if let Some(place) = self.place(into) {
            let place = place..place + into.len() as u64;
            return self.move_in_place(sector, place, BlockClient::read_at);
        }
        let pieces = into.chunks_mut(MAX_COPY);
        for (sector, piece) in (sector..).step_by(MAX_COPY / SECTOR).zip(pieces) {
            again(|| self.client.read(sector, &mut *piece))?;
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        if let Some(place) = self.place(from) {
            let place = place..place + from.len() as u64;
            return self.move_in_place(sector, place, BlockClient::write_at);
        }
        let pieces = from.chunks(MAX_COPY);
        for (sector, piece) in (sector..).step_by(MAX_COPY / SECTOR).zip(pieces) {
            again(|| self.client.write(sector, piece))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        again(|| self.client.flush())
    }
}

/// Makes a request until the server answers it.
fn again<T>(mut request: impl FnMut() -> Result<T, CallError<BlockError>>) -> Result<T, DiskError> {
    for _ in 0..ATTEMPTS {
        match request() {
            Ok(value) => return Ok(value),
            // The server has been restarted: it is told of the memory again.
            Err(CallError::Server(BlockError::NoSuchMemory)) => {}
            Err(CallError::Server(error)) => {
                return Err(match error {
                    BlockError::OutOfRange => DiskError::OutOfRange,
                    BlockError::ReadOnly => DiskError::ReadOnly,
                    _ => DiskError::Failed,
                });
            }
            Err(CallError::Transport(_)) => {}
        }
    }
    Err(DiskError::Failed)
}
