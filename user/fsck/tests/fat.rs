//! A FAT image, whole and damaged on purpose.

use hadris_fat::{FatKind, FatOptions, sync::format};
use hadris_storage::{BlockSize, MemDevice};
use libipc::interfaces::block::{Partition, SECTOR};
use tessera_fsck::{check, report::Report};
use tessera_tools::{IoError, disk::Disk};

struct Memory(Vec<u8>);

impl Disk for Memory {
    fn sectors(&mut self) -> Result<u64, IoError> {
        Ok((self.0.len() / SECTOR) as u64)
    }
    fn partition(&mut self, _: u64) -> Result<Option<Partition>, IoError> {
        let sectors = self.sectors()?;
        Ok(Some(Partition {
            sectors,
            ..Partition::default()
        }))
    }
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), IoError> {
        let place = sector as usize * SECTOR;
        let bytes = self.0.get(place..place + into.len());
        into.copy_from_slice(bytes.ok_or(IoError::NoSpace)?);
        Ok(())
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), IoError> {
        unreachable!("nothing is changed")
    }
    fn flush(&mut self) -> Result<(), IoError> {
        unreachable!("nothing is changed")
    }
}

#[test]
fn lost_clusters_are_found() {
    let sector = BlockSize::new(SECTOR as u32).unwrap();
    let mut made = MemDevice::new(vec![0; 8 << 20], sector);
    format(&mut made, &FatOptions::new().with_kind(FatKind::Fat16)).unwrap();
    let mut disk = Memory(made.into_inner());
    let mut report = Report::default();
    check(&mut disk, &mut report).unwrap();
    assert_eq!(report.lines(), [""; 0]);
    // A chain of one cluster, in both copies of the table, that no entry names.
    let reserved = usize::from(disk.0[14]);
    let length = usize::from(u16::from_le_bytes([disk.0[22], disk.0[23]]));
    for copy in [reserved, reserved + length] {
        disk.0[copy * SECTOR + 40..][..2].fill(0xff);
    }
    check(&mut disk, &mut report).unwrap();
    assert!(report.count() > 0);
    assert_eq!(Memory(vec![0; 1 << 20]).sectors(), Ok(2048));
    let unknown = check(&mut Memory(vec![0; 1 << 20]), &mut report);
    assert!(unknown.is_err());
}
