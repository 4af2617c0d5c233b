//! The checksums of structures, so that damage is not found by them.
//!
//! How each is made: Linux, Documentation/filesystems/ext4/checksums.rst and
//! journal.rst; CRC-32C without its final inversion.

use crate::{
    disk::Image,
    layout::{JOURNAL_INODE, Kind, Layout, SUPERBLOCK, Structure, u16_at, u32_at},
};
use rsext4::crc32c::crc32c_append;

/// Gives a structure the checksum that its bytes should have.
pub fn seal(image: &mut Image, layout: &Layout, structure: &Structure) {
    let Structure {
        kind, at, owner, ..
    } = *structure;
    if kind.is_journal() {
        seal_journal(image, layout, structure);
        return;
    }
    if !layout.has_checksums {
        return;
    }
    let block = layout.block;
    match kind {
        Kind::Superblock => {
            let sum = crc(!0, &image.bytes(at, 0x3fc));
            image.put(at + 0x3fc, &sum.to_le_bytes());
        }
        Kind::Descriptor => {
            let mut bytes = image.bytes(at, structure.length);
            bytes[0x1e..0x20].fill(0);
            let sum = crc(crc(seed(image), &owner.to_le_bytes()), &bytes);
            image.put(at + 0x1e, &sum.to_le_bytes()[..2]);
        }
        Kind::BlockBitmap => {
            let covered = layout.blocks_per_group as usize / 8;
            seal_bitmap(image, layout, structure, covered, 0x18);
        }
        Kind::InodeBitmap => {
            let covered = layout.inodes_per_group as usize / 8;
            seal_bitmap(image, layout, structure, covered, 0x1a);
        }
        Kind::Inode => {
            let mut bytes = image.bytes(at, structure.length);
            let has_high = structure.length > 128 && u16_at(image, at + 0x80) >= 4;
            bytes[0x7c..0x7e].fill(0);
            if has_high {
                bytes[0x82..0x84].fill(0);
            }
            let sum = crc(inode_seed(image, layout, owner), &bytes).to_le_bytes();
            image.put(at + 0x7c, &sum[..2]);
            if has_high {
                image.put(at + 0x82, &sum[2..]);
            }
        }
        Kind::Extents => {
            let covered = 12 + 12 * u64::from(u16_at(image, at + 4));
            if covered + 4 <= block {
                let bytes = image.bytes(at, covered as usize);
                let sum = crc(inode_seed(image, layout, owner), &bytes);
                image.put(at + covered, &sum.to_le_bytes());
            }
        }
        Kind::Names => {
            let bytes = image.bytes(at, block as usize - 12);
            let sum = crc(inode_seed(image, layout, owner), &bytes);
            image.put(at + block - 4, &sum.to_le_bytes());
        }
        Kind::Index => seal_index(image, layout, structure),
        _ => {}
    }
}

fn seal_bitmap(
    image: &mut Image,
    layout: &Layout,
    structure: &Structure,
    covered: usize,
    field: u64,
) {
    let sum = crc(seed(image), &image.bytes(structure.at, covered)).to_le_bytes();
    let descriptor = layout.descriptor(structure.owner);
    image.put(descriptor + field, &sum[..2]);
    if layout.descriptor_size >= 64 {
        image.put(descriptor + field + 0x20, &sum[2..]);
    }
    let descriptor = Structure {
        kind: Kind::Descriptor,
        at: descriptor,
        length: layout.descriptor_size as usize,
        owner: structure.owner,
    };
    seal(image, layout, &descriptor);
}

fn seal_index(image: &mut Image, layout: &Layout, structure: &Structure) {
    let at = structure.at;
    // A root has the entries `.` and `..` and its head before the counts.
    let is_node = u64::from(u16_at(image, at + 4)) == layout.block;
    let counts = if is_node { 8 } else { 32 };
    let limit = u64::from(u16_at(image, at + counts));
    let count = u64::from(u16_at(image, at + counts + 2));
    let tail = counts + 8 * limit;
    if tail + 8 > layout.block || counts + 8 * count > layout.block {
        return;
    }
    let bytes = image.bytes(at, (counts + 8 * count) as usize);
    let sum = crc(inode_seed(image, layout, structure.owner), &bytes);
    let sum = crc(sum, &image.bytes(at + tail, 4));
    let sum = crc(sum, &[0; 4]);
    image.put(at + tail + 4, &sum.to_le_bytes());
}

/// Version 3 of the journal's checksums, if it has them.
fn seal_journal(image: &mut Image, layout: &Layout, structure: &Structure) {
    let Some(superblock) = layout.find(Kind::JournalSuperblock, JOURNAL_INODE) else {
        return;
    };
    let at = structure.at;
    if !layout.has_journal_checksums {
        return;
    }
    let field = match structure.kind {
        Kind::JournalSuperblock => 0xfc,
        Kind::JournalCommit => 0x10,
        _ => layout.block - 4,
    };
    let start = match structure.kind {
        Kind::JournalSuperblock => !0,
        _ => crc(!0, &image.bytes(superblock.at + 0x30, 16)),
    };
    let mut bytes = image.bytes(at, structure.length);
    bytes[field as usize..field as usize + 4].fill(0);
    image.put(at + field, &crc(start, &bytes).to_be_bytes());
}

fn seed(image: &Image) -> u32 {
    const CSUM_SEED: u32 = 0x2000;
    if u32_at(image, SUPERBLOCK + 0x60) & CSUM_SEED != 0 {
        return u32_at(image, SUPERBLOCK + 0x270);
    }
    crc(!0, &image.bytes(SUPERBLOCK + 0x68, 16))
}

fn inode_seed(image: &Image, layout: &Layout, number: u32) -> u32 {
    let inode = layout.find(Kind::Inode, number);
    let generation = inode.map_or(0, |inode| u32_at(image, inode.at + 0x64));
    let sum = crc(seed(image), &number.to_le_bytes());
    crc(sum, &generation.to_le_bytes())
}

fn crc(start: u32, bytes: &[u8]) -> u32 {
    crc32c_append(start, bytes)
}
