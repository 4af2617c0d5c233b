//! The disk of a block server.

use crate::disk::{Disk, DiskError, SECTOR};
use libipc::{
    CallError,
    interfaces::block::{BlockClient, BlockError, Geometry, MAX_COPY},
};

/// How often a request is made before its server is taken to be gone: it is
/// restarted meanwhile, and writing the same again does no harm.
const ATTEMPTS: usize = 4;

/// A disk that a block server serves.
#[derive(Debug)]
pub struct BlockDisk {
    client: BlockClient,
    geometry: Geometry,
}

impl BlockDisk {
    /// Asks what the disk is like; waits for its server.
    pub fn new(client: BlockClient) -> Result<Self, DiskError> {
        let geometry = again(|| client.geometry())?;
        Ok(BlockDisk { client, geometry })
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
        let pieces = into.chunks_mut(MAX_COPY);
        for (sector, piece) in (sector..).step_by(MAX_COPY / SECTOR).zip(pieces) {
            again(|| self.client.read(sector, &mut *piece))?;
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
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
