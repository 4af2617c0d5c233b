//! Where the structures of an ext4 file system are, in an image that is whole.
//!
//! Names and offsets: Linux, Documentation/filesystems/ext4.

use crate::disk::Image;

/// What a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The superblock.
    Superblock,
    /// The descriptor of a group of blocks.
    Descriptor,
    /// Which blocks of a group are taken.
    BlockBitmap,
    /// Which inodes of a group are taken.
    InodeBitmap,
    /// An inode that is taken.
    Inode,
    /// A block of a file's tree of extents.
    Extents,
    /// A block of block numbers, of a file without extents.
    Indirect,
    /// A block of a directory's names.
    Names,
    /// A block of a directory's index.
    Index,
    /// The first block of the journal.
    JournalSuperblock,
    /// A block of the journal that says where those behind it belong.
    JournalDescriptor,
    /// A block of the journal that ends a transaction.
    JournalCommit,
    /// A block of the journal that takes blocks out of it.
    JournalRevoke,
}

impl Kind {
    /// Whether it is of the journal, whose numbers are big-endian.
    pub fn is_journal(self) -> bool {
        self >= Kind::JournalSuperblock
    }
}

/// A structure in an image.
#[derive(Clone, Copy, Debug)]
pub struct Structure {
    /// What it is.
    pub kind: Kind,
    /// Where it begins, in bytes.
    pub at: u64,
    /// Its bytes.
    pub length: usize,
    /// Whose it is: the number of an inode or of a group.
    pub owner: u32,
}

/// All structures of an image.
#[derive(Debug)]
pub struct Layout {
    /// Bytes of a block.
    pub block: u64,
    /// Bytes of an inode.
    pub inode_size: u64,
    /// Bytes of a group's descriptor.
    pub descriptor_size: u64,
    /// Inodes in a group.
    pub inodes_per_group: u32,
    /// Blocks in a group.
    pub blocks_per_group: u32,
    /// Where the descriptors of groups begin.
    pub descriptors: u64,
    /// Blocks of the file system.
    pub blocks: u64,
    /// Whether its structures have checksums.
    pub has_checksums: bool,
    /// Whether those of the journal have.
    pub has_journal_checksums: bool,
    /// What they are.
    pub structures: Vec<Structure>,
}

/// Where the superblock is.
pub const SUPERBLOCK: u64 = 1024;

/// The inode whose blocks are the journal.
pub const JOURNAL_INODE: u32 = 8;

const CSUM_V3: u32 = 0x10;
const METADATA_CSUM: u32 = 0x400;
const INCOMPAT_64BIT: u32 = 0x80;
const INODE_EXTENTS: u32 = 0x8_0000;
const INODE_INDEX: u32 = 0x1000;
const JOURNAL_MAGIC: u32 = 0xc03b_3998;

impl Layout {
    /// Finds them all. The image is to be whole: panics if it is not.
    pub fn of(image: &Image) -> Layout {
        let number = |at: u64| u32_at(image, SUPERBLOCK + at);
        let block = 1024 << number(0x18);
        let (blocks, inodes) = (number(0x4), number(0x0));
        let is_64bit = number(0x60) & INCOMPAT_64BIT != 0;
        let mut layout = Layout {
            block,
            inode_size: u16_at(image, SUPERBLOCK + 0x58).into(),
            descriptor_size: match is_64bit {
                true => u16_at(image, SUPERBLOCK + 0xfe).into(),
                false => 32,
            },
            inodes_per_group: number(0x28),
            blocks_per_group: number(0x20),
            descriptors: (u64::from(number(0x14)) + 1) * block,
            blocks: blocks.into(),
            has_checksums: number(0x64) & METADATA_CSUM != 0,
            has_journal_checksums: false,
            structures: Vec::new(),
        };
        layout.add(Kind::Superblock, SUPERBLOCK, SUPERBLOCK as usize, 0);
        for group in 0..inodes / layout.inodes_per_group {
            let descriptor = layout.descriptor(group);
            let length = layout.descriptor_size as usize;
            layout.add(Kind::Descriptor, descriptor, length, group);
            // Bitmaps that have never been written may hold anything.
            let unwritten = u16_at(image, descriptor + 0x12);
            let bitmaps = [(Kind::InodeBitmap, 4, 1), (Kind::BlockBitmap, 0, 2)];
            for (kind, at, flag) in bitmaps {
                if unwritten & flag == 0 {
                    let bitmap = u64::from(u32_at(image, descriptor + at)) * block;
                    layout.add(kind, bitmap, block as usize, group);
                }
            }
        }
        for inode in 1..=inodes {
            layout.add_inode(image, inode);
        }
        layout
    }

    /// Where the descriptor of a group is.
    pub fn descriptor(&self, group: u32) -> u64 {
        self.descriptors + u64::from(group) * self.descriptor_size
    }

    /// The structure of this kind and owner.
    pub fn find(&self, kind: Kind, owner: u32) -> Option<&Structure> {
        let mut all = self.structures.iter();
        all.find(|other| other.kind == kind && other.owner == owner)
    }

    /// Where an inode is.
    fn inode(&self, image: &Image, number: u32) -> u64 {
        let index = number - 1;
        let descriptor = self.descriptor(index / self.inodes_per_group);
        let table = u64::from(u32_at(image, descriptor + 8)) * self.block;
        table + u64::from(index % self.inodes_per_group) * self.inode_size
    }

    fn add(&mut self, kind: Kind, at: u64, length: usize, owner: u32) {
        self.structures.push(Structure {
            kind,
            at,
            length,
            owner,
        });
    }

    fn add_inode(&mut self, image: &Image, number: u32) {
        let at = self.inode(image, number);
        let (mode, links) = (u16_at(image, at), u16_at(image, at + 0x1a));
        if mode == 0 || links == 0 {
            return;
        }
        self.add(Kind::Inode, at, self.inode_size as usize, number);
        let flags = u32_at(image, at + 0x20);
        let mut blocks = Vec::new();
        if flags & INODE_EXTENTS != 0 {
            self.add_extents(image, at + 0x28, number, &mut blocks);
        } else if mode & 0xf000 != 0xa000 {
            self.add_indirect(image, at + 0x28, number, &mut blocks);
        }
        if number == JOURNAL_INODE {
            self.add_journal(image, &blocks);
        } else if mode & 0xf000 == 0x4000 {
            for (index, block) in blocks.into_iter().enumerate() {
                let is_root = index == 0 && flags & INODE_INDEX != 0;
                // A node looks like one free entry that fills the block.
                let is_node = flags & INODE_INDEX != 0
                    && u32_at(image, block) == 0
                    && u64::from(u16_at(image, block + 4)) == self.block;
                let is_index = is_root || is_node;
                let kind = if is_index { Kind::Index } else { Kind::Names };
                self.add(kind, block, self.block as usize, number);
            }
        }
    }

    /// Blocks of data below a node of a tree of extents, in order.
    fn add_extents(&mut self, image: &Image, node: u64, owner: u32, data: &mut Vec<u64>) {
        let (entries, depth) = (u16_at(image, node + 2), u16_at(image, node + 6));
        for entry in (1..=u64::from(entries)).map(|index| node + 12 * index) {
            if depth > 0 {
                let child = u64::from(u32_at(image, entry + 4)) * self.block;
                self.add(Kind::Extents, child, self.block as usize, owner);
                self.add_extents(image, child, owner, data);
            } else {
                let (length, first) = (u16_at(image, entry + 4), u32_at(image, entry + 8));
                let blocks = u64::from(first)..u64::from(first) + u64::from(length);
                data.extend(blocks.map(|block| block * self.block));
            }
        }
    }

    fn add_indirect(&mut self, image: &Image, numbers: u64, owner: u32, data: &mut Vec<u64>) {
        let block = self.block;
        let number = |at| u64::from(u32_at(image, at)) * block;
        let inside = |at: u64, count: u64| {
            let all = (0..count).map(move |index| number(at + 4 * index));
            all.filter(|block| *block != 0)
        };
        data.extend(inside(numbers, 12));
        for depth in 1..=3 {
            // The block of numbers at the top, then all of each further level.
            let mut level: Vec<u64> = inside(numbers + 4 * (11 + depth), 1).collect();
            for _ in 0..depth {
                for at in &level {
                    self.add(Kind::Indirect, *at, block as usize, owner);
                }
                level = level.iter().flat_map(|at| inside(*at, block / 4)).collect();
            }
            data.extend(level);
        }
    }

    fn add_journal(&mut self, image: &Image, blocks: &[u64]) {
        let length = self.block as usize;
        self.add(Kind::JournalSuperblock, blocks[0], 1024, JOURNAL_INODE);
        self.has_journal_checksums = be32(image, blocks[0] + 0x28) & CSUM_V3 != 0;
        let (sequence, start) = (be32(image, blocks[0] + 0x18), be32(image, blocks[0] + 0x1c));
        for block in blocks[1..].iter().filter(|_| start != 0) {
            if be32(image, *block) != JOURNAL_MAGIC || be32(image, block + 8) < sequence {
                continue;
            }
            let kind = match be32(image, block + 4) {
                1 => Kind::JournalDescriptor,
                2 => Kind::JournalCommit,
                5 => Kind::JournalRevoke,
                _ => continue,
            };
            self.add(kind, *block, length, JOURNAL_INODE);
        }
    }
}

/// A little-endian number of an image.
pub fn u32_at(image: &Image, at: u64) -> u32 {
    u32::from_le_bytes(image.array(at))
}

/// A little-endian number of an image.
pub fn u16_at(image: &Image, at: u64) -> u16 {
    u16::from_le_bytes(image.array(at))
}

/// A big-endian number of an image.
pub fn be32(image: &Image, at: u64) -> u32 {
    u32::from_be_bytes(image.array(at))
}
