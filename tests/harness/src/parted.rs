//! A disk with partitions, for a session's shell to look at and to mount.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use hadris_fat::{FatKind, FatOptions, sync::format};
use hadris_storage::{BlockSize, MemDevice};
use xtask::disk::{SMALLEST, create, mbr};
use xtask::machine::Device;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// First sector, sectors and type of each partition: ext4, nothing yet, and FAT.
const PARTITIONS: [(u64, u64, u8); 3] = [
    (2048, SMALLEST / SECTOR, 0x83),
    (2048 + SMALLEST / SECTOR, 16384, 0x0c),
    (2048 + SMALLEST / SECTOR + 16384, 16384, 0x0c),
];

/// Makes the image: an ext4 file system in the first partition, zeros in the second, FAT
/// in the third.
pub fn disk(image: PathBuf) -> Result<Device> {
    let inner = image.with_extension("part");
    for old in [&image, &inner] {
        if old.exists() {
            std::fs::remove_file(old)?;
        }
    }
    create(&inner, SMALLEST)?;
    let disk = File::create_new(&image)?;
    let end = PARTITIONS.map(|(first, sectors, _)| first + sectors);
    disk.set_len(end.into_iter().max().unwrap_or_default() * SECTOR)?;
    disk.write_all_at(&mbr(&PARTITIONS), 0)?;
    fill(&disk, PARTITIONS[0], &std::fs::read(&inner)?)?;
    std::fs::remove_file(&inner)?;
    fill(&disk, PARTITIONS[2], &fat(PARTITIONS[2].1 * SECTOR)?)?;
    Ok(Device::Disk {
        image,
        read_only: false,
    })
}

/// Writes bytes to a partition. What is zero is left out, and takes no space.
fn fill(disk: &File, (first, ..): (u64, u64, u8), bytes: &[u8]) -> Result<()> {
    let pieces = (first * SECTOR..).step_by(4096).zip(bytes.chunks(4096));
    for (place, piece) in pieces.filter(|(_, piece)| piece.iter().any(|byte| *byte != 0)) {
        disk.write_all_at(piece, place)?;
    }
    Ok(())
}

/// An empty FAT file system.
fn fat(size: u64) -> Result<Vec<u8>> {
    let sector = BlockSize::new(SECTOR as u32).context("a sector has bytes")?;
    let mut disk = MemDevice::new(vec![0; size as usize], sector);
    let made = format(&mut disk, &FatOptions::new().with_kind(FatKind::Fat16));
    made.map_err(|error| anyhow!("cannot make a FAT file system: {error}"))?;
    Ok(disk.into_inner())
}
