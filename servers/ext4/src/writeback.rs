//! The way of pages from and to the disk.
//!
//! Pages that have their blocks go there directly, without `rsext4`: nothing of the
//! file system changes but the file's time, which follows later. All others go by
//! `rsext4`, which finds blocks for them, as many at once as there are.

use crate::{
    error::refusal,
    extents::{MOST, Place, WINDOW, Window},
    mounted::Mounted,
    pages::{Key, PAGE, Run, SLOT, SlotId},
    store::{Store, key, page},
};
use core::ops::Range;
use libipc::interfaces::FileError;
use rsext4::{Ext4Timestamp, FileExtentTarget, InodeMetadataUpdate, InodeNumber};
use tessera_disk::Disk;

impl<D: Disk> Store<D> {
    /// Where a page is, and up to where the pages behind it are so too.
    pub(crate) fn place(
        &mut self,
        number: InodeNumber,
        position: u64,
    ) -> Result<(Place, u64), FileError> {
        let (is_held, end) = self.held.find(number.raw(), position);
        if is_held || !self.mounted.has_pages() {
            return Ok((Place::Held, position + PAGE));
        }
        let known = self.node(number)?.window.as_ref();
        if let Some((place, until)) = known.and_then(|window| window.find(position)) {
            return Ok((place, until.min(end)));
        }
        let (file_system, data) = (self.file_system()?, FileExtentTarget::Data);
        let map = file_system.inode_extents(number, position, WINDOW, data, MOST);
        let window = Window::new(position..position + WINDOW, &map.map_err(refusal)?);
        let window = window.ok_or(FileError::Corrupt)?;
        let found = window.find(position);
        self.node(number)?.window = Some(window);
        let (place, until) = found.ok_or(FileError::Corrupt)?;
        Ok((place, until.min(end)))
    }

    /// The slot that holds these bytes, which are within one slot and within the
    /// file, all read from the disk if they were not there.
    pub(crate) fn load(
        &mut self,
        number: InodeNumber,
        range: Range<u64>,
        size: u64,
    ) -> Result<SlotId, FileError> {
        let id = self.slot(key(number, range.start))?;
        let base = range.start - range.start % SLOT;
        let last = (range.end - base).div_ceil(PAGE);
        let mut next = page(range.start);
        while next < last {
            if self.pages.is_valid(id, next) {
                next += 1;
                continue;
            }
            let valid = (next..last).find(|page| self.pages.is_valid(id, *page));
            let end = valid.unwrap_or(last);
            self.fill(number, id, base + next * PAGE..base + end * PAGE, size)?;
            for page in next..end {
                self.pages.set_valid(id, page);
            }
            next = end;
        }
        Ok(id)
    }

    /// Reads whole pages into their slot.
    fn fill(
        &mut self,
        number: InodeNumber,
        id: SlotId,
        range: Range<u64>,
        size: u64,
    ) -> Result<(), FileError> {
        let in_slot = |position: u64| (position - range.start + range.start % SLOT) as usize;
        let mut at = range.start;
        while at < range.end {
            let (place, until) = self.place(number, at)?;
            let end = until.min(range.end);
            let bytes = &mut self.pages.bytes(id)[in_slot(at)..in_slot(end)];
            match place {
                Place::Disk(sector) => {
                    let read = self.mounted.device().guard().read(sector, bytes);
                    read.map_err(FileError::from)?;
                }
                Place::Hole => bytes.fill(0),
                Place::Held => {
                    let file_system = self.mounted.get()?;
                    let read = file_system.read_inode(number, at, bytes);
                    bytes[read.map_err(refusal)?..].fill(0);
                }
            }
            at = end;
        }
        if range.end > size {
            let past = size.max(range.start);
            self.pages.bytes(id)[in_slot(past)..in_slot(range.end)].fill(0);
        }
        Ok(())
    }

    /// Writes a piece to the disk, and what follows it in one run. What cannot be
    /// written stays to be written.
    pub(crate) fn write_back(&mut self, key: Key) -> Result<(), FileError> {
        let number = InodeNumber::new(key.inode).map_err(refusal)?;
        while let Some(run) = self.pages.dirty_run(key) {
            let mut at = run.start;
            while at < run.end {
                at = self.write_some(number, &run, at)?;
            }
        }
        Ok(())
    }

    /// Writes a run from a position on, up to the position that is returned.
    fn write_some(&mut self, number: InodeNumber, run: &Run, at: u64) -> Result<u64, FileError> {
        let node = self.node(number)?;
        let (size, on_disk, owner) = (node.size, node.size_on_disk, node.owner);
        let has_extents = node.has_extents;
        if at >= size {
            // It was cut meanwhile.
            self.pages.set_run_clean(run, at..run.end);
            return Ok(run.end);
        }
        let (place, until) = self.place(number, at)?;
        let end = until.min(run.end);
        // Pages that do not make the file longer than the disk has it.
        let inside = match size == on_disk {
            true => end,
            false => end.min(on_disk - on_disk % PAGE),
        };
        if let (Place::Disk(sector), true) = (place, inside > at) {
            let bytes = self.pages.run(run, at..inside);
            let written = self.mounted.device().guard().write_data(sector, bytes);
            written.map_err(FileError::from)?;
            self.is_changed = true;
            self.pages.set_run_clean(run, at..inside);
            return Ok(inside);
        }
        if self.has_freed {
            self.sync_metadata()?;
        }
        let end = match place {
            // Of a run with a part of a block at its end it would keep all blocks.
            Place::Hole if size - at >= PAGE => end.min(size - size % PAGE),
            _ => at + PAGE,
        };
        let now = self.time.now();
        let Store {
            mounted,
            pages,
            quotas,
            ..
        } = self;
        let bytes = pages.run(run, at..end.min(size));
        let written = quotas.charge(mounted.get()?, owner, |file_system| {
            file_system.write_inode(number, at, bytes)
        });
        // Whatever came of it, it may have these now.
        if place != Place::Hole || !has_extents {
            for position in (at..end).step_by(PAGE as usize) {
                self.held.insert(number.raw(), position);
            }
        } else if end > size {
            self.held.insert(number.raw(), size);
        }
        let node = self.node(number)?;
        node.window = None;
        written?;
        node.size_on_disk = on_disk.max(end.min(size));
        (node.modified, node.is_touched) = (now, false);
        self.pages.set_run_clean(run, at..end);
        self.changed()?;
        Ok(end)
    }

    /// Writes everything.
    pub(crate) fn write_back_all(&mut self) -> Result<(), FileError> {
        let mut from = Key { inode: 0, index: 0 };
        while let Some(key) = self.pages.next_dirty(from) {
            self.write_back(key)?;
            from = key;
        }
        Ok(())
    }

    /// The file system below learns when a file was changed.
    pub(crate) fn settle_time(&mut self, number: InodeNumber) -> Result<(), FileError> {
        let known = self.nodes.get(number.raw());
        let Some(node) = known.filter(|node| node.is_touched) else {
            return Ok(());
        };
        node.is_touched = false;
        let time = Ext4Timestamp::new(
            (node.modified / 1_000_000_000) as i64,
            (node.modified % 1_000_000_000) as u32,
        );
        let update = InodeMetadataUpdate {
            mtime: Some(time),
            ..InodeMetadataUpdate::default()
        };
        let updated = self.file_system()?.update_inode_metadata(number, update);
        updated.map_err(refusal)?;
        self.changed()
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

    pub(crate) fn sync_metadata(&mut self) -> Result<(), FileError> {
        self.make_durable(Mounted::sync)
    }

    fn make_durable(
        &mut self,
        sync: fn(&mut Mounted<D>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        if self.has_failed {
            return Err(FileError::DeviceFailed);
        }
        if let Err(error) = sync(&mut self.mounted) {
            self.has_failed = true;
            return Err(error);
        }
        self.has_freed = false;
        self.is_changed = false;
        if !self.mounted.is_mounted() {
            self.held.clear();
        }
        Ok(())
    }

    /// The file system was changed: empties the journal if it holds enough.
    pub fn changed(&mut self) -> Result<(), FileError> {
        self.is_changed = true;
        match self.mounted.is_full() {
            true => self.sync_metadata(),
            false => Ok(()),
        }
    }

    /// Whether nothing waits to be made durable.
    pub fn is_settled(&self) -> bool {
        self.has_failed || (self.pages.dirty() == 0 && !self.is_changed)
    }

    /// Everything is durable when this returns.
    pub fn settle(&mut self) -> Result<(), FileError> {
        self.write_all()?;
        self.sync_metadata()
    }

    /// Everything is durable and the file system clean when this returns.
    pub fn rest(&mut self) -> Result<(), FileError> {
        self.write_all()?;
        self.make_durable(Mounted::rest)
    }

    /// The file system below has everything.
    fn write_all(&mut self) -> Result<(), FileError> {
        self.write_back_all()?;
        let mut from = 0;
        while let Some(inode) = self.nodes.unsettled(from) {
            self.settle_time(InodeNumber::new(inode).map_err(refusal)?)?;
            from = inode + 1;
        }
        Ok(())
    }
}
