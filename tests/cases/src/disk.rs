//! What the disks of the suites hold when a machine boots, so that the guest knows what
//! the host wrote.

use alloc::vec::Vec;

/// Bytes of a sector.
const SECTOR: usize = 512;

/// Sectors of a disk. The second one is small.
pub fn sectors(index: u8) -> u64 {
    match index {
        1 => 64,
        _ => 8192,
    }
}

/// Whether the disk cannot be written: the second one.
pub fn is_read_only(index: u8) -> bool {
    index == 1
}

/// The bytes of a sector.
pub fn sector(index: u8, sector: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        let number = (u64::from(index) << 56 | sector << 8 | place as u64).wrapping_mul(ODD);
        word.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// Makes numbers that are near each other differ in all bytes.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// All of it.
pub fn contents(index: u8) -> Vec<u8> {
    (0..sectors(index))
        .flat_map(|number| sector(index, number))
        .collect()
}
