//! Keeps superblock and journal true to each other, whatever write is the last
//! before a power cut.
//!
//! `rsext4` 0.9.2 clears "needs recovery" in the superblock in the same
//! checkpoint as all other blocks, so that a cut in the middle leaves a file
//! system that looks clean and is not replayed; and it sets the flag through
//! the journal, which is not looked at while the flag is clear. So the flag is
//! kept from it: [`Guard::begin`] sets it before the mount, every superblock
//! that passes has it, and [`Guard::finish`] clears it when the journal is
//! empty and all blocks are durable.
//!
//! Replaying, it says that the journal is empty without a flush after the blocks
//! that it wrote to their places. So a flush goes before every superblock of a
//! journal.
//!
//! A superblock is two sectors under one checksum, and a cut between them would
//! leave none. It is first written to the boot sectors in front of it, where
//! ext4 keeps nothing, and `begin` takes that copy if the superblock is torn.
//! Boot sectors that hold something else are left alone.
//!
//! Inodes have checksums that it does not look at: see [`crate::inodes`].

use crate::inodes::Inodes;
use rsext4::{
    SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE,
    crc32c::{crc32c_append, crc32c_init},
};
use tessera_disk::{Disk, DiskError, SECTOR};

/// Bytes of the largest block of ext4.
const BLOCK: usize = 4096;

const HOME: u64 = SUPERBLOCK_OFFSET / SECTOR as u64;
const HOME_END: u64 = HOME + (SUPERBLOCK_SIZE / SECTOR) as u64;

// Offsets in the superblock: Linux, Documentation/filesystems/ext4/super.rst.
const MAGIC: usize = 0x38;
const INCOMPAT: usize = 0x60;
const RO_COMPAT: usize = 0x64;
const CHECKSUM: usize = 0x3fc;

const EXT4_MAGIC: [u8; 2] = [0x53, 0xef];
const NEEDS_RECOVERY: u8 = 0x4;
const METADATA_CSUM: u32 = 0x400;

type Superblock = [u8; SUPERBLOCK_SIZE];

/// A disk whose superblock is guarded.
#[derive(Debug)]
pub struct Guard<D> {
    disk: D,
    /// Between `begin` and `finish`.
    is_mounted: bool,
    /// Whether the boot sectors are free to hold a copy.
    has_copy: bool,
    /// Whether there were writes since the last flush.
    is_dirty: bool,
    /// Writes of single blocks, most of them to the journal, since `begin`.
    small_writes: u64,
    inodes: Inodes,
}

impl<D: Disk> Guard<D> {
    /// Guards `disk`, which holds anything at all.
    pub fn new(disk: D) -> Self {
        Guard {
            disk,
            is_mounted: false,
            has_copy: false,
            is_dirty: false,
            small_writes: 0,
            inodes: Inodes::none(),
        }
    }

    /// The disk.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Writes of single blocks since the mount: about as many as the journal holds.
    pub fn small_writes(&self) -> u64 {
        self.small_writes
    }

    /// Before a mount: mends a torn superblock and says that it needs recovery.
    pub fn begin(&mut self) -> Result<(), DiskError> {
        let is_torn = self.is_torn()?;
        let copy = self.load(0)?;
        let mut home = self.load(HOME)?;
        self.has_copy = is_ext4(&copy) || copy.iter().all(|byte| *byte == 0);
        self.is_mounted = true;
        self.small_writes = 0;
        self.inodes = Inodes::find(&mut self.disk, if is_torn { &copy } else { &home })?;
        if self.disk.is_read_only() {
            return Ok(());
        }
        if is_torn {
            // The copy is all that there is: it stays until this is durable.
            self.disk.write(HOME, &copy)?;
            self.disk.flush()?;
            home = copy;
        }
        if is_whole(&home) && home[INCOMPAT] & NEEDS_RECOVERY == 0 {
            set_recovery(&mut home, true);
            self.store(&home)?;
        }
        Ok(())
    }

    /// Whether a cut left half of a superblock, which `begin` mends.
    pub fn is_torn(&mut self) -> Result<bool, DiskError> {
        Ok(!is_whole(&self.load(HOME)?) && is_whole(&self.load(0)?))
    }

    /// After an unmount that left the journal empty and everything durable:
    /// says that the file system is clean.
    pub fn finish(&mut self) -> Result<(), DiskError> {
        let mut home = self.load(HOME)?;
        set_recovery(&mut home, false);
        self.store(&home)?;
        self.is_mounted = false;
        Ok(())
    }

    /// Reads as the disk does, but no inode that is not what was written.
    pub fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.disk.read(sector, into)?;
        self.inodes.check(sector, into)
    }

    /// Writes as the disk does, and a superblock as it has to be.
    pub fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let end = sector + (from.len() / SECTOR) as u64;
        if !self.is_mounted || sector > HOME || end < HOME_END {
            if self.is_dirty && is_journal_superblock(from) {
                self.flush()?;
            }
            self.is_dirty = true;
            self.small_writes += u64::from(from.len() <= BLOCK);
            return self.disk.write(sector, from);
        }
        // What is before it are the boot sectors, which are not the file system's.
        let start = (HOME - sector) as usize * SECTOR;
        let mut superblock = [0; SUPERBLOCK_SIZE];
        superblock.copy_from_slice(&from[start..start + SUPERBLOCK_SIZE]);
        set_recovery(&mut superblock, true);
        let after = &from[start + SUPERBLOCK_SIZE..];
        if !after.is_empty() {
            self.disk.write(HOME_END, after)?;
        }
        self.store(&superblock)
    }

    /// Writes bytes of a file, which no journal holds and which are not where the
    /// superblock is.
    pub fn write_data(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        if sector < HOME_END {
            return Err(DiskError::OutOfRange);
        }
        self.is_dirty = true;
        self.disk.write(sector, from)
    }

    /// Shows whose each inode is, and its bytes, of a file system at rest.
    pub fn owners(&mut self, show: &mut dyn FnMut(u32, u64)) -> Result<(), DiskError> {
        let superblock = self.load(HOME)?;
        let inodes = Inodes::find(&mut self.disk, &superblock)?;
        inodes.owners(&mut self.disk, show)
    }

    /// Flushes as the disk does.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        self.disk.flush()?;
        self.is_dirty = false;
        Ok(())
    }

    fn load(&mut self, sector: u64) -> Result<Superblock, DiskError> {
        let mut superblock = [0; SUPERBLOCK_SIZE];
        self.disk.read(sector, &mut superblock)?;
        Ok(superblock)
    }

    /// Writes the superblock so that one of its two places is always whole.
    fn store(&mut self, superblock: &Superblock) -> Result<(), DiskError> {
        if self.has_copy {
            self.disk.write(0, superblock)?;
            self.disk.flush()?;
        }
        self.disk.write(HOME, superblock)?;
        self.flush()
    }
}

/// Whether a block that begins so is the superblock of a journal, of either
/// version: Linux, Documentation/filesystems/ext4/journal.rst.
fn is_journal_superblock(block: &[u8]) -> bool {
    matches!(block, [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 3 | 4, ..])
}

fn is_ext4(superblock: &Superblock) -> bool {
    superblock[MAGIC..MAGIC + 2] == EXT4_MAGIC
}

fn has_checksum(superblock: &Superblock) -> bool {
    let bytes = &superblock[RO_COMPAT..RO_COMPAT + 4];
    let features = bytes.try_into().map_or(0, u32::from_le_bytes);
    features & METADATA_CSUM != 0
}

/// Whether it is a superblock, and one that was written whole.
fn is_whole(superblock: &Superblock) -> bool {
    let sum = checksum(superblock).to_le_bytes();
    is_ext4(superblock) && (!has_checksum(superblock) || superblock[CHECKSUM..] == sum)
}

fn set_recovery(superblock: &mut Superblock, is_needed: bool) {
    if is_needed {
        superblock[INCOMPAT] |= NEEDS_RECOVERY;
    } else {
        superblock[INCOMPAT] &= !NEEDS_RECOVERY;
    }
    if has_checksum(superblock) {
        let sum = checksum(superblock).to_le_bytes();
        superblock[CHECKSUM..].copy_from_slice(&sum);
    }
}

/// The checksum of a superblock, which is its last field. Zero if it is too short
/// to be one.
pub fn checksum(superblock: &[u8]) -> u32 {
    let covered = superblock.get(..CHECKSUM);
    covered.map_or(0, |bytes| crc32c_append(crc32c_init(), bytes))
}
