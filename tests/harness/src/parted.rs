//! A disk with partitions, for a session's shell to look at and to mount.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::Result;
use xtask::disk::{SMALLEST, create};
use xtask::machine::Device;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// First sector, sectors and type of each partition: ext4, and one for exchange.
const PARTITIONS: [(u64, u64, u8); 2] = [
    (2048, SMALLEST / SECTOR, 0x83),
    (2048 + SMALLEST / SECTOR, 16384, 0x0c),
];

/// Makes the image: an ext4 file system in the first partition, zeros in the second.
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
    disk.write_all_at(&table(), 0)?;
    let first = PARTITIONS[0].0 * SECTOR;
    let bytes = std::fs::read(&inner)?;
    for (place, piece) in (first..).step_by(4096).zip(bytes.chunks(4096)) {
        // What is not written is zero and takes no space.
        if piece.iter().any(|byte| *byte != 0) {
            disk.write_all_at(piece, place)?;
        }
    }
    std::fs::remove_file(&inner)?;
    Ok(Device::Disk {
        image,
        read_only: false,
    })
}

/// An MBR (UEFI Specification 2.10, 5.2.1).
fn table() -> [u8; SECTOR as usize] {
    let mut bytes = [0; SECTOR as usize];
    for (place, (first, sectors, kind)) in (446..).step_by(16).zip(PARTITIONS) {
        bytes[place + 4] = kind;
        bytes[place + 8..place + 12].copy_from_slice(&(first as u32).to_le_bytes());
        bytes[place + 12..place + 16].copy_from_slice(&(sectors as u32).to_le_bytes());
    }
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}
