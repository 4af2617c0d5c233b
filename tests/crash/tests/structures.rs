//! The structures of whole file systems, and damage that `rsext4` does not see.

use libipc::interfaces::FileError;
use std::rc::Rc;
use tessera_crash::{
    disk::SimulatedDisk,
    layout::{Kind, Layout, Structure, u16_at, u32_at},
    originals::{Original, originals},
    seal::seal,
    workload::{contents, mount},
};

fn all(name: &str) -> Vec<Original> {
    let scratch = format!("tessera-structures-{name}-{}", std::process::id());
    originals(&std::env::temp_dir().join(scratch)).unwrap()
}

#[test]
fn checksums_of_whole_structures_are_those_made_here() {
    let mut sealed = 0;
    for original in all("seal") {
        let layout = Layout::of(&original.image);
        for structure in &layout.structures {
            let mut image = original.image.clone();
            seal(&mut image, &layout, structure);
            let name = original.name;
            assert_eq!(image.hash(), 0, "{name}: {structure:?}");
            sealed += u64::from(layout.has_checksums);
        }
    }
    assert!(sealed > 500);
}

/// An original after damage.
struct Damaged {
    original: Original,
    layout: Layout,
}

impl Damaged {
    fn new(name: &str, of: &str) -> Self {
        let mut originals = all(name).into_iter();
        let original = originals.find(|original| original.name == of).unwrap();
        let layout = Layout::of(&original.image);
        Damaged { original, layout }
    }

    fn put(&mut self, structure: Structure, at: u64, bytes: &[u8], is_sealed: bool) {
        self.original.image.put(structure.at + at, bytes);
        if is_sealed {
            seal(&mut self.original.image, &self.layout, &structure);
        }
    }

    fn find(&self, wanted: impl Fn(&Structure) -> bool) -> Structure {
        let mut all = self.layout.structures.iter();
        *all.find(|structure| wanted(structure)).unwrap()
    }

    /// A file that uses some blocks.
    fn file(&self) -> Structure {
        let image = &self.original.image;
        let is_file = |inode: &Structure| u16_at(image, inode.at) & 0xf000 == 0x8000;
        self.find(|inode| {
            let is_named = inode.owner > 11 && inode.kind == Kind::Inode;
            is_named && is_file(inode) && u32_at(image, inode.at + 4) > 5000
        })
    }

    fn read(self) -> Result<(), FileError> {
        let disk = SimulatedDisk::new(self.original.image);
        contents(&mount(&disk)?).map(drop)
    }
}

const SIZE_HIGH: u64 = 0x6c;

#[test]
fn sizes_that_no_file_has_are_refused() {
    for of in [
        "at rest",
        "1 KiB blocks, by mke2fs",
        "no extents, by mke2fs",
    ] {
        let mut damaged = Damaged::new("size", of);
        let file = damaged.file();
        damaged.put(file, SIZE_HIGH, &(1_u32 << 31).to_le_bytes(), true);
        assert_eq!(damaged.read(), Err(FileError::Corrupt), "{of}");
    }
}

#[test]
fn inodes_without_their_checksums_are_refused() {
    let mut damaged = Damaged::new("inode", "1 KiB blocks, by mke2fs");
    let file = damaged.file();
    damaged.put(file, 4, &5001_u32.to_le_bytes(), false);
    assert_eq!(damaged.read(), Err(FileError::Corrupt));
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    for of in ["at rest", "no checksums, by mke2fs"] {
        let mut damaged = Damaged::new("root", of);
        let root = damaged.find(|inode| inode.kind == Kind::Inode && inode.owner == 2);
        damaged.put(root, 0, &vec![0; root.length], true);
        assert_eq!(damaged.read(), Err(FileError::Corrupt), "{of}");
    }
}

#[test]
fn extents_that_overlap_those_of_the_next_block_are_refused() {
    let mut damaged = Damaged::new("overlap", "large");
    let image = damaged.original.image.clone();
    let leaf = damaged.find(|leaf| {
        let is_leaf = leaf.kind == Kind::Extents && u16_at(&image, leaf.at + 6) == 0;
        is_leaf && u32_at(&image, leaf.at + 12) == 0
    });
    let last = 12 * u64::from(u16_at(&image, leaf.at + 2));
    damaged.put(leaf, last + 4, &40_u16.to_le_bytes(), true);
    assert_eq!(damaged.read(), Err(FileError::Corrupt));
}

#[test]
fn images_share_what_is_the_same() {
    let original = all("share").remove(0);
    let mut image = original.image.clone();
    let sector = Rc::new([7; 512]);
    image.write(3, &sector);
    assert_eq!(image.bytes(3 * 512 - 1, 3)[1..], [7, 7]);
    image.put(3 * 512 + 511, &[1, 2]);
    assert_eq!(image.array(3 * 512 + 510), [7, 1, 2]);
}
