//! The disk as `hadris_fat` wants it.

use hadris_io::{Error, ErrorKind, ErrorType};
use hadris_storage::{BlockIndex, BlockSize, sync::BlockDevice};
use tessera_disk::{Disk, DiskError, SECTOR};

/// A disk, in blocks of a sector.
#[derive(Debug)]
pub struct Device<D>(pub D);

impl<D> ErrorType for Device<D> {
    type Error = DiskError;
}

impl<D: Disk> Device<D> {
    /// Whether so many bytes from there on are sectors of the disk.
    fn check(&self, first: BlockIndex, length: usize) -> Result<u64, Error<DiskError>> {
        let end = first.get().checked_add((length / SECTOR) as u64);
        match end {
            Some(end) if end <= self.0.sectors() && length.is_multiple_of(SECTOR) => {
                Ok(first.get())
            }
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "sectors that there are not",
            )),
        }
    }
}

fn failed(error: DiskError) -> Error<DiskError> {
    match error {
        DiskError::ReadOnly => Error::new(ErrorKind::ReadOnly, "the disk cannot be written"),
        error => Error::device(error, "the disk failed"),
    }
}

impl<D: Disk> BlockDevice for Device<D> {
    fn block_size(&self) -> BlockSize {
        const SIZE: BlockSize = BlockSize::new(SECTOR as u32).unwrap();
        SIZE
    }

    fn block_count(&self) -> u64 {
        self.0.sectors()
    }

    fn writable(&self) -> bool {
        !self.0.is_read_only()
    }

    fn read_blocks(&mut self, first: BlockIndex, into: &mut [u8]) -> Result<(), Error<DiskError>> {
        let sector = self.check(first, into.len())?;
        self.0.read(sector, into).map_err(failed)
    }

    fn write_blocks(&mut self, first: BlockIndex, from: &[u8]) -> Result<(), Error<DiskError>> {
        let sector = self.check(first, from.len())?;
        self.0.write(sector, from).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), Error<DiskError>> {
        self.0.flush().map_err(failed)
    }
}
