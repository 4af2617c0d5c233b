//! Files and directories in memory.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::Tree;
use crate::error::IoError;
use crate::io::*;

pub(crate) struct FakeFile {
    pub(super) tree: Tree,
    pub(super) path: String,
    writable: bool,
}

impl FakeFile {
    fn with<R>(&self, act: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, IoError> {
        let mut tree = self.tree.borrow_mut();
        let contents = tree.get_mut(&self.path).ok_or(IoError::Closed)?;
        Ok(act(contents.as_mut().ok_or(IoError::IsADirectory)?))
    }
    fn change<R>(&self, act: impl FnOnce(&mut Vec<u8>) -> R) -> Result<R, IoError> {
        if !self.writable {
            return Err(IoError::ReadOnly);
        }
        self.with(act)
    }
}

impl File for FakeFile {
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, IoError> {
        self.with(|bytes| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            count
        })
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.change(|contents| {
            let end = offset as usize + bytes.len();
            contents.resize(contents.len().max(end), 0);
            contents[offset as usize..end].copy_from_slice(bytes);
        })
    }
    fn set_length(&mut self, length: u64) -> Result<(), IoError> {
        self.change(|contents| contents.resize(length as usize, 0))
    }
    fn stat(&mut self) -> Result<Stat, IoError> {
        let size = self.with(|bytes| bytes.len() as u64)?;
        Ok(Stat {
            kind: Kind::File,
            size,
            modified: 1_700_000_000_000_000_000,
        })
    }
}

pub(crate) struct FakeDirectory {
    pub(super) tree: Tree,
    pub(super) path: String,
    pub(super) synced: Rc<RefCell<Vec<String>>>,
}

impl FakeDirectory {
    fn child(&self, name: &str) -> String {
        alloc::format!("{}/{name}", self.path)
    }
    /// The first name of the path stands for a file system.
    fn device(&self) -> Option<&str> {
        self.path.split('/').nth(1)
    }
}

impl Directory for FakeDirectory {
    type File = FakeFile;

    fn list(&mut self) -> Result<Vec<Entry>, IoError> {
        let prefix = self.child("");
        let tree = self.tree.borrow();
        let inside = tree.iter().filter_map(|(path, contents)| {
            let name = path
                .strip_prefix(&prefix)
                .filter(|name| !name.contains('/'))?;
            let kind = if contents.is_some() {
                Kind::File
            } else {
                Kind::Directory
            };
            let size = contents.as_ref().map_or(0, |bytes| bytes.len() as u64);
            (!name.is_empty()).then(|| Entry {
                name: name.into(),
                kind,
                size,
            })
        });
        Ok(inside.collect())
    }
    fn stat_of(&mut self, name: &str) -> Result<Stat, IoError> {
        match self.open(name, false)? {
            Node::File(mut file) => file.stat(),
            Node::Directory(mut directory) => directory.stat(),
        }
    }
    fn open(&mut self, name: &str, write: bool) -> Result<Node<FakeFile, Self>, IoError> {
        let (tree, path) = (self.tree.clone(), self.child(name));
        let is_file = tree.borrow().get(&path).ok_or(IoError::NotFound)?.is_some();
        Ok(if is_file {
            Node::File(FakeFile {
                tree,
                path,
                writable: write,
            })
        } else {
            Node::Directory(FakeDirectory {
                tree,
                path,
                synced: self.synced.clone(),
            })
        })
    }
    fn open_read(
        &mut self,
        name: &str,
        into: &mut [u8],
    ) -> Result<(usize, Option<FakeFile>), IoError> {
        let Node::File(mut file) = self.open(name, false)? else {
            return Err(IoError::IsADirectory);
        };
        let count = file.read_at(0, into)?;
        let is_all = file.stat()?.size == count as u64;
        Ok((count, (!is_all).then_some(file)))
    }
    fn create(&mut self, name: &str) -> Result<FakeFile, IoError> {
        self.stat()?;
        let (tree, path) = (self.tree.clone(), self.child(name));
        let is_file = tree
            .borrow_mut()
            .entry(path.clone())
            .or_insert(Some(Vec::new()))
            .is_some();
        if !is_file {
            return Err(IoError::IsADirectory);
        }
        Ok(FakeFile {
            tree,
            path,
            writable: true,
        })
    }
    fn make_directory(&mut self, name: &str) -> Result<Self, IoError> {
        self.stat()?;
        let (tree, path) = (self.tree.clone(), self.child(name));
        if tree.borrow().contains_key(&path) {
            return Err(IoError::Exists);
        }
        tree.borrow_mut().insert(path.clone(), None);
        Ok(FakeDirectory {
            tree,
            path,
            synced: self.synced.clone(),
        })
    }
    fn remove(&mut self, name: &str) -> Result<(), IoError> {
        let path = self.child(name);
        let below = alloc::format!("{path}/");
        let mut tree = self.tree.borrow_mut();
        if tree.keys().any(|other| other.starts_with(&below)) {
            return Err(IoError::NotEmpty);
        }
        tree.remove(&path).map(drop).ok_or(IoError::NotFound)
    }
    fn rename(&mut self, name: &str, into: &mut Self, target: &str) -> Result<(), IoError> {
        if self.device() != into.device() {
            return Err(IoError::CrossDevice);
        }
        let (old, new) = (self.child(name), into.child(target));
        let mut tree = self.tree.borrow_mut();
        let contents = tree.remove(&old).ok_or(IoError::NotFound)?;
        tree.insert(new, contents);
        Ok(())
    }
    fn stat(&mut self) -> Result<Stat, IoError> {
        match self.tree.borrow().get(&self.path) {
            Some(None) => {}
            Some(Some(_)) => return Err(IoError::NotADirectory),
            None => return Err(IoError::NotFound),
        }
        let size = self.list()?.len() as u64;
        Ok(Stat {
            kind: Kind::Directory,
            size,
            modified: 5,
        })
    }
    fn sync(&mut self) -> Result<(), IoError> {
        if self.tree.borrow().contains_key("/broken") {
            return Err(IoError::NotFound);
        }
        self.synced.borrow_mut().push(self.path.clone());
        Ok(())
    }
    fn space(&mut self) -> Result<Space, IoError> {
        let tree = self.tree.borrow();
        let files = tree.values().flatten();
        let used = files.map(|bytes| bytes.len() as u64).sum();
        Ok(Space {
            used,
            total: 1024,
            own: used,
            own_limit: 512,
        })
    }
}
