//! What a file system stands on: sectors, and a flush that orders them.
//!
//! [`Disk`] is what a file system asks for; [`BlockDisk`] is the disk of a block server;
//! [`serve`] is what the programs that serve file systems have in common.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod block;
mod server;

pub use block::BlockDisk;
pub use server::serve;

use libipc::interfaces::FileError;

/// Bytes in a sector, which is written whole or not at all.
pub const SECTOR: usize = 512;

/// Why a disk refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device failed, or its driver died.
    Failed,
    /// The sectors are not all on the disk.
    OutOfRange,
    /// The disk cannot be written.
    ReadOnly,
    /// What was read has not the checksum that it was written with.
    Damaged,
}

impl core::fmt::Display for DiskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            DiskError::Failed => "the disk failed",
            DiskError::OutOfRange => "sectors that there are not",
            DiskError::ReadOnly => "the disk cannot be written",
            DiskError::Damaged => "not what was written",
        })
    }
}

impl core::error::Error for DiskError {}

impl From<DiskError> for FileError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Failed => FileError::DeviceFailed,
            DiskError::ReadOnly => FileError::ReadOnly,
            // The file system names sectors that there are not, or is not what was written.
            DiskError::OutOfRange | DiskError::Damaged => FileError::Corrupt,
        }
    }
}

/// Sector-addressed storage with a volatile cache.
///
/// Buffers are whole sectors. What was written is durable when a later `flush`
/// has returned; until then a power cut may keep any of it.
pub trait Disk {
    /// Number of sectors.
    fn sectors(&self) -> u64;

    /// Whether writing is refused.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Reads from `sector` on.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Writes from `sector` on.
    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError>;

    /// Makes all earlier writes durable.
    fn flush(&mut self) -> Result<(), DiskError>;
}

impl<D: Disk> Disk for &mut D {
    fn sectors(&self) -> u64 {
        (**self).sectors()
    }

    fn is_read_only(&self) -> bool {
        (**self).is_read_only()
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        (**self).read(sector, into)
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        (**self).write(sector, from)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        (**self).flush()
    }
}
