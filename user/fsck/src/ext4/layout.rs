//! Where things are: superblock, group descriptors, inodes (Linux,
//! Documentation/filesystems/ext4).

use super::checksum::crc32c;
use alloc::vec;
use alloc::vec::Vec;
use libipc::interfaces::block::SECTOR;
use tessera_tools::{IoError, disk::Disk};

/// Bytes of a superblock, and where it is.
const SUPER: usize = 1024;

/// Features that are looked for.
pub(crate) mod feature {
    /// Compatible: room is kept for more groups, and belongs to an inode.
    pub(crate) const RESIZE_INODE: u32 = 0x10;
    /// Incompatible: the journal is to be replayed.
    pub(crate) const RECOVER: u32 = 4;
    pub(crate) const BITS_64: u32 = 0x80;
    pub(crate) const CHECKSUM_SEED: u32 = 0x2000;
    /// All incompatible ones that are known here: file types, the journal, extents, 64
    /// bits, groups that share what describes them, a seed.
    pub(crate) const KNOWN: u32 = 2 | RECOVER | 0x40 | BITS_64 | 0x200 | CHECKSUM_SEED;
    /// Read-only compatible: not all groups have copies of the superblock.
    pub(crate) const SPARSE: u32 = 1;
    pub(crate) const HUGE_FILE: u32 = 8;
    pub(crate) const CHECKSUMS: u32 = 0x400;
    /// Clusters of blocks are not known.
    pub(crate) const BIG_ALLOC: u32 = 0x200;
    /// Compatible: copies of the superblock are in two groups; not known.
    pub(crate) const SPARSE_2: u32 = 0x200;
}

pub(crate) fn u16_at(bytes: &[u8], place: usize) -> u16 {
    let found = bytes.get(place..place + 2);
    found.map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

pub(crate) fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from(u16_at(bytes, place)) | u32::from(u16_at(bytes, place + 2)) << 16
}

/// Two halves of a number in different places.
fn halves(bytes: &[u8], low: usize, high: usize) -> u64 {
    u64::from(u32_at(bytes, low)) | u64::from(u32_at(bytes, high)) << 32
}

/// What the superblock says, as far as it can be.
#[derive(Clone, Debug)]
pub(crate) struct Super {
    pub(crate) inodes: u32,
    pub(crate) blocks: u64,
    pub(crate) free_blocks: u64,
    pub(crate) free_inodes: u32,
    pub(crate) first_block: u64,
    pub(crate) block: usize,
    pub(crate) blocks_per_group: u64,
    pub(crate) inodes_per_group: u32,
    pub(crate) first_inode: u32,
    pub(crate) inode_size: usize,
    pub(crate) compatible: u32,
    pub(crate) incompatible: u32,
    pub(crate) read_only: u32,
    pub(crate) reserved_descriptors: u64,
    pub(crate) descriptor: usize,
    pub(crate) seed: u32,
    pub(crate) state: u16,
    /// Its checksum is what it should be.
    pub(crate) is_true: bool,
}

impl Super {
    /// Reads it; an error in words if nothing can be said about the rest.
    pub(crate) fn read(disk: &mut impl Disk) -> Result<Result<Super, &'static str>, IoError> {
        let sectors = disk.sectors()?;
        let mut bytes = [0; SUPER];
        disk.read((SUPER / SECTOR) as u64, &mut bytes)?;
        Ok(Super::parse(&bytes, sectors))
    }

    fn parse(bytes: &[u8], sectors: u64) -> Result<Super, &'static str> {
        let incompatible = u32_at(bytes, 96);
        let is_wide = incompatible & feature::BITS_64 != 0;
        let wide = |low, high| match is_wide {
            true => halves(bytes, low, high),
            false => u32_at(bytes, low).into(),
        };
        let seed = match incompatible & feature::CHECKSUM_SEED {
            0 => crc32c(!0, &bytes[104..120]),
            _ => u32_at(bytes, 624),
        };
        let log = u32_at(bytes, 24);
        let read_only = u32_at(bytes, 100);
        let found = Super {
            inodes: u32_at(bytes, 0),
            blocks: wide(4, 336),
            free_blocks: wide(12, 344),
            free_inodes: u32_at(bytes, 16),
            first_block: u32_at(bytes, 20).into(),
            block: if log <= 6 { 1024 << log } else { 0 },
            blocks_per_group: u32_at(bytes, 32).into(),
            inodes_per_group: u32_at(bytes, 40),
            first_inode: u32_at(bytes, 84),
            inode_size: u16_at(bytes, 88).into(),
            compatible: u32_at(bytes, 92),
            incompatible,
            read_only,
            reserved_descriptors: u16_at(bytes, 206).into(),
            descriptor: if is_wide {
                u16_at(bytes, 254).into()
            } else {
                32
            },
            seed,
            state: u16_at(bytes, 58),
            is_true: read_only & feature::CHECKSUMS == 0
                || crc32c(!0, &bytes[..1020]) == u32_at(bytes, 1020),
        };
        found.sense(sectors).map(|()| found)
    }

    /// Whether its numbers make sense together.
    fn sense(&self, sectors: u64) -> Result<(), &'static str> {
        let unknown = self.incompatible & !feature::KNOWN != 0
            || self.read_only & feature::BIG_ALLOC != 0
            || self.compatible & feature::SPARSE_2 != 0;
        if unknown {
            return Err("it has features that are not known here");
        }
        if self.block == 0 || !self.block.is_multiple_of(self.inode_size.max(128)) {
            return Err("blocks or inodes have impossible sizes");
        }
        let bits = self.block as u64 * 8;
        let groups = self.blocks_per_group > 0
            && self.blocks_per_group <= bits
            && self.blocks_per_group.is_multiple_of(8)
            && self.inodes_per_group > 0
            && u64::from(self.inodes_per_group) <= bits
            && self.inodes_per_group.is_multiple_of(8)
            && self.inode_size >= 128
            && matches!(self.descriptor, 32 | 64)
            && (self.first_inode >= 11 || self.first_inode == 0);
        if !groups || self.first_block != u64::from(self.block == 1024) {
            return Err("groups have impossible sizes");
        }
        let most = sectors / (self.block / SECTOR) as u64;
        if self.blocks <= self.first_block + 1 || self.blocks > most {
            return Err("it is larger than its disk, or empty");
        }
        let inodes = self.groups().checked_mul(self.inodes_per_group.into());
        if inodes != Some(self.inodes.into()) {
            return Err("groups and inodes do not fit each other");
        }
        Ok(())
    }

    pub(crate) fn has_checksums(&self) -> bool {
        self.read_only & feature::CHECKSUMS != 0
    }

    pub(crate) fn groups(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.blocks_per_group)
    }

    /// The first block of a group.
    pub(crate) fn start(&self, group: u64) -> u64 {
        self.first_block + group * self.blocks_per_group
    }

    /// The blocks of a group: the last one may be short.
    pub(crate) fn length(&self, group: u64) -> u64 {
        self.blocks_per_group.min(self.blocks - self.start(group))
    }

    /// Blocks of all descriptors.
    pub(crate) fn descriptor_blocks(&self) -> u64 {
        (self.groups() * self.descriptor as u64).div_ceil(self.block as u64)
    }

    /// Whether a group begins with a copy of the superblock and the descriptors.
    pub(crate) fn has_copy(&self, group: u64) -> bool {
        let is_power = |base: u64| {
            let mut power = base;
            while power < group {
                power *= base;
            }
            power == group
        };
        self.read_only & feature::SPARSE == 0 || group < 2 || [3, 5, 7].into_iter().any(is_power)
    }

    /// The first of the inodes that are not the file system's own.
    pub(crate) fn first_inode(&self) -> u32 {
        self.first_inode.max(11)
    }

    /// Blocks of a group's table of inodes.
    pub(crate) fn table_blocks(&self) -> u64 {
        (u64::from(self.inodes_per_group) * self.inode_size as u64).div_ceil(self.block as u64)
    }
}

/// A group, as its descriptor says.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    pub(crate) table: u64,
    pub(crate) free_blocks: u32,
    pub(crate) free_inodes: u32,
    pub(crate) directories: u32,
    pub(crate) has_no_inodes: bool,
    pub(crate) has_no_block_bitmap: bool,
    /// Inodes at the end of the table that were never used.
    pub(crate) unused: u32,
    pub(crate) block_checksum: u32,
    pub(crate) inode_checksum: u32,
    pub(crate) is_true: bool,
}

impl Group {
    pub(crate) fn parse(number: u32, bytes: &[u8], of: &Super) -> Group {
        let is_wide = bytes.len() >= 64;
        let wide = |low, high| match is_wide {
            true => halves(bytes, low, high),
            false => u32_at(bytes, low).into(),
        };
        let pair = |low, high| match is_wide {
            true => u32::from(u16_at(bytes, low)) | u32::from(u16_at(bytes, high)) << 16,
            false => u16_at(bytes, low).into(),
        };
        let flags = u16_at(bytes, 18);
        let sum = crc32c(of.seed, &number.to_le_bytes());
        let sum = crc32c(crc32c(sum, &bytes[..30]), &[0, 0]);
        let sum = crc32c(sum, &bytes[32..]);
        Group {
            block_bitmap: wide(0, 32),
            inode_bitmap: wide(4, 36),
            table: wide(8, 40),
            free_blocks: pair(12, 44),
            free_inodes: pair(14, 46),
            directories: pair(16, 48),
            has_no_inodes: flags & 1 != 0,
            has_no_block_bitmap: flags & 2 != 0,
            unused: pair(28, 50),
            block_checksum: pair(24, 56),
            inode_checksum: pair(26, 58),
            is_true: !of.has_checksums() || sum as u16 == u16_at(bytes, 30),
        }
    }
}

/// An inode, as it lies in its table.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) number: u32,
    pub(crate) bytes: Vec<u8>,
    /// What the checksums of its own blocks begin with.
    pub(crate) seed: u32,
}

impl Inode {
    pub(crate) fn new(number: u32, bytes: &[u8], of: &Super) -> Inode {
        let sum = crc32c(of.seed, &number.to_le_bytes());
        Inode {
            number,
            bytes: bytes.to_vec(),
            seed: crc32c(sum, &bytes[100..104]),
        }
    }

    fn kind(&self) -> u16 {
        u16_at(&self.bytes, 0) & 0xf000
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == 0x4000
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind() == 0x8000
    }

    /// Whether it has blocks at all: a short symbolic link and a device have none.
    pub(crate) fn has_blocks(&self) -> bool {
        let is_link = self.kind() == 0xa000;
        let is_short = is_link && self.size() < 60 && !self.has_extents();
        (self.is_file() || self.is_directory() || is_link) && !is_short
    }

    /// Whether its type is one that there is.
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.kind() >> 12, 1 | 2 | 4 | 6 | 8 | 10 | 12)
    }

    pub(crate) fn links(&self) -> u16 {
        u16_at(&self.bytes, 26)
    }

    pub(crate) fn size(&self) -> u64 {
        halves(&self.bytes, 4, 108)
    }

    pub(crate) fn flags(&self) -> u32 {
        u32_at(&self.bytes, 32)
    }

    /// Whether it is a directory with an index of hashes.
    pub(crate) fn has_index(&self) -> bool {
        self.flags() & 0x1000 != 0
    }

    pub(crate) fn has_extents(&self) -> bool {
        self.flags() & 0x8_0000 != 0
    }

    /// Where its blocks are told.
    pub(crate) fn map(&self) -> &[u8] {
        &self.bytes[40..100]
    }

    /// A block with more attributes, 0 for none.
    pub(crate) fn attributes(&self) -> u64 {
        u64::from(u32_at(&self.bytes, 104)) | u64::from(u16_at(&self.bytes, 118)) << 32
    }

    /// How many blocks it says that it has, in sectors or blocks.
    pub(crate) fn sectors(&self, of: &Super) -> u64 {
        let low = u64::from(u32_at(&self.bytes, 28));
        match of.read_only & feature::HUGE_FILE {
            0 => low,
            _ => low | u64::from(u16_at(&self.bytes, 116)) << 32,
        }
    }

    pub(crate) fn counts_blocks(&self) -> bool {
        self.flags() & 0x4_0000 != 0
    }

    /// Whether its checksum is what it should be.
    pub(crate) fn is_true(&self) -> bool {
        let has_high = self.bytes.len() > 128 && u16_at(&self.bytes, 128) >= 4;
        let mut bytes = self.bytes.clone();
        bytes[124..126].fill(0);
        if has_high {
            bytes[130..132].fill(0);
        }
        let sum = crc32c(self.seed, &bytes);
        let low = sum as u16 == u16_at(&self.bytes, 124);
        low && (!has_high || (sum >> 16) as u16 == u16_at(&self.bytes, 130))
    }
}

/// A disk in blocks.
pub(crate) struct Blocks<'d, D> {
    pub(crate) disk: &'d mut D,
    pub(crate) of: Super,
}

impl<D: Disk> Blocks<'_, D> {
    /// The bytes of a block, which is there.
    pub(crate) fn read(&mut self, block: u64) -> Result<Vec<u8>, IoError> {
        let mut bytes = vec![0; self.of.block];
        let sectors = (self.of.block / SECTOR) as u64;
        self.disk.read(block * sectors, &mut bytes)?;
        Ok(bytes)
    }
}
