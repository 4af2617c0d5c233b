//! Disks, as tools use them, and what is on them.

use alloc::string::String;

use libipc::interfaces::block::{Partition, SECTOR};

use crate::error::IoError;

/// A disk or a partition, opened to read or to write.
pub trait Disk {
    /// Its sectors.
    fn sectors(&mut self) -> Result<u64, IoError>;
    /// The partition with this number or, if there is none, with the next one, 0 being
    /// all of it; `None` past the last.
    fn partition(&mut self, number: u64) -> Result<Option<Partition>, IoError>;
    /// Reads whole sectors from `sector` on.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), IoError>;
    /// Writes whole sectors from `sector` on.
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), IoError>;
    /// Everything that was written is durable when this returns.
    fn flush(&mut self) -> Result<(), IoError>;
}

/// What is on a disk or a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An ext2, ext3 or ext4 file system.
    Ext4,
    /// A FAT file system.
    Fat,
}

impl Content {
    /// The program that serves it.
    pub const fn program(self) -> &'static str {
        match self {
            Content::Ext4 => "ext4",
            Content::Fat => "fat",
        }
    }
}

/// What is on a disk from `sector` on: what its first sectors say.
pub fn content(disk: &mut impl Disk, sector: u64) -> Result<Option<Content>, IoError> {
    let mut bytes = [0; 4 * SECTOR];
    disk.read(sector, &mut bytes)?;
    let at = |place: usize, text: &[u8]| bytes[place..].starts_with(text);
    // The superblock is 1024 bytes in, its number 56 further: Linux,
    // Documentation/filesystems/ext4/super.rst.
    if at(1024 + 56, &[0x53, 0xef]) {
        return Ok(Some(Content::Ext4));
    }
    // A boot sector that begins with a jump: Microsoft, FAT32 File System
    // Specification 1.03.
    let jumps = at(0, &[0xeb]) || at(0, &[0xe9]);
    let named = at(54, b"FAT") || at(82, b"FAT32");
    let is_fat = jumps && named && at(510, &[0x55, 0xaa]);
    Ok(is_fat.then_some(Content::Fat))
}

/// The disk that a path such as `@disk/2` names, and the partition there, by number or
/// name.
pub fn split(path: &str) -> Option<(&str, Option<&str>)> {
    let path = path.strip_prefix(libipc::note::DISK)?;
    Some(match path.split_once('/') {
        Some((disk, partition)) => (disk, Some(partition)),
        None => (path, None),
    })
}

/// The name of a partition of a disk, 0 being all of it.
pub fn name(disk: &str, number: u64) -> String {
    match number {
        0 => alloc::format!("@{disk}"),
        _ => alloc::format!("@{disk}/{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(split("@disk"), Some(("disk", None)));
        assert_eq!(split("@disk/2"), Some(("disk", Some("2"))));
        assert_eq!(split("@disk/a/b"), Some(("disk", Some("a/b"))));
        assert_eq!(split("disk"), None);
        assert_eq!(
            (name("disk", 0), name("disk", 2)),
            ("@disk".into(), "@disk/2".into())
        );
    }
}
