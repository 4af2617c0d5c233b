//! An [`Io`] for tests: files in memory, streams in strings, a system of two
//! tasks.

extern crate std;

mod disks;
mod files;
mod network;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use libipc::note::{Image, Note, Use};

use crate::about::About;
use crate::arguments::Operand;
use crate::error::IoError;
use crate::io::*;
use crate::network::{Change, Peer};
pub(crate) use disks::{Drive, FakeDisk};
pub(crate) use files::{FakeDirectory, FakeFile};

/// Contents of each file, `None` for directories, by path.
type Tree = Rc<RefCell<BTreeMap<String, Option<Vec<u8>>>>>;

pub(crate) struct Fake {
    tree: Tree,
    drives: BTreeMap<String, Rc<RefCell<Drive>>>,
    input: Vec<u8>,
    output: Vec<u8>,
    errors: Vec<u8>,
    about: Option<&'static About>,
    arguments: Vec<String>,
    grants: Vec<&'static str>,
    /// Directories in whose places something is mounted.
    pub(crate) mounts: Vec<&'static str>,
    /// Lines on the screen.
    pub(crate) said: Vec<String>,
    /// How often the tasks were asked for: their times grow with it.
    looks: u64,
    pub(crate) slept: u64,
    pub(crate) raw: bool,
    pub(crate) terminal: bool,
    pub(crate) killed: Vec<String>,
    pub(crate) stopped: Option<Stop>,
    /// Directories that were synced.
    pub(crate) synced: Rc<RefCell<Vec<String>>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) exchanged: Option<(Peer, Option<Duration>)>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Fake {
            tree: Rc::new(RefCell::new(BTreeMap::from([
                ("".into(), None),
                ("/tmp".into(), None),
            ]))),
            drives: BTreeMap::new(),
            input: Vec::new(),
            output: Vec::new(),
            errors: Vec::new(),
            about: None,
            arguments: Vec::new(),
            grants: Vec::new(),
            mounts: Vec::new(),
            said: Vec::new(),
            looks: 0,
            slept: 0,
            raw: false,
            terminal: true,
            killed: Vec::new(),
            stopped: None,
            synced: Rc::default(),
            changes: Vec::new(),
            exchanged: None,
        }
    }

    pub(crate) fn directory(&mut self, path: &str) {
        for (end, _) in path.match_indices('/').skip(1) {
            self.tree.borrow_mut().insert(path[..end].into(), None);
        }
        self.tree.borrow_mut().insert(path.into(), None);
    }

    pub(crate) fn file(&mut self, path: &str, contents: &[u8]) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.tree
            .borrow_mut()
            .insert(path.into(), Some(contents.to_vec()));
    }

    pub(crate) fn contents(&self, path: &str) -> Vec<u8> {
        self.tree.borrow()[path].clone().unwrap()
    }

    pub(crate) fn input(&mut self, text: &str) {
        self.input = text.as_bytes().to_vec();
    }

    pub(crate) fn output(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.output)).unwrap()
    }

    pub(crate) fn errors(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.errors)).unwrap()
    }

    pub(crate) fn grant(&mut self, name: &'static str) {
        self.grants.push(name);
    }

    fn needs(&self, name: &'static str) -> Result<(), IoError> {
        self.grants
            .contains(&name)
            .then_some(())
            .ok_or(IoError::Missing(name))
    }

    pub(crate) fn run(&mut self, arguments: &[&str]) -> i32 {
        let tool = crate::tools::find::<Fake>(arguments[0]).unwrap();
        self.about = Some(tool.about);
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        let arguments = self.arguments.clone();
        crate::run(&tool, self, &arguments)
    }

    /// What the shell would open for an operand, by the tool's own note.
    fn used(&self, operand: &Operand<'_>) -> Result<Use, IoError> {
        let image = Image::new(self.about.unwrap().paths, "");
        let note = Note::parse(image.text()).unwrap();
        let mut files = note.files(&self.arguments[1..]);
        let found = files.find(|(place, ..)| *place == operand.argument);
        Ok(found.expect("the note says that this is a path").1)
    }

    fn split(&self, operand: &Operand<'_>) -> (FakeDirectory, String) {
        let (parent, name) = operand.text.rsplit_once('/').unwrap();
        (self.at(parent), name.into())
    }

    fn at(&self, path: &str) -> FakeDirectory {
        FakeDirectory {
            synced: self.synced.clone(),
            tree: self.tree.clone(),
            path: path.trim_end_matches('/').into(),
        }
    }
}

impl Io for Fake {
    type File = FakeFile;
    type Directory = FakeDirectory;
    type Disk = FakeDisk;
    type System = Fake;
    type Network = Fake;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, IoError> {
        let count = into.len().min(self.input.len()).min(5);
        into[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        Ok(count)
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.output.extend_from_slice(bytes);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
    fn write_error(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.errors.extend_from_slice(bytes);
        Ok(())
    }
    fn at_terminal(&mut self) -> bool {
        self.terminal
    }
    fn raw_keys(&mut self, on: bool) -> Result<(), IoError> {
        self.raw = on;
        Ok(())
    }

    fn open(&mut self, operand: &Operand<'_>) -> Result<Node<FakeFile, FakeDirectory>, IoError> {
        let used = self.used(operand)?;
        assert!(!used.contains(Use::PARENT), "this is for `parent`");
        let (mut parent, name) = self.split(operand);
        if name.is_empty() {
            return Ok(Node::Directory(parent));
        }
        match parent.open(&name, used.contains(Use::WRITE)) {
            Err(IoError::NotFound) if used.contains(Use::CREATE) => {
                parent.create(&name).map(Node::File)
            }
            result => result,
        }
    }
    fn parent(&mut self, operand: &Operand<'_>) -> Result<(FakeDirectory, String), IoError> {
        assert!(
            self.used(operand)?.contains(Use::PARENT),
            "this is for `open`"
        );
        let (mut parent, name) = self.split(operand);
        parent.stat().map(|_| (parent, name))
    }
    fn working_directory(&mut self) -> Result<FakeDirectory, IoError> {
        Ok(self.at(""))
    }
    fn mounts(&mut self) -> Result<Vec<(String, FakeDirectory)>, IoError> {
        let mounts = self.mounts.iter();
        Ok(mounts.map(|path| ((*path).into(), self.at(path))).collect())
    }
    fn disk(&mut self, operand: &Operand<'_>) -> Result<FakeDisk, IoError> {
        let used = self.used(operand)?;
        assert!(
            used.contains(Use::DISK),
            "the note says that this is a disk"
        );
        self.drive(operand.text, used.contains(Use::WRITE))
    }
    fn disks(&mut self) -> Result<Vec<(String, FakeDisk)>, IoError> {
        let names: Vec<String> = self.drives.keys().map(|n| alloc::format!("@{n}")).collect();
        let open = |name: String| Ok((name.clone(), self.drive(&name, false)?));
        names.into_iter().map(open).collect()
    }
    fn sleep(&mut self, milliseconds: u64) -> Result<(), IoError> {
        self.slept += milliseconds;
        Ok(())
    }
    fn system(&mut self) -> &mut Fake {
        self
    }
    fn network(&mut self) -> &mut Fake {
        self
    }
    fn exchange(&mut self, peer: Peer, patience: Option<Duration>) -> Result<(), IoError> {
        self.needs("net")?;
        self.exchanged = Some((peer, patience));
        Ok(())
    }
}

impl System for Fake {
    fn tasks(&mut self) -> Result<Vec<TaskRow>, IoError> {
        self.needs("inspect")?;
        self.looks += 1;
        let row = |id, name: &str, state: &str| TaskRow {
            id,
            name: name.into(),
            state: state.into(),
            ..TaskRow::default()
        };
        let console = TaskRow {
            time: 900_000 + 100_000 * self.looks,
            used: 64 << 10,
            quota: 1 << 20,
            calls: 5,
            received: 9,
            ..row(1, "console", "receiving")
        };
        let shell = TaskRow {
            time: 200_000 + 300_000 * self.looks,
            used: 1 << 20,
            quota: 16 << 20,
            calls: 12,
            restarts: 2,
            core: 1,
            ..row(2, "shell", "ready")
        };
        Ok(vec![console, shell])
    }
    fn waits(&mut self, _: &str) -> Result<Vec<String>, IoError> {
        self.needs("inspect")?;
        Ok(vec!["waits for console: Console.read".into()])
    }
    fn authority(&mut self, task: &str) -> Result<Vec<String>, IoError> {
        self.needs("caps")?;
        match task {
            "console" => Ok(vec!["may call log".into()]),
            _ => Err(IoError::NoTask),
        }
    }
    fn kill(&mut self, task: &str) -> Result<(), IoError> {
        self.needs("kill-any")?;
        if task == "nobody" {
            return Err(IoError::NoTask);
        }
        self.killed.push(task.into());
        Ok(())
    }
    fn machine(&mut self) -> Result<Machine, IoError> {
        self.needs("counters")?;
        Ok(Machine {
            uptime: 65_000_000,
            idle: 58_500_000,
            memory: 64 << 20,
            free: 60 << 20,
            cores: 1,
            calls: 1000,
            switches: 500,
            interrupts: 20,
        })
    }
    fn log(&mut self, from: u64) -> Result<(u64, Vec<u8>), IoError> {
        self.needs("log")?;
        let text = b"first line\nsecond line\n";
        let rest = &text[from as usize..];
        let piece = &rest[..rest.len().min(9)];
        Ok((from + piece.len() as u64, piece.to_vec()))
    }
    fn wall_time(&mut self) -> Result<u64, IoError> {
        self.needs("clock")?;
        Ok(1_700_000_000_999_999_999)
    }
    fn random(&mut self, into: &mut [u8]) -> Result<(), IoError> {
        self.needs("entropy")?;
        (0..).zip(into).for_each(|(number, byte)| *byte = number);
        Ok(())
    }
    fn temperature(&mut self) -> Result<i64, IoError> {
        self.needs("sensor")?;
        Ok(21_487)
    }
    fn say(&mut self, line: &str) -> Result<(), IoError> {
        self.needs("screen")?;
        self.said.push(line.into());
        Ok(())
    }
    fn stop(&mut self, how: Stop) -> Result<(), IoError> {
        self.needs("shutdown")?;
        self.stopped = Some(how);
        Ok(())
    }
}
