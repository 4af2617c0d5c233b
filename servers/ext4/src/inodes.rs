//! The checksums of inodes, which `rsext4` writes and does not look at, and the
//! root, which it makes anew if it is no directory: all names would be lost.
//!
//! Offsets and how the sum is made: Linux, Documentation/filesystems/ext4,
//! super.rst, group_descr.rst, inodes.rst and checksums.rst.

use alloc::{vec, vec::Vec};
use rsext4::crc32c::crc32c_append;
use tessera_disk::{Disk, DiskError, SECTOR};

const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const METADATA_CSUM: u32 = 0x400;
const HUGE_FILE: u32 = 0x8;
const GROUP_INODES_UNUSED: u16 = 1;
const DIRECTORY: u16 = 0x4000;

/// `mke2fs` makes no smaller groups.
const LEAST_BLOCKS: u32 = 256;

/// The flag of an inode whose blocks are counted in blocks, not in sectors.
const COUNTS_BLOCKS: u32 = 0x4_0000;

/// The inode of the root, the only one below the first of files that is anybody's.
const ROOT: u32 = 2;

/// Bytes of inodes that are read at once.
const PIECE: usize = 64 << 10;

/// Blocks of inodes that were found to be good and are not looked at again.
const REMEMBERED: usize = 64;

/// The inodes of one group.
#[derive(Debug)]
struct Table {
    /// Sector where they begin.
    first: u64,
    /// The first inode's number.
    number: u32,
    /// How many may have been used. The others can hold anything.
    used: u32,
}

/// Where inodes are, and how their checksums begin.
#[derive(Debug)]
pub struct Inodes {
    /// `None` if they have no checksums.
    seed: Option<u32>,
    size: usize,
    /// The first inode of a file that has a name.
    first: u32,
    /// Sectors of a block, where inodes may count blocks in these.
    huge: Option<u64>,
    /// By their first sectors.
    tables: Vec<Table>,
    good: [u64; REMEMBERED],
}

impl Inodes {
    /// Knows of no inodes.
    pub fn none() -> Self {
        Inodes {
            seed: None,
            size: 0,
            first: 0,
            huge: None,
            tables: Vec::new(),
            good: [0; REMEMBERED],
        }
    }

    /// Finds the inodes of a file system by its superblock. Of one that is not
    /// laid out as it has to be it finds none, and `rsext4` refuses it.
    ///
    /// `Damaged` if the root is no directory.
    pub fn find(disk: &mut impl Disk, superblock: &[u8]) -> Result<Self, DiskError> {
        let mut inodes = Inodes::none();
        let number = |at| u32_at(superblock, at);
        let incompat = number(0x60);
        if incompat & INCOMPAT_META_BG != 0 {
            return Ok(inodes);
        }
        let seed = match incompat & INCOMPAT_CSUM_SEED {
            0 => crc32c_append(!0, &superblock[0x68..0x78]),
            _ => number(0x270),
        };
        inodes.seed = (number(0x64) & METADATA_CSUM != 0).then_some(seed);
        inodes.size = u16_at(superblock, 0x58).into();
        let descriptor = match incompat & INCOMPAT_64BIT {
            0 => 32,
            _ => usize::from(u16_at(superblock, 0xfe)),
        };
        let (scale, per_group) = (number(0x18), number(0x28));
        let is_sane = scale <= 6
            && per_group > 0
            && inodes.size.is_power_of_two()
            && (128..=1024).contains(&inodes.size)
            && descriptor.is_power_of_two()
            && (32..=1024).contains(&descriptor);
        if !is_sane {
            return Ok(inodes);
        }
        let sectors_per_block = 2_u64 << scale;
        // Of the first version of ext2 it is always the eleventh.
        inodes.first = number(0x54).max(11);
        inodes.huge = (number(0x64) & HUGE_FILE != 0).then_some(sectors_per_block);
        let blocks_per_group = u64::from(number(0x20).max(LEAST_BLOCKS));
        let most = disk.sectors() / sectors_per_block / blocks_per_group + 1;
        let groups = u64::from(number(0) / per_group).min(most);
        let first = (u64::from(number(0x14)) + 1) * sectors_per_block;
        let mut sector = [0; 2 * SECTOR];
        let in_piece = (sector.len() / descriptor) as u64;
        if first + 2 * groups.div_ceil(in_piece) > disk.sectors() {
            return Ok(inodes);
        }
        for group in 0..groups {
            if group % in_piece == 0 {
                disk.read(first + group / in_piece * 2, &mut sector)?;
            }
            let start = (group % in_piece) as usize * descriptor;
            let table = Table::of(&sector[start..start + descriptor], group as u32, per_group);
            inodes.tables.extend(table.map(|table| Table {
                first: table.first.saturating_mul(sectors_per_block),
                ..table
            }));
        }
        if let Some(table) = inodes.tables.first().filter(|table| table.number == 1) {
            check_root(disk, table.first, inodes.size)?;
        }
        inodes.tables.sort_by_key(|table| table.first);
        Ok(inodes)
    }

    /// Whether what was read there are no inodes, or good ones.
    pub fn check(&mut self, sector: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let behind = self.tables.partition_point(|table| table.first <= sector);
        let table = behind.checked_sub(1).map(|index| &self.tables[index]);
        let (Some(table), Some(seed)) = (table, self.seed) else {
            return Ok(());
        };
        let before = (sector - table.first) * SECTOR as u64 / self.size as u64;
        let slot = (sector / 2) as usize % REMEMBERED;
        if before >= u64::from(table.used) || self.good[slot] == sector {
            return Ok(());
        }
        let used = (table.used - before as u32) as usize;
        let first = table.number + before as u32;
        for (number, inode) in (first..).zip(bytes.chunks_exact(self.size)).take(used) {
            if !is_whole(seed, number, inode) {
                return Err(DiskError::Damaged);
            }
        }
        self.good[slot] = sector;
        Ok(())
    }

    /// Shows whose each file and directory is, and how many bytes its blocks have.
    ///
    /// `Damaged` if an inode is not what was written, or if none were found at all.
    pub fn owners(
        &self,
        disk: &mut impl Disk,
        show: &mut dyn FnMut(u32, u64),
    ) -> Result<(), DiskError> {
        if self.tables.is_empty() {
            return Err(DiskError::Damaged);
        }
        let mut bytes = vec![0; PIECE];
        for table in &self.tables {
            let (mut number, end) = (table.number, table.number + table.used);
            let mut sector = table.first;
            while number < end {
                let left = (end - number) as usize * self.size;
                let piece = &mut bytes[..left.next_multiple_of(SECTOR).min(PIECE)];
                disk.read(sector, piece)?;
                sector += (piece.len() / SECTOR) as u64;
                for inode in piece.chunks_exact(self.size).take((end - number) as usize) {
                    if self.seed.is_some_and(|seed| !is_whole(seed, number, inode)) {
                        return Err(DiskError::Damaged);
                    }
                    if (number == ROOT || number >= self.first) && u16_at(inode, LINKS) > 0 {
                        show(owner(inode), self.bytes(inode));
                    }
                    number += 1;
                }
            }
        }
        Ok(())
    }

    /// Bytes of the blocks of an inode.
    fn bytes(&self, inode: &[u8]) -> u64 {
        let low = u64::from(u32_at(inode, 0x1c));
        let Some(sectors) = self.huge else {
            return low * SECTOR as u64;
        };
        let counted = u64::from(u16_at(inode, 0x74)) << 32 | low;
        match u32_at(inode, 0x20) & COUNTS_BLOCKS {
            0 => counted.saturating_mul(SECTOR as u64),
            _ => counted.saturating_mul(sectors * SECTOR as u64),
        }
    }
}

/// Where an inode has the number of its names.
const LINKS: usize = 0x1a;

/// Whose an inode is.
fn owner(inode: &[u8]) -> u32 {
    u32::from(u16_at(inode, 0x78)) << 16 | u32::from(u16_at(inode, 2))
}

impl Table {
    /// By its group's descriptor, in blocks; `None` if none was ever used.
    fn of(descriptor: &[u8], group: u32, per_group: u32) -> Option<Table> {
        let (first_high, unused_high) = match descriptor.len() {
            64.. => (u32_at(descriptor, 0x28), u16_at(descriptor, 0x32)),
            _ => (0, 0),
        };
        let unused = u32::from(unused_high) << 16 | u32::from(u16_at(descriptor, 0x1c));
        let used = match u16_at(descriptor, 0x12) & GROUP_INODES_UNUSED {
            0 => per_group.saturating_sub(unused),
            _ => 0,
        };
        let first = u64::from(first_high) << 32 | u64::from(u32_at(descriptor, 8));
        (used > 0).then(|| Table {
            first,
            number: group * per_group + 1,
            used,
        })
    }
}

/// The root is the second inode: its mode, which is its first field.
fn check_root(disk: &mut impl Disk, table: u64, size: usize) -> Result<(), DiskError> {
    let mut bytes = [0; SECTOR];
    let sector = table + (size / SECTOR) as u64;
    if sector >= disk.sectors() {
        return Ok(());
    }
    disk.read(sector, &mut bytes)?;
    match u16_at(&bytes, size % SECTOR) & 0xf000 {
        DIRECTORY => Ok(()),
        _ => Err(DiskError::Damaged),
    }
}

/// Whether an inode has its checksum, or nothing at all.
fn is_whole(seed: u32, number: u32, inode: &[u8]) -> bool {
    const LOW: usize = 0x7c;
    const HIGH: usize = 0x82;
    if inode.iter().all(|byte| *byte == 0) {
        return true;
    }
    let has_high = inode.len() > 128 && u16_at(inode, 0x80) >= 4;
    let sum = crc32c_append(seed, &number.to_le_bytes());
    // The generation goes before the whole; the sum itself counts as zero.
    let sum = crc32c_append(sum, &inode[0x64..0x68]);
    let sum = crc32c_append(sum, &inode[..LOW]);
    let sum = crc32c_append(sum, &[0; 2]);
    let sum = match has_high {
        true => {
            let sum = crc32c_append(sum, &inode[LOW + 2..HIGH]);
            let sum = crc32c_append(sum, &[0; 2]);
            crc32c_append(sum, &inode[HIGH + 2..])
        }
        false => crc32c_append(sum, &inode[LOW + 2..]),
    };
    let is_low = u16_at(inode, LOW) == sum as u16;
    is_low && (!has_high || u16_at(inode, HIGH) == (sum >> 16) as u16)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}
