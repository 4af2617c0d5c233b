//! Random operations on a file system, and the history that they make.

use crate::{
    disk::SimulatedDisk,
    fault::Fault,
    history::{FileId, Found, History, Node, Scope, Tree},
    random::Random,
};
use anyhow::{Result, anyhow, bail};
use libipc::interfaces::{FileError, FileKind};
use std::collections::BTreeMap;
use tessera_ext4::{mounted::Time, volume::Ext4Volume};
use tessera_files::{
    quota::{Accounts, Limits},
    volume::{Change, NodeId, Volume},
};

/// Bytes of the page cache: few, so that pages are written back early.
const CACHE: usize = 256 << 10;

/// Names at each place.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "a-longer-name", "f"];

/// Directories that may be there.
const PLACES: [&str; 4] = ["", "x", "y", "x/z"];

/// A mounted file system that remembers what was done to it.
pub struct Session {
    disk: SimulatedDisk,
    volume: Ext4Volume<SimulatedDisk>,
    /// What was done.
    pub history: History,
    /// Files that are open: their nodes stay, whatever becomes of their names.
    held: Vec<(FileId, NodeId)>,
    accounts: Accounts,
    written: u64,
    /// What it does wrong.
    fault: Option<Fault>,
}

/// Mounts what is on the disk, as a program that begins.
pub fn mount(disk: &SimulatedDisk) -> Result<Ext4Volume<SimulatedDisk>, FileError> {
    let time = Time::default();
    time.set(1_000_000_000_000_000_000);
    Ext4Volume::new(disk.clone(), CACHE, time)
}

impl Session {
    /// Mounts the file system on `disk`, which is empty.
    pub fn new(disk: &SimulatedDisk, fault: Option<Fault>) -> Result<Self> {
        let volume = mount(disk).map_err(|error| anyhow!("no mount: {error}"))?;
        let empty = Tree::from([("lost+found".into(), Node::Directory)]);
        Ok(Session {
            disk: disk.clone(),
            volume,
            history: History::new(empty),
            held: Vec::new(),
            accounts: no_accounts(),
            written: 0,
            fault,
        })
    }

    /// Does `count` random operations; ends early, and well, when the disk fails.
    pub fn run(&mut self, count: usize, random: &mut Random) -> Result<()> {
        for _ in 0..count {
            match self.operation(random) {
                Ok(()) => {}
                Err(FileError::DeviceFailed) => return Ok(()),
                Err(error) => bail!("an operation failed: {error}"),
            }
        }
        Ok(())
    }

    /// Whether the file system shows what was written, byte for byte.
    pub fn check(&self) -> Result<()> {
        let found = contents(&self.volume);
        let found = found.map_err(|error| anyhow!("cannot be read: {error}"))?;
        self.history.judge_now(&found)
    }

    fn operation(&mut self, random: &mut Random) -> Result<(), FileError> {
        match random.below(20) {
            0..=3 => self.create(random),
            4 => self.create_directory(random),
            5..=9 => self.write(random),
            10 => self.set_size(random),
            11..=13 => self.rename(random),
            14 => self.remove(random),
            15 => self.hold(random),
            16 | 17 => self.sync_file(random),
            18 => self.sync_names(),
            _ => self.rest(),
        }
    }

    // Each operation first changes the model, so that an operation that is cut
    // off may have been done.

    fn create(&mut self, random: &mut Random) -> Result<(), FileError> {
        let Some((path, directory, name)) = self.free(random) else {
            return Ok(());
        };
        let begin = self.disk.steps();
        let file = self.history.new_file();
        let tree = self.with(|tree| _ = tree.insert(path, Node::File(file)));
        self.history.done(begin, Some(tree));
        let change = change(&mut self.accounts);
        self.volume.create_file(directory, name, change)?;
        Ok(())
    }

    fn create_directory(&mut self, random: &mut Random) -> Result<(), FileError> {
        let place = *random.pick(&PLACES[1..]);
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", place));
        let Ok(directory) = self.walk(parent) else {
            return Ok(());
        };
        if self.history.tree().contains_key(place) {
            return Ok(());
        }
        let begin = self.disk.steps();
        let tree = self.with(|tree| _ = tree.insert(place.into(), Node::Directory));
        self.history.done(begin, Some(tree));
        let change = change(&mut self.accounts);
        self.volume.create_directory(directory, name, change)?;
        Ok(())
    }

    fn write(&mut self, random: &mut Random) -> Result<(), FileError> {
        let Some((file, node)) = self.file(random) else {
            return Ok(());
        };
        let begin = self.disk.steps();
        let mut bytes = self.history.bytes(file).to_vec();
        let at = match random.below(3) {
            0 => bytes.len(),
            1 => random.below(bytes.len() as u64 + 1) as usize,
            _ => random.below(40_000) as usize,
        };
        let length = match random.below(4) {
            0 => 4096,
            1 => 1 + random.below(200) as usize,
            _ => 1 + random.below(30_000) as usize,
        };
        bytes.resize(bytes.len().max(at + length), 0);
        // No two writes write the same, so that a byte tells where it is from.
        self.written += 1;
        let mut pattern = Random::new(self.written << 32 | file as u64);
        for byte in &mut bytes[at..at + length] {
            *byte = pattern.number() as u8 | 1;
        }
        let piece = bytes[at..at + length].to_vec();
        self.history.write(file, bytes);
        self.history.done(begin, None);
        self.volume.open(node);
        let mut inlet = |offset: u64, into: &mut [u8]| {
            into.copy_from_slice(&piece[offset as usize..offset as usize + into.len()]);
            Ok(())
        };
        let change = change(&mut self.accounts);
        let result = self
            .volume
            .write(node, at as u64, length as u64, &mut inlet, change);
        self.volume.close(node, &mut self.accounts);
        result.map(|written| assert_eq!(written, length as u64, "a short write"))
    }

    fn set_size(&mut self, random: &mut Random) -> Result<(), FileError> {
        let Some((file, node)) = self.file(random) else {
            return Ok(());
        };
        let begin = self.disk.steps();
        let mut bytes = self.history.bytes(file).to_vec();
        let size = random.below(bytes.len() as u64 + 5000);
        bytes.resize(size as usize, 0);
        self.history.write(file, bytes);
        self.history.done(begin, None);
        self.volume.open(node);
        let change = change(&mut self.accounts);
        let result = self.volume.set_size(node, size, change);
        self.volume.close(node, &mut self.accounts);
        result
    }

    fn rename(&mut self, random: &mut Random) -> Result<(), FileError> {
        let files = self.paths(|node| matches!(node, Node::File(_)));
        let place = *random.pick(&PLACES);
        let (Some(from), Ok(into)) = (pick(random, &files), self.walk(place)) else {
            return Ok(());
        };
        let name = *random.pick(&NAMES);
        let to = join(place, name);
        if self.history.tree().get(&to) == Some(&Node::Directory) {
            return Ok(());
        }
        let (parent, old) = from.rsplit_once('/').unwrap_or(("", &from));
        let directory = self.walk(parent)?;
        let begin = self.disk.steps();
        let tree = self.with(|tree| {
            if let Some(node) = tree.remove(&from) {
                tree.insert(to, node);
            }
        });
        self.history.done(begin, Some(tree));
        if self.fault == Some(Fault::RenameInTwo) && self.volume.lookup(into, name).is_ok() {
            let change = change(&mut self.accounts);
            self.volume.remove(into, name, change)?;
            self.volume.sync(into)?;
        }
        let change = change(&mut self.accounts);
        self.volume.rename((directory, old), (into, name), change)
    }

    fn remove(&mut self, random: &mut Random) -> Result<(), FileError> {
        let tree = self.history.tree();
        let is_empty = |path: &String| {
            let inside = format!("{path}/");
            !tree.keys().any(|other| other.starts_with(&inside))
        };
        let removable = self.paths(|_| true);
        let removable: Vec<_> = removable
            .into_iter()
            .filter(|path| path != "lost+found" && is_empty(path))
            .collect();
        let Some(path) = pick(random, &removable) else {
            return Ok(());
        };
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let directory = self.walk(parent)?;
        let begin = self.disk.steps();
        let tree = self.with(|tree| _ = tree.remove(&path));
        self.history.done(begin, Some(tree));
        let change = change(&mut self.accounts);
        self.volume.remove(directory, name, change)
    }

    /// Opens a file for longer, or closes one.
    fn hold(&mut self, random: &mut Random) -> Result<(), FileError> {
        if self.held.len() > 2 {
            let (_, node) = self.held.remove(0);
            let begin = self.disk.steps();
            self.history.done(begin, None);
            self.volume.close(node, &mut self.accounts);
        } else if let Some((file, node)) = self.file(random) {
            self.volume.open(node);
            self.held.push((file, node));
        }
        Ok(())
    }

    fn sync_file(&mut self, random: &mut Random) -> Result<(), FileError> {
        let Some((file, node)) = self.file(random) else {
            return Ok(());
        };
        let begin = self.disk.steps();
        self.history.done(begin, None);
        match self.fault {
            Some(Fault::SyncWithoutBytes) => self.volume.sync(self.volume.root())?,
            Some(Fault::SyncWithoutCommit) => {}
            _ => self.volume.sync(node)?,
        }
        self.history.promise(self.disk.steps(), Scope::File(file));
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), FileError> {
        let begin = self.disk.steps();
        self.history.done(begin, None);
        self.volume.sync(self.volume.root())?;
        self.history.promise(self.disk.steps(), Scope::Names);
        Ok(())
    }

    fn rest(&mut self) -> Result<(), FileError> {
        let begin = self.disk.steps();
        self.history.done(begin, None);
        self.volume.rest()?;
        self.history.promise(self.disk.steps(), Scope::All);
        Ok(())
    }

    // Choices.

    fn with(&self, edit: impl FnOnce(&mut Tree)) -> Tree {
        let mut tree = self.history.tree().clone();
        edit(&mut tree);
        tree
    }

    fn paths(&self, wanted: impl Fn(&Node) -> bool) -> Vec<String> {
        let tree = self.history.tree().iter();
        let wanted = tree.filter(|(_, node)| wanted(node));
        wanted.map(|(path, _)| path.clone()).collect()
    }

    /// A path where nothing is, in a directory that is there.
    fn free(&self, random: &mut Random) -> Option<(String, NodeId, &'static str)> {
        let place = *random.pick(&PLACES);
        let directory = self.walk(place).ok()?;
        let name = *random.pick(&NAMES);
        let path = join(place, name);
        (!self.history.tree().contains_key(&path)).then_some((path, directory, name))
    }

    /// A file that has a name, or one that is only held.
    fn file(&self, random: &mut Random) -> Option<(FileId, NodeId)> {
        if !self.held.is_empty() && random.below(4) == 0 {
            return Some(*random.pick(&self.held));
        }
        let files = self.paths(|node| matches!(node, Node::File(_)));
        let path = pick(random, &files)?;
        let Some(Node::File(file)) = self.history.tree().get(&path) else {
            return None;
        };
        Some((*file, self.walk(&path).ok()?))
    }

    fn walk(&self, path: &str) -> Result<NodeId, FileError> {
        let names = path.split('/').filter(|name| !name.is_empty());
        let mut node = self.volume.root();
        for name in names {
            node = self.volume.lookup(node, name)?;
        }
        Ok(node)
    }
}

/// Everything that is in a file system.
pub fn contents(volume: &dyn Volume) -> Result<BTreeMap<String, Found>, FileError> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), volume.root())];
    while let Some((above, directory)) = open.pop() {
        let mut cursor = 0;
        loop {
            let mut names = Vec::new();
            cursor = volume.list(directory, cursor, &mut |entry| {
                names.push((entry.name.to_owned(), entry.kind));
                true
            })?;
            for (name, kind) in names {
                let node = volume.lookup(directory, &name)?;
                let path = join(&above, &name);
                let what = match kind {
                    FileKind::Directory => {
                        open.push((path.clone(), node));
                        Found::Directory
                    }
                    FileKind::File => Found::File(read(volume, node)?),
                };
                found.insert(path, what);
            }
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(found)
}

fn read(volume: &dyn Volume, file: NodeId) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    volume.read(file, 0, u64::MAX, &mut |_, piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

fn pick(random: &mut Random, from: &[String]) -> Option<String> {
    (!from.is_empty()).then(|| random.pick(from).clone())
}

/// The path of a name.
pub fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.into()
    } else {
        format!("{above}/{name}")
    }
}

/// Accounts that nobody uses up.
pub fn no_accounts() -> Accounts {
    let limits = Limits {
        bytes: 0,
        nodes: 0,
        open: 0,
    };
    Accounts::new(limits, [])
}

/// A change that nobody pays.
pub fn change(accounts: &mut Accounts) -> Change<'_> {
    Change {
        accounts,
        payer: Accounts::GUEST,
        now: 0,
    }
}
