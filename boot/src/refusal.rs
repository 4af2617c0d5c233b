//! Why this machine, or this image, cannot be booted.

use crate::program::ProgramError;
use core::fmt;
use tessera_archive::ArchiveError;
use tessera_kernel::start::StartError;

/// Each is one line on the console.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The loader passed no device tree, or what it passed is none.
    NoTree,
    /// The header of the device tree contradicts itself.
    TreeHeader,
    /// A part of the device tree makes no sense.
    Malformed(&'static str),
    /// The device tree lacks something.
    Missing(&'static str),
    /// There is more of something than the kernel has room for.
    TooMany(&'static str),
    /// Behind the kernel there is no good archive.
    Archive(ArchiveError),
    /// The first program cannot be started.
    Program(ProgramError),
    /// The kernel has not got what it needs.
    Kernel(StartError),
    /// Something is not where RAM is, or lies over something else.
    Misplaced(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree => f.write_str("the loader passed no device tree"),
            Self::TreeHeader => f.write_str("the device tree's header contradicts itself"),
            Self::Malformed(what) => write!(f, "the device tree is malformed: {what}"),
            Self::Missing(what) => write!(f, "the device tree has no {what}"),
            Self::TooMany(what) => write!(f, "too many {what}"),
            Self::Archive(error) => error.fmt(f),
            Self::Program(error) => error.fmt(f),
            Self::Kernel(error) => error.fmt(f),
            Self::Misplaced(what) => write!(f, "{what}"),
        }
    }
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        Self::Kernel(error)
    }
}
