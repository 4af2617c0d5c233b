//! Tools that are linked into the shell of a small system.
//!
//! They run one after another, with the authority of the shell itself.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use libipc::interfaces::ConsoleMode;
use libipc::interfaces::block::Partition;
use libipc::time::Instant;
use tessera_tools::arguments::Operand;
use tessera_tools::disk::Disk;
use tessera_tools::format::bytes;
use tessera_tools::io::{Directory, Entry, File, Io, Node, Space, Stat, System};
use tessera_tools::native::{NativeNetwork, NativeSystem};
use tessera_tools::network::Peer;
use tessera_tools::{IoError, tools};

use super::World;
use super::events::Events;
use super::seat::Seat;
use crate::execute::{Ended, Launch};

/// Runs a tool by its arguments; `None` if there is none of that name.
pub type Run = fn(&mut InsideIo<'_>, &[String]) -> Option<i32>;

/// Runs any of the tools.
pub fn any_tool(io: &mut InsideIo<'_>, arguments: &[String]) -> Option<i32> {
    let tool = tools::find(arguments.first()?)?;
    Some(tessera_tools::run(&tool, io, arguments))
}

/// The tools, and what of the system they use.
pub(super) struct Inside {
    run: Run,
    /// Names of the shell's own capabilities.
    own: Vec<String>,
    system: NativeSystem,
    network: NativeNetwork,
}

impl Inside {
    pub(super) fn new(
        run: Run,
        own: Vec<String>,
        system: NativeSystem,
        network: NativeNetwork,
    ) -> Self {
        Inside {
            run,
            own,
            system,
            network,
        }
    }

    /// Names that tools need not be granted, for they use the shell's own.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let needed = |name: &String| {
            tools::ABOUTS
                .iter()
                .any(|a| a.needs.contains(&name.as_str()))
        };
        self.own.iter().filter(move |name| needed(name)).cloned()
    }

    /// How much memory is free, in words.
    pub(super) fn memory(&mut self) -> Option<String> {
        let machine = self.system.machine().ok()?;
        let [free, all] = [machine.free, machine.memory].map(bytes);
        Some(format!("{free} of {all} memory free."))
    }

    pub(super) fn run(
        &mut self,
        launch: &Launch<'_, World>,
        seat: &Seat,
        events: &mut Events,
    ) -> Ended {
        let mut io = InsideIo {
            launch,
            seat,
            events,
            system: &mut self.system,
            network: &mut self.network,
            interrupted: false,
        };
        let code = (self.run)(&mut io, launch.arguments);
        match code {
            _ if io.interrupted => Ended::Interrupted,
            Some(code) => Ended::Exit(code),
            None => Ended::Killed,
        }
    }
}

/// What a tool inside the shell uses.
pub struct InsideIo<'a> {
    launch: &'a Launch<'a, World>,
    seat: &'a Seat,
    events: &'a mut Events,
    system: &'a mut NativeSystem,
    network: &'a mut NativeNetwork,
    interrupted: bool,
}

impl InsideIo<'_> {
    /// Ends the tool if Ctrl-C was pressed.
    fn check(&mut self) -> Result<(), IoError> {
        self.events.poll();
        self.interrupted |= self.events.take_interrupt();
        // The tool is to end without a word.
        if self.interrupted {
            Err(IoError::Closed)
        } else {
            Ok(())
        }
    }
}

impl Io for InsideIo<'_> {
    type File = NoFile;
    type Directory = NoFile;
    type Disk = NoFile;
    type System = NativeSystem;
    type Network = NativeNetwork;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, IoError> {
        self.check()?;
        let result = match &self.launch.streams.input {
            Some(input) => input.read(into),
            None => self.seat.read_some(into),
        };
        self.check()?;
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.check()?;
        match &self.launch.streams.output {
            Some(output) => output.write(bytes),
            None => self.seat.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn write_error(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        match &self.launch.streams.error {
            Some(error) => error.write(bytes),
            None => self.seat.write(bytes),
        }
    }

    fn at_terminal(&mut self) -> bool {
        self.launch.streams.output.is_none()
    }

    fn raw_keys(&mut self, on: bool) -> Result<(), IoError> {
        self.seat.set_mode(if on {
            ConsoleMode::Screen
        } else {
            ConsoleMode::Cooked
        })
    }

    fn open(&mut self, _: &Operand<'_>) -> Result<Node<NoFile, NoFile>, IoError> {
        Err(IoError::NoFiles)
    }

    fn parent(&mut self, _: &Operand<'_>) -> Result<(NoFile, String), IoError> {
        Err(IoError::NoFiles)
    }

    fn working_directory(&mut self) -> Result<NoFile, IoError> {
        Err(IoError::NoFiles)
    }

    fn mounts(&mut self) -> Result<Vec<(String, NoFile)>, IoError> {
        Err(IoError::NoFiles)
    }

    fn disk(&mut self, _: &Operand<'_>) -> Result<NoFile, IoError> {
        Err(IoError::NoFiles)
    }

    fn disks(&mut self) -> Result<Vec<(String, NoFile)>, IoError> {
        Err(IoError::NoFiles)
    }

    fn sleep(&mut self, milliseconds: u64) -> Result<(), IoError> {
        let end = Instant::after(Duration::from_millis(milliseconds));
        while !end.passed() {
            self.events.wait(end);
            self.check()?;
        }
        Ok(())
    }

    fn system(&mut self) -> &mut NativeSystem {
        self.system
    }

    fn network(&mut self) -> &mut NativeNetwork {
        self.network
    }

    fn exchange(&mut self, _: Peer, _: Option<Duration>) -> Result<(), IoError> {
        // A call that waits could not be ended by Ctrl-C here.
        Err(IoError::Missing("net"))
    }
}

/// A file, directory or disk where there are none.
pub enum NoFile {}

impl File for NoFile {
    fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, IoError> {
        match *self {}
    }
    fn write_at(&mut self, _: u64, _: &[u8]) -> Result<(), IoError> {
        match *self {}
    }
    fn set_length(&mut self, _: u64) -> Result<(), IoError> {
        match *self {}
    }
    fn stat(&mut self) -> Result<Stat, IoError> {
        match *self {}
    }
}

impl Directory for NoFile {
    type File = NoFile;

    fn list(&mut self) -> Result<Vec<Entry>, IoError> {
        match *self {}
    }
    fn stat_of(&mut self, _: &str) -> Result<Stat, IoError> {
        match *self {}
    }
    fn open(&mut self, _: &str, _: bool) -> Result<Node<NoFile, NoFile>, IoError> {
        match *self {}
    }
    fn open_read(&mut self, _: &str, _: &mut [u8]) -> Result<(usize, Option<NoFile>), IoError> {
        match *self {}
    }
    fn create(&mut self, _: &str) -> Result<NoFile, IoError> {
        match *self {}
    }
    fn make_directory(&mut self, _: &str) -> Result<NoFile, IoError> {
        match *self {}
    }
    fn remove(&mut self, _: &str) -> Result<(), IoError> {
        match *self {}
    }
    fn rename(&mut self, _: &str, _: &mut NoFile, _: &str) -> Result<(), IoError> {
        match *self {}
    }
    fn sync(&mut self) -> Result<(), IoError> {
        match *self {}
    }
    fn space(&mut self) -> Result<Space, IoError> {
        match *self {}
    }
    fn stat(&mut self) -> Result<Stat, IoError> {
        match *self {}
    }
}

impl Disk for NoFile {
    fn sectors(&mut self) -> Result<u64, IoError> {
        match *self {}
    }
    fn partition(&mut self, _: u64) -> Result<Option<Partition>, IoError> {
        match *self {}
    }
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), IoError> {
        match *self {}
    }
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), IoError> {
        match *self {}
    }
    fn flush(&mut self) -> Result<(), IoError> {
        match *self {}
    }
}
