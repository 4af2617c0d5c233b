//! Why a tool could not do what it was asked to.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::About;

/// Why a stream, a file or the system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoError {
    /// There is no file or directory of that name.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// A directory is needed, and this is a file.
    NotADirectory,
    /// A file is needed, and this is a directory.
    IsADirectory,
    /// The directory to be removed holds something.
    NotEmpty,
    /// The name is empty, too long, or has a `/` in it.
    BadName,
    /// The file server's memory, or this client's share of it, is used up.
    NoSpace,
    /// The capability does not allow it, or the file system is read-only.
    ReadOnly,
    /// The source and the target are in different file systems.
    CrossDevice,
    /// Whoever was at the other end is gone.
    Closed,
    /// No files server runs here.
    NoFiles,
    /// The capability of that name was not handed over.
    Missing(&'static str),
    /// There is no task of that name.
    NoTask,
    /// The call did not get through, or its server failed: the cause in words.
    Failed(String),
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IoError::NotFound => "no such file or directory",
            IoError::Exists => "exists already",
            IoError::NotADirectory => "is not a directory",
            IoError::IsADirectory => "is a directory",
            IoError::NotEmpty => "the directory is not empty",
            IoError::BadName => "is no valid name (1 to 255 bytes without `/`)",
            IoError::NoSpace => "no space left, or the quota is used up",
            IoError::ReadOnly => "is read-only",
            IoError::CrossDevice => "is in another file system",
            IoError::Closed => "the other end is gone",
            IoError::NoFiles => "there are no files here: this system runs no files server",
            IoError::Missing(name) => return write!(f, "needs the capability `{name}`"),
            IoError::NoTask => "no such task (`ps` lists them)",
            IoError::Failed(cause) => cause,
        })
    }
}

/// Why a tool gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It was used wrongly; the text says how.
    Usage(String),
    /// Something failed that has no path.
    Io(IoError),
    /// Something failed with this path, task or name.
    At(String, IoError),
}

impl Error {
    /// Adds the name of what `error` is about.
    pub fn at(name: &str) -> impl FnOnce(IoError) -> Error {
        move |error| match error {
            IoError::Missing(_) | IoError::Closed | IoError::NoFiles => Error::Io(error),
            error => Error::At(name.to_string(), error),
        }
    }

    /// The exit code.
    pub fn code(&self) -> i32 {
        match self {
            Error::Usage(_) => 2,
            _ => 1,
        }
    }

    /// What went wrong, and what would be right.
    pub fn explain(&self, about: &About) -> String {
        match self {
            Error::Usage(text) => format!("{text}\nusage: {}", about.usage),
            Error::Io(IoError::Missing(name)) => {
                format!(
                    "needs the capability `{name}`: run --grant {name} {}",
                    about.name
                )
            }
            Error::Io(error) => error.to_string(),
            Error::At(name, error) => format!("{name}: {error}"),
        }
    }
}

impl From<IoError> for Error {
    fn from(error: IoError) -> Self {
        Error::Io(error)
    }
}
