//! What `rsext4` refuses, as clients are told it, and a disk, as `rsext4` is.

use libipc::interfaces::FileError;
use rsext4::{Ext4Error, Ext4ErrorKind as Kind};
use tessera_disk::DiskError;

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

/// The error of `rsext4` for one of the disk.
pub fn of_disk(error: DiskError) -> Ext4Error {
    match error {
        DiskError::Failed => Ext4Error::io(),
        // The file system names sectors that there are not.
        DiskError::OutOfRange => Ext4Error::corrupted(),
        DiskError::Damaged => Ext4Error::checksum(),
        DiskError::ReadOnly => Ext4Error::read_only(),
    }
}
