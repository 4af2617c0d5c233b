//! What the interfaces' errors mean to a tool.

use alloc::format;
use core::fmt::Display;

use libipc::CallError;
use libipc::interfaces::supervisor::SupervisorError;
use libipc::interfaces::{FileError, StreamError};

use crate::error::IoError;

/// An error without a meaning of its own: in words.
pub(super) fn other<E: Display>(error: CallError<E>) -> IoError {
    IoError::Failed(format!("{error}"))
}

/// How many bytes a server has filled or taken, as it says, of so many: it may be one of
/// another device's, which is not believed.
pub fn counted(count: u64, most: usize) -> Result<usize, IoError> {
    let count = usize::try_from(count).ok();
    count.filter(|count| *count <= most).ok_or_else(not_kept)
}

/// A server does not do what its interface says.
pub(super) fn not_kept() -> IoError {
    IoError::Failed("the server does not keep to its interface".into())
}

/// What the file server's error means to a tool.
pub fn file_error(error: CallError<FileError>) -> IoError {
    match error {
        CallError::Server(FileError::NotFound) => IoError::NotFound,
        CallError::Server(FileError::Exists) => IoError::Exists,
        CallError::Server(FileError::NotDirectory) => IoError::NotADirectory,
        CallError::Server(FileError::IsDirectory) => IoError::IsADirectory,
        CallError::Server(FileError::NotEmpty) => IoError::NotEmpty,
        CallError::Server(FileError::ReadOnly) => IoError::ReadOnly,
        CallError::Server(FileError::BadName) => IoError::BadName,
        CallError::Server(FileError::NoSpace) => IoError::NoSpace,
        CallError::Server(FileError::OtherFileSystem) => IoError::CrossDevice,
        error => other(error),
    }
}

pub(super) fn stream_error(error: CallError<StreamError>) -> IoError {
    match error {
        CallError::Server(StreamError::Closed) => IoError::Closed,
        CallError::Server(StreamError::NoSpace) => IoError::NoSpace,
        error => other(error),
    }
}

pub(super) fn supervisor_error(error: CallError<SupervisorError>) -> IoError {
    match error {
        CallError::Server(SupervisorError::NotFound) => IoError::NoTask,
        error => other(error),
    }
}
