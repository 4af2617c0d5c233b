// crc32c.rs
#[cfg(target_arch = "aarch64")]
#[allow(dead_code)]
use crate::crc32c::arm64::*;
#[cfg(target_arch = "x86_64")]
use crate::crc32c::x86_64::{crc32c_hardware, is_hardware_crc32_supported};
use crate::superblock::Ext4Superblock;

const POLY: u32 = 0x82F63B78;

// Build slicing-by-8 lookup tables at compile time instead of embedding literals.
const fn generate_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut j = 0;
        while j < 8 {
            if (crc & 1) != 0 {
                crc = (crc >> 1) ^ POLY;
            } else {
                crc >>= 1;
            }
            j += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }

    let mut table = 1;
    while table < tables.len() {
        let mut index = 0;
        while index < 256 {
            let previous = tables[table - 1][index];
            tables[table][index] = tables[0][(previous & 0xff) as usize] ^ (previous >> 8);
            index += 1;
        }
        table += 1;
    }
    tables
}

static CRC32C_TABLES: [[u32; 256]; 8] = generate_tables();

// Metadata checksum verification is feature-gated by the superblock.
#[inline]
pub fn ext4_superblock_has_metadata_csum(sb: &Ext4Superblock) -> bool {
    sb.has_feature_ro_compat(Ext4Superblock::EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)
}

#[inline]
fn crc32c_update(crc: u32, data: &[u8]) -> u32 {
    // SAFETY: any eight bytes are a `u64`.
    let (head, words, tail) = unsafe { data.align_to::<u64>() };
    let mut crc = crc32c_bytes(crc, head);
    for word in words {
        let word = u64::from_le(*word) ^ u64::from(crc);
        crc = CRC32C_TABLES[7][(word & 0xff) as usize]
            ^ CRC32C_TABLES[6][((word >> 8) & 0xff) as usize]
            ^ CRC32C_TABLES[5][((word >> 16) & 0xff) as usize]
            ^ CRC32C_TABLES[4][((word >> 24) & 0xff) as usize]
            ^ CRC32C_TABLES[3][((word >> 32) & 0xff) as usize]
            ^ CRC32C_TABLES[2][((word >> 40) & 0xff) as usize]
            ^ CRC32C_TABLES[1][((word >> 48) & 0xff) as usize]
            ^ CRC32C_TABLES[0][(word >> 56) as usize];
    }
    crc32c_bytes(crc, tail)
}

fn crc32c_bytes(mut crc: u32, data: &[u8]) -> u32 {
    for &byte in data {
        crc = CRC32C_TABLES[0][((crc ^ u32::from(byte)) & 0xff) as usize] ^ (crc >> 8);
    }
    crc
}

/// Returns the standard CRC32C initial accumulator.
#[inline]
pub fn crc32c_init() -> u32 {
    0xFFFF_FFFF
}

#[inline]
pub fn crc32c_finalize(crc: u32) -> u32 {
    crc ^ 0xFFFF_FFFF
}

#[inline]
pub fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    // Use hardware acceleration on aarch64 when the CPU advertises CRC support.
    #[cfg(target_arch = "aarch64")]
    {
        if is_hardware_crc32_supported() {
            return unsafe { crc32c_hardware(crc, data) };
        }
    }

    // x86 CRC32C uses only GPR operands. Runtime detection keeps the generic
    // binary valid on CPUs without SSE4.2 and leaves the OS lock model out of
    // this portable algorithm boundary.
    #[cfg(target_arch = "x86_64")]
    {
        if is_hardware_crc32_supported() {
            return unsafe { crc32c_hardware(crc, data) };
        }
    }

    crc32c_update(crc, data)
}

#[inline]
pub fn crc32c(data: &[u8]) -> u32 {
    crc32c_finalize(crc32c_append(crc32c_init(), data))
}

/// Returns the CRC32C seed used for ext4 metadata checksums.
///
/// Linux uses the stored checksum seed when `csum_seed` is enabled; otherwise
/// it derives the seed from the filesystem UUID.
pub fn ext4_crc32c_seed_from_superblock(sb: &Ext4Superblock) -> u32 {
    if sb.has_feature_incompat(Ext4Superblock::EXT4_FEATURE_INCOMPAT_CSUM_SEED) {
        sb.s_checksum_seed
    } else {
        // Do not finalize here; Linux uses the raw running CRC value.
        crc32c_append(crc32c_init(), &sb.s_uuid)
    }
}
