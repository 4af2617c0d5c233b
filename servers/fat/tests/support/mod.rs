//! A disk in memory, and a client of the volume on it.
#![allow(dead_code, reason = "each test uses a part of it")]

use hadris_fat::{FatKind, FatOptions, sync::format};
use std::{cell::RefCell, rc::Rc};
use tessera_disk::{Disk, DiskError, SECTOR};
use tessera_fat::{device::Device, volume::FatVolume};
use tessera_files::{
    quota::{Accounts, Limits},
    volume::{Change, FileError, FileKind, NodeId, Volume},
};

/// When everything here is changed: 2026-01-01, in nanoseconds since 1970.
pub(crate) const NOW: u64 = 1_767_225_600_000_000_000;

/// A disk that others look at as well. It fails after so many requests.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) bytes: Rc<RefCell<Vec<u8>>>,
    pub(crate) patience: Rc<RefCell<u64>>,
    pub(crate) read_only: bool,
}

impl Memory {
    pub(crate) fn with(bytes: Vec<u8>) -> Memory {
        Memory {
            bytes: Rc::new(RefCell::new(bytes)),
            patience: Rc::new(RefCell::new(u64::MAX)),
            read_only: false,
        }
    }

    /// An empty file system of this kind.
    pub(crate) fn formatted(kind: FatKind, bytes: usize) -> Memory {
        let disk = Memory::with(vec![0; bytes]);
        let options = FatOptions::new().with_kind(kind);
        format(&mut Device(disk.clone()), &options).unwrap();
        disk
    }

    pub(crate) fn mount(&self) -> Result<Client, FileError> {
        let volume = FatVolume::new(self.clone(), Box::new(vec![0; 8192]))?;
        let limits = Limits {
            bytes: 0,
            nodes: 0,
            open: 0,
        };
        Ok(Client {
            volume,
            accounts: Accounts::new(limits, []),
        })
    }

    /// What the checker finds.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut scratch = vec![0; 64 << 10];
        let checked = hadris_fat::sync::check(&mut Device(self.clone()), &mut scratch, |finding| {
            found.push(finding.to_string());
        });
        checked.unwrap();
        found
    }

    fn count(&self) -> Result<(), DiskError> {
        let mut patience = self.patience.borrow_mut();
        *patience = patience.checked_sub(1).ok_or(DiskError::Failed)?;
        Ok(())
    }
}

impl Disk for Memory {
    fn sectors(&self) -> u64 {
        (self.bytes.borrow().len() / SECTOR) as u64
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.count()?;
        let place = sector as usize * SECTOR;
        let bytes = self.bytes.borrow();
        let from = bytes.get(place..place + into.len());
        into.copy_from_slice(from.ok_or(DiskError::OutOfRange)?);
        Ok(())
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        self.count()?;
        assert!(!self.read_only);
        let place = sector as usize * SECTOR;
        let mut bytes = self.bytes.borrow_mut();
        let into = bytes.get_mut(place..place + from.len());
        into.ok_or(DiskError::OutOfRange)?.copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.count()
    }
}

/// Somebody who uses a volume as the file server does.
pub(crate) struct Client {
    pub(crate) volume: FatVolume<Memory>,
    pub(crate) accounts: Accounts,
}

impl Client {
    fn change(accounts: &mut Accounts) -> Change<'_> {
        Change {
            accounts,
            payer: Accounts::GUEST,
            now: NOW,
        }
    }

    /// The node of a path.
    pub(crate) fn at(&self, path: &str) -> Result<NodeId, FileError> {
        let steps = path.split('/').filter(|step| !step.is_empty());
        let mut node = self.volume.root();
        for step in steps {
            node = self.volume.lookup(node, step)?;
        }
        Ok(node)
    }

    fn parent<'p>(&self, path: &'p str) -> Result<(NodeId, &'p str), FileError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.at(parent)?, name))
    }

    /// Makes a file or directory, open.
    pub(crate) fn create(&mut self, path: &str, kind: FileKind) -> Result<NodeId, FileError> {
        let (parent, name) = self.parent(path)?;
        let change = Self::change(&mut self.accounts);
        let made = match kind {
            FileKind::File => self.volume.create_file(parent, name, change)?,
            FileKind::Directory => self.volume.create_directory(parent, name, change)?,
        };
        self.volume.open(made);
        Ok(made)
    }

    pub(crate) fn close(&mut self, node: NodeId) {
        self.volume.close(node, &mut self.accounts);
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Result<(), FileError> {
        self.create(path, FileKind::Directory)
            .map(|made| self.close(made))
    }

    pub(crate) fn write_at(
        &mut self,
        node: NodeId,
        position: u64,
        bytes: &[u8],
    ) -> Result<u64, FileError> {
        let mut inlet = |offset: u64, into: &mut [u8]| {
            into.copy_from_slice(&bytes[offset as usize..][..into.len()]);
            Ok(())
        };
        let change = Self::change(&mut self.accounts);
        self.volume
            .write(node, position, bytes.len() as u64, &mut inlet, change)
    }

    /// Makes a file with these bytes.
    pub(crate) fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let file = self.create(path, FileKind::File)?;
        let written = self.write_at(file, 0, bytes);
        self.close(file);
        match written? == bytes.len() as u64 {
            true => Ok(()),
            false => Err(FileError::NoSpace),
        }
    }

    pub(crate) fn read(&self, node: NodeId) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        let mut outlet = |offset: u64, piece: &[u8]| {
            assert_eq!(offset, bytes.len() as u64);
            bytes.extend_from_slice(piece);
            Ok(())
        };
        let size = self.volume.stat(node)?.size;
        self.volume.read(node, 0, size.min(1 << 20), &mut outlet)?;
        Ok(bytes)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>, FileError> {
        self.read(self.at(path)?)
    }

    pub(crate) fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let (parent, name) = self.parent(path)?;
        self.volume
            .remove(parent, name, Self::change(&mut self.accounts))
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let ((from, old), (to, new)) = (self.parent(from)?, self.parent(to)?);
        self.volume
            .rename((from, old), (to, new), Self::change(&mut self.accounts))
    }

    pub(crate) fn set_size(&mut self, node: NodeId, size: u64) -> Result<(), FileError> {
        self.volume
            .set_size(node, size, Self::change(&mut self.accounts))
    }

    /// Names in a directory with sizes, as many to a page.
    pub(crate) fn list(
        &self,
        path: &str,
        page: usize,
    ) -> Result<Vec<(String, FileKind, u64)>, FileError> {
        let (directory, mut cursor, mut all) = (self.at(path)?, 0, Vec::new());
        self.list_node(directory, &mut cursor, page, &mut all)?;
        Ok(all)
    }

    fn list_node(
        &self,
        directory: NodeId,
        cursor: &mut u64,
        page: usize,
        all: &mut Vec<(String, FileKind, u64)>,
    ) -> Result<(), FileError> {
        loop {
            let mut left = page;
            *cursor = self.volume.list(directory, *cursor, &mut |entry| {
                if left == 0 {
                    return false;
                }
                left -= 1;
                all.push((entry.name.into(), entry.kind, entry.size));
                true
            })?;
            if *cursor == 0 || all.len() > 100_000 {
                return Ok(());
            }
        }
    }
}
