//! Where the pages of a file are on the disk.

use crate::pages::PAGE;
use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Range;
use rsext4::{FileExtent, FileExtentMap, FileExtentState};
use tessera_disk::SECTOR;

/// How much of a file is looked up at once.
pub const WINDOW: u64 = 64 << 20;

/// Most extents that are kept of a file.
pub const MOST: usize = 64;

/// Where pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From this sector on.
    Disk(u64),
    /// In no block, or in one that was never written: they read as zeros.
    Hole,
    /// In a block that `rsext4` may have in a cache of its own: only it may read and
    /// write it.
    Held,
}

/// The extents of a part of a file.
#[derive(Debug)]
pub struct Window {
    positions: Range<u64>,
    /// First and last position and first sector, in order.
    extents: Vec<(Range<u64>, u64)>,
}

impl Window {
    /// What was found from a position on, up to another; `None` if extents overlap.
    /// `rsext4` 0.9.2 sees that only within a block of its tree, and else reads past
    /// its buffer and panics.
    pub fn new(positions: Range<u64>, map: &FileExtentMap) -> Option<Self> {
        let overlap = |pair: &[FileExtent]| {
            let end = pair[0].logical_start.saturating_add(pair[0].length);
            end > pair[1].logical_start
        };
        if map.extents.windows(2).any(overlap) {
            return None;
        }
        let written = map
            .extents
            .iter()
            .filter(|extent| extent.state == FileExtentState::Initialized);
        let mut end = positions.end;
        if let (false, Some(last)) = (map.complete, map.extents.last()) {
            end = end.min(last.logical_start + last.length);
        }
        Some(Window {
            positions: positions.start..end,
            extents: written
                .map(|extent| {
                    let start = extent.logical_start;
                    let sector = extent.physical_start / SECTOR as u64;
                    (start..start.saturating_add(extent.length), sector)
                })
                .collect(),
        })
    }

    /// Where what begins at a position is, and where it ends to be there; `None` if
    /// this is not known here.
    pub fn find(&self, position: u64) -> Option<(Place, u64)> {
        if !self.positions.contains(&position) {
            return None;
        }
        let ahead = self.extents.iter().find(|(range, _)| range.end > position);
        Some(match ahead {
            Some((range, sector)) if range.start <= position => {
                let inside = (position - range.start) / SECTOR as u64;
                (Place::Disk(sector + inside), range.end)
            }
            Some((range, _)) => (Place::Hole, range.start.min(self.positions.end)),
            None => (Place::Hole, self.positions.end),
        })
    }
}

/// Pages that are in blocks that `rsext4` may have in a cache of its own.
///
/// It keeps blocks of files there that were not written whole: the last one of a
/// file, most often. Were such a block written past it, it would later write what it
/// had; so until an unmount only it reads and writes these.
#[derive(Debug, Default)]
pub struct Held(BTreeSet<(u32, u64)>);

impl Held {
    /// It has the page with this position.
    pub fn insert(&mut self, inode: u32, position: u64) {
        self.0.insert((inode, position / PAGE));
    }

    /// Whether it has the page with this position, and where the next one begins that
    /// is otherwise.
    pub fn find(&self, inode: u32, position: u64) -> (bool, u64) {
        let page = position / PAGE;
        let next = self.0.range((inode, page)..(inode + 1, 0)).next();
        match next {
            Some((_, held)) if *held == page => (true, (page + 1) * PAGE),
            Some((_, held)) => (false, held * PAGE),
            None => (false, u64::MAX),
        }
    }

    /// The blocks of an inode from a position on were freed: nobody has them.
    pub fn cut(&mut self, inode: u32, position: u64) {
        let mut rest = self.0.split_off(&(inode, position.div_ceil(PAGE)));
        let mut others = rest.split_off(&(inode + 1, 0));
        self.0.append(&mut others);
    }

    /// It has none any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn extent(start: u64, sector: u64, length: u64, state: FileExtentState) -> FileExtent {
        FileExtent {
            logical_start: start * PAGE,
            physical_start: sector * SECTOR as u64,
            length: length * PAGE,
            state,
            merged: false,
        }
    }

    #[test]
    fn a_window_knows_extents_and_holes() {
        use FileExtentState::{Initialized, Unwritten};
        let extents = vec![
            extent(2, 800, 3, Initialized),
            extent(5, 1600, 1, Unwritten),
            extent(9, 80, 1, Initialized),
        ];
        let map = |complete| FileExtentMap {
            extents: extents.clone(),
            mapped_extents: 3,
            complete,
        };
        let window = Window::new(0..20 * PAGE, &map(true)).unwrap();
        let at = |page: u64| {
            window
                .find(page * PAGE)
                .map(|(place, end)| (place, end / PAGE))
        };
        assert_eq!(at(0), Some((Place::Hole, 2)));
        assert_eq!(at(3), Some((Place::Disk(808), 5)));
        assert_eq!(at(5), Some((Place::Hole, 9)));
        assert_eq!(at(9), Some((Place::Disk(80), 10)));
        assert_eq!(at(10), Some((Place::Hole, 20)));
        assert_eq!(at(20), None);
        let window = Window::new(0..20 * PAGE, &map(false)).unwrap();
        assert_eq!(window.find(10 * PAGE), None);
        assert_eq!(window.find(9 * PAGE), Some((Place::Disk(80), 10 * PAGE)));
    }

    #[test]
    fn held_pages_go_with_their_blocks() {
        let mut held = Held::default();
        for (inode, page) in [(3, 1), (3, 7), (4, 0)] {
            held.insert(inode, page * PAGE + 5);
        }
        assert_eq!(held.find(3, PAGE), (true, 2 * PAGE));
        assert_eq!(held.find(3, 2 * PAGE), (false, 7 * PAGE));
        assert_eq!(held.find(3, 8 * PAGE), (false, u64::MAX));
        held.cut(3, PAGE + 1);
        assert_eq!(held.find(3, 0), (false, PAGE));
        assert_eq!(held.find(3, 2 * PAGE), (false, u64::MAX));
        assert!(held.find(4, 0).0);
    }
}
