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

/// The partition of the fourth disk that a client is given: its place in the table, first
/// sector and sectors.
pub const PARTITION: (usize, u64, u64) = (2, 100, 4000);

/// The fourth disk's table, an MBR of two partitions: type, first sector and sectors
/// stand in each of four entries of 16 bytes.
fn table() -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let (number, first, count) = PARTITION;
    for (number, first, count) in [(1, 10, 90), (number, first, count)] {
        let place = 446 + 16 * (number - 1);
        bytes[place + 4] = 0x83;
        bytes[place + 8..place + 12].copy_from_slice(&(first as u32).to_le_bytes());
        bytes[place + 12..place + 16].copy_from_slice(&(count as u32).to_le_bytes());
    }
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// The bytes of a sector.
pub fn sector(index: u8, sector: u64) -> [u8; SECTOR] {
    if (index, sector) == (3, 0) {
        return table();
    }
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
