//! Whether an ext4 file system is whole: what `e2fsck -fn` asks, of a disk that is only
//! read.
//!
//! ```text
//! superblock    what the file system says of itself      -> Geometry
//! groups        where each group's structures are
//! inodes        every inode, and which blocks it claims  -> blocks, reserved
//! directories   every name, from the root down
//! bitmaps       what is marked as taken, and counted as free
//! ```
//!
//! Nothing that is read is trusted: whatever is on the disk, a check ends, after it has
//! told what is wrong. Layouts and names: Linux, Documentation/filesystems/ext4.
//!
//! Not looked at: whether names of a directory differ, whether an index finds them by
//! their hashes, and what extended attributes say. Nor are copies of the superblock and of
//! descriptors, with which `e2fsck` makes do where the first ones are damaged.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bitmaps;
mod blocks;
mod bytes;
mod directories;
mod groups;
mod inodes;
mod reserved;
mod superblock;

use alloc::vec::Vec;
use blocks::Claims;
use core::fmt;
use groups::Group;
use inodes::Inode;
use superblock::Geometry;
use tessera_disk::{Disk, DiskError, SECTOR};

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file system as a whole.
    FileSystem,
    /// A group of blocks, by its number.
    Group(u32),
    /// A file or directory, by its inode's number.
    Inode(u32),
    /// A name in the directory with this inode.
    Name(u32),
}

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, as a clause.
    pub what: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::FileSystem => f.write_str(self.what),
            Place::Group(number) => write!(f, "group {number}: {}", self.what),
            Place::Inode(number) => write!(f, "inode {number}: {}", self.what),
            Place::Name(number) => write!(f, "a name in inode {number}: {}", self.what),
        }
    }
}

/// Why a file system could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// There is no ext2, ext3 or ext4 file system, or only what is left of one.
    NoFileSystem,
    /// It has features that are not known here: bits of its incompatible features.
    Features(u32),
    /// Its journal is not empty. Who mounts it replays that.
    Journal,
    /// There is not enough memory for what is to be known of it.
    Memory,
    /// The disk failed.
    Disk(DiskError),
}

impl From<DiskError> for Unchecked {
    fn from(error: DiskError) -> Self {
        Unchecked::Disk(error)
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unchecked::NoFileSystem => f.write_str("there is no ext4 file system"),
            Unchecked::Features(bits) => write!(f, "features {bits:#x} are not known here"),
            Unchecked::Journal => f.write_str(
                "its journal is not empty: it is mounted, or was not unmounted; do so first",
            ),
            Unchecked::Memory => f.write_str("it is too large for the memory that there is"),
            Unchecked::Disk(error) => write!(f, "the disk cannot be read ({error:?})"),
        }
    }
}

/// What a file system holds, as far as it could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, directories and whatever else has an inode, those that are reserved
    /// included.
    pub files: u32,
    /// Files that there can be.
    pub most_files: u32,
    /// Blocks that are taken.
    pub blocks: u64,
    /// Blocks that there are.
    pub most_blocks: u64,
    /// What was told to be wrong.
    pub problems: u64,
}

/// Checks the file system on `disk` and tells each problem that it finds.
pub fn check(disk: &mut impl Disk, tell: &mut dyn FnMut(Problem)) -> Result<Summary, Unchecked> {
    let mut problems = 0;
    let mut tell = |problem| {
        problems += 1;
        tell(problem);
    };
    let geometry = Geometry::read(disk, &mut tell)?;
    let mut check = Check {
        claims: Claims::new(geometry.first_block, geometry.blocks).ok_or(Unchecked::Memory)?,
        inodes: with_room(geometry.inodes as usize)?,
        groups: Vec::new(),
        attributes: Vec::new(),
        geometry,
        disk,
        tell: &mut tell,
    };
    check.find_groups()?;
    check.look_at_inodes()?;
    check.walk_directories()?;
    check.compare_bitmaps()?;
    let reserved = check.geometry.first_inode - 1;
    let others = check.inodes[reserved as usize..].iter();
    let mut summary = Summary {
        files: reserved + others.filter(|inode| inode.is_used()).count() as u32,
        most_files: check.geometry.inodes,
        blocks: check.claims.count(),
        most_blocks: check.geometry.blocks,
        problems: 0,
    };
    summary.problems = problems;
    Ok(summary)
}

/// A check that goes on.
struct Check<'c, D> {
    disk: &'c mut D,
    tell: &'c mut dyn FnMut(Problem),
    geometry: Geometry,
    groups: Vec<Group>,
    claims: Claims,
    /// By their numbers, from 1 on.
    inodes: Vec<Inode>,
    /// Blocks of extended attributes, which several files may have in common.
    attributes: Vec<u64>,
}

impl<D: Disk> Check<'_, D> {
    fn problem(&mut self, place: Place, what: &'static str) {
        (self.tell)(Problem { place, what });
    }

    /// Reads a block of the file system, which there is.
    fn block(&mut self, number: u64) -> Result<Vec<u8>, Unchecked> {
        let mut bytes = with_room(self.geometry.block)?;
        self.disk
            .read(number * (self.geometry.block / SECTOR) as u64, &mut bytes)?;
        Ok(bytes)
    }
}

/// So many of what is nothing at first.
fn with_room<T: Clone + Default>(count: usize) -> Result<Vec<T>, Unchecked> {
    let mut all = Vec::new();
    all.try_reserve_exact(count)
        .map_err(|_| Unchecked::Memory)?;
    all.resize(count, T::default());
    Ok(all)
}
