//! FAT as a volume of the file server.
//!
//! `hadris_fat` keeps nodes only while somebody has pinned them: those that are open, and
//! the one that was looked up last, which is opened next or never.

use crate::{
    device::Device,
    error::{of_node, refusal},
    time::{NOW, nanoseconds},
};
use alloc::{boxed::Box, collections::BTreeMap};
use core::{cell::RefCell, ops::DerefMut};
use hadris_fat::{CacheOptions, sync::FatFs};
use hadris_fs::{
    DirCursor, Metadata, MountOptions, Name, NodeId as Node, OpenMode, RenameMode, SetAttr,
};
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};
use tessera_disk::Disk;
use tessera_files::{
    quota::Accounts,
    volume::{Change, Inlet, NodeId, Outlet, Space, Volume, check_name},
};

/// What bytes pass through: on the target memory that the disk's driver knows.
pub type Memory = Box<dyn DerefMut<Target = [u8]>>;

/// Bytes that move at once.
const PIECE: usize = 256 << 10;

/// Longest name that a listing shows.
const LONGEST: usize = 255;

/// What no name may have in it, besides control characters, and its end.
const NOT_IN_NAMES: &str = "\"*/:<>?\\|";
const NOT_AT_THE_END: [char; 2] = ['.', ' '];

/// A FAT file system on a disk.
pub struct FatVolume<D: Disk> {
    /// Reading changes what is known of the disk.
    mounted: RefCell<Mounted<D>>,
    is_writable: bool,
}

struct Mounted<D: Disk> {
    files: FatFs<Device<D>>,
    memory: Memory,
    /// How often each node is open: it is pinned once.
    open: BTreeMap<Node, u32>,
    /// The node that was looked up last.
    found: Option<Node>,
    is_settled: bool,
}

impl<D: Disk> core::fmt::Debug for FatVolume<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FatVolume").finish_non_exhaustive()
    }
}

impl<D: Disk> FatVolume<D> {
    /// Mounts what is on `disk`. Bytes pass through `memory`, of at least a sector.
    ///
    /// `Corrupt` if it is no FAT file system that can be used; `DeviceFailed`.
    pub fn new(disk: D, memory: Memory) -> Result<Self, FileError> {
        let options = MountOptions::new().with_clock(&NOW);
        let files = FatFs::mount(Device(disk), options);
        let files = files.map_err(|error| refusal(error.into_error()))?;
        let files = files.with_cache(CacheOptions::new());
        Ok(FatVolume {
            is_writable: !files.is_read_only(),
            mounted: RefCell::new(Mounted {
                files,
                memory,
                open: BTreeMap::new(),
                found: None,
                is_settled: true,
            }),
        })
    }
}

impl<D: Disk> Mounted<D> {
    /// Remembers the node that was found last, and forgets the one before.
    fn find(&mut self, found: Option<Node>) {
        if let Some(before) = core::mem::replace(&mut self.found, found) {
            self.files.forget(before, 1);
        }
    }

    /// The node of a name, and whether it is a directory.
    fn lookup(&mut self, directory: NodeId, name: &str) -> Result<(Node, bool), FileError> {
        check_name(name)?;
        let directory = self.directory(directory)?;
        let found = self.files.lookup(directory, Name::new(name));
        let found = found.map_err(refusal)?;
        self.find(Some(found));
        let known = self.files.stat(found).map_err(refusal)?;
        Ok((found, known.file_type().is_dir()))
    }

    /// A directory that is there.
    fn directory(&mut self, node: NodeId) -> Result<Node, FileError> {
        let node = number(node)?;
        let known = self.files.stat(node).map_err(of_node)?;
        match known.file_type().is_dir() {
            true => Ok(node),
            false => Err(FileError::NotDirectory),
        }
    }

    /// Something changes.
    fn change(&mut self, now: u64) {
        NOW.set(now);
        self.is_settled = false;
    }

    fn create(
        &mut self,
        directory: NodeId,
        name: &str,
        kind: FileKind,
        now: u64,
    ) -> Result<NodeId, FileError> {
        check_fat_name(name)?;
        let directory = self.directory(directory)?;
        self.change(now);
        let (name, attributes) = (Name::new(name), SetAttr::new());
        let made = match kind {
            FileKind::File => self.files.create(directory, name, &attributes),
            FileKind::Directory => self.files.mkdir(directory, name, &attributes),
        };
        let made = made.map_err(refusal)?;
        self.find(Some(made));
        Ok(NodeId(made.get()))
    }

    fn read(
        &mut self,
        file: Node,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let mut done = 0;
        while done < length {
            let most = length.min(done + self.memory.len().min(PIECE) as u64) - done;
            let piece = &mut self.memory[..most as usize];
            let read = self.files.read(file, position.saturating_add(done), piece);
            let count = read.map_err(refusal)?;
            if count == 0 {
                break;
            }
            outlet(done, &self.memory[..count])?;
            done += count as u64;
        }
        Ok(done)
    }

    fn write(
        &mut self,
        file: Node,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
    ) -> Result<u64, FileError> {
        let mut done = 0;
        while done < length {
            let most = length.min(done + self.memory.len().min(PIECE) as u64) - done;
            let piece = &mut self.memory[..most as usize];
            let place = position.checked_add(done).ok_or(FileError::OutOfRange)?;
            let given = inlet(done, piece).map_err(Some);
            let written = given.and_then(|()| match self.files.write(file, place, piece) {
                Ok(0) => Err(None),
                written => written.map_err(|error| Some(refusal(error))),
            });
            match written {
                Ok(count) => done += count as u64,
                // What was written before is told.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error.unwrap_or(FileError::OutOfRange)),
            }
        }
        Ok(done)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.files.sync().map_err(refusal)?;
        self.is_settled = true;
        Ok(())
    }
}

impl<D: Disk> Volume for FatVolume<D> {
    fn root(&self) -> NodeId {
        NodeId(self.mounted.borrow().files.root().get())
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    fn stat(&self, node: NodeId) -> Result<Stat, FileError> {
        let mut mounted = self.mounted.borrow_mut();
        let known = mounted.files.stat(number(node)?).map_err(of_node)?;
        Ok(Stat {
            kind: kind(&known),
            size: known.len(),
            created: nanoseconds(known.created()),
            modified: nanoseconds(known.modified()),
            id: node.0,
        })
    }

    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError> {
        let (found, _) = self.mounted.borrow_mut().lookup(directory, name)?;
        Ok(NodeId(found.get()))
    }

    fn list(
        &self,
        directory: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError> {
        let mut mounted = self.mounted.borrow_mut();
        let directory = mounted.directory(directory)?;
        // Cursors count from 1 here, as 0 is the first page and the end.
        let mut at = DirCursor::from_raw(cursor.saturating_sub(1));
        while let Some(entry) = mounted.files.readdir(directory, at).map_err(of_node)? {
            // What nobody could ask for by name is not shown.
            let name = entry.name().to_str().ok();
            let name = name.filter(|name| name.len() <= LONGEST && check_name(name).is_ok());
            let shown = name.is_none_or(|name| {
                show(Entry {
                    kind: kind(entry.metadata()),
                    size: entry.metadata().len(),
                    name,
                })
            });
            if !shown {
                return Ok(at.into_raw() + 1);
            }
            at = entry.next_cursor();
        }
        Ok(0)
    }

    fn read(
        &self,
        file: NodeId,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let file = number(file)?;
        self.mounted
            .borrow_mut()
            .read(file, position, length, outlet)
    }

    fn open(&mut self, node: NodeId) {
        let Ok(node) = number(node) else { return };
        let mounted = self.mounted.get_mut();
        let count = mounted.open.entry(node).or_insert(0);
        *count += 1;
        if *count == 1 && mounted.found == Some(node) {
            // It stays pinned.
            mounted.found = None;
        }
        // A file that is open is not removed; a directory may be.
        let _ = mounted.files.open(node, OpenMode::Read);
    }

    fn close(&mut self, node: NodeId, _: &mut Accounts) {
        let Ok(node) = number(node) else { return };
        let mounted = self.mounted.get_mut();
        // Its size, if that cannot be written now, is written when all is synced.
        let _ = mounted.files.close(node);
        if let Some(count) = mounted.open.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                mounted.open.remove(&node);
                mounted.files.forget(node, 1);
            }
        }
    }

    fn create_file(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        let mounted = self.mounted.get_mut();
        mounted.create(directory, name, FileKind::File, change.now)
    }

    fn create_directory(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        let mounted = self.mounted.get_mut();
        mounted.create(directory, name, FileKind::Directory, change.now)
    }

    fn remove(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<(), FileError> {
        let mounted = self.mounted.get_mut();
        let (_, is_directory) = mounted.lookup(directory, name)?;
        mounted.find(None);
        mounted.change(change.now);
        let (directory, name) = (number(directory)?, Name::new(name));
        let removed = match is_directory {
            true => mounted.files.rmdir(directory, name),
            false => mounted.files.unlink(directory, name),
        };
        removed.map_err(refusal)
    }

    fn rename(
        &mut self,
        from: (NodeId, &str),
        to: (NodeId, &str),
        change: Change<'_>,
    ) -> Result<(), FileError> {
        let mounted = self.mounted.get_mut();
        mounted.lookup(from.0, from.1)?;
        check_fat_name(to.1)?;
        let (source, target) = (mounted.directory(from.0)?, mounted.directory(to.0)?);
        mounted.find(None);
        mounted.change(change.now);
        let (old, new) = (Name::new(from.1), Name::new(to.1));
        let renamed = mounted
            .files
            .rename(source, old, target, new, RenameMode::Replace);
        renamed.map_err(|error| match refusal(error) {
            // The names are good, so it is the direction that is not.
            FileError::BadName => FileError::Loop,
            error => error,
        })
    }

    fn write(
        &mut self,
        file: NodeId,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
        change: Change<'_>,
    ) -> Result<u64, FileError> {
        let mounted = self.mounted.get_mut();
        mounted.change(change.now);
        mounted.write(number(file)?, position, length, inlet)
    }

    fn set_size(&mut self, file: NodeId, size: u64, change: Change<'_>) -> Result<(), FileError> {
        let mounted = self.mounted.get_mut();
        mounted.change(change.now);
        let file = number(file)?;
        mounted.files.truncate(file, size).map_err(refusal)
    }

    fn sync(&mut self, node: NodeId) -> Result<(), FileError> {
        let node = number(node)?;
        self.mounted.get_mut().files.fsync(node).map_err(refusal)
    }

    fn is_settled(&self) -> bool {
        self.mounted.borrow().is_settled
    }

    fn settle(&mut self) -> Result<(), FileError> {
        self.mounted.get_mut().sync()
    }

    fn rest(&mut self) -> Result<(), FileError> {
        self.mounted.get_mut().sync()
    }

    fn space(&self) -> Result<Option<Space>, FileError> {
        let stats = self.mounted.borrow_mut().files.statfs().map_err(refusal)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stats.block_size().into());
        Ok(Some(Space {
            used: bytes(stats.total_blocks().saturating_sub(stats.free_blocks())),
            total: bytes(stats.total_blocks()),
        }))
    }
}

fn number(node: NodeId) -> Result<Node, FileError> {
    Node::new(node.0).ok_or(FileError::Stale)
}

fn kind(known: &Metadata) -> FileKind {
    match known.file_type().is_dir() {
        true => FileKind::Directory,
        false => FileKind::File,
    }
}

/// Checks a name that is to be made: FAT has fewer than others.
fn check_fat_name(name: &str) -> Result<(), FileError> {
    check_name(name)?;
    let bad = |c: char| c.is_control() || NOT_IN_NAMES.contains(c);
    match name.contains(bad) || name.ends_with(NOT_AT_THE_END) {
        true => Err(FileError::BadName),
        false => Ok(()),
    }
}
