//! Disks of a block server.

use libipc::interfaces::block::{BlockClient, BlockError, MAX_COPY, Partition, SECTOR};
use libipc::{CallError, Capability};

use super::errors::other;
use crate::disk::Disk;
use crate::error::IoError;

/// A disk, or a partition of one.
pub struct NativeDisk(pub BlockClient);

impl From<Capability> for NativeDisk {
    fn from(capability: Capability) -> Self {
        NativeDisk(capability.into())
    }
}

/// What the block server's error means to a tool.
pub fn block_error(error: CallError<BlockError>) -> IoError {
    match error {
        CallError::Server(BlockError::ReadOnly) => IoError::ReadOnly,
        CallError::Server(BlockError::OutOfRange) => IoError::NoSpace,
        // The machine has no such disk.
        CallError::Transport(error) if error.is_closed() => IoError::NotFound,
        error => other(error),
    }
}

impl Disk for NativeDisk {
    fn sectors(&mut self) -> Result<u64, IoError> {
        let geometry = self.0.geometry().map_err(block_error)?;
        Ok(geometry.sectors)
    }

    fn partition(&mut self, number: u64) -> Result<Option<Partition>, IoError> {
        match self.0.partition(number) {
            Ok(partition) => Ok(Some(partition)),
            Err(CallError::Server(BlockError::NoSuchPartition)) => Ok(None),
            Err(error) => Err(block_error(error)),
        }
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), IoError> {
        let pieces = into.chunks_mut(MAX_COPY);
        for (sector, piece) in (sector..).step_by(MAX_COPY / SECTOR).zip(pieces) {
            self.0.read(sector, piece).map_err(block_error)?;
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        let pieces = bytes.chunks(MAX_COPY);
        for (sector, piece) in (sector..).step_by(MAX_COPY / SECTOR).zip(pieces) {
            self.0.write(sector, piece).map_err(block_error)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.0.flush().map_err(block_error)
    }
}
