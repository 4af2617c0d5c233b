//! ext4 as a volume of the file server: nodes are inodes, and between them and
//! the disk is the page cache.

use crate::{
    disk::Disk,
    error::refusal,
    listing,
    mounted::{FileSystem, Mounted, Time},
    store::Store,
};
use core::cell::RefCell;
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};
use rsext4::{
    DirectoryEntryType, Ext4ErrorKind, FileName, FilePermissions, InodeInfo, InodeNumber,
    MutationContext, RenameOptions, UnlinkOutcome,
};
use tessera_files::{
    quota::Accounts,
    volume::{Change, Inlet, NodeId, Outlet, Space, Volume, check_name},
};

/// Who owns what is made here: nobody in particular, for capabilities say who may.
const OWNER: MutationContext = MutationContext::new(0, 0, 0, 0);
const FILE: u16 = 0o644;
const DIRECTORY: u16 = 0o755;

/// An ext4 file system on a disk.
pub struct Ext4Volume<D: Disk> {
    /// Reading changes caches and mounts what is not mounted.
    store: RefCell<Store<D>>,
    is_writable: bool,
    time: Time,
}

impl<D: Disk> core::fmt::Debug for Ext4Volume<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ext4Volume").finish_non_exhaustive()
    }
}

impl<D: Disk> Ext4Volume<D> {
    /// Mounts what is on `disk`, with a page cache of so many bytes.
    ///
    /// `Corrupt` if it is no ext4 file system that can be used; `DeviceFailed`.
    pub fn new(disk: D, cache: usize, time: Time) -> Result<Self, FileError> {
        let mounted = Mounted::new(disk, time.clone())?;
        Ok(Ext4Volume {
            is_writable: !mounted.is_read_only(),
            store: RefCell::new(Store::new(mounted, cache)),
            time,
        })
    }
}

impl<D: Disk> Volume for Ext4Volume<D> {
    fn root(&self) -> NodeId {
        // The root's inode: Linux, Documentation/filesystems/ext4/special_inodes.rst.
        NodeId(2)
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    fn stat(&self, node: NodeId) -> Result<Stat, FileError> {
        let mut store = self.store.borrow_mut();
        let info = inspect(store.file_system()?, number(node)?)?;
        let kind = kind(&info).ok_or(FileError::Corrupt)?;
        let size = match kind {
            FileKind::File => store.size(info.number)?,
            FileKind::Directory => info.size,
        };
        Ok(Stat {
            kind,
            size,
            created: nanoseconds(info.btime),
            modified: nanoseconds(info.mtime),
            id: node.0,
        })
    }

    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError> {
        let mut store = self.store.borrow_mut();
        let directory = store.directory(directory)?;
        find(store.file_system()?, directory, name).map(|info| node(info.number))
    }

    fn list(
        &self,
        directory: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError> {
        let mut store = self.store.borrow_mut();
        let directory = store.directory(directory)?;
        listing::list(&mut store, directory, cursor, show)
    }

    fn read(
        &self,
        file: NodeId,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let mut store = self.store.borrow_mut();
        store.read(number(file)?, position, length, outlet)
    }

    fn open(&mut self, node: NodeId) {
        if let Ok(number) = number(node) {
            self.store.get_mut().open(number);
        }
    }

    fn close(&mut self, node: NodeId, _: &mut Accounts) {
        if let Ok(number) = number(node) {
            self.store.get_mut().close(number);
        }
    }

    fn create_file(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        let (directory, name) = (store.directory(directory)?, file_name(name)?);
        let permissions = FilePermissions::new(FILE).map_err(refusal)?;
        let file_system = store.file_system()?;
        let made = file_system.create_regular_file(OWNER, directory, name, permissions);
        let made = made.map_err(refusal)?;
        store.changed()?;
        Ok(node(made.number))
    }

    fn create_directory(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        let (directory, name) = (store.directory(directory)?, file_name(name)?);
        let permissions = FilePermissions::new(DIRECTORY).map_err(refusal)?;
        let file_system = store.file_system()?;
        let made = file_system.create_directory(OWNER, directory, name, permissions);
        let made = made.map_err(refusal)?;
        store.changed()?;
        Ok(node(made.number))
    }

    fn remove(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<(), FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        let directory = store.directory(directory)?;
        let file_system = store.file_system()?;
        let info = find(file_system, directory, name)?;
        let name = file_name(name)?;
        let outcome = if info.is_directory() {
            file_system.remove_empty_directory(directory, name)
        } else {
            file_system.unlink(directory, name)
        };
        detach(store, outcome.map_err(refusal)?)
    }

    fn rename(
        &mut self,
        from: (NodeId, &str),
        to: (NodeId, &str),
        change: Change<'_>,
    ) -> Result<(), FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        let (source, target) = (store.directory(from.0)?, store.directory(to.0)?);
        let file_system = store.file_system()?;
        let moved = find(file_system, source, from.1)?;
        check_name(to.1)?;
        match find(file_system, target, to.1) {
            Ok(replaced) if replaced.number == moved.number => return Ok(()),
            _ => {}
        }
        let renamed = file_system.rename(
            source,
            file_name(from.1)?,
            target,
            file_name(to.1)?,
            RenameOptions::REPLACE,
        );
        let outcome = renamed.map_err(|error| match error.kind() {
            // The names are good, so it is the direction that is not.
            Ext4ErrorKind::InvalidInput => FileError::Loop,
            _ => refusal(error),
        })?;
        match outcome.replaced {
            Some(replaced) => detach(store, replaced),
            None => store.changed(),
        }
    }

    fn write(
        &mut self,
        file: NodeId,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
        change: Change<'_>,
    ) -> Result<u64, FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        store.write(number(file)?, position, length, inlet)
    }

    fn set_size(&mut self, file: NodeId, size: u64, change: Change<'_>) -> Result<(), FileError> {
        self.time.set(change.now);
        self.store.get_mut().set_size(number(file)?, size)
    }

    fn sync(&mut self, node: NodeId) -> Result<(), FileError> {
        self.store.get_mut().sync(number(node)?)
    }

    fn rest(&mut self) -> Result<(), FileError> {
        self.store.get_mut().rest()
    }

    fn space(&self) -> Result<Option<Space>, FileError> {
        let mut store = self.store.borrow_mut();
        let stats = store.file_system()?.statfs();
        let used = stats.total_blocks.saturating_sub(stats.free_blocks);
        Ok(Some(Space {
            used: used.saturating_mul(stats.block_size),
            total: stats.total_blocks.saturating_mul(stats.block_size),
        }))
    }
}

/// A name is gone, and with the last one what it led to, once nobody has it open.
fn detach<D: Disk>(store: &mut Store<D>, outcome: UnlinkOutcome) -> Result<(), FileError> {
    if outcome.requires_reap() {
        store.detach(outcome.inode)?;
    }
    store.changed()
}

/// What a name leads to: a file or a directory, for nothing else can be used here.
fn find<D: Disk>(
    file_system: &mut FileSystem<D>,
    directory: InodeNumber,
    name: &str,
) -> Result<InodeInfo, FileError> {
    let found = file_system.lookup_child(directory, file_name(name)?);
    let found = found.map_err(refusal)?.ok_or(FileError::NotFound)?;
    match kind(&found) {
        Some(_) => Ok(found),
        None => Err(FileError::NotFound),
    }
}

fn inspect<D: Disk>(
    file_system: &mut FileSystem<D>,
    number: InodeNumber,
) -> Result<InodeInfo, FileError> {
    file_system.inode(number).map_err(refusal)
}

fn kind(info: &InodeInfo) -> Option<FileKind> {
    match info.file_type() {
        DirectoryEntryType::RegularFile => Some(FileKind::File),
        DirectoryEntryType::Directory => Some(FileKind::Directory),
        _ => None,
    }
}

fn file_name(name: &str) -> Result<FileName<'_>, FileError> {
    check_name(name)?;
    FileName::new(name.as_bytes()).map_err(refusal)
}

fn number(node: NodeId) -> Result<InodeNumber, FileError> {
    let number = u32::try_from(node.0).map_err(|_| FileError::Stale)?;
    InodeNumber::new(number).map_err(|_| FileError::Stale)
}

fn node(number: InodeNumber) -> NodeId {
    NodeId(number.raw().into())
}

fn nanoseconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000_000_000
}
