//! What a tool may use.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::arguments::Operand;
use crate::disk::Disk;
use crate::error::IoError;
use crate::network::{Network, Peer};

/// Everything that a tool can reach.
pub trait Io {
    /// An open file.
    type File: File;
    /// An open directory.
    type Directory: Directory<File = Self::File>;
    /// An open disk or partition.
    type Disk: Disk;
    /// The system's numbers and powers.
    type System: System;
    /// The network.
    type Network: Network;

    /// Reads standard input; 0 bytes are its end.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, IoError>;
    /// Writes to standard output, perhaps later.
    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError>;
    /// Sends everything on that was written so far.
    fn flush(&mut self) -> Result<(), IoError>;
    /// Writes to standard error.
    fn write_error(&mut self, bytes: &[u8]) -> Result<(), IoError>;
    /// Whether standard output is a terminal, and so somebody reads along.
    fn at_terminal(&mut self) -> bool;
    /// Asks for keys as they are typed, without echo, or for lines again.
    fn raw_keys(&mut self, on: bool) -> Result<(), IoError>;

    /// What was opened for this operand, as [`crate::About::paths`] asks for.
    fn open(&mut self, operand: &Operand<'_>) -> Result<NodeOf<Self>, IoError>;
    /// The directory that holds what this operand names, and the name there.
    fn parent(&mut self, operand: &Operand<'_>) -> Result<(Self::Directory, String), IoError>;
    /// What was opened where no operand names a path: the working directory, or
    /// the root.
    fn working_directory(&mut self) -> Result<Self::Directory, IoError>;

    /// What is mounted below the root, by path, for a tool that got the root.
    fn mounts(&mut self) -> Result<Vec<(String, Self::Directory)>, IoError>;
    /// The disk or partition that was opened for this operand.
    fn disk(&mut self, operand: &Operand<'_>) -> Result<Self::Disk, IoError>;
    /// All disks with their names, if no operand names one.
    fn disks(&mut self) -> Result<Vec<(String, Self::Disk)>, IoError>;

    /// Waits.
    fn sleep(&mut self, milliseconds: u64) -> Result<(), IoError>;
    /// The system's numbers and powers.
    fn system(&mut self) -> &mut Self::System;
    /// The network.
    fn network(&mut self) -> &mut Self::Network;
    /// Sends standard input to somebody on the network and writes what comes from there
    /// to standard output, until the other side sends no more, or nothing has come for
    /// so long. Needs `net`.
    fn exchange(&mut self, peer: Peer, patience: Option<Duration>) -> Result<(), IoError>;

    /// Writes formatted text to standard output.
    fn print(&mut self, text: fmt::Arguments<'_>) -> Result<(), IoError> {
        match text.as_str() {
            Some(text) => self.write(text.as_bytes()),
            None => self.write(format!("{text}").as_bytes()),
        }
    }

    /// Reports that one operand among several failed.
    fn complain(&mut self, tool: &str, name: &str, error: &IoError) -> Result<(), IoError> {
        self.flush()?;
        self.write_error(format!("{tool}: {name}: {error}\n").as_bytes())
    }
}

/// A node of that [`Io`].
pub type NodeOf<I> = Node<<I as Io>::File, <I as Io>::Directory>;

/// What an operand leads to.
pub enum Node<F, D> {
    /// A file.
    File(F),
    /// A directory.
    Directory(D),
}

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// What is known of a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// File or directory.
    pub kind: Kind,
    /// Bytes of the file, or entries of the directory; 0 where nobody counts them.
    pub size: u64,
    /// When it last changed, in nanoseconds since 1970, or since boot if the time was
    /// not known.
    pub modified: u64,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// File or directory.
    pub kind: Kind,
    /// Bytes of the file, or entries of the directory.
    pub size: u64,
}

/// An open file.
pub trait File {
    /// Reads from `offset` on; 0 bytes are the end.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, IoError>;
    /// Writes all of `bytes` at `offset`, growing the file.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;
    /// Cuts or grows the file to `length` bytes.
    fn set_length(&mut self, length: u64) -> Result<(), IoError>;
    /// What is known of it.
    fn stat(&mut self) -> Result<Stat, IoError>;
}

/// An open directory.
pub trait Directory: Sized {
    /// Files in it.
    type File: File;

    /// Its entries, by name.
    fn list(&mut self) -> Result<Vec<Entry>, IoError>;
    /// What is known of what is there.
    fn stat_of(&mut self, name: &str) -> Result<Stat, IoError>;
    /// Opens what is there, for changes if `write`.
    fn open(&mut self, name: &str, write: bool) -> Result<Node<Self::File, Self>, IoError>;
    /// Opens a file to read and fills `into` from its front: how many bytes that were,
    /// and the file, unless that was all of it.
    fn open_read(
        &mut self,
        name: &str,
        into: &mut [u8],
    ) -> Result<(usize, Option<Self::File>), IoError>;
    /// Opens a file for reading and writing, and makes it if it is not there.
    fn create(&mut self, name: &str) -> Result<Self::File, IoError>;
    /// Makes a directory, which must not be there.
    fn make_directory(&mut self, name: &str) -> Result<Self, IoError>;
    /// Removes a file or an empty directory.
    fn remove(&mut self, name: &str) -> Result<(), IoError>;
    /// Moves `name` to `target` in `into`, replacing a file there.
    fn rename(&mut self, name: &str, into: &mut Self, target: &str) -> Result<(), IoError>;
    /// What is known of it.
    fn stat(&mut self) -> Result<Stat, IoError>;
    /// Makes everything in its file system, and in all that are below it if it is
    /// their root, as durable as it can be.
    fn sync(&mut self) -> Result<(), IoError>;
    /// How full its file system is.
    fn space(&mut self) -> Result<Space, IoError>;
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that there are.
    pub total: u64,
    /// Bytes that count for who asks.
    pub own: u64,
    /// Bytes that may.
    pub own_limit: u64,
}

/// A task, as `ps` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRow {
    /// Number of the task, never used again.
    pub id: u64,
    /// Name in the page, or of the program.
    pub name: String,
    /// What it is doing, in a word.
    pub state: String,
    /// Processor time in microseconds.
    pub time: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that it may use.
    pub quota: u64,
    /// Calls that it made.
    pub calls: u64,
    /// Messages that it received.
    pub received: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// The core that it was put on.
    pub core: u64,
}

/// The machine's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Microseconds since boot.
    pub uptime: u64,
    /// Microseconds of those that cores had nothing to do, all of them added up.
    pub idle: u64,
    /// Bytes of RAM that the kernel manages.
    pub memory: u64,
    /// Bytes of those that nobody uses.
    pub free: u64,
    /// Processor cores.
    pub cores: u64,
    /// System calls so far.
    pub calls: u64,
    /// Switches between threads so far.
    pub switches: u64,
    /// Interrupts so far.
    pub interrupts: u64,
}

/// How the machine is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Switch off.
    PowerOff,
    /// Start again.
    Reboot,
}

/// The system's numbers and powers. Each needs a capability of its own, and
/// fails with [`IoError::Missing`] without it.
pub trait System {
    /// All tasks. Needs `inspect`.
    fn tasks(&mut self) -> Result<Vec<TaskRow>, IoError>;
    /// Who `task` waits for, in words, a line a thread. Needs `inspect`.
    fn waits(&mut self, task: &str) -> Result<Vec<String>, IoError>;
    /// The authority of `task`, in words, a line a capability. Needs `caps`.
    fn authority(&mut self, task: &str) -> Result<Vec<String>, IoError>;
    /// Ends `task`, by name or number. Needs `kill-any`.
    fn kill(&mut self, task: &str) -> Result<(), IoError>;
    /// The machine's numbers. Needs `counters`.
    fn machine(&mut self) -> Result<Machine, IoError>;
    /// Log text from byte `from` on: the position after it, and the text, which
    /// is empty at the end. Needs `log` or `kernel-log`.
    fn log(&mut self, from: u64) -> Result<(u64, Vec<u8>), IoError>;
    /// Nanoseconds since 1970, in UTC. Needs `clock`.
    fn wall_time(&mut self) -> Result<u64, IoError>;
    /// Fills `into` with bytes that nobody can guess. Needs `entropy`.
    fn random(&mut self, into: &mut [u8]) -> Result<(), IoError>;
    /// Thousandths of a degree Celsius. Needs `sensor`.
    fn temperature(&mut self) -> Result<i64, IoError>;
    /// Shows a line on the screen. Needs `screen`.
    fn say(&mut self, line: &str) -> Result<(), IoError>;
    /// Stops the machine. Needs `shutdown`.
    fn stop(&mut self, how: Stop) -> Result<(), IoError>;
}
