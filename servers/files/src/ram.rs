//! The RAM file system: a tree of nodes that live while a name or a capability
//! leads to them.

use crate::{
    data::Data,
    quota::{Account, Accounts},
    volume::{Change, Inlet, NodeId, Outlet, Volume, check_name},
};
use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};

/// A file system in memory.
#[derive(Debug)]
pub struct RamVolume {
    /// By number; empty places are in `free`.
    nodes: Vec<Option<Node>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    created: u64,
    modified: u64,
    /// Who pays for the node.
    owner: Account,
    /// The directory whose name leads here; `None` once that is removed.
    parent: Option<NodeId>,
    /// Capabilities that lead here.
    open: u32,
    body: Body,
}

#[derive(Debug)]
enum Body {
    File(Data),
    Directory(Names),
}

/// Names by themselves, for lookup, and by the order of their making, for
/// listings that stay right while names come and go.
#[derive(Debug)]
struct Names {
    by_name: BTreeMap<Arc<str>, (u64, NodeId)>,
    by_order: BTreeMap<u64, Arc<str>>,
    next: u64,
}

impl Names {
    fn new() -> Self {
        Names {
            by_name: BTreeMap::new(),
            by_order: BTreeMap::new(),
            // Cursor 0 means the first page, so no entry has the order 0.
            next: 1,
        }
    }

    fn insert(&mut self, name: &str, node: NodeId) {
        let name: Arc<str> = name.into();
        self.by_order.insert(self.next, name.clone());
        self.by_name.insert(name, (self.next, node));
        self.next += 1;
    }

    fn remove(&mut self, name: &str) {
        if let Some((order, _)) = self.by_name.remove(name) {
            self.by_order.remove(&order);
        }
    }

    fn get(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).map(|&(_, node)| node)
    }
}

const ROOT: NodeId = NodeId(0);

impl Default for RamVolume {
    fn default() -> Self {
        RamVolume {
            nodes: vec![Some(Node {
                created: 0,
                modified: 0,
                owner: Accounts::GUEST,
                // Its own parent: the root can never be removed.
                parent: Some(ROOT),
                open: 0,
                body: Body::Directory(Names::new()),
            })],
            free: Vec::new(),
        }
    }
}

impl RamVolume {
    fn node(&self, id: NodeId) -> Result<&Node, FileError> {
        let node = usize::try_from(id.0)
            .ok()
            .and_then(|index| self.nodes.get(index));
        node.and_then(Option::as_ref).ok_or(FileError::Stale)
    }

    fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, FileError> {
        let node = usize::try_from(id.0)
            .ok()
            .and_then(|index| self.nodes.get_mut(index));
        node.and_then(Option::as_mut).ok_or(FileError::Stale)
    }

    fn names(&self, directory: NodeId) -> Result<&Names, FileError> {
        let node = self.node(directory)?;
        match &node.body {
            Body::File(_) => Err(FileError::NotDirectory),
            Body::Directory(_) if node.parent.is_none() => Err(FileError::Removed),
            Body::Directory(names) => Ok(names),
        }
    }

    /// The names of a directory that is about to change.
    fn change_names(&mut self, directory: NodeId, now: u64) -> Result<&mut Names, FileError> {
        self.names(directory)?;
        let node = self.node_mut(directory)?;
        node.modified = now;
        match &mut node.body {
            Body::File(_) => Err(FileError::NotDirectory),
            Body::Directory(names) => Ok(names),
        }
    }

    fn data(&self, file: NodeId) -> Result<&Data, FileError> {
        match &self.node(file)?.body {
            Body::File(data) => Ok(data),
            Body::Directory(_) => Err(FileError::IsDirectory),
        }
    }

    fn data_mut(&mut self, file: NodeId) -> Result<&mut Data, FileError> {
        match &mut self.node_mut(file)?.body {
            Body::File(data) => Ok(data),
            Body::Directory(_) => Err(FileError::IsDirectory),
        }
    }

    fn create(
        &mut self,
        directory: NodeId,
        name: &str,
        body: Body,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        check_name(name)?;
        if self.names(directory)?.get(name).is_some() {
            return Err(FileError::Exists);
        }
        change.accounts.charge_node(change.payer)?;
        let node = Node {
            created: change.now,
            modified: change.now,
            owner: change.payer,
            parent: Some(directory),
            open: 0,
            body,
        };
        let id = match self.free.pop() {
            Some(index) => {
                self.nodes[index] = Some(node);
                NodeId(index as u64)
            }
            None => {
                self.nodes.push(Some(node));
                NodeId(self.nodes.len() as u64 - 1)
            }
        };
        self.change_names(directory, change.now)?.insert(name, id);
        Ok(id)
    }

    /// Takes a name away; what it led to goes when nothing else leads there.
    fn unlink(
        &mut self,
        directory: NodeId,
        name: &str,
        node: NodeId,
        change: &mut Change<'_>,
    ) -> Result<(), FileError> {
        self.change_names(directory, change.now)?.remove(name);
        self.node_mut(node)?.parent = None;
        self.collect(node, change.accounts);
        Ok(())
    }

    /// Frees a node that nothing leads to.
    fn collect(&mut self, id: NodeId, accounts: &mut Accounts) {
        let Ok(node) = self.node_mut(id) else { return };
        if node.open > 0 || node.parent.is_some() {
            return;
        }
        if let Body::File(data) = &mut node.body {
            data.clear(accounts);
        }
        accounts.refund_node(node.owner);
        let index = id.0 as usize;
        self.nodes[index] = None;
        self.free.push(index);
    }

    fn is_empty_directory(&self, id: NodeId) -> Result<bool, FileError> {
        Ok(match &self.node(id)?.body {
            Body::File(_) => false,
            Body::Directory(names) => names.by_name.is_empty(),
        })
    }

    fn is_directory(&self, id: NodeId) -> Result<bool, FileError> {
        Ok(matches!(self.node(id)?.body, Body::Directory(_)))
    }

    /// Whether `directory` is `node` or lies below it.
    fn is_below(&self, mut directory: NodeId, node: NodeId) -> Result<bool, FileError> {
        loop {
            if directory == node {
                return Ok(true);
            }
            match self.node(directory)?.parent {
                Some(parent) if parent != directory => directory = parent,
                _ => return Ok(false),
            }
        }
    }

    /// Whether what is at the target of a rename may be replaced.
    fn check_replace(&self, moved: NodeId, target: NodeId) -> Result<(), FileError> {
        match (self.is_directory(moved)?, self.is_directory(target)?) {
            (false, true) => Err(FileError::IsDirectory),
            (true, false) => Err(FileError::NotDirectory),
            (true, true) if !self.is_empty_directory(target)? => Err(FileError::NotEmpty),
            _ => Ok(()),
        }
    }
}

impl Volume for RamVolume {
    fn is_lasting(&self) -> bool {
        false
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn stat(&self, id: NodeId) -> Result<Stat, FileError> {
        let node = self.node(id)?;
        let (kind, size) = match &node.body {
            Body::File(data) => (FileKind::File, data.size()),
            Body::Directory(_) => (FileKind::Directory, self.names(id)?.by_name.len() as u64),
        };
        Ok(Stat {
            kind,
            size,
            created: node.created,
            modified: node.modified,
            id: id.0,
        })
    }

    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError> {
        check_name(name)?;
        self.names(directory)?.get(name).ok_or(FileError::NotFound)
    }

    fn list(
        &self,
        directory: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError> {
        let names = self.names(directory)?;
        for (&order, name) in names.by_order.range(cursor..) {
            let node = names.get(name).ok_or(FileError::Stale)?;
            let stat = self.stat(node)?;
            let entry = Entry {
                kind: stat.kind,
                size: stat.size,
                name,
            };
            if !show(entry) {
                return Ok(order);
            }
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
        self.data(file)?.read(position, length, outlet)
    }

    fn open(&mut self, node: NodeId) {
        if let Ok(node) = self.node_mut(node) {
            node.open += 1;
        }
    }

    fn close(&mut self, id: NodeId, accounts: &mut Accounts) {
        if let Ok(node) = self.node_mut(id) {
            node.open = node.open.saturating_sub(1);
            self.collect(id, accounts);
        }
    }

    fn create_file(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        self.create(directory, name, Body::File(Data::default()), change)
    }

    fn create_directory(
        &mut self,
        directory: NodeId,
        name: &str,
        change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        self.create(directory, name, Body::Directory(Names::new()), change)
    }

    fn remove(
        &mut self,
        directory: NodeId,
        name: &str,
        mut change: Change<'_>,
    ) -> Result<(), FileError> {
        let node = self.lookup(directory, name)?;
        if self.is_directory(node)? && !self.is_empty_directory(node)? {
            return Err(FileError::NotEmpty);
        }
        self.unlink(directory, name, node, &mut change)
    }

    fn rename(
        &mut self,
        from: (NodeId, &str),
        to: (NodeId, &str),
        mut change: Change<'_>,
    ) -> Result<(), FileError> {
        check_name(to.1)?;
        let moved = self.lookup(from.0, from.1)?;
        if self.is_directory(moved)? && self.is_below(to.0, moved)? {
            return Err(FileError::Loop);
        }
        match self.names(to.0)?.get(to.1) {
            Some(target) if target == moved => return Ok(()),
            Some(target) => {
                self.check_replace(moved, target)?;
                self.unlink(to.0, to.1, target, &mut change)?;
            }
            None => {}
        }
        self.change_names(from.0, change.now)?.remove(from.1);
        self.change_names(to.0, change.now)?.insert(to.1, moved);
        self.node_mut(moved)?.parent = Some(to.0);
        Ok(())
    }

    fn write(
        &mut self,
        file: NodeId,
        position: u64,
        length: u64,
        inlet: &mut Inlet<'_>,
        mut change: Change<'_>,
    ) -> Result<u64, FileError> {
        let written = self
            .data_mut(file)?
            .write(position, length, inlet, &mut change)?;
        self.node_mut(file)?.modified = change.now;
        Ok(written)
    }

    fn set_size(&mut self, file: NodeId, size: u64, change: Change<'_>) -> Result<(), FileError> {
        self.data_mut(file)?.set_size(size, change.accounts)?;
        self.node_mut(file)?.modified = change.now;
        Ok(())
    }
}
