//! Whether a FAT file system is whole, by the checker of `hadris_fat`: boot sector, both
//! tables, chains that are broken, loop, are shared or belong to nobody, and names.

use crate::{device::Device, error::refusal};
use alloc::{string::ToString, vec};
use hadris_fs::Severity;
use libipc::interfaces::FileError;
use tessera_disk::{Disk, DiskError};

/// Memory of the checker: with less it reads the tables more often.
const SCRATCH: usize = 64 << 10;

/// Tells what is wrong on a disk that is only read, and how much that is. What is only
/// worth knowing is not told: that it was not unmounted, or counts its free space wrong.
///
/// `Corrupt` if it is no FAT file system; the disk's error.
pub fn check(disk: impl Disk, tell: &mut dyn FnMut(&str)) -> Result<u64, FileError> {
    let mut problems = 0;
    let mut scratch = vec![0; SCRATCH];
    let mut device = Device(Unchanged(disk));
    let checked = hadris_fat::sync::check(&mut device, &mut scratch, |finding| {
        if finding.severity() != Severity::Notice {
            problems += 1;
            tell(&finding.to_string());
        }
    });
    checked.map(|_| problems).map_err(refusal)
}

/// A disk that is not written.
struct Unchanged<D>(D);

impl<D: Disk> Disk for Unchanged<D> {
    fn sectors(&self) -> u64 {
        self.0.sectors()
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.0.read(sector, into)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), DiskError> {
        Err(DiskError::ReadOnly)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
