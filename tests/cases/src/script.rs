//! What a session does to files: random operations that host and guest both know,
//! and the marks by which the host sees in a disk's log how far the guest was.

use crate::random::Random;
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

/// Names at each place.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "a-longer-name", "f"];

/// Directories that may be there.
const PLACES: [&str; 4] = ["", "x", "y", "x/z"];

/// An operation that can be done after all those before it. Paths are without a
/// leading `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Makes an empty file.
    Create(String),
    /// Makes a directory.
    CreateDirectory(String),
    /// Writes the [`pattern`] of this operation's number.
    Write {
        /// The file.
        path: String,
        /// Position of the first byte.
        at: usize,
        /// Number of bytes.
        length: usize,
    },
    /// Cuts a file or lets it grow by zeros.
    SetSize(String, usize),
    /// Moves a file, over another if there is one.
    Rename(String, String),
    /// Removes a file or an empty directory.
    Remove(String),
    /// Makes a file and all names durable.
    Sync(String),
    /// Makes everything durable.
    SyncAll,
}

/// The operations of a seed, without end.
#[derive(Clone, Debug)]
pub struct Script {
    random: Random,
    /// What is there: the size of a file, nothing of a directory.
    tree: BTreeMap<String, Option<usize>>,
}

impl Script {
    /// Those of this seed.
    pub fn new(seed: u64) -> Self {
        Script {
            random: Random::new(seed),
            tree: BTreeMap::new(),
        }
    }

    /// All files that there are now.
    pub fn files(&self) -> Vec<String> {
        let files = self.tree.iter().filter(|(_, size)| size.is_some());
        files.map(|(path, _)| path.clone()).collect()
    }

    fn choose(&mut self) -> Option<Operation> {
        match self.random.below(16) {
            0..=2 => {
                let path = self.place()?;
                if self.tree.contains_key(&path) {
                    return None;
                }
                self.tree.insert(path.clone(), Some(0));
                Some(Operation::Create(path))
            }
            3 => {
                let path = *self.random.pick(&PLACES[1..]);
                let above = path.rsplit_once('/').map(|(above, _)| above);
                let is_free = !self.tree.contains_key(path);
                if !is_free || above.is_some_and(|above| !self.tree.contains_key(above)) {
                    return None;
                }
                self.tree.insert(path.into(), None);
                Some(Operation::CreateDirectory(path.into()))
            }
            4..=7 => {
                let (path, size) = self.file()?;
                let at = match self.random.below(3) {
                    0 => size,
                    1 => self.random.below(size as u64 + 1) as usize,
                    _ => self.random.below(40_000) as usize,
                };
                let length = match self.random.below(4) {
                    0 => 4096,
                    1 => 1 + self.random.below(200) as usize,
                    _ => 1 + self.random.below(30_000) as usize,
                };
                self.tree.insert(path.clone(), Some(size.max(at + length)));
                Some(Operation::Write { path, at, length })
            }
            8 => {
                let (path, old) = self.file()?;
                let size = self.random.below(old as u64 + 5000) as usize;
                self.tree.insert(path.clone(), Some(size));
                Some(Operation::SetSize(path, size))
            }
            9 | 10 => {
                let ((from, size), to) = (self.file()?, self.place()?);
                if from == to || self.tree.get(&to) == Some(&None) {
                    return None;
                }
                self.tree.remove(&from);
                self.tree.insert(to.clone(), Some(size));
                Some(Operation::Rename(from, to))
            }
            11 => {
                let paths: Vec<String> = self.tree.keys().cloned().collect();
                let path = self.pick(&paths)?;
                let inside = format!("{path}/");
                if paths.iter().any(|other| other.starts_with(&inside)) {
                    return None;
                }
                self.tree.remove(&path);
                Some(Operation::Remove(path))
            }
            12..=14 => Some(Operation::Sync(self.file()?.0)),
            _ => Some(Operation::SyncAll),
        }
    }

    /// A path in a directory that is there; a directory's only if it is taken.
    fn place(&mut self) -> Option<String> {
        let place = *self.random.pick(&PLACES);
        let name = *self.random.pick(&NAMES);
        if place.is_empty() {
            return Some(name.into());
        }
        self.tree
            .contains_key(place)
            .then(|| format!("{place}/{name}"))
    }

    fn file(&mut self) -> Option<(String, usize)> {
        let files = self.files();
        let path = self.pick(&files)?;
        let size = self.tree.get(&path).copied().flatten()?;
        Some((path, size))
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        (!from.is_empty()).then(|| self.random.pick(from).clone())
    }
}

impl Iterator for Script {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        loop {
            if let Some(operation) = self.choose() {
                return Some(operation);
            }
        }
    }
}

/// What the operation with this number writes: no other writes the same, so that a
/// byte tells where it is from. No byte is zero.
pub fn pattern(number: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(number << 32);
    (0..length).map(|_| random.number() as u8 | 1).collect()
}

/// Bytes of a mark: a sector, the last one of the disk, behind the file system.
pub const MARK: usize = 512;

const MAGIC: [u8; 8] = *b"progress";

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of an operation, from 0 on.
    pub operation: u64,
    /// It has ended well; before, it is about to begin.
    pub is_done: bool,
}

impl Progress {
    /// As it is written.
    pub fn mark(self) -> [u8; MARK] {
        let mut mark = [0; MARK];
        mark[..8].copy_from_slice(&MAGIC);
        mark[8..16].copy_from_slice(&self.operation.to_le_bytes());
        mark[16] = self.is_done.into();
        mark
    }

    /// What was written; `None` if it is no mark.
    pub fn of(mark: &[u8]) -> Option<Self> {
        let number = mark.strip_prefix(&MAGIC)?.get(..9)?;
        let (operation, is_done) = number.split_first_chunk()?;
        Some(Progress {
            operation: u64::from_le_bytes(*operation),
            is_done: is_done == [1],
        })
    }
}
