//! What `hadris_fat` refuses, as clients are told it.

use hadris_fs::{Error, ErrorKind};
use libipc::interfaces::FileError;
use tessera_disk::DiskError;

/// The file server's error for one of `hadris_fat`.
pub fn refusal(error: Error<DiskError>) -> FileError {
    if let Some(disk) = error.device_error() {
        return FileError::from(*disk);
    }
    match error.kind() {
        ErrorKind::NotFound => FileError::NotFound,
        ErrorKind::AlreadyExists => FileError::Exists,
        ErrorKind::NotADirectory => FileError::NotDirectory,
        ErrorKind::IsADirectory => FileError::IsDirectory,
        ErrorKind::DirectoryNotEmpty => FileError::NotEmpty,
        ErrorKind::NoSpace => FileError::NoSpace,
        ErrorKind::ReadOnly => FileError::ReadOnly,
        ErrorKind::InvalidInput | ErrorKind::NameTooLong => FileError::BadName,
        ErrorKind::FileTooLarge => FileError::OutOfRange,
        ErrorKind::LimitExceeded => FileError::TooManyOpen,
        ErrorKind::InvalidHandle => FileError::Stale,
        ErrorKind::Busy => FileError::InUse,
        ErrorKind::Io => FileError::DeviceFailed,
        // What it cannot read is as good as damaged.
        _ => FileError::Corrupt,
    }
}

/// The same where a directory that was opened is meant, which may have been removed.
pub fn of_node(error: Error<DiskError>) -> FileError {
    match refusal(error) {
        FileError::NotFound | FileError::Stale => FileError::Removed,
        error => error,
    }
}
