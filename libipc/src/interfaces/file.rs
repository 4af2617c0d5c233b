//! `File`: bytes at positions.

use super::*;

/// Why the file server refused. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ErrorCode)]
#[repr(u64)]
pub enum FileError {
    /// There is nothing of that name.
    NotFound = 1,
    /// There is already something of that name.
    Exists = 2,
    /// It is not a directory.
    NotDirectory = 3,
    /// It is a directory.
    IsDirectory = 4,
    /// The directory is not empty.
    NotEmpty = 5,
    /// This file system cannot be changed.
    ReadOnly = 6,
    /// A name is empty, `.`, `..`, or holds `/` or a zero byte.
    BadName = 7,
    /// No bytes left: in the file system, or for this client.
    NoSpace = 8,
    /// No files or directories left: in the file system, or for this client.
    TooManyFiles = 9,
    /// The client has as many files, directories and pipes open as it may.
    TooManyOpen = 10,
    /// A position or size is beyond what a file can have.
    OutOfRange = 11,
    /// The capability does not allow it: it was opened with less access.
    NotPermitted = 12,
    /// A directory cannot move into itself.
    Loop = 13,
    /// Files move within one file system only.
    OtherFileSystem = 14,
    /// The directory was removed.
    Removed = 15,
    /// This capability is of another kind, or the file server was restarted and
    /// has forgotten it.
    Stale = 16,
    /// The file server could not make the capability.
    NoResources = 17,
    /// The lease is memory that cannot be read, or written.
    BadMemory = 18,
    /// The device failed: nothing that was not yet durable is.
    DeviceFailed = 19,
    /// What is on the device is no file system, or a damaged one.
    Corrupt = 20,
    /// The machine has no device for this file system, or its server stays down.
    NoDevice = 21,
    /// It is open, and this file system can neither remove nor replace what is.
    InUse = 22,
}

describe!(FileError {
    NotFound => "no such file or directory",
    Exists => "it exists already",
    NotDirectory => "not a directory",
    IsDirectory => "it is a directory",
    NotEmpty => "the directory is not empty",
    ReadOnly => "this file system is read-only",
    BadName => "not a possible name",
    NoSpace => "no space left",
    TooManyFiles => "too many files",
    TooManyOpen => "too many open files",
    OutOfRange => "beyond the largest size of a file",
    NotPermitted => "the capability does not allow it",
    Loop => "a directory cannot move into itself",
    OtherFileSystem => "it would move to another file system",
    Removed => "the directory was removed",
    Stale => "this capability is no open file (any more)",
    NoResources => "the file server has no resources left",
    BadMemory => "the memory lent cannot be used",
    DeviceFailed => "the device failed",
    Corrupt => "the file system is damaged",
    NoDevice => "no disk that can be used is there",
    InUse => "it is open",
});

/// What a name leads to. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum FileKind {
    /// Bytes.
    File = 0,
    /// Names.
    Directory = 1,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes of a file; entries of a directory, 0 where nobody counts them.
    pub size: u64,
    /// When it was made, in nanoseconds since 1970, or since boot if the time was not
    /// known.
    pub created: u64,
    /// When it last changed, in the same.
    pub modified: u64,
    /// Unique in this file server while it exists.
    pub id: u64,
}

/// How a stream uses its file. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum StreamMode {
    /// Reads from the given position on.
    Read = 0,
    /// Writes from the given position on.
    Write = 1,
    /// Each write goes to the end, wherever that then is.
    Append = 2,
}

/// Most bytes that one call reads or writes, so that a long transfer of one
/// client does not hold up the others.
pub const MAX_TRANSFER: u64 = 256 * 1024;

/// An open file. It stays readable and writable when its name is removed, until
/// the last capability is gone.
#[interface]
pub trait File {
    /// Fills `into` from `position` on and returns the number of bytes, less
    /// than the lease's length only at the end, where it is 0, or at
    /// [`MAX_TRANSFER`].
    #[op(0, idempotent)]
    fn read_at(&mut self, position: u64, into: LeaseMut) -> Result<u64, FileError>;

    /// Writes `from` at `position` and returns the number of bytes, less than
    /// the lease's length only when a quota ran out on the way, or at
    /// [`MAX_TRANSFER`]. A gap before
    /// `position` reads as zeros. `NoSpace` if nothing could be written;
    /// `OutOfRange`; `NotPermitted` unless opened to write.
    #[op(1)]
    fn write_at(&mut self, position: u64, from: Lease) -> Result<u64, FileError>;

    /// As `write_at`, at the end of the file, wherever that is by now.
    #[op(2)]
    fn append(&mut self, from: Lease) -> Result<u64, FileError>;

    /// Size in bytes.
    #[op(3, idempotent)]
    fn size(&mut self) -> Result<u64, FileError>;

    /// Cuts the file, or lets it grow by zeros that take no space. `OutOfRange`;
    /// `NotPermitted` unless opened to write.
    #[op(4)]
    fn set_size(&mut self, size: u64) -> Result<(), FileError>;

    /// Returns when everything written is as durable as this file system makes
    /// it.
    #[op(5, idempotent)]
    fn sync(&mut self) -> Result<(), FileError>;

    /// What is known of it.
    #[op(6, idempotent)]
    fn stat(&mut self) -> Result<Stat, FileError>;

    /// Opens a stream over this file, with a position of its own that begins at
    /// `position` (ignored by `Append`). `NotPermitted` if the file was not
    /// opened for it; `TooManyOpen`, `NoResources`.
    #[op(7)]
    fn stream(&mut self, mode: StreamMode, position: u64) -> Result<StreamClient, FileError>;
}
