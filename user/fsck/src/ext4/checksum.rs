//! CRC-32C as ext4 uses it: least significant bit first, with a seed, not inverted.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ 0x82f6_3b78 & (sum & 1).wrapping_neg();
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

/// The checksum of bytes after those whose checksum is `seed`.
pub(crate) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |sum, byte| {
        sum >> 8 ^ TABLE[(sum as u8 ^ byte) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_crc() {
        // RFC 3720, B.4: the checksum of "123456789", there inverted.
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }
}
