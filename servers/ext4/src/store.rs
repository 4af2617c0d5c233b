//! Files between their clients and the disk: sizes, the page cache, and who has
//! what open.
//!
//! A write goes to the page cache and takes a block of the disk only when it is
//! written back: by a sync, or because its slot is needed. What is free is
//! counted when it is accepted, so that writing back finds room.

use crate::{
    disk::Disk,
    error::refusal,
    mounted::{FileSystem, Mounted},
    pages::{Key, PAGE, Pages, SLOT, SLOT_PAGES, SlotId},
};
use alloc::collections::BTreeMap;
use libipc::interfaces::FileError;
use rsext4::{FileExtentState, FileExtentTarget, InodeNumber};
use tessera_files::volume::{Inlet, NodeId, Outlet};

/// Largest size of a file: 32 bits of blocks.
const MAX_SIZE: u64 = (u32::MAX as u64) * PAGE;

/// Blocks that stay free for what goes with file data: extents, directories.
const MARGIN: u64 = 64;

/// Changes in one transaction: each copies the blocks that it has so far.
const CHANGES: u64 = 32;

/// What is known of a file or directory that is open or not yet written back.
#[derive(Debug, Default)]
struct Node {
    opens: u64,
    /// Of a file; on the disk it may still be smaller.
    size: Option<u64>,
    /// Its last name is gone.
    is_detached: bool,
    /// Where the last read ended: who goes on there reads in order.
    read_end: u64,
}

/// A mounted file system and its caches.
pub struct Store<D: Disk> {
    mounted: Mounted<D>,
    pages: Pages,
    nodes: BTreeMap<u32, Node>,
    /// Whether blocks were freed since the last sync. Until that is durable a
    /// cut brings their file back, and `rsext4` does not keep them from being
    /// written by another.
    has_freed: bool,
    /// Changes since the last sync.
    changes: u64,
}

impl<D: Disk> Store<D> {
    /// A page cache of so many bytes over a file system.
    pub fn new(mounted: Mounted<D>, cache: usize) -> Self {
        Store {
            mounted,
            pages: Pages::new(cache),
            nodes: BTreeMap::new(),
            has_freed: false,
            changes: 0,
        }
    }

    /// The file system below.
    pub fn file_system(&mut self) -> Result<&mut FileSystem<D>, FileError> {
        self.mounted.get()
    }

    // Who has what open.

    /// Somebody has it open, once more.
    pub fn open(&mut self, number: InodeNumber) {
        self.nodes.entry(number.raw()).or_default().opens += 1;
    }

    /// Somebody no longer has it open.
    pub fn close(&mut self, number: InodeNumber) {
        let Some(node) = self.nodes.get_mut(&number.raw()) else {
            return;
        };
        node.opens = node.opens.saturating_sub(1);
        if node.opens > 0 {
            return;
        }
        if node.is_detached {
            // If this fails, the next mount does it.
            let _ = self.reap(number);
        } else if !self.is_dirty(number) {
            self.nodes.remove(&number.raw());
        }
    }

    /// Its last name is gone: it goes with who has it open.
    pub fn detach(&mut self, number: InodeNumber) -> Result<(), FileError> {
        match self.nodes.get_mut(&number.raw()) {
            Some(node) if node.opens > 0 => {
                node.is_detached = true;
                Ok(())
            }
            _ => self.reap(number),
        }
    }

    fn reap(&mut self, number: InodeNumber) -> Result<(), FileError> {
        self.pages.cut(number.raw(), 0);
        self.nodes.remove(&number.raw());
        self.has_freed = true;
        let reaped = self.file_system()?.reap_unlinked_inode(number);
        reaped.map_err(refusal)?;
        self.changed()
    }

    /// The inode of a directory that has not been removed.
    pub fn directory(&mut self, node: NodeId) -> Result<InodeNumber, FileError> {
        let raw = u32::try_from(node.0).map_err(|_| FileError::Stale)?;
        match self.nodes.get(&raw) {
            Some(node) if node.is_detached => Err(FileError::Removed),
            _ => InodeNumber::new(raw).map_err(|_| FileError::Stale),
        }
    }

    // Files.

    /// Bytes in a file.
    pub fn size(&mut self, number: InodeNumber) -> Result<u64, FileError> {
        let known = self.nodes.get(&number.raw()).and_then(|node| node.size);
        match known {
            Some(size) => Ok(size),
            None => self.size_on_disk(number),
        }
    }

    fn size_on_disk(&mut self, number: InodeNumber) -> Result<u64, FileError> {
        let info = self.file_system()?.inode(number).map_err(refusal)?;
        Ok(info.size)
    }

    /// Reads up to `length` bytes; fewer only at the end.
    pub fn read(
        &mut self,
        number: InodeNumber,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let size = self.size(number)?;
        let length = length.min(size.saturating_sub(position));
        let node = self.nodes.entry(number.raw()).or_default();
        let in_order = position == node.read_end;
        node.read_end = position + length;
        let mut done = 0;
        while done < length {
            let at = position + done;
            let slot_left = SLOT - at % SLOT;
            let piece = (length - done).min(slot_left);
            // Who reads in order is given all that is there in one piece.
            let wanted = if in_order { slot_left } else { piece };
            let id = self.load(number, at, at + wanted.min(size - at), size)?;
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
        let mut size = self.size(number)?;
        self.nodes.entry(number.raw()).or_default().size = Some(size);
        if length > 0 && position > size {
            self.settle_tail(number, size)?;
        }
        let mut done = 0;
        while done < length {
            let at = position + done;
            let piece = (length - done).min(PAGE - at % PAGE);
            match self.write_page(number, at, piece, size, done, inlet) {
                Ok(()) => {}
                Err(FileError::NoSpace) if done > 0 => break,
                Err(error) => return Err(error),
            }
            done += piece;
            size = size.max(position + done);
            self.nodes.entry(number.raw()).or_default().size = Some(size);
        }
        Ok(done)
    }

    fn write_page(
        &mut self,
        number: InodeNumber,
        at: u64,
        length: u64,
        size: u64,
        done: u64,
        inlet: &mut Inlet<'_>,
    ) -> Result<(), FileError> {
        let start_of_page = at - at % PAGE;
        let is_whole = length == PAGE || (at == start_of_page && at + length >= size);
        let id = if is_whole || start_of_page >= size {
            let id = self.slot(key(number, at))?;
            if !self.pages.is_valid(id, page(at)) {
                let start = (start_of_page % SLOT) as usize;
                self.pages.bytes(id)[start..start + PAGE as usize].fill(0);
            }
            id
        } else {
            self.load(number, at, at + 1, size)?
        };
        let id = self.reserve(number, at, id)?;
        let start = (at % SLOT) as usize;
        let into = &mut self.pages.bytes(id)[start..start + length as usize];
        let copied = inlet(done, into);
        if copied.is_err() {
            // What lies past the end stays zero, whatever came of the copy.
            let kept = size.saturating_sub(at).min(length) as usize;
            into[kept..].fill(0);
            if !self.pages.is_valid(id, page(at)) && kept > 0 {
                return copied;
            }
        }
        self.pages.set_dirty(id, page(at));
        copied
    }

    /// Makes sure that the page can be written back, and returns its slot.
    fn reserve(&mut self, number: InodeNumber, at: u64, id: SlotId) -> Result<SlotId, FileError> {
        if self.pages.is_dirty(id, page(at)) || self.has_room()? {
            return Ok(id);
        }
        self.write_back_all()?;
        if self.has_room()? {
            return Ok(id);
        }
        // The disk is full, but what has its block already can be written.
        let start = at - at % PAGE;
        let extents =
            self.file_system()?
                .inode_extents(number, start, PAGE, FileExtentTarget::Data, 1);
        let extents = extents.map_err(refusal)?;
        let is_there = extents
            .extents
            .iter()
            .any(|extent| extent.state == FileExtentState::Initialized);
        if is_there {
            Ok(id)
        } else {
            Err(FileError::NoSpace)
        }
    }

    fn has_room(&mut self) -> Result<bool, FileError> {
        let dirty = self.pages.dirty();
        let free = self.file_system()?.statfs().free_blocks;
        Ok(free > dirty + dirty / 32 + MARGIN)
    }

    /// Cuts a file or lets it grow by zeros.
    pub fn set_size(&mut self, number: InodeNumber, size: u64) -> Result<(), FileError> {
        if self.mounted.is_read_only() {
            return Err(FileError::ReadOnly);
        }
        if size > MAX_SIZE {
            return Err(FileError::OutOfRange);
        }
        let old = self.size(number)?;
        if size > old {
            self.settle_tail(number, old)?;
        }
        self.pages.cut(number.raw(), size);
        let on_disk = self.size_on_disk(number)?;
        if on_disk != size {
            self.has_freed |= size < on_disk;
            let cut = self.file_system()?.truncate_inode(number, size);
            cut.map_err(refusal)?;
            self.changed()?;
        }
        self.nodes.entry(number.raw()).or_default().size = Some(size);
        if size < old && !size.is_multiple_of(PAGE) {
            self.settle_tail(number, size)?;
        }
        Ok(())
    }

    /// Zeros, here and later on the disk, what lies past the end in the last
    /// page, so that a file that grows shows nothing old.
    fn settle_tail(&mut self, number: InodeNumber, size: u64) -> Result<(), FileError> {
        if size.is_multiple_of(PAGE) {
            return Ok(());
        }
        let id = self.load(number, size - 1, size, size)?;
        let id = self.reserve(number, size - 1, id)?;
        let start = (size % SLOT) as usize;
        let end = start.next_multiple_of(PAGE as usize);
        self.pages.bytes(id)[start..end].fill(0);
        self.pages.set_dirty(id, page(size - 1));
        Ok(())
    }

    // The page cache.

    /// The slot that holds these bytes, which are within one slot and within the
    /// file, all read from the disk if they were not there.
    fn load(
        &mut self,
        number: InodeNumber,
        start: u64,
        end: u64,
        size: u64,
    ) -> Result<SlotId, FileError> {
        let id = self.slot(key(number, start))?;
        let base = start - start % SLOT;
        let last = (end - base).div_ceil(PAGE);
        let mut next = page(start);
        while next < last {
            if self.pages.is_valid(id, next) {
                next += 1;
                continue;
            }
            let run_end = (next..last).find(|page| self.pages.is_valid(id, *page));
            let run = next..run_end.unwrap_or(last);
            let (from, to) = (run.start * PAGE, run.end * PAGE);
            let length = (to.min(size.saturating_sub(base)).saturating_sub(from)) as usize;
            let bytes = &mut self.pages.bytes(id)[from as usize..to as usize];
            let file_system = self.mounted.get()?;
            let read = file_system.read_inode(number, base + from, &mut bytes[..length]);
            let read = read.map_err(refusal)?;
            bytes[read..].fill(0);
            for page in run.clone() {
                self.pages.set_valid(id, page);
            }
            next = run.end;
        }
        Ok(id)
    }

    /// The slot of this piece, taken from another if need be.
    fn slot(&mut self, key: Key) -> Result<SlotId, FileError> {
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

    /// Writes a piece to the disk. What cannot be written stays to be written.
    fn write_back(&mut self, key: Key) -> Result<(), FileError> {
        let number = InodeNumber::new(key.inode).map_err(refusal)?;
        if self.has_freed {
            self.sync_metadata()?;
        }
        let size = self.size(number)?;
        let Some(id) = self.pages.find(key) else {
            return Ok(());
        };
        while let Some(run) = self.pages.dirty_run(id) {
            let (start, end) = (run.start * PAGE, run.end * PAGE);
            let end = end.min(size.saturating_sub(key.start()));
            if start < end {
                let bytes = &self.pages.bytes(id)[start as usize..end as usize];
                let file_system = self.mounted.get()?;
                let written = file_system.write_inode(number, key.start() + start, bytes);
                written.map_err(refusal)?;
            }
            self.pages.set_clean(id, run);
            self.changed()?;
        }
        Ok(())
    }

    fn write_back_all(&mut self) -> Result<(), FileError> {
        let mut from = Key { inode: 0, index: 0 };
        while let Some(key) = self.pages.next_dirty(from) {
            self.write_back(key)?;
            from = key;
        }
        self.nodes.retain(|_, node| node.opens > 0);
        Ok(())
    }

    /// What was written to this file, and all names, is durable when this
    /// returns.
    pub fn sync(&mut self, number: InodeNumber) -> Result<(), FileError> {
        let mut from = key(number, 0);
        while let Some(key) = self.pages.next_dirty(from) {
            if key.inode != number.raw() {
                break;
            }
            self.write_back(key)?;
            from = key;
        }
        self.sync_metadata()
    }

    fn sync_metadata(&mut self) -> Result<(), FileError> {
        self.mounted.sync()?;
        self.has_freed = false;
        self.changes = 0;
        Ok(())
    }

    /// The file system was changed: ends the transaction if it is long enough.
    pub fn changed(&mut self) -> Result<(), FileError> {
        self.changes += 1;
        if self.changes < CHANGES {
            return Ok(());
        }
        self.sync_metadata()
    }

    /// Everything is durable and the file system clean when this returns.
    pub fn rest(&mut self) -> Result<(), FileError> {
        self.write_back_all()?;
        self.mounted.rest()?;
        self.has_freed = false;
        self.changes = 0;
        Ok(())
    }
}

fn key(number: InodeNumber, position: u64) -> Key {
    Key {
        inode: number.raw(),
        index: position / SLOT,
    }
}

/// The page's number in its slot.
fn page(position: u64) -> u64 {
    position / PAGE % SLOT_PAGES
}
