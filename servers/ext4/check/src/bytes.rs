//! Numbers in blocks, and checksums.

use crc::{Algorithm, CRC_16_MODBUS, Crc, Table};

/// CRC-32C as ext4 has it: what was summed up so far goes in and comes out as it is.
const CRC32C: Algorithm<u32> = Algorithm {
    width: 32,
    poly: 0x1edc_6f41,
    init: 0,
    refin: true,
    refout: true,
    xorout: 0,
    check: 0,
    residue: 0,
};

static SUM32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC32C);
static SUM16: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_MODBUS);

/// The checksum of `bytes` behind what has the sum `seed`.
pub(crate) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    let mut digest = SUM32.digest_with_initial(seed.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// The checksum of these pieces that groups had before there were others.
pub(crate) fn crc16(pieces: &[&[u8]]) -> u16 {
    let mut digest = SUM16.digest();
    pieces.iter().for_each(|piece| digest.update(piece));
    digest.finalize()
}

/// A little-endian number that is there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// A little-endian number that is there.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// A number in two parts.
pub(crate) fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_on() {
        // RFC 3720, B.4: 32 zeros.
        assert_eq!(!crc32c(!0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(crc32c(!0, b"one"), b"two"), crc32c(!0, b"onetwo"));
        assert_eq!(crc16(&[b"123456789"]), 0x4b37);
    }
}
