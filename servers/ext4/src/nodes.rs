//! What is known of inodes and of names, so that the file system is asked once.
//!
//! Nobody else changes the disk, so what was found stays true until it is changed
//! here. What is not on the disk yet is kept, all else only as long as there is room.

use crate::extents::Window;
use alloc::{collections::BTreeMap, string::String};
use libipc::interfaces::FileKind;
use rsext4::{DirectoryEntryType, InodeFlags, InodeInfo};

/// Most inodes and most names that are kept.
const MOST: usize = 1024;

/// A file or a directory.
#[derive(Debug)]
pub struct Node {
    /// Which it is.
    pub kind: FileKind,
    /// Whose it is.
    pub owner: u32,
    /// Bytes, of a file as its clients see it.
    pub size: u64,
    /// The same as the file system below knows it: less, as long as what was added is
    /// to be written.
    pub size_on_disk: u64,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
    /// When it was last changed.
    pub modified: u64,
    /// The file system below does not know that yet.
    pub is_touched: bool,
    /// Its blocks are found by extents.
    pub has_extents: bool,
    /// Where the last read ended: who goes on there reads in order.
    pub read_end: u64,
    /// Where some of it is on the disk.
    pub window: Option<Window>,
}

impl Node {
    /// What the file system says of an inode; `None` for what cannot be used here.
    pub fn new(info: &InodeInfo) -> Option<Self> {
        let kind = match info.file_type() {
            DirectoryEntryType::RegularFile => FileKind::File,
            DirectoryEntryType::Directory => FileKind::Directory,
            _ => return None,
        };
        let size = match kind {
            FileKind::File => info.size,
            // Entries, which nobody counts.
            FileKind::Directory => 0,
        };
        Some(Node {
            kind,
            owner: info.uid,
            size,
            size_on_disk: size,
            created: nanoseconds(info.btime),
            modified: nanoseconds(info.mtime),
            is_touched: false,
            has_extents: info.flags.contains(InodeFlags::EXTENTS),
            read_end: 0,
            window: None,
        })
    }

    /// Whether the disk has all that is known.
    fn is_settled(&self) -> bool {
        self.size == self.size_on_disk && !self.is_touched
    }
}

fn nanoseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000_000_000
}

/// Inodes by number, and names by the directory that they are in.
#[derive(Debug, Default)]
pub struct Nodes {
    known: BTreeMap<u32, Node>,
    names: BTreeMap<u32, BTreeMap<String, u32>>,
    /// Number of names.
    count: usize,
}

impl Nodes {
    /// What is known of an inode.
    pub fn get(&mut self, inode: u32) -> Option<&mut Node> {
        self.known.get_mut(&inode)
    }

    /// This is how an inode is.
    pub fn insert(&mut self, inode: u32, node: Node) {
        if self.known.len() >= MOST {
            self.known.retain(|_, node| !node.is_settled());
        }
        self.known.insert(inode, node);
    }

    /// An inode is not what it was, or is no more.
    pub fn forget(&mut self, inode: u32) {
        self.known.remove(&inode);
    }

    /// The first inode from this one on whose time or size the disk has not.
    pub fn unsettled(&self, from: u32) -> Option<u32> {
        let mut nodes = self.known.range(from..);
        nodes
            .find(|(_, node)| !node.is_settled())
            .map(|(inode, _)| *inode)
    }

    /// What a name leads to, if that is known.
    pub fn name(&self, directory: u32, name: &str) -> Option<u32> {
        self.names.get(&directory)?.get(name).copied()
    }

    /// What a name leads to.
    pub fn insert_name(&mut self, directory: u32, name: &str, inode: u32) {
        if self.count >= MOST {
            self.names.clear();
            self.count = 0;
        }
        let names = self.names.entry(directory).or_default();
        self.count += usize::from(names.insert(name.into(), inode).is_none());
    }

    /// A name is about to lead elsewhere or nowhere, which changes its directory.
    pub fn forget_name(&mut self, directory: u32, name: &str) {
        self.forget(directory);
        if let Some(names) = self.names.get_mut(&directory) {
            self.count -= usize::from(names.remove(name).is_some());
            if names.is_empty() {
                self.names.remove(&directory);
            }
        }
    }
}
