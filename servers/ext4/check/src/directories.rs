//! Every name, from the root down.

use crate::{
    Check, Place, Unchecked,
    bytes::{crc32c, u16_at, u32_at},
    inodes::ROOT,
    superblock::Sums,
};
use alloc::{vec, vec::Vec};
use tessera_disk::Disk;

/// Bytes of an entry before its name.
const FIXED: usize = 8;
/// Bytes of what looks like an entry and has a block's checksum.
const TAIL: usize = 12;
const TAIL_KIND: u8 = 0xde;

/// An entry.
struct Entry<'b> {
    inode: u32,
    kind: u8,
    name: &'b [u8],
}

/// What a block of a directory has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Names.
    Names,
    /// The top of an index, behind the first two names.
    Top,
    /// A node of an index.
    Node,
}

impl<D: Disk> Check<'_, D> {
    /// Follows all names, and compares how many lead to each inode.
    pub(crate) fn walk_directories(&mut self) -> Result<(), Unchecked> {
        if !self.inodes[ROOT as usize - 1].is_directory() {
            self.problem(Place::FileSystem, "the root is no directory");
            return Ok(());
        }
        // The root is its own parent.
        let mut left = vec![(ROOT, ROOT)];
        while let Some((number, parent)) = left.pop() {
            self.names(number, parent, &mut left)?;
        }
        for number in 1..=self.geometry.inodes {
            let inode = self.inodes[number as usize - 1];
            if !inode.is_used() {
                continue;
            }
            // Of directories with more than there can be, one is told.
            let is_many = inode.is_directory() && inode.links == 1;
            if inode.found == 0 {
                self.problem(Place::Inode(number), "no name leads there");
            } else if inode.found != inode.links && !is_many {
                self.problem(
                    Place::Inode(number),
                    "not as many names lead there as it says",
                );
            }
        }
        Ok(())
    }

    /// The names of one directory; those of directories are still to be followed.
    fn names(
        &mut self,
        number: u32,
        parent: u32,
        left: &mut Vec<(u32, u32)>,
    ) -> Result<(), Unchecked> {
        let (blocks, seed) = self.directory(number)?;
        let is_indexed = self.inodes[number as usize - 1].is_indexed;
        for (index, block) in blocks.iter().enumerate() {
            let bytes = self.block(*block)?;
            let is_node = u32_at(&bytes, 0) == 0 && usize::from(u16_at(&bytes, 4)) == bytes.len();
            let holds = match is_indexed {
                true if index == 0 => Holds::Top,
                true if is_node => Holds::Node,
                _ => Holds::Names,
            };
            if !self.is_whole(&bytes, holds, seed, blocks.len()) {
                self.problem(Place::Inode(number), "a block of names is damaged");
            }
            if holds == Holds::Node {
                continue;
            }
            let mut at = 0;
            let mut place = 0;
            while at < bytes.len() {
                let Some((entry, next)) = entry(&bytes, at) else {
                    self.problem(Place::Inode(number), "its names are damaged");
                    break;
                };
                let is_tail = next == bytes.len() && entry.kind == TAIL_KIND;
                if entry.inode != 0 && !is_tail {
                    let own = match (index, place) {
                        (0, 0) => Some((&b"."[..], number)),
                        (0, 1) => Some((&b".."[..], parent)),
                        _ => None,
                    };
                    self.name(number, &entry, own, left);
                } else if index == 0 && place < 2 {
                    self.problem(
                        Place::Inode(number),
                        "it does not name itself and its parent",
                    );
                }
                (at, place) = (next, place + 1);
            }
        }
        Ok(())
    }

    /// One name; `own` is what it has to be, of the first two.
    fn name(
        &mut self,
        directory: u32,
        entry: &Entry<'_>,
        own: Option<(&[u8], u32)>,
        left: &mut Vec<(u32, u32)>,
    ) {
        let place = Place::Name(directory);
        if let Some(own) = own {
            if (entry.name, entry.inode) != own {
                let what = "it does not name itself and its parent";
                return self.problem(Place::Inode(directory), what);
            }
        } else if matches!(entry.name, b"." | b"..")
            || entry.name.contains(&b'/')
            || entry.name.contains(&0)
        {
            self.problem(place, "it is no possible name");
        }
        let there = entry.inode.checked_sub(1).map(|index| index as usize);
        let Some(inode) = there.and_then(|index| self.inodes.get_mut(index)) else {
            return self.problem(place, "there is no inode where it leads");
        };
        if !inode.is_used() {
            return self.problem(place, "nothing is in use where it leads");
        }
        inode.found = inode.found.saturating_add(1);
        let inode = *inode;
        // Who made the name did not have to tell.
        if self.geometry.has_types && ![0, inode.kind].contains(&entry.kind) {
            self.problem(place, "it tells wrongly what it leads to");
        }
        if inode.is_directory() && own.is_none() {
            // By its own name and its parent's there can be two.
            if entry.inode == ROOT || inode.found > 1 {
                return self.problem(place, "it is a second name of a directory");
            }
            left.push((entry.inode, directory));
        }
    }

    /// Whether a block has its checksum, and is what it has to be.
    fn is_whole(&self, bytes: &[u8], holds: Holds, seed: u32, blocks: usize) -> bool {
        let has_sums = matches!(self.geometry.sums, Sums::All(_));
        let table = match holds {
            Holds::Names if !has_sums => return true,
            Holds::Names => {
                let at = bytes.len() - TAIL;
                let tail = &bytes[at..];
                return tail[..FIXED] == [0, 0, 0, 0, TAIL as u8, 0, 0, TAIL_KIND]
                    && u32_at(tail, FIXED) == crc32c(seed, &bytes[..at]);
            }
            // Behind both names, and what the index says of itself.
            Holds::Top => 0x20,
            Holds::Node => 0x8,
        };
        let (most, count) = (u16_at(bytes, table), u16_at(bytes, table + 2));
        let end = table + 8 * usize::from(most);
        if count == 0 || count > most || end + if has_sums { 8 } else { 0 } > bytes.len() {
            return false;
        }
        let mut entries = bytes[table..].chunks_exact(8).take(count.into());
        if entries.any(|entry| (u32_at(entry, 4) & 0xfff_ffff) as usize >= blocks) {
            return false;
        }
        if !has_sums {
            return true;
        }
        let sum = crc32c(seed, &bytes[..table + 8 * usize::from(count)]);
        let sum = crc32c(crc32c(sum, &bytes[end..end + 4]), &[0; 4]);
        u32_at(bytes, end + 4) == sum
    }
}

/// The entry at this place of a block, and where the next one is.
fn entry(bytes: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let fixed = bytes.get(at..at + FIXED)?;
    let length = usize::from(u16_at(fixed, 4));
    let (name, kind) = (usize::from(fixed[6]), fixed[7]);
    let next = at + length;
    let fits = length.is_multiple_of(4) && length >= FIXED + name.max(1) && next <= bytes.len();
    let entry = Entry {
        inode: u32_at(fixed, 0),
        kind,
        name: bytes.get(at + FIXED..at + FIXED + name)?,
    };
    (fits && (entry.inode == 0 || name > 0)).then_some((entry, next))
}
