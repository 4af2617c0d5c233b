//! The disk of a block server.

use crate::{Disk, DiskError, SECTOR};
use core::{ops::Range, time::Duration};
use libipc::{
    CallError,
    interfaces::block::{BlockAccess, BlockClient, BlockError, Geometry, MAX_COPY},
    memory::Share,
    time,
};

/// How often a request is made before its server is taken to be gone: it is
/// restarted meanwhile, and writing the same again does no harm.
const ATTEMPTS: usize = 4;

/// How long a file system waits for a disk that somebody else has to himself, such as
/// its predecessor, whose last request is still under way.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

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
    /// Asks what the disk is like; waits for its server. Nobody else writes there from
    /// then on.
    pub fn new(client: BlockClient, share: Option<Share>) -> Result<Self, DiskError> {
        let client = to_oneself(client)?;
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

/// A capability for the same sectors, which nobody else can write while it is there.
fn to_oneself(client: BlockClient) -> Result<BlockClient, DiskError> {
    let geometry = again(|| client.geometry())?;
    if geometry.read_only || geometry.exclusive {
        return Ok(client);
    }
    let deadline = time::Instant::after(PATIENCE);
    loop {
        match client.open(0, BlockAccess::Exclusive) {
            Ok(exclusive) => return Ok(exclusive),
            Err(CallError::Server(BlockError::InUse)) if !deadline.passed() => {}
            Err(CallError::Server(_)) => return Err(DiskError::Failed),
            // Of a server that died meanwhile the next one is asked.
            Err(CallError::Transport(_)) if deadline.passed() => return Err(DiskError::Failed),
            Err(CallError::Transport(_)) => {}
        }
        time::sleep(PAUSE);
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
