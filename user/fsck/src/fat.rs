//! FAT, by the checker of `hadris_fat`.

use alloc::string::ToString;
use alloc::vec;
use hadris_fs::Severity;
use hadris_io::{Error, ErrorKind, ErrorType};
use hadris_storage::{BlockIndex, BlockSize, sync::BlockDevice};
use libipc::interfaces::block::SECTOR;
use tessera_tools::{IoError, disk::Disk};

use crate::report::Report;

/// Memory of the checker: with less it reads the tables more often.
const SCRATCH: usize = 64 << 10;

/// Checks all of it. What is only worth knowing is no finding.
pub fn check(disk: &mut impl Disk, report: &mut Report) -> Result<(), IoError> {
    let sectors = disk.sectors()?;
    let mut device = Device { disk, sectors };
    let mut scratch = vec![0; SCRATCH];
    let checked = hadris_fat::sync::check(&mut device, &mut scratch, |finding| {
        if finding.severity() != Severity::Notice {
            report.add(finding.to_string());
        }
    });
    match checked {
        Ok(_) => Ok(()),
        Err(error) => match error.device_error() {
            Some(Failed(error)) => Err(error.clone()),
            None => {
                report.add(error.to_string());
                Ok(())
            }
        },
    }
}

/// Why the disk could not be read.
#[derive(Debug)]
struct Failed(IoError);

impl core::fmt::Display for Failed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Failed {}

/// The disk as `hadris_fat` wants it.
struct Device<'d, D> {
    disk: &'d mut D,
    sectors: u64,
}

impl<D> ErrorType for Device<'_, D> {
    type Error = Failed;
}

impl<D: Disk> BlockDevice for Device<'_, D> {
    fn block_size(&self) -> BlockSize {
        const SIZE: BlockSize = BlockSize::new(SECTOR as u32).unwrap();
        SIZE
    }

    fn block_count(&self) -> u64 {
        self.sectors
    }

    fn read_blocks(&mut self, first: BlockIndex, into: &mut [u8]) -> Result<(), Error<Failed>> {
        let end = first.get().checked_add((into.len() / SECTOR) as u64);
        if end.is_none_or(|end| end > self.sectors) || !into.len().is_multiple_of(SECTOR) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "sectors that there are not",
            ));
        }
        let read = self.disk.read(first.get(), into);
        read.map_err(|error| Error::device(Failed(error), "the disk failed"))
    }

    fn flush(&mut self) -> Result<(), Error<Failed>> {
        Ok(())
    }
}
