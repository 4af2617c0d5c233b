//! Disks in memory.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use libipc::Text;
use libipc::interfaces::block::{Partition, PartitionKind, SECTOR};

use super::Fake;
use crate::disk::{Disk, split};
use crate::error::IoError;

/// A disk and its partitions.
#[derive(Default)]
pub(crate) struct Drive {
    bytes: Vec<u8>,
    partitions: Vec<Partition>,
    flushed: usize,
}

/// An opened part of one.
pub(crate) struct FakeDisk {
    drive: Rc<RefCell<Drive>>,
    first: u64,
    sectors: u64,
    writable: bool,
}

impl Fake {
    /// A disk of so many sectors.
    pub(crate) fn disk(&mut self, name: &str, sectors: usize) {
        let drive = Drive {
            bytes: alloc::vec![0; sectors * SECTOR],
            ..Drive::default()
        };
        self.drives
            .insert(name.into(), Rc::new(RefCell::new(drive)));
    }

    /// A partition of it: first sector, sectors, name.
    pub(crate) fn partition(&mut self, disk: &str, (first, sectors): (u64, u64), name: &str) {
        let mut drive = self.drives[disk].borrow_mut();
        let number = drive.partitions.len() as u64 + 1;
        drive.partitions.push(Partition {
            number,
            first,
            sectors,
            kind: match name {
                "linux" => PartitionKind::Linux,
                _ => PartitionKind::Exchange,
            },
            name: Text::new(name).unwrap(),
            ..Partition::default()
        });
    }

    /// Writes bytes to a disk.
    pub(crate) fn put(&mut self, disk: &str, place: usize, bytes: &[u8]) {
        let mut drive = self.drives[disk].borrow_mut();
        drive.bytes[place..place + bytes.len()].copy_from_slice(bytes);
    }

    /// All bytes of a disk, and how often it was flushed.
    pub(crate) fn drive_bytes(&self, disk: &str) -> (Vec<u8>, usize) {
        let drive = self.drives[disk].borrow();
        (drive.bytes.clone(), drive.flushed)
    }

    /// Opens one as a shell does.
    pub(super) fn drive(&self, path: &str, writable: bool) -> Result<FakeDisk, IoError> {
        let (disk, partition) = split(path).unwrap();
        let drive = self.drives.get(disk).ok_or(IoError::NotFound)?.clone();
        let whole = (0, (drive.borrow().bytes.len() / SECTOR) as u64);
        let (first, sectors) = match partition {
            None => whole,
            Some(number) => {
                let found = drive.borrow().partitions[number.parse::<usize>().unwrap() - 1];
                (found.first, found.sectors)
            }
        };
        Ok(FakeDisk {
            drive,
            first,
            sectors,
            writable,
        })
    }
}

impl FakeDisk {
    fn place(&self, sector: u64, length: usize) -> Result<usize, IoError> {
        assert!(length.is_multiple_of(SECTOR));
        match sector + (length / SECTOR) as u64 <= self.sectors {
            true => Ok((self.first + sector) as usize * SECTOR),
            false => Err(IoError::NoSpace),
        }
    }
}

impl Disk for FakeDisk {
    fn sectors(&mut self) -> Result<u64, IoError> {
        Ok(self.sectors)
    }
    fn partition(&mut self, number: u64) -> Result<Option<Partition>, IoError> {
        if number == 0 {
            return Ok(Some(Partition {
                sectors: self.sectors,
                ..Partition::default()
            }));
        }
        let drive = self.drive.borrow();
        Ok(drive.partitions.get(number as usize - 1).copied())
    }
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), IoError> {
        let place = self.place(sector, into.len())?;
        let drive = self.drive.borrow();
        into.copy_from_slice(&drive.bytes[place..place + into.len()]);
        Ok(())
    }
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), IoError> {
        let place = self.place(sector, bytes.len())?;
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        let mut drive = self.drive.borrow_mut();
        drive.bytes[place..place + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), IoError> {
        self.drive.borrow_mut().flushed += 1;
        Ok(())
    }
}
