//! The tools as programs: streams, files and the system behind the interfaces
//! of its servers.

mod disk;
mod errors;
mod files;
mod network;
mod system;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use libipc::client::Borrowed;
use libipc::interfaces::{ConsoleClient, ConsoleMode, StreamClient, StreamKind};
use libipc::note::{DISK, capability_name};
use libipc::{Capability, ExitCode, Start, output, time};

use crate::arguments::Operand;
use crate::error::IoError;
use crate::input::last_name;
use crate::io::{Io, NodeOf};
use crate::network::Peer;
use crate::tools::Tool;
pub use disk::{NativeDisk, block_error};
use errors::stream_error;
pub use errors::{counted, file_error};
pub use files::{NativeDirectory, NativeFile, open_any};
pub use network::NativeNetwork;
pub use system::NativeSystem;

/// Name of the capability for standard input; those for standard output and
/// error are [`output::OUT`] and [`output::ERR`].
pub const IN: &str = "in";

/// Output that was not sent yet is sent when it is more than this.
const PENDING: usize = 1024;

/// Makes a program of a tool: its note, and what the run-time starts.
#[macro_export]
macro_rules! program {
    ($tool:ident) => {
        libipc::note!($crate::tools::$tool::ABOUT.paths);
        libipc::program!(run);

        fn run(start: libipc::Start) -> libipc::ExitCode {
            let tool = $crate::tools::Tool {
                about: &$crate::tools::$tool::ABOUT,
                run: $crate::tools::$tool::run,
            };
            $crate::native::run(start, &tool)
        }
    };
}

/// Runs a tool with what the program was given.
pub fn run(start: Start, tool: &Tool<Native>) -> ExitCode {
    let arguments: Vec<String> = start.arguments().iter().map(ToString::to_string).collect();
    let mut io = Native::new(start);
    let code = crate::run(tool, &mut io, &arguments);
    ExitCode(code.clamp(0, 255) as u8)
}

/// What a program was given.
pub struct Native {
    start: Start,
    input: Option<StreamClient>,
    output: Option<StreamClient>,
    error: Option<StreamClient>,
    /// Standard output that was not sent yet.
    pending: Vec<u8>,
    system: NativeSystem,
    network: NativeNetwork,
}

impl Native {
    /// Takes all that the program was given.
    pub fn new(mut start: Start) -> Self {
        Native {
            input: start.take(IN).ok(),
            output: start.take(output::OUT).ok(),
            error: start.take(output::ERR).ok(),
            pending: Vec::new(),
            system: NativeSystem::new(&mut start),
            network: NativeNetwork::new(&mut start),
            start,
        }
    }

    /// What was opened for the argument with this number. The shell opens what
    /// is there and can be opened.
    fn path(&mut self, argument: usize) -> Result<Capability, IoError> {
        let name = capability_name(argument);
        self.start
            .take(name.as_str())
            .map_err(|_| IoError::NotFound)
    }
}

impl Native {
    /// Takes all whose names begin so.
    fn all(&mut self, first: char) -> Vec<(String, Capability)> {
        let names: Vec<&str> = self
            .start
            .names()
            .filter(|n| n.starts_with(first))
            .collect();
        let take = |name: &str| Some((name.to_string(), self.start.take(name).ok()?));
        names.into_iter().filter_map(take).collect()
    }
}

/// Writes all of `bytes` to a stream.
pub fn write_all(stream: &StreamClient, mut bytes: &[u8]) -> Result<(), IoError> {
    while !bytes.is_empty() {
        let count = stream.write(bytes).map_err(stream_error)?;
        if count == 0 {
            return Err(IoError::Closed);
        }
        bytes = &bytes[counted(count, bytes.len())?..];
    }
    Ok(())
}

impl Io for Native {
    type File = NativeFile;
    type Directory = NativeDirectory;
    type Disk = NativeDisk;
    type System = NativeSystem;
    type Network = NativeNetwork;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, IoError> {
        self.flush()?;
        let input = self.input.as_ref().ok_or(IoError::Missing(IN))?;
        let most = into.len();
        let count = input.read(into).map_err(stream_error)?;
        counted(count, most)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < PENDING {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), IoError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = core::mem::take(&mut self.pending);
        let output = self.output.as_ref().ok_or(IoError::Missing(output::OUT))?;
        write_all(output, &pending)
    }

    fn write_error(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let error = self.error.as_ref().or(self.output.as_ref());
        write_all(error.ok_or(IoError::Missing(output::ERR))?, bytes)
    }

    fn at_terminal(&mut self) -> bool {
        let kind = self.output.as_ref().map(StreamClient::kind);
        matches!(kind, Some(Ok(StreamKind::Terminal)))
    }

    fn raw_keys(&mut self, on: bool) -> Result<(), IoError> {
        let input = self.input.as_ref().ok_or(IoError::Missing(IN))?;
        // A terminal's stream is a seat too.
        let seat = Borrowed::<ConsoleClient>::new(input.as_ref().handle());
        let mode = if on {
            ConsoleMode::Screen
        } else {
            ConsoleMode::Cooked
        };
        seat.set_mode(mode).map_err(errors::other)
    }

    fn open(&mut self, operand: &Operand<'_>) -> Result<NodeOf<Self>, IoError> {
        open_any(self.path(operand.argument)?)
    }

    fn parent(&mut self, operand: &Operand<'_>) -> Result<(NativeDirectory, String), IoError> {
        let name = last_name(operand.text);
        if matches!(name.as_str(), "" | "." | "..") {
            return Err(IoError::BadName);
        }
        let directory = self.path(operand.argument)?;
        Ok((NativeDirectory(directory.into()), name))
    }

    fn working_directory(&mut self) -> Result<NativeDirectory, IoError> {
        self.path(0)
            .map(|capability| NativeDirectory(capability.into()))
    }

    fn disk(&mut self, operand: &Operand<'_>) -> Result<NativeDisk, IoError> {
        self.path(operand.argument).map(NativeDisk::from)
    }

    fn disks(&mut self) -> Result<Vec<(String, NativeDisk)>, IoError> {
        let disks = self.all(DISK).into_iter();
        Ok(disks.map(|(name, disk)| (name, disk.into())).collect())
    }

    fn mounts(&mut self) -> Result<Vec<(String, NativeDirectory)>, IoError> {
        let mounts = self.all('/').into_iter();
        let directory = |mounted: Capability| NativeDirectory(mounted.into());
        Ok(mounts
            .map(|(path, mounted)| (path, directory(mounted)))
            .collect())
    }

    fn sleep(&mut self, milliseconds: u64) -> Result<(), IoError> {
        self.flush()?;
        time::sleep(Duration::from_millis(milliseconds));
        Ok(())
    }

    fn system(&mut self) -> &mut NativeSystem {
        &mut self.system
    }

    fn network(&mut self) -> &mut NativeNetwork {
        &mut self.network
    }

    fn exchange(&mut self, peer: Peer, patience: Option<Duration>) -> Result<(), IoError> {
        self.flush()?;
        self.exchange_with(peer, patience)
    }
}
