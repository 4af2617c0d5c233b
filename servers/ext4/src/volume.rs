//! ext4 as a volume of the file server: nodes are inodes, and between them and
//! the disk is the page cache.

use crate::{
    error::refusal,
    listing,
    mounted::{Mounted, Time},
    nodes::Node,
    pages::{Memory, PAGE},
    store::Store,
};
use alloc::{boxed::Box, vec};
use core::cell::RefCell;
use libipc::interfaces::{FileError, FileKind, Stat, clients::AccountArgument, directory::Entry};
use rsext4::{
    FileName, FilePermissions, InodeInfo, InodeNumber, MutationContext, RenameOptions,
    UnlinkOutcome,
};
use tessera_disk::Disk;
use tessera_files::{
    quota::Accounts,
    volume::{Change, Inlet, NodeId, Outlet, Share, Space, Volume, check_name},
};

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
        Self::with_cache(disk, Box::new(vec![0; cache]), time)
    }

    /// The same with a page cache in this memory.
    pub fn with_cache(disk: D, cache: Memory, time: Time) -> Result<Self, FileError> {
        let mounted = Mounted::new(disk, time.clone())?;
        Ok(Ext4Volume {
            is_writable: !mounted.is_read_only(),
            store: RefCell::new(Store::new(mounted, cache, time.clone())),
            time,
        })
    }

    /// Counts what these own, and holds them to their limits. `Corrupt`,
    /// `DeviceFailed`.
    pub fn with_owners(mut self, owners: &[AccountArgument<'_>]) -> Result<Self, FileError> {
        self.store.get_mut().count(owners)?;
        Ok(self)
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
        let known = store.node(number(node)?)?;
        Ok(Stat {
            kind: known.kind,
            size: known.size,
            created: known.created,
            modified: known.modified,
            id: node.0,
        })
    }

    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError> {
        let mut store = self.store.borrow_mut();
        let directory = store.directory(directory)?;
        find(&mut store, directory, name).map(node)
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
        let directory = store.directory(directory)?;
        let permissions = FilePermissions::new(FILE).map_err(refusal)?;
        let (owner, entry) = (change.owner(), file_name(name)?);
        let above = store.admit(owner, directory, 0)?;
        let context = MutationContext::new(owner, owner, 0, 0);
        let made = store.charge(above, |file_system| {
            file_system.create_regular_file(context, directory, entry, permissions)
        })?;
        store.give(above, &made);
        enter(store, directory, name, &made)
    }

    fn create_directory(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        self.time.set(change.now);
        let store = self.store.get_mut();
        let directory = store.directory(directory)?;
        let permissions = FilePermissions::new(DIRECTORY).map_err(refusal)?;
        let (owner, entry) = (change.owner(), file_name(name)?);
        let above = store.admit(owner, directory, PAGE)?;
        let context = MutationContext::new(owner, owner, 0, 0);
        let made = store.charge(above, |file_system| {
            file_system.create_directory(context, directory, entry, permissions)
        })?;
        store.give(above, &made);
        enter(store, directory, name, &made)
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
        let removed = find(store, directory, name)?;
        let kind = store.node(removed)?.kind;
        let above = store.owner(directory)?;
        store.nodes.forget_name(directory.raw(), name);
        let name = file_name(name)?;
        let outcome = store.charge(above, |file_system| match kind {
            FileKind::Directory => file_system.remove_empty_directory(directory, name),
            FileKind::File => file_system.unlink(directory, name),
        })?;
        detach(store, outcome)
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
        let moved = find(store, source, from.1)?;
        check_name(to.1)?;
        match find(store, target, to.1) {
            Ok(replaced) if replaced == moved => return Ok(()),
            _ => {}
        }
        store.nodes.forget_name(source.raw(), from.1);
        store.nodes.forget_name(target.raw(), to.1);
        let above = store.owner(target)?;
        let (source_name, target_name) = (file_name(from.1)?, file_name(to.1)?);
        let renamed = store.charge(above, |file_system| {
            let replace = RenameOptions::REPLACE;
            file_system.rename(source, source_name, target, target_name, replace)
        });
        let outcome = renamed.map_err(|error| match error {
            // The names are good, so it is the direction that is not.
            FileError::BadName => FileError::Loop,
            error => error,
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

    fn is_settled(&self) -> bool {
        self.store.borrow().is_settled()
    }

    fn settle(&mut self) -> Result<(), FileError> {
        self.store.get_mut().settle()
    }

    fn rest(&mut self) -> Result<(), FileError> {
        self.store.get_mut().rest()
    }

    fn share(&self, owner: u32) -> Option<Share> {
        self.store.borrow().quotas.share(owner)
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

/// A name was made.
fn enter<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    name: &str,
    made: &InodeInfo,
) -> Result<NodeId, FileError> {
    store.nodes.forget_name(directory.raw(), name);
    store
        .nodes
        .insert_name(directory.raw(), name, made.number.raw());
    let known = Node::new(made).ok_or(FileError::Corrupt)?;
    store.nodes.insert(made.number.raw(), known);
    store.changed()?;
    Ok(node(made.number))
}

/// What a name leads to: a file or a directory, for nothing else can be used here.
fn find<D: Disk>(
    store: &mut Store<D>,
    directory: InodeNumber,
    name: &str,
) -> Result<InodeNumber, FileError> {
    if let Some(known) = store.nodes.name(directory.raw(), name) {
        return InodeNumber::new(known).map_err(refusal);
    }
    let found = store
        .file_system()?
        .lookup_child(directory, file_name(name)?);
    let found = found.map_err(refusal)?.ok_or(FileError::NotFound)?;
    let known = Node::new(&found).ok_or(FileError::NotFound)?;
    if store.nodes.get(found.number.raw()).is_none() {
        store.nodes.insert(found.number.raw(), known);
    }
    store
        .nodes
        .insert_name(directory.raw(), name, found.number.raw());
    Ok(found.number)
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
