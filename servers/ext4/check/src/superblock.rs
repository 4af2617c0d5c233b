//! What a file system says of itself.

use crate::{
    Place, Problem, Unchecked,
    bytes::{crc32c, joined, u16_at, u32_at},
};
use tessera_disk::{Disk, SECTOR};

/// Where the superblock is, and its bytes.
const START: u64 = 1024;
const LENGTH: usize = 1024;

const MAGIC: u16 = 0xef53;
const CLEAN: u16 = 1;

const HAS_JOURNAL: u32 = 0x4;
const RESIZE_INODE: u32 = 0x10;
const ORPHAN_FILE: u32 = 0x1000;
const SPARSE_SUPER2: u32 = 0x200;

const FILE_TYPE: u32 = 0x2;
const RECOVER: u32 = 0x4;
const IS_64BIT: u32 = 0x80;
const CSUM_SEED: u32 = 0x2000;
/// File types, extents, 64 bits, flexible groups, a seed of its own, large directories.
const KNOWN_INCOMPATIBLE: u32 = FILE_TYPE | 0x40 | IS_64BIT | 0x200 | CSUM_SEED | 0x4000;

const SPARSE_SUPER: u32 = 0x1;
const GROUP_SUMS: u32 = 0x10;
const METADATA_SUMS: u32 = 0x400;
/// Sparse superblocks, large and huge files, sums of groups, directories with many
/// links, larger inodes, sums of all.
const KNOWN_READ_ONLY: u32 = SPARSE_SUPER | 0x2 | 0x8 | GROUP_SUMS | 0x20 | 0x40 | METADATA_SUMS;

/// The sums that structures have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// None.
    None,
    /// The descriptors of groups, over the file system's name.
    Groups([u8; 16]),
    /// All, and how each begins.
    All(u32),
}

/// Where things are, checked.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Bytes in a block.
    pub(crate) block: usize,
    /// The first block that belongs to a group.
    pub(crate) first_block: u64,
    /// Blocks, those before the first one included.
    pub(crate) blocks: u64,
    /// Blocks in a group.
    pub(crate) blocks_per_group: u32,
    /// Inodes.
    pub(crate) inodes: u32,
    /// Inodes in a group.
    pub(crate) inodes_per_group: u32,
    /// Bytes of an inode.
    pub(crate) inode_size: usize,
    /// The first inode that is not reserved.
    pub(crate) first_inode: u32,
    /// Bytes of a group's descriptor.
    pub(crate) descriptor: usize,
    /// Blocks kept for more descriptors behind each copy of those there are.
    pub(crate) reserved_descriptors: u64,
    /// Only some groups have a copy of the superblock.
    pub(crate) is_sparse: bool,
    /// Names tell what they lead to.
    pub(crate) has_types: bool,
    /// The inode with the journal; 0 if there is none.
    pub(crate) journal: u32,
    /// There is an inode with the blocks that are kept for descriptors.
    pub(crate) has_resize: bool,
    /// What has sums.
    pub(crate) sums: Sums,
    /// Blocks that are said to be free.
    pub(crate) free_blocks: u64,
    /// Inodes that are said to be free.
    pub(crate) free_inodes: u32,
}

impl Geometry {
    /// Number of groups.
    pub(crate) fn groups(&self) -> u32 {
        self.inodes / self.inodes_per_group
    }

    /// Blocks that the descriptors take.
    pub(crate) fn descriptor_blocks(&self) -> u64 {
        (self.groups() as usize * self.descriptor).div_ceil(self.block) as u64
    }

    /// The first block of a group.
    pub(crate) fn start(&self, group: u32) -> u64 {
        self.first_block + u64::from(group) * u64::from(self.blocks_per_group)
    }

    /// How many blocks a group has.
    pub(crate) fn blocks_in(&self, group: u32) -> u64 {
        let left = self.blocks - self.start(group);
        left.min(self.blocks_per_group.into())
    }

    /// Whether the group has a copy of the superblock and the descriptors.
    pub(crate) fn has_copy(&self, group: u32) -> bool {
        let is_power = |base: u32| {
            let mut power = base;
            while power < group {
                power = power.saturating_mul(base);
            }
            power == group
        };
        !self.is_sparse || group <= 1 || [3, 5, 7].into_iter().any(is_power)
    }

    /// Reads the superblock.
    pub(crate) fn read(
        disk: &mut impl Disk,
        tell: &mut dyn FnMut(Problem),
    ) -> Result<Self, Unchecked> {
        if disk.sectors() < (START as usize + LENGTH).div_ceil(SECTOR) as u64 {
            return Err(Unchecked::NoFileSystem);
        }
        let mut bytes = [0; LENGTH];
        disk.read(START / SECTOR as u64, &mut bytes)?;
        let number = |at| u32_at(&bytes, at);
        if u16_at(&bytes, 0x38) != MAGIC {
            return Err(Unchecked::NoFileSystem);
        }
        let (compatible, incompatible, read_only) = (number(0x5c), number(0x60), number(0x64));
        if incompatible & RECOVER != 0 {
            return Err(Unchecked::Journal);
        }
        let unknown = incompatible & !KNOWN_INCOMPATIBLE
            | read_only & !KNOWN_READ_ONLY
            | compatible & (ORPHAN_FILE | SPARSE_SUPER2);
        if unknown != 0 {
            return Err(Unchecked::Features(unknown));
        }
        let mut problem = |what| {
            tell(Problem {
                place: Place::FileSystem,
                what,
            });
        };
        let seed = match incompatible & CSUM_SEED {
            0 => crc32c(!0, &bytes[0x68..0x78]),
            _ => number(0x270),
        };
        let mut name = [0; 16];
        name.copy_from_slice(&bytes[0x68..0x78]);
        let sums = match read_only {
            flags if flags & METADATA_SUMS != 0 => Sums::All(seed),
            flags if flags & GROUP_SUMS != 0 => Sums::Groups(name),
            _ => Sums::None,
        };
        if matches!(sums, Sums::All(_)) && number(0x3fc) != crc32c(!0, &bytes[..0x3fc]) {
            problem("the superblock has not its checksum");
        }
        if u16_at(&bytes, 0x3a) != CLEAN {
            problem("it is not marked as clean");
        }
        if number(0xe8) != 0 {
            problem("removed files wait for being taken apart");
        }
        if compatible & HAS_JOURNAL != 0 && number(0xe0) == 0 {
            problem("its journal is not on this disk");
        }
        let is_64bit = incompatible & IS_64BIT != 0;
        let high = |at| if is_64bit { number(at) } else { 0 };
        let is_old = number(0x4c) == 0;
        let scale = number(0x18);
        let kept = joined(high(0x154), number(0x8));
        let geometry = Geometry {
            block: 1024_usize.checked_shl(scale).unwrap_or(0),
            first_block: number(0x14).into(),
            blocks: joined(high(0x150), number(0x4)),
            blocks_per_group: number(0x20),
            inodes: number(0x0),
            inodes_per_group: number(0x28),
            inode_size: if is_old {
                128
            } else {
                u16_at(&bytes, 0x58).into()
            },
            first_inode: if is_old { 11 } else { number(0x54) },
            descriptor: if is_64bit {
                u16_at(&bytes, 0xfe).into()
            } else {
                32
            },
            reserved_descriptors: u16_at(&bytes, 0xce).into(),
            is_sparse: read_only & SPARSE_SUPER != 0,
            has_types: incompatible & FILE_TYPE != 0,
            journal: if compatible & HAS_JOURNAL != 0 {
                number(0xe0)
            } else {
                0
            },
            has_resize: compatible & RESIZE_INODE != 0,
            sums,
            free_blocks: joined(high(0x158), number(0xc)),
            free_inodes: number(0x10),
        };
        match scale <= 6 && kept <= geometry.blocks / 2 && geometry.is_sane(disk.sectors()) {
            true => Ok(geometry),
            false => Err(Unchecked::NoFileSystem),
        }
    }

    /// Whether the numbers agree with each other and with the disk.
    fn is_sane(&self, sectors: u64) -> bool {
        let bits = 8 * self.block as u32;
        let per_block = (self.block / (SECTOR)) as u64;
        let sizes = self.inode_size.is_power_of_two()
            && (128..=self.block).contains(&self.inode_size)
            && self.descriptor.is_power_of_two()
            && (32..=self.block).contains(&self.descriptor)
            && self.first_block == u64::from(self.block == 1024);
        sizes
            && (1..=bits).contains(&self.blocks_per_group)
            && (1..=bits).contains(&self.inodes_per_group)
            && (11..self.inodes).contains(&self.first_inode)
            && self.blocks > self.first_block
            && self.blocks <= sectors / per_block
            && self.inodes.is_multiple_of(self.inodes_per_group)
            && (self.blocks - self.first_block).div_ceil(self.blocks_per_group.into())
                == u64::from(self.groups())
            && self.first_block + 1 + self.descriptor_blocks() <= self.blocks
    }
}
