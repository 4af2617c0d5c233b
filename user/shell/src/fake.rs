//! A world for tests: files in memory, and programs that are functions.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use libipc::Capability;
use libipc::interfaces::BusClient;
use tessera_tools::IoError;

use crate::execute::{Ended, Host, Launch, Mount, Mounted, StartError};
use crate::session::Terminal;

pub(crate) type Bytes = Rc<RefCell<Vec<u8>>>;

/// A world of files in memory and programs that are functions. Programs run
/// when they are waited for, with everything that the shell wrote to them.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) files: BTreeMap<String, Bytes>,
    pub(crate) terminal: Bytes,
    pub(crate) errors: Bytes,
    pub(crate) started: Vec<String>,
    pub(crate) killed: Vec<String>,
    mounts: Vec<Mounted>,
    clock: u64,
    /// What is typed.
    pub(crate) typed: VecDeque<u8>,
    /// Ctrl-C is pressed while this program runs.
    pub(crate) interrupt: &'static str,
}

pub(crate) struct Process {
    arguments: Vec<String>,
    input: Vec<u8>,
    from: Option<Bytes>,
    output: Bytes,
    killed: bool,
}

const PROGRAMS: &[&str] = &["cat", "fail", "crash", "args", "upper", "spin", "kill"];

impl World {
    /// A world with some files.
    pub(crate) fn new() -> Self {
        let mut world = World::default();
        for (path, text) in [
            ("/boot/motd", "hello\n"),
            ("/tmp/a.txt", "a\n"),
            ("/tmp/b.txt", "b\n"),
        ] {
            world.file(path, text);
        }
        world
    }

    pub(crate) fn file(&mut self, path: &str, text: &str) {
        self.files
            .insert(path.into(), Rc::new(RefCell::new(text.into())));
    }

    fn execute(&mut self, process: &Process) -> Ended {
        let name = process.arguments[0].as_str();
        if process.killed {
            return Ended::Killed;
        }
        if name == self.interrupt {
            return Ended::Interrupted;
        }
        let mut input = process.input.clone();
        if let Some(from) = &process.from {
            input.extend(from.borrow().iter());
        }
        let output = match name {
            "cat" => input,
            "upper" => input.to_ascii_uppercase(),
            "args" => format!("{}\n", process.arguments.join("|")).into(),
            "fail" => return Ended::Exit(3),
            "crash" => return Ended::Fault,
            _ => vec![],
        };
        process.output.borrow_mut().extend(output);
        Ended::Exit(0)
    }
}

impl Host for World {
    type Input = Bytes;
    type Output = Bytes;
    type Process = Process;

    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>, IoError> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let inside = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix));
        let mut names: Vec<(String, bool)> = inside
            .map(|rest| match rest.split_once('/') {
                Some((directory, _)) => (directory.to_string(), true),
                None => (rest.to_string(), false),
            })
            .collect();
        names.dedup();
        if names.is_empty() {
            Err(IoError::NotFound)
        } else {
            Ok(names)
        }
    }
    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, IoError> {
        self.open_input(path).map(|bytes| bytes.borrow().clone())
    }
    fn open_input(&mut self, path: &str) -> Result<Bytes, IoError> {
        self.files.get(path).cloned().ok_or(IoError::NotFound)
    }
    fn open_output(&mut self, path: &str, append: bool) -> Result<Bytes, IoError> {
        if path.starts_with("/boot") {
            return Err(IoError::ReadOnly);
        }
        let file = self.files.entry(path.into()).or_default();
        if !append {
            file.borrow_mut().clear();
        }
        Ok(file.clone())
    }
    fn pipe(&mut self) -> Result<(Bytes, Bytes), IoError> {
        let bytes = Bytes::default();
        Ok((bytes.clone(), bytes))
    }
    fn write(&mut self, to: Option<&Bytes>, text: &str) -> Result<(), IoError> {
        to.unwrap_or(&self.terminal)
            .borrow_mut()
            .extend(text.as_bytes());
        Ok(())
    }
    fn write_error(&mut self, to: Option<&Bytes>, text: &str) {
        to.unwrap_or(&self.errors)
            .borrow_mut()
            .extend(text.as_bytes());
    }
    fn programs(&mut self) -> Vec<String> {
        PROGRAMS.iter().map(ToString::to_string).collect()
    }
    fn grants(&mut self) -> Vec<String> {
        vec!["kill-any".into(), "shutdown".into()]
    }
    fn runs_inside(&self, program: &str) -> bool {
        program == "upper"
    }
    fn start(&mut self, launch: Launch<'_, Self>) -> Result<Process, StartError> {
        let words = launch.arguments.join(" ");
        let place = if launch.in_front { "" } else { " &" };
        self.started
            .push(format!("{}: {words}{place}", launch.grants.join("+")));
        if launch.arguments.get(1).is_some_and(|path| path == "/none") {
            return Err(StartError::Path("/none".into(), IoError::NotFound));
        }
        let process = Process {
            arguments: launch.arguments.to_vec(),
            input: vec![],
            from: launch.streams.input,
            output: launch
                .streams
                .output
                .unwrap_or_else(|| self.terminal.clone()),
            killed: false,
        };
        if self.runs_inside(&launch.arguments[0]) {
            self.execute(&process);
        }
        Ok(process)
    }
    fn wait(&mut self, processes: &mut [Process]) -> Vec<Ended> {
        let inside = |p: &Process| p.arguments[0] == "upper";
        let ended = |p: &Process, world: &mut World| match inside(p) {
            true => Ended::Exit(0),
            false => world.execute(p),
        };
        processes
            .iter()
            .map(|process| ended(process, self))
            .collect()
    }
    fn poll(&mut self, process: &mut Process) -> Option<Ended> {
        if process.arguments[0] == "spin" && !process.killed {
            return None;
        }
        Some(self.execute(process))
    }
    fn kill(&mut self, process: &mut Process) {
        process.killed = true;
        self.killed.push(process.arguments.join(" "));
    }
    fn lend(&mut self, _: &str) -> Result<(&'static str, Capability), IoError> {
        Err(IoError::NotFound)
    }

    fn ask_bus<T>(
        &mut self,
        _: impl FnOnce(&BusClient) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        Err(IoError::Missing("bus"))
    }

    fn sleep(&mut self, _: Duration) {}

    fn mount(&mut self, asked: &Mount) -> Result<(), IoError> {
        if asked.disk != "@disk" {
            return Err(IoError::NotFound);
        }
        self.mounts.push(Mounted {
            disk: asked.disk.clone(),
            directory: asked.directory.clone(),
            kind: asked.kind.clone().unwrap_or("ext4".into()),
            read_only: asked.read_only,
            ended: asked.directory == "/tmp/gone",
        });
        Ok(())
    }
    fn unmount(&mut self, directory: &str, force: bool) -> Result<(), IoError> {
        let mounted = |one: &Mounted| one.directory == directory;
        let place = self.mounts.iter().position(mounted);
        let place = place.ok_or(IoError::NotFound)?;
        if self.mounts[place].ended && !force {
            return Err(IoError::Failed("2 files are open".into()));
        }
        self.mounts.remove(place);
        Ok(())
    }
    fn mounted(&mut self) -> Vec<Mounted> {
        self.mounts.clone()
    }
    fn interrupted(&mut self) -> bool {
        false
    }
    fn microseconds(&mut self) -> u64 {
        self.clock += 1500;
        self.clock
    }
}

impl Terminal for World {
    fn prepare(&mut self) {}
    fn entered(&mut self) {}
    fn read(&mut self) -> Option<u8> {
        self.typed.pop_front()
    }
    fn show(&mut self, text: &str) {
        self.terminal.borrow_mut().extend(text.as_bytes());
    }
}
