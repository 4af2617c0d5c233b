//! What a shell needs of the world.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use libipc::Capability;
use libipc::interfaces::BusClient;
use tessera_tools::IoError;

use super::{Mount, Mounted};

/// The world, as a shell uses it. Paths are absolute.
pub trait Host: Sized {
    /// A stream to read from.
    type Input: Clone;
    /// A stream to write to.
    type Output: Clone;
    /// A program that was started.
    type Process;

    /// Names in a directory, and whether each is a directory.
    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>, IoError>;
    /// All of a file.
    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, IoError>;
    /// Opens a file to read it.
    fn open_input(&mut self, path: &str) -> Result<Self::Input, IoError>;
    /// Opens a file to write it, at its end if `append`, else from nothing.
    fn open_output(&mut self, path: &str, append: bool) -> Result<Self::Output, IoError>;
    /// Makes a pipe: where to write, and where that can be read.
    fn pipe(&mut self) -> Result<(Self::Output, Self::Input), IoError>;
    /// Writes text of the shell's own; nowhere in particular is the terminal.
    fn write(&mut self, to: Option<&Self::Output>, text: &str) -> Result<(), IoError>;
    /// As `write`, for what is wrong.
    fn write_error(&mut self, to: Option<&Self::Output>, text: &str);

    /// Names of all programs that can be started.
    fn programs(&mut self) -> Vec<String>;
    /// Names that programs can be granted.
    fn grants(&mut self) -> Vec<String>;
    /// Whether a program runs inside the shell: then `start` returns when it
    /// has ended.
    fn runs_inside(&self, program: &str) -> bool;
    /// Starts a program.
    fn start(&mut self, launch: Launch<'_, Self>) -> Result<Self::Process, StartError>;
    /// Waits until all of these have ended, and ends them on Ctrl-C.
    fn wait(&mut self, processes: &mut [Self::Process]) -> Vec<Ended>;
    /// How a program ended, if it has.
    fn poll(&mut self, process: &mut Self::Process) -> Option<Ended>;
    /// Ends a program.
    fn kill(&mut self, process: &mut Self::Process);

    /// What is to be lent, and the name of its interface: a directory with all that is
    /// below, or, as `@DISK/PARTITION`, a disk.
    fn lend(&mut self, path: &str) -> Result<(&'static str, Capability), IoError>;
    /// Asks the soft bus, which may take as long as a person takes: Ctrl-C ends that.
    fn ask_bus<T: Send + 'static>(
        &mut self,
        ask: impl FnOnce(&BusClient) -> Result<T, IoError> + Send + 'static,
    ) -> Result<T, IoError>;
    /// Does nothing for so long, or until Ctrl-C is pressed.
    fn sleep(&mut self, time: Duration);

    /// Starts the server of a disk, or asks another device for its files, and shows that
    /// in the place of a directory.
    fn mount(&mut self, asked: &Mount) -> Result<(), IoError>;
    /// Ends that, if nothing is open there or by force. `NotFound` if nothing is mounted.
    fn unmount(&mut self, directory: &str, force: bool) -> Result<(), IoError>;
    /// What is mounted.
    fn mounted(&mut self) -> Vec<Mounted>;

    /// Whether Ctrl-C was pressed since this was last asked.
    fn interrupted(&mut self) -> bool;
    /// Microseconds since some point.
    fn microseconds(&mut self) -> u64;
}

/// Where the streams of a command lead; nowhere in particular is the terminal.
pub struct Streams<H: Host> {
    /// Standard input.
    pub input: Option<H::Input>,
    /// Standard output.
    pub output: Option<H::Output>,
    /// Standard error.
    pub error: Option<H::Output>,
}

impl<H: Host> Streams<H> {
    /// Those of the shell itself.
    pub fn inherited() -> Self {
        Streams {
            input: None,
            output: None,
            error: None,
        }
    }
}

impl<H: Host> Clone for Streams<H> {
    fn clone(&self) -> Self {
        Streams {
            input: self.input.clone(),
            output: self.output.clone(),
            error: self.error.clone(),
        }
    }
}

/// A program to be started.
pub struct Launch<'a, H: Host> {
    /// Its name and arguments. A name with a `/` in it is the path of its file.
    pub arguments: &'a [String],
    /// The directory from which its paths are seen.
    pub directory: &'a str,
    /// What it is granted.
    pub grants: &'a [String],
    /// Where its streams lead.
    pub streams: Streams<H>,
    /// Whether the terminal's input and Ctrl-C are for it.
    pub in_front: bool,
}

/// Why a program was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// There is none of that name.
    Unknown,
    /// What it needs at a path could not be opened.
    Path(String, IoError),
    /// The cause in words.
    Failed(String),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with an exit code.
    Exit(i32),
    /// By a fault.
    Fault,
    /// Somebody killed it.
    Killed,
    /// Ctrl-C.
    Interrupted,
}
