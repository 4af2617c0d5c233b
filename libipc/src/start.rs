//! How a program begins: what it was given, and how it ends.

use crate::{Capability, handle::Handle, time};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{cell::OnceCell, fmt};

pub use libipc_abi::start::{Header, MAGIC, NAME, NamedCapability, StartInfo, WriteError, write};

#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
pub use entry::run;
#[cfg(target_os = "none")]
pub(crate) use entry::{frequency, task};

#[cfg(not(target_os = "none"))]
pub(crate) use crate::fake::task;

/// The host's counter counts nanoseconds.
#[cfg(not(target_os = "none"))]
pub(crate) fn frequency() -> u64 {
    1_000_000_000
}

/// The name under which a program that serves a file system finds the endpoint to serve.
pub const SERVED: &str = "data";

/// The name under which it finds its disk.
pub const DISK: &str = "block";

/// Makes `fn main` of a program: its function takes a [`Start`] and returns
/// anything that is [`Termination`].
///
/// ```
/// # mod program {
/// use libipc::{println, Start};
///
/// libipc::program!(run);
///
/// fn run(start: Start) -> Result<(), core::fmt::Error> {
///     println!("{} arguments", start.arguments().len());
///     Ok(())
/// }
/// # pub fn check() { main() }
/// # }
/// ```
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[cfg(target_os = "none")]
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn _start(start: usize, _argument: usize) -> ! {
            $crate::start::run(start, $run)
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _: fn($crate::Start) -> _ = $run;
            $crate::start::explain();
        }
    };
}

/// Says on the host how to run a program of Tessera.
#[cfg(not(target_os = "none"))]
pub fn explain() {
    std::eprintln!("this program runs on Tessera: use `cargo xtask run`");
}

/// What a program was given. It allocates nothing until it is asked.
#[derive(Debug)]
pub struct Start {
    info: StartInfo<'static>,
    arguments: OnceCell<Vec<&'static str>>,
    /// What was taken of the capabilities.
    taken: Vec<Handle>,
}

/// The program was not given a capability of this name, or has taken it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this program was not given the capability `{}`", self.0)
    }
}

impl core::error::Error for Missing {}

impl Start {
    /// What the start information says.
    pub fn new(info: &StartInfo<'static>) -> Start {
        Start {
            info: *info,
            arguments: OnceCell::new(),
            taken: Vec::new(),
        }
    }

    /// The arguments; the first is the program's name.
    pub fn arguments(&self) -> &[&'static str] {
        let read = || self.info.arguments().collect();
        self.arguments.get_or_init(read)
    }

    /// The capabilities that were given and not yet taken.
    fn given(&self) -> impl Iterator<Item = (&'static str, Handle)> {
        let given = self.info.capabilities();
        given.filter(|(_, handle)| !self.taken.contains(handle))
    }

    /// The names of the capabilities that were given and not yet taken.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given().map(|(name, _)| name)
    }

    /// Takes the capability with this name, as a client of its type.
    ///
    /// Those that nobody takes stay in the task's table as long as it lives.
    pub fn take<C: From<Capability>>(&mut self, name: &str) -> Result<C, Missing> {
        let found = self.given().find(|(found, _)| *found == name);
        let (_, handle) = found.ok_or_else(|| Missing(name.into()))?;
        self.taken.push(handle);
        Ok(C::from(Capability::from_handle(handle)))
    }

    /// The ceiling of the heap in bytes, for a program that divides it.
    pub fn heap(&self) -> u64 {
        let Header { heap_length, .. } = self.info.header();
        *heap_length
    }

    /// Random bits, if the machine has any; otherwise the time.
    pub fn seed(&self) -> u64 {
        match self.info.header().seed {
            0 => time::Instant::now().ticks(),
            seed => seed,
        }
    }
}

/// How a program ended, as a number: 0 is success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    /// All went well.
    pub const SUCCESS: ExitCode = ExitCode(0);
    /// Something did not.
    pub const FAILURE: ExitCode = ExitCode(1);
}

/// What a program's function can return.
pub trait Termination {
    /// The exit code; an error is printed.
    fn report(self) -> ExitCode;
}

impl Termination for () {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl Termination for ExitCode {
    fn report(self) -> ExitCode {
        self
    }
}

impl<T: Termination, E: fmt::Display> Termination for Result<T, E> {
    fn report(self) -> ExitCode {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                crate::eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Any error, in words, for a program that only passes errors on.
pub struct AnyError(Box<str>);

impl<E: core::error::Error> From<E> for AnyError {
    fn from(error: E) -> Self {
        AnyError(alloc::format!("{error}").into())
    }
}

impl AnyError {
    /// An error with this text.
    pub fn new(text: impl fmt::Display) -> AnyError {
        AnyError(alloc::format!("{text}").into())
    }
}

impl fmt::Display for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AnyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
