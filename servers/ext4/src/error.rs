//! What `rsext4` refuses, as clients are told it.

use libipc::interfaces::FileError;
use rsext4::{Ext4Error, Ext4ErrorKind as Kind};

/// The file server's error for one of `rsext4`.
pub fn refusal(error: Ext4Error) -> FileError {
    match error.kind() {
        Kind::NotFound => FileError::NotFound,
        Kind::AlreadyExists => FileError::Exists,
        Kind::NotDirectory => FileError::NotDirectory,
        Kind::IsDirectory => FileError::IsDirectory,
        Kind::NotEmpty => FileError::NotEmpty,
        Kind::ReadOnly => FileError::ReadOnly,
        Kind::NoSpace | Kind::QuotaExceeded => FileError::NoSpace,
        Kind::TooManyLinks => FileError::TooManyFiles,
        Kind::FileTooLarge | Kind::Overflow => FileError::OutOfRange,
        Kind::InvalidInput => FileError::BadName,
        Kind::NoMemory | Kind::Busy | Kind::BadFileDescriptor | Kind::Timeout => {
            FileError::NoResources
        }
        Kind::PermissionDenied => FileError::NotPermitted,
        Kind::Io | Kind::JournalAborted => FileError::DeviceFailed,
        Kind::Corrupted
        | Kind::ChecksumMismatch
        | Kind::UnsupportedFeature
        | Kind::UnsupportedCapability
        | Kind::Unsupported
        | Kind::BadSuperblock
        | Kind::InvalidMagic => FileError::Corrupt,
    }
}
