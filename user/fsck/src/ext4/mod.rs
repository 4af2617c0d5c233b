//! ext4: what superblock, groups, inodes and directories say, against each other.

mod blocks;
mod checksum;
mod layout;
mod names;

use crate::report::{Report, found};
use alloc::vec::Vec;
use blocks::{Bits, Walk};
use checksum::crc32c;
use layout::{Blocks, Group, Inode, Super, feature, u32_at};
use tessera_tools::{IoError, disk::Disk};

const ROOT: u32 = 2;
/// The inode that has the room for more groups, and where it says in which block.
const RESIZE: u32 = 7;
const RESIZE_BLOCK: usize = 13;

/// Checks all of it.
pub fn check(disk: &mut impl Disk, report: &mut Report) -> Result<(), IoError> {
    let of = match Super::read(disk)? {
        Ok(of) => of,
        Err(text) => {
            found!(report, "superblock: {text}");
            return Ok(());
        }
    };
    if !of.is_true {
        found!(report, "superblock: a wrong checksum");
    }
    if of.incompatible & feature::RECOVER != 0 {
        // Until then nothing is what it will be.
        found!(report, "its journal is to be replayed: mount and umount it");
        return Ok(());
    }
    if of.state & 1 == 0 || of.state & 2 != 0 {
        found!(
            report,
            "superblock: it was not unmounted, or errors were seen before"
        );
    }
    let mut check = Check {
        owned: Bits::new(of.blocks)?,
        used: Bits::new(u64::from(of.inodes) + 1)?,
        blocks: Blocks { disk, of },
        report,
        groups: Vec::new(),
        known: Vec::new(),
        directories: Vec::new(),
    };
    if check.descriptors()? {
        check.inodes()?;
        check.names()?;
        check.bitmaps()?;
    }
    Ok(())
}

/// An inode that is in use.
struct Known {
    number: u32,
    links: u16,
    /// Names that lead to it.
    names: u16,
}

/// A directory: where its blocks are, and the one that it is in.
struct Directory {
    number: u32,
    /// What the checksums of its blocks begin with.
    seed: u32,
    has_index: bool,
    runs: Vec<(u64, u64, u64)>,
    parent: u32,
}

struct Check<'c, 'd, D> {
    blocks: Blocks<'d, D>,
    report: &'c mut Report,
    groups: Vec<Group>,
    /// Blocks that belong to somebody.
    owned: Bits,
    /// Inodes that are in use.
    used: Bits,
    known: Vec<Known>,
    directories: Vec<Directory>,
}

impl<D: Disk> Check<'_, '_, D> {
    /// Reads the groups; whether the rest can be found by them.
    fn descriptors(&mut self) -> Result<bool, IoError> {
        let of = self.blocks.of.clone();
        let mut is_sound = true;
        for number in 0..of.descriptor_blocks() {
            let bytes = self.blocks.read(of.first_block + 1 + number)?;
            for bytes in bytes.chunks_exact(of.descriptor) {
                if (self.groups.len() as u64) < of.groups() {
                    let group = Group::parse(self.groups.len() as u32, bytes, &of);
                    self.groups.push(group);
                }
            }
        }
        for (number, group) in (0..).zip(&self.groups) {
            if !group.is_true {
                found!(self.report, "group {number}: a wrong checksum");
            }
            let mut claim = |first: u64, count: u64| {
                let end = first.checked_add(count);
                let inside = first >= of.first_block && end.is_some_and(|end| end <= of.blocks);
                inside && (first..first + count).all(|block| self.owned.set(block))
            };
            let start = of.start(number);
            let copies = match of.has_copy(number) {
                true => 1 + of.descriptor_blocks() + of.reserved_descriptors,
                false => 0,
            };
            let copies = copies.min(of.length(number));
            let all = claim(start, copies)
                & claim(group.block_bitmap, 1)
                & claim(group.inode_bitmap, 1)
                & claim(group.table, of.table_blocks());
            if !all {
                found!(
                    self.report,
                    "group {number}: its tables are outside, or in others"
                );
                is_sound = false;
            }
        }
        Ok(is_sound)
    }

    /// Looks at all inodes, and which blocks they have.
    fn inodes(&mut self) -> Result<(), IoError> {
        let of = self.blocks.of.clone();
        let in_block = of.block / of.inode_size;
        for group in 0..self.groups.len() {
            let Group {
                table,
                has_no_inodes,
                unused,
                ..
            } = self.groups[group];
            if has_no_inodes && group > 0 {
                continue;
            }
            let looked = of.inodes_per_group - unused.min(of.inodes_per_group);
            let first = group as u32 * of.inodes_per_group + 1;
            for number in 0..u64::from(looked).div_ceil(in_block as u64) {
                let bytes = self.blocks.read(table + number)?;
                let numbers = first + (number * in_block as u64) as u32..;
                for (number, bytes) in numbers.zip(bytes.chunks_exact(of.inode_size)) {
                    self.inode(Inode::new(number, bytes, &of))?;
                }
            }
        }
        // The file system's own are in use, whatever they hold.
        (1..of.first_inode()).for_each(|number| {
            self.used.set(number.into());
        });
        Ok(())
    }

    fn inode(&mut self, inode: Inode) -> Result<(), IoError> {
        let of = self.blocks.of.clone();
        let number = inode.number;
        let is_own = number < of.first_inode() && number != ROOT;
        if of.has_checksums() && !inode.is_true() && inode.bytes.iter().any(|byte| *byte != 0) {
            found!(self.report, "inode {number}: a wrong checksum");
        }
        if inode.links() == 0 {
            if number == ROOT {
                found!(self.report, "there is no root directory");
            }
            return Ok(());
        }
        self.used.set(number.into());
        if !is_own && !inode.is_known() {
            found!(self.report, "inode {number}: has no type that there is");
            return Ok(());
        }
        let mut walk = Walk::new(&mut self.blocks, &mut self.owned, self.report, &inode);
        if number == RESIZE && of.compatible & feature::RESIZE_INODE != 0 {
            walk.reserved(u32_at(inode.map(), 4 * RESIZE_BLOCK).into())?;
        } else if inode.has_blocks() {
            walk.all()?;
        }
        if inode.attributes() != 0 {
            // Several may share it, so that it counts for each and is nobody's alone.
            let block = inode.attributes();
            if block > of.first_block && block < of.blocks {
                walk.owned.set(block);
                walk.count += 1;
            } else {
                found!(walk.report, "inode {number}: its attributes are nowhere");
            }
        }
        let (count, runs, is_sound) = (walk.count, walk.runs, walk.is_sound);
        let said = match inode.counts_blocks() {
            true => inode.sectors(&of).saturating_mul(of.block as u64 / 512),
            false => inode.sectors(&of),
        };
        if is_sound && said != count * (of.block as u64 / 512) {
            found!(
                self.report,
                "inode {number}: has {count} blocks, and counts {said} sectors"
            );
        }
        if inode.is_directory() {
            let blocks: u64 = runs.iter().map(|(.., count)| count).sum();
            if is_sound && inode.size() != blocks * of.block as u64 {
                found!(self.report, "inode {number}: a directory of a wrong size");
            }
            self.directories.push(Directory {
                number,
                seed: inode.seed,
                has_index: inode.has_index(),
                runs,
                parent: 0,
            });
        }
        if !is_own {
            let reserved = self.known.try_reserve(1);
            reserved.map_err(|_| blocks::too_large())?;
            self.known.push(Known {
                number,
                links: inode.links(),
                names: 0,
            });
        }
        Ok(())
    }

    /// Follows all names, and counts what leads to each inode.
    fn names(&mut self) -> Result<(), IoError> {
        let mut directories = core::mem::take(&mut self.directories);
        // Directories in directories.
        let mut edges = Vec::new();
        for place in 0..directories.len() {
            let directory = &directories[place];
            let number = directory.number;
            let (mut is_whole, mut own, mut parent) = (true, 0, 0);
            for (first, start, count) in directory.runs.clone() {
                for (place, block) in (first..).zip(start..start + count) {
                    let bytes = self.blocks.read(block)?;
                    let (of, mut leads) = (&self.blocks.of, Vec::new());
                    let (has_index, seed) = (directory.has_index, directory.seed);
                    if of.has_checksums() && !names::is_true(&bytes, place, has_index, seed) {
                        found!(self.report, "directory {number}: a wrong checksum");
                    }
                    let shown = names::entries(&bytes, of, |one| match one.name {
                        b"." => own = one.inode,
                        b".." => parent = one.inode,
                        _ => leads.push(one.inode),
                    });
                    if let Err(text) = shown
                        && is_whole
                    {
                        is_whole = false;
                        found!(self.report, "directory {number}: {text}");
                    }
                    for inode in leads {
                        self.count(number, inode);
                        if find(&directories, inode).is_some() {
                            edges.push((number, inode));
                        }
                    }
                }
            }
            directories[place].parent = parent;
            self.count(number, own);
            self.count(number, parent);
            if is_whole && (own != number || parent == 0) {
                found!(
                    self.report,
                    "directory {number}: has wrong names for itself"
                );
            }
        }
        self.reached(&directories, edges)?;
        for known in &self.known {
            let Known {
                number,
                links,
                names,
            } = *known;
            // A directory with more links than can be counted has one.
            if links != names && (links != 1 || find(&directories, number).is_none()) {
                found!(
                    self.report,
                    "inode {number}: {names} names, and {links} links"
                );
            }
        }
        self.directories = directories;
        Ok(())
    }

    /// A name in a directory leads to an inode.
    fn count(&mut self, directory: u32, inode: u32) {
        match self
            .known
            .binary_search_by_key(&inode, |known| known.number)
        {
            Ok(place) => {
                let names = &mut self.known[place].names;
                *names = names.saturating_add(1);
            }
            Err(_) => {
                found!(
                    self.report,
                    "directory {directory}: names inode {inode}, which is not in use"
                );
            }
        }
    }

    /// Looks whether all directories are reached from the root, each by one name.
    fn reached(
        &mut self,
        directories: &[Directory],
        mut edges: Vec<(u32, u32)>,
    ) -> Result<(), IoError> {
        edges.sort_unstable();
        let mut seen = Bits::new(u64::from(self.blocks.of.inodes) + 1)?;
        let mut next = Vec::from([ROOT]);
        seen.set(ROOT.into());
        while let Some(from) = next.pop() {
            let first = edges.partition_point(|(parent, _)| *parent < from);
            for &(_, to) in edges[first..]
                .iter()
                .take_while(|(parent, _)| *parent == from)
            {
                if !seen.set(to.into()) {
                    found!(self.report, "directory {to}: has more than one name");
                    continue;
                }
                if find(directories, to).is_some_and(|one| one.parent != from) {
                    found!(
                        self.report,
                        "directory {to}: is in {from} and says otherwise"
                    );
                }
                next.push(to);
            }
        }
        for directory in directories {
            let number = directory.number;
            if !seen.has(number.into()) && number >= self.blocks.of.first_inode() {
                found!(
                    self.report,
                    "directory {number}: is not reached from the root"
                );
            }
        }
        Ok(())
    }

    /// Compares the bitmaps and all counts with what was found.
    fn bitmaps(&mut self) -> Result<(), IoError> {
        let of = self.blocks.of.clone();
        let (mut free_blocks, mut free_inodes) = (0, 0);
        for number in 0..self.groups.len() {
            let group = self.groups[number].clone();
            let (start, length) = (of.start(number as u64), of.length(number as u64));
            let owned = |place: u64| place >= length || self.owned.has(start + place);
            let free = (0..length).filter(|place| !owned(*place)).count() as u64;
            if !group.has_no_block_bitmap {
                let bytes = self.blocks.read(group.block_bitmap)?;
                let count = (of.blocks_per_group / 8) as usize;
                compare(self.report, number, "blocks", &bytes[..count], owned);
                let is_wide = of.descriptor >= 64;
                let sum = crc32c(of.seed, &bytes[..count]);
                if of.has_checksums() && !same(sum, group.block_checksum, is_wide) {
                    found!(
                        self.report,
                        "group {number}: a wrong checksum of its bitmap of blocks"
                    );
                }
            }
            let first = number as u64 * u64::from(of.inodes_per_group) + 1;
            let used = |place: u64| self.used.has(first + place);
            let inodes = u64::from(of.inodes_per_group);
            let unused = (0..inodes).filter(|place| !used(*place)).count() as u64;
            if !group.has_no_inodes {
                let bytes = self.blocks.read(group.inode_bitmap)?;
                let count = (inodes / 8) as usize;
                compare(self.report, number, "inodes", &bytes[..count], used);
                let is_wide = of.descriptor >= 64;
                let sum = crc32c(of.seed, &bytes[..count]);
                if of.has_checksums() && !same(sum, group.inode_checksum, is_wide) {
                    found!(
                        self.report,
                        "group {number}: a wrong checksum of its bitmap of inodes"
                    );
                }
            }
            let mine = first as u32..first as u32 + of.inodes_per_group;
            let directories = self.directories.iter();
            let directories = directories.filter(|one| mine.contains(&one.number)).count();
            let counts = [
                ("free blocks", free, group.free_blocks),
                ("free inodes", unused, group.free_inodes),
                ("directories", directories as u64, group.directories),
            ];
            for (what, there, said) in counts {
                if there != u64::from(said) {
                    found!(
                        self.report,
                        "group {number}: {there} {what}, and counts {said}"
                    );
                }
            }
            free_blocks += free;
            free_inodes += unused;
        }
        if (free_blocks, free_inodes) != (of.free_blocks, of.free_inodes.into()) {
            found!(
                self.report,
                "superblock: counts of free blocks or inodes are wrong"
            );
        }
        Ok(())
    }
}

/// The directory of this number; they are in order.
fn find(directories: &[Directory], number: u32) -> Option<&Directory> {
    let found = directories.binary_search_by_key(&number, |one| one.number);
    found.ok().map(|place| &directories[place])
}

fn same(sum: u32, said: u32, is_wide: bool) -> bool {
    match is_wide {
        true => sum == said,
        false => sum as u16 == said as u16,
    }
}

/// Compares a bitmap with what there is.
fn compare(
    report: &mut Report,
    group: usize,
    what: &str,
    bytes: &[u8],
    used: impl Fn(u64) -> bool,
) {
    let (mut lost, mut missing) = (0_u64, 0_u64);
    for place in 0..bytes.len() as u64 * 8 {
        let said = bytes[(place / 8) as usize] >> (place % 8) & 1 != 0;
        match (said, used(place)) {
            (true, false) => lost += 1,
            (false, true) => missing += 1,
            _ => {}
        }
    }
    if lost > 0 {
        found!(
            report,
            "group {group}: {lost} {what} are nobody's, and not free"
        );
    }
    if missing > 0 {
        found!(
            report,
            "group {group}: {missing} {what} are in use, and free"
        );
    }
}
