//! Random operations on an ext4 file system and on one in memory, which must always
//! show the same.

mod sparse;

use libipc::interfaces::clients::AccountArgument;
use proptest::prelude::*;
use rsext4::MkfsOptions;
use sparse::Sparse;
use std::collections::BTreeMap;
use tessera_ext4::{device::Device, mounted::Time, volume::Ext4Volume};
use tessera_files::{
    quota::{Accounts, Limits},
    ram::RamVolume,
    volume::{Change, FileError, FileKind, NodeId, Share, Volume},
};

/// Sectors of the disk.
const SECTORS: u64 = 48 << 10;

/// Bytes of the page cache: few, so that pages are written back early.
const CACHE: usize = 256 << 10;

const LIMITS: Limits = Limits {
    bytes: 1 << 40,
    nodes: 1 << 20,
    open: 1 << 20,
};

/// Places of files and directories.
const PATHS: [&str; 8] = ["a", "b", "d", "d/a", "d/e", "d/e/c", "e", "e/b"];

/// What is done; files and directories are meant by their number among the paths.
#[derive(Clone, Debug)]
enum Operation {
    Create(usize),
    CreateDirectory(usize),
    Write(usize, u64, usize, u8),
    SetSize(usize, u64),
    Rename(usize, usize),
    Remove(usize),
    Read(usize, u64, u64),
    Sync(usize),
    Settle,
    Rest,
    /// The server ends after a sync of everything, and another one begins.
    Remount,
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = || 0..PATHS.len();
    // Around the edges of pages and slots, and anywhere.
    let position = || {
        prop_oneof![
            0..300_000_u64,
            (0..80_u64, 0..5_u64).prop_map(|(page, near)| (page * 4096 + near).saturating_sub(2)),
            Just(5 << 30),
        ]
    };
    let length = prop_oneof![1..9000_usize, Just(4096), Just(65_536), 1..200_000_usize];
    prop_oneof![
        4 => path().prop_map(Operation::Create),
        2 => path().prop_map(Operation::CreateDirectory),
        8 => (path(), position(), length, any::<u8>())
            .prop_map(|(path, at, length, byte)| Operation::Write(path, at, length, byte)),
        3 => (path(), position()).prop_map(|(path, size)| Operation::SetSize(path, size)),
        3 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
        2 => path().prop_map(Operation::Remove),
        6 => (path(), position(), position())
            .prop_map(|(path, at, length)| Operation::Read(path, at, length.min(300_000))),
        1 => path().prop_map(Operation::Sync),
        1 => Just(Operation::Settle),
        1 => Just(Operation::Rest),
        1 => Just(Operation::Remount),
    ]
}

/// A file system and who pays there.
struct Side<V> {
    volume: V,
    accounts: Accounts,
}

/// What came of an operation, by which the sides are compared.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Bytes(Vec<u8>),
    Refused(FileError),
    Unnamed,
}

impl<V: Volume> Side<V> {
    fn new(volume: V) -> Self {
        Side {
            volume,
            accounts: Accounts::of_clients(LIMITS, &[], &owners()),
        }
    }

    fn walk(&self, path: &str) -> Result<NodeId, FileError> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names
            .into_iter()
            .try_fold(self.volume.root(), |node, name| {
                match self.volume.stat(node)?.kind {
                    FileKind::Directory => self.volume.lookup(node, name),
                    FileKind::File => Err(FileError::NotDirectory),
                }
            })
    }

    /// The directory of a path, and its last name.
    fn parent<'p>(&self, path: &'p str) -> Result<(NodeId, &'p str), FileError> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.walk(above)?;
        match self.volume.stat(directory)?.kind {
            FileKind::Directory => Ok((directory, name)),
            FileKind::File => Err(FileError::NotDirectory),
        }
    }

    fn file(&self, path: &str) -> Result<NodeId, FileError> {
        let node = self.walk(path)?;
        match self.volume.stat(node)?.kind {
            FileKind::File => Ok(node),
            FileKind::Directory => Err(FileError::IsDirectory),
        }
    }

    fn run(&mut self, operation: &Operation) -> Outcome {
        match self.try_run(operation) {
            // Of several reasons to refuse, which is told is not the same.
            Err(_) if matches!(operation, Operation::Rename(..)) => Outcome::Unnamed,
            Ok(None) => Outcome::Done,
            Ok(Some(bytes)) => Outcome::Bytes(bytes),
            Err(error) => Outcome::Refused(error),
        }
    }

    fn try_run(&mut self, operation: &Operation) -> Result<Option<Vec<u8>>, FileError> {
        match *operation {
            Operation::Create(path) => {
                let (directory, name) = self.parent(PATHS[path])?;
                let change = change(&mut self.accounts, name);
                self.volume.create_file(directory, name, change)?;
            }
            Operation::CreateDirectory(path) => {
                let (directory, name) = self.parent(PATHS[path])?;
                let change = change(&mut self.accounts, name);
                self.volume.create_directory(directory, name, change)?;
            }
            Operation::Write(path, at, length, byte) => {
                let file = self.file(PATHS[path])?;
                let mut inlet = |offset: u64, into: &mut [u8]| {
                    let numbers = offset as usize..;
                    for (number, place) in numbers.zip(into) {
                        *place = (number / 7) as u8 ^ byte;
                    }
                    Ok(())
                };
                self.volume.open(file);
                let change = change(&mut self.accounts, PATHS[path]);
                let written = self
                    .volume
                    .write(file, at, length as u64, &mut inlet, change);
                self.volume.close(file, &mut self.accounts);
                assert_eq!(written, Ok(length as u64));
            }
            Operation::SetSize(path, size) => {
                let file = self.file(PATHS[path])?;
                let change = change(&mut self.accounts, PATHS[path]);
                self.volume.set_size(file, size, change)?;
            }
            Operation::Rename(from, to) => {
                let (source, old) = self.parent(PATHS[from])?;
                let (target, new) = self.parent(PATHS[to])?;
                let change = change(&mut self.accounts, new);
                self.volume.rename((source, old), (target, new), change)?;
            }
            Operation::Remove(path) => {
                let (directory, name) = self.parent(PATHS[path])?;
                let change = change(&mut self.accounts, name);
                self.volume.remove(directory, name, change)?;
            }
            Operation::Read(path, at, length) => {
                let file = self.file(PATHS[path])?;
                return self.read(file, at, length).map(Some);
            }
            Operation::Sync(path) => {
                let file = self.file(PATHS[path])?;
                self.volume.sync(file)?;
            }
            Operation::Settle => self.volume.settle()?,
            Operation::Rest | Operation::Remount => self.volume.rest()?,
        }
        Ok(None)
    }

    fn read(&self, file: NodeId, at: u64, length: u64) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        self.volume.read(file, at, length, &mut |_, piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// All paths, with the sizes of files and their ends.
    fn tree(&self) -> BTreeMap<String, Option<(u64, Vec<u8>)>> {
        let mut found = BTreeMap::new();
        let mut open = vec![(String::new(), self.volume.root())];
        while let Some((above, directory)) = open.pop() {
            let mut names = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = self
                    .volume
                    .list(directory, cursor, &mut |entry| {
                        names.push((entry.name.to_owned(), entry.kind, entry.size));
                        true
                    })
                    .unwrap();
                if cursor == 0 {
                    break;
                }
            }
            for (name, kind, size) in names {
                if name == "lost+found" {
                    continue;
                }
                let path = format!("{above}{name}");
                let node = self.volume.lookup(directory, &name).unwrap();
                let what = match kind {
                    FileKind::Directory => {
                        open.push((format!("{path}/"), node));
                        None
                    }
                    FileKind::File => {
                        assert_eq!(self.volume.stat(node).unwrap().size, size, "{path}");
                        let end = self.read(node, size.saturating_sub(70_000), 70_000);
                        Some((size, end.unwrap()))
                    }
                };
                assert_eq!(found.insert(path, what), None, "a name is there twice");
            }
        }
        found
    }
}

/// Who makes files: nobody reaches a limit.
fn owners() -> [AccountArgument<'static>; 3] {
    let arguments = [
        "account:0=guest,-,1000",
        "account:70000=one,1099511627776,-",
        "account:8=two,-,1000",
    ];
    arguments.map(|argument| AccountArgument::parse(argument).unwrap())
}

fn change<'a>(accounts: &'a mut Accounts, name: &str) -> Change<'a> {
    // By the name, so that both sides have the same.
    let payer = match name {
        "a" | "d" => accounts.find("one"),
        "b" | "e" => accounts.find("two"),
        _ => Some(Accounts::GUEST),
    };
    Change {
        payer: payer.unwrap(),
        accounts,
        now: 1_000_000_000,
    }
}

fn mount(disk: &Sparse) -> Side<Ext4Volume<Sparse>> {
    let volume = Ext4Volume::new(disk.clone(), CACHE, Time::default());
    Side::new(
        volume
            .and_then(|volume| volume.with_owners(&owners()))
            .unwrap(),
    )
}

/// What each owner has.
fn shares(volume: &Ext4Volume<Sparse>) -> [Option<Share>; 3] {
    owners().map(|owner| volume.share(owner.id))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_shows_what_a_file_system_in_memory_shows(
        operations in prop::collection::vec(operation(), 1..60),
        small_blocks in prop::bool::weighted(0.2),
    ) {
        let disk = Sparse::new(SECTORS);
        let options = MkfsOptions {
            block_size: if small_blocks { 1024 } else { 4096 },
            ..MkfsOptions::default()
        };
        rsext4::format(Device::new(disk.clone()), Time::default(), options).unwrap();
        let (mut ext4, mut memory) = (mount(&disk), Side::new(RamVolume::default()));
        for operation in &operations {
            let expected = memory.run(operation);
            let got = ext4.run(operation);
            prop_assert!(got == expected, "{operation:?}: {got:?}, not {expected:?}");
            if let Operation::Remount = operation {
                ext4 = mount(&disk);
            }
        }
        prop_assert_eq!(ext4.tree(), memory.tree());
        ext4.volume.rest().unwrap();
        let again = mount(&disk);
        prop_assert_eq!(again.tree(), memory.tree());
        // What was followed is what is counted.
        prop_assert_eq!(shares(&ext4.volume), shares(&again.volume));
    }
}
