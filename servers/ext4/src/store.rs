//! Files between their clients and the disk: sizes, the page cache, and who has
//! what open.
//!
//! A write goes to the page cache and takes a block of the disk only when it is
//! written back: by a sync, or because its slot is needed. What is free is
//! counted when it is accepted, so that writing back finds room.

use crate::{
    error::refusal,
    extents::{Held, Place},
    mounted::{FileSystem, Mounted, Time},
    nodes::{Node, Nodes},
    pages::{Key, Memory, PAGE, Pages, SLOT, SLOT_PAGES, SlotId},
    quotas::Quotas,
};
use alloc::collections::BTreeMap;
use core::ops::Range;
use libipc::interfaces::{FileError, FileKind};
use rsext4::InodeNumber;
use tessera_disk::Disk;
use tessera_files::{
    data::MAX_SIZE,
    volume::{Inlet, NodeId, Outlet},
};

/// Blocks that stay free for what goes with file data: extents, directories.
const MARGIN: u64 = 64;

/// Who has something open.
#[derive(Debug, Default)]
struct Handles {
    count: u64,
    /// Its last name is gone.
    is_detached: bool,
}

/// A mounted file system and its caches.
pub struct Store<D: Disk> {
    pub(crate) mounted: Mounted<D>,
    pub(crate) pages: Pages,
    pub(crate) nodes: Nodes,
    pub(crate) held: Held,
    pub(crate) time: Time,
    pub(crate) quotas: Quotas,
    handles: BTreeMap<u32, Handles>,
    /// Whether blocks were freed since the last sync. Until that is durable a
    /// cut brings their file back, and `rsext4` does not keep them from being
    /// written by another.
    pub(crate) has_freed: bool,
    /// Something was written since the last sync.
    pub(crate) is_changed: bool,
    /// A sync failed. What was written before it may be gone, and no later one may say
    /// that it is durable.
    pub(crate) has_failed: bool,
}

impl<D: Disk> Store<D> {
    /// A page cache in this memory over a file system.
    pub fn new(mounted: Mounted<D>, memory: Memory, time: Time) -> Self {
        Store {
            mounted,
            pages: Pages::new(memory),
            nodes: Nodes::default(),
            held: Held::default(),
            time,
            quotas: Quotas::default(),
            handles: BTreeMap::new(),
            has_freed: false,
            is_changed: false,
            has_failed: false,
        }
    }

    /// The file system below.
    pub fn file_system(&mut self) -> Result<&mut FileSystem<D>, FileError> {
        self.mounted.get()
    }

    // Who has what open.

    /// Somebody has it open, once more.
    pub fn open(&mut self, number: InodeNumber) {
        self.handles.entry(number.raw()).or_default().count += 1;
    }

    /// Somebody no longer has it open.
    pub fn close(&mut self, number: InodeNumber) {
        let Some(handles) = self.handles.get_mut(&number.raw()) else {
            return;
        };
        handles.count = handles.count.saturating_sub(1);
        if handles.count > 0 {
            return;
        }
        let is_detached = handles.is_detached;
        self.handles.remove(&number.raw());
        // If this fails, the next mount or rest does it.
        let _ = match is_detached {
            true => self.reap(number),
            false if self.is_dirty(number) => Ok(()),
            false => self.settle_time(number),
        };
    }

    /// Its last name is gone: it goes with who has it open.
    pub fn detach(&mut self, number: InodeNumber) -> Result<(), FileError> {
        match self.handles.get_mut(&number.raw()) {
            Some(handles) => {
                handles.is_detached = true;
                Ok(())
            }
            None => self.reap(number),
        }
    }

    fn reap(&mut self, number: InodeNumber) -> Result<(), FileError> {
        let owner = self.owner(number)?;
        self.pages.cut(number.raw(), 0);
        self.nodes.forget(number.raw());
        self.has_freed = true;
        self.charge(owner, |file_system| file_system.reap_unlinked_inode(number))?;
        self.quotas.remove_file(owner);
        self.held.cut(number.raw(), 0);
        self.changed()
    }

    /// The inode of a directory that has not been removed.
    pub fn directory(&mut self, node: NodeId) -> Result<InodeNumber, FileError> {
        let raw = u32::try_from(node.0).map_err(|_| FileError::Stale)?;
        match self.handles.get(&raw) {
            Some(handles) if handles.is_detached => Err(FileError::Removed),
            _ => InodeNumber::new(raw).map_err(|_| FileError::Stale),
        }
    }

    // What is known of them.

    /// A file or directory.
    pub fn node(&mut self, number: InodeNumber) -> Result<&mut Node, FileError> {
        if self.nodes.get(number.raw()).is_none() {
            let file_system = self.mounted.get()?;
            let info = file_system.inode(number).map_err(refusal)?;
            let block = file_system.statfs().block_size.max(1);
            if info.size.div_ceil(block) > u32::MAX.into() {
                // `rsext4` 0.9.2 panics where such a file ends.
                return Err(FileError::Corrupt);
            }
            let node = Node::new(&info).ok_or(FileError::Corrupt)?;
            self.nodes.insert(number.raw(), node);
        }
        self.nodes.get(number.raw()).ok_or(FileError::Corrupt)
    }

    /// A file.
    fn file(&mut self, number: InodeNumber) -> Result<&mut Node, FileError> {
        let node = self.node(number)?;
        match node.kind {
            FileKind::File => Ok(node),
            FileKind::Directory => Err(FileError::IsDirectory),
        }
    }

    // Bytes of files.

    /// Reads up to `length` bytes; fewer only at the end.
    pub fn read(
        &mut self,
        number: InodeNumber,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let node = self.file(number)?;
        let size = node.size;
        let length = length.min(size.saturating_sub(position));
        let in_order = position == node.read_end;
        node.read_end = position + length;
        let mut done = 0;
        while done < length {
            let at = position + done;
            let slot_left = SLOT - at % SLOT;
            let piece = (length - done).min(slot_left);
            // Who reads in order is given all that is there in one piece.
            let wanted = if in_order { slot_left } else { piece };
            let id = self.load(number, at..at + wanted.min(size - at), size)?;
            let start = (at % SLOT) as usize;
            outlet(done, &self.pages.bytes(id)[start..start + piece as usize])?;
            done += piece;
        }
        Ok(length)
    }

    /// Writes up to `length` bytes; fewer only if the disk is full.
    pub fn write(
        &mut self,
        number: InodeNumber,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
    ) -> Result<u64, FileError> {
        if self.mounted.is_read_only() {
            return Err(FileError::ReadOnly);
        }
        let end = position.checked_add(length);
        if end.is_none_or(|end| end > MAX_SIZE) {
            return Err(FileError::OutOfRange);
        }
        let mut size = self.file(number)?.size;
        if length > 0 && position > size {
            self.settle_tail(number, size)?;
        }
        let mut done = 0;
        while done < length {
            let at = position + done;
            let wanted = (length - done).min(SLOT - at % SLOT);
            let piece = match self.reserve(number, at, wanted) {
                Ok(piece) => piece,
                Err(FileError::NoSpace) if done > 0 => break,
                Err(error) => return Err(error),
            };
            self.write_piece(number, at..at + piece, size, &mut |into| inlet(done, into))?;
            done += piece;
            size = size.max(position + done);
            let now = self.time.now();
            let node = self.node(number)?;
            (node.size, node.modified, node.is_touched) = (size, now, true);
        }
        Ok(done)
    }

    /// Has bytes within one slot written, for which there is room.
    fn write_piece(
        &mut self,
        number: InodeNumber,
        range: Range<u64>,
        size: u64,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        // Of pages that are written in part, the rest has to be there.
        let (first, last) = (
            range.start - range.start % PAGE,
            (range.end - 1) / PAGE * PAGE,
        );
        let is_kept = |from: u64, to: u64| from < to.min(size);
        if is_kept(first, range.start) || (first == last && is_kept(range.end, first + PAGE)) {
            self.load(number, first..first + 1, size)?;
        }
        if first != last && is_kept(range.end, last + PAGE) {
            self.load(number, last..last + 1, size)?;
        }
        let id = self.slot(key(number, first))?;
        let pages = page(first)..page(last) + 1;
        for edge in [page(first), page(last)] {
            if !self.pages.is_valid(id, edge) {
                let start = (edge * PAGE) as usize;
                self.pages.bytes(id)[start..start + PAGE as usize].fill(0);
            }
        }
        let base = range.start - range.start % SLOT;
        let into = (range.start - base) as usize..(range.end - base) as usize;
        let bytes = &mut self.pages.bytes(id)[into];
        let filled = fill(bytes);
        if filled.is_err() {
            // What lies past the end stays zero, whatever came of the copy.
            let kept = size
                .saturating_sub(range.start)
                .min(range.end - range.start);
            bytes[kept as usize..].fill(0);
        }
        for page in pages {
            // What was there has changed, whether or not all of it.
            if filled.is_ok() || self.pages.is_valid(id, page) {
                self.pages.set_dirty(id, page);
            }
        }
        filled
    }

    /// Makes sure that bytes within one slot can be written back; how many of them.
    fn reserve(&mut self, number: InodeNumber, at: u64, length: u64) -> Result<u64, FileError> {
        let owner = self.node(number)?.owner;
        let pages = page(at)..page(at + length - 1) + 1;
        let clean = self.pages.clean(key(number, at), pages.clone());
        if self.has_room(owner, clean)? {
            return Ok(length);
        }
        self.write_back_all()?;
        if self.has_room(owner, pages.end - pages.start)? {
            return Ok(length);
        }
        // There is no more, but what has its block already can be written.
        let one = length.min(PAGE - at % PAGE);
        match self.has_room(owner, 1)? {
            true => Ok(one),
            false => match self.place(number, at - at % PAGE)? {
                (Place::Disk(_) | Place::Held, _) => Ok(one),
                (Place::Hole, _) => Err(FileError::NoSpace),
            },
        }
    }

    /// Whether so many pages more can be written back, by the disk and by their owner's
    /// limit, against which everybody's are counted that are still to be written.
    fn has_room(&mut self, owner: u32, more: u64) -> Result<bool, FileError> {
        if more == 0 {
            return Ok(true);
        }
        let dirty = self.pages.dirty() + more;
        let needed = dirty + dirty / 32;
        let free = self.file_system()?.statfs().free_blocks;
        Ok(free >= needed + MARGIN && self.quotas.has_bytes(owner, needed * PAGE))
    }

    /// Cuts a file or lets it grow by zeros.
    pub fn set_size(&mut self, number: InodeNumber, size: u64) -> Result<(), FileError> {
        if self.mounted.is_read_only() {
            return Err(FileError::ReadOnly);
        }
        if size > MAX_SIZE {
            return Err(FileError::OutOfRange);
        }
        let node = self.file(number)?;
        let (old, on_disk, owner) = (node.size, node.size_on_disk, node.owner);
        if size > old {
            self.settle_tail(number, old)?;
        }
        self.pages.cut(number.raw(), size);
        if on_disk != size {
            self.has_freed |= size < on_disk;
            // It zeros what is past either end.
            self.hold_tail(number, on_disk);
            self.hold_tail(number, size);
            self.node(number)?.window = None;
            self.charge(owner, |file_system| {
                file_system.truncate_inode(number, size)
            })?;
            self.held.cut(number.raw(), size);
            self.changed()?;
        }
        let now = self.time.now();
        let node = self.node(number)?;
        (node.size, node.size_on_disk) = (size, size);
        (node.modified, node.is_touched) = (now, on_disk == size);
        if size < old && !size.is_multiple_of(PAGE) {
            self.settle_tail(number, size)?;
        }
        Ok(())
    }

    /// `rsext4` has the last page of a file of this size, unless it is whole.
    fn hold_tail(&mut self, number: InodeNumber, size: u64) {
        if !size.is_multiple_of(PAGE) {
            self.held.insert(number.raw(), size);
        }
    }

    /// Zeros, here and later on the disk, what lies past the end in the last
    /// page, so that a file that grows shows nothing old.
    fn settle_tail(&mut self, number: InodeNumber, size: u64) -> Result<(), FileError> {
        if size.is_multiple_of(PAGE) {
            return Ok(());
        }
        self.reserve(number, size - 1, 1)?;
        let id = self.load(number, size - 1..size, size)?;
        let start = (size % SLOT) as usize;
        let end = start.next_multiple_of(PAGE as usize);
        self.pages.bytes(id)[start..end].fill(0);
        self.pages.set_dirty(id, page(size - 1));
        Ok(())
    }

    /// The slot of this piece, taken from another if need be.
    pub(crate) fn slot(&mut self, key: Key) -> Result<SlotId, FileError> {
        if let Some(id) = self.pages.find(key) {
            return Ok(id);
        }
        let (id, to_write) = self.pages.oldest();
        if let Some(other) = to_write {
            self.write_back(other)?;
        }
        self.pages.assign(id, key);
        Ok(id)
    }

    fn is_dirty(&self, number: InodeNumber) -> bool {
        let next = self.pages.next_dirty(key(number, 0));
        next.is_some_and(|key| key.inode == number.raw())
    }
}

/// The slot of a position.
pub(crate) fn key(number: InodeNumber, position: u64) -> Key {
    Key {
        inode: number.raw(),
        index: position / SLOT,
    }
}

/// The page's number in its slot.
pub(crate) fn page(position: u64) -> u64 {
    position / PAGE % SLOT_PAGES
}
