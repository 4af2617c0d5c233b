//! `Directory`: names, each leading to a file or a directory.

use super::*;

/// One name of a path: 1 to 255 bytes of UTF-8, without `/` and zero bytes, and
/// neither `.` nor `..`.
pub type Name = Text<255>;

/// What a capability for a file or directory allows. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum FileAccess {
    /// Read files, list directories, and open what is below to read.
    Read = 0,
    /// All of that, and change: write, create, remove, rename.
    ReadWrite = 1,
}

/// The answer to `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct Listing {
    /// Bytes of entries in the lease: see [`entries`].
    pub bytes: u64,
    /// Where the next page begins; 0 after the last.
    pub next: u64,
}

/// Limits and use, of the file system and of the client's own share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Usage {
    /// Bytes that the file system holds.
    pub bytes: u64,
    /// Bytes that it can hold.
    pub bytes_limit: u64,
    /// Bytes that the client pays for.
    pub client_bytes: u64,
    /// Bytes that the client may pay for.
    pub client_bytes_limit: u64,
    /// Files and directories that the client pays for.
    pub client_files: u64,
    /// Files and directories that the client may pay for.
    pub client_files_limit: u64,
    /// Files, directories and pipe ends that the client has open.
    pub client_open: u64,
    /// Files, directories and pipe ends that the client may have open.
    pub client_open_limit: u64,
}

/// A directory. Nothing above it can be reached through it, and a capability
/// opened to read opens nothing to write.
///
/// All operations fail with `Removed` if the directory itself was removed,
/// those with a name with `BadName`, and those that change something with
/// `NotPermitted` (opened to read) or `ReadOnly` (file system).
#[interface]
pub trait Directory {
    /// What is known of the directory itself.
    #[op(0, idempotent)]
    fn stat(&mut self) -> Result<Stat, FileError>;

    /// What is known of `name`. `NotFound`.
    #[op(1, idempotent)]
    fn stat_name(&mut self, name: Name) -> Result<Stat, FileError>;

    /// Opens the file `name`. `NotFound`, `IsDirectory`, `TooManyOpen`;
    /// `ReadOnly` if it is to be written and never can be.
    #[op(2)]
    fn open(&mut self, name: Name, access: FileAccess) -> Result<FileClient, FileError>;

    /// Opens the directory `name`. `NotFound`, `NotDirectory`, `TooManyOpen`.
    #[op(3)]
    fn open_directory(
        &mut self,
        name: Name,
        access: FileAccess,
    ) -> Result<DirectoryClient, FileError>;

    /// Makes and opens the empty file `name`. `Exists`, `TooManyFiles`,
    /// `TooManyOpen`.
    #[op(4)]
    fn create(&mut self, name: Name) -> Result<FileClient, FileError>;

    /// Makes and opens the empty directory `name`. `Exists`, `TooManyFiles`,
    /// `TooManyOpen`.
    #[op(5)]
    fn create_directory(&mut self, name: Name) -> Result<DirectoryClient, FileError>;

    /// Removes `name`, a file or an empty directory. What is open stays usable, or is
    /// not removed: `InUse`. `NotFound`, `NotEmpty`.
    #[op(6)]
    fn remove(&mut self, name: Name) -> Result<(), FileError>;

    /// Renames `from` to `to` in the directory `into`, which may be this one. A
    /// file replaces a file, a directory an empty directory. `NotFound`,
    /// `NotEmpty`, `IsDirectory`, `NotDirectory`, `Loop`, `OtherFileSystem`; `InUse`, if
    /// what is replaced is open and cannot go on without a name.
    #[op(7)]
    fn rename(&mut self, from: Name, into: &DirectoryClient, to: Name) -> Result<(), FileError>;

    /// Fills `into` with entries from the page `cursor` on; 0 is the first. An
    /// entry that is there all the time appears exactly once, whatever else
    /// changes meanwhile. `OutOfRange` if not even one entry fits.
    #[op(8, idempotent)]
    fn list(&mut self, cursor: u64, into: LeaseMut) -> Result<Listing, FileError>;

    /// A capability for the same directory with no more than `access`.
    /// `TooManyOpen`.
    #[op(9)]
    fn attenuate(&mut self, access: FileAccess) -> Result<DirectoryClient, FileError>;

    /// Limits and use.
    #[op(10, idempotent)]
    fn usage(&mut self) -> Result<Usage, FileError>;

    /// Returns when everything in this directory's file system, and in those that
    /// are mounted below it if it is their root, is as durable as it can be, and
    /// what is on the device needs no recovery. `DeviceFailed`.
    #[op(11, idempotent, since = 2)]
    fn sync(&mut self) -> Result<(), FileError>;

    /// Fills `into` from the front of the file `name`, in one call with opening it, and
    /// returns the number of bytes, as [`File::read_at`] does, and the file, open to
    /// read, unless that was all of it: who has a small file whole has nothing to close.
    /// `NotFound`, `IsDirectory`, `TooManyOpen`.
    #[op(12, idempotent, since = 3)]
    fn open_read(
        &mut self,
        name: Name,
        into: LeaseMut,
    ) -> Result<(u64, Option<FileClient>), FileError>;

    /// As `attenuate`, for one of the caller's own clients: what is opened and made
    /// through it counts for that client, if the page names it here, and else for the
    /// caller. It may leave the device if `export` says so and the caller's may. So a
    /// server that shows this directory in its own tree says for whom it opens it.
    /// `TooManyOpen`; `NotPermitted` unless the page gave this capability.
    #[op(13, since = 4)]
    fn attenuate_for(
        &mut self,
        client: Name,
        access: FileAccess,
        export: bool,
    ) -> Result<DirectoryClient, FileError>;
}

/// One name in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it leads to.
    pub kind: FileKind,
    /// Bytes of a file, entries of a directory.
    pub size: u64,
    /// The name.
    pub name: &'a str,
}

/// Bytes of an entry before its name: kind, length of the name, size.
const FIXED: usize = 10;

/// Most bytes that an entry takes in a listing.
pub const MAX_ENTRY: usize = FIXED + 255;

impl Entry<'_> {
    /// Writes the entry to the front of `into` and returns its length; `None`
    /// if it does not fit or the name is longer than 255 bytes.
    pub fn emit(&self, into: &mut [u8]) -> Option<usize> {
        let length = u8::try_from(self.name.len()).ok()?;
        let entry = into.get_mut(..FIXED + self.name.len())?;
        entry[0] = self.kind as u8;
        entry[1] = length;
        entry[2..FIXED].copy_from_slice(&self.size.to_le_bytes());
        entry[FIXED..].copy_from_slice(self.name.as_bytes());
        Some(FIXED + self.name.len())
    }
}

/// The entries in the bytes that `list` filled. Ends early at anything that is
/// no entry.
///
/// ```
/// use libipc::interfaces::{FileKind, directory::{Entry, entries}};
/// let entry = Entry { kind: FileKind::File, size: 5, name: "motd" };
/// let mut page = [0; 64];
/// let bytes = entry.emit(&mut page).unwrap();
/// assert!(entries(&page[..bytes]).eq([entry]));
/// ```
pub fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    core::iter::from_fn(move || {
        let (fixed, rest) = bytes.split_at_checked(FIXED)?;
        let (name, rest) = rest.split_at_checked(fixed[1].into())?;
        let kind = match fixed[0] {
            0 => FileKind::File,
            1 => FileKind::Directory,
            _ => return None,
        };
        let size = u64::from_le_bytes(fixed[2..].try_into().ok()?);
        let name = core::str::from_utf8(name).ok()?;
        bytes = rest;
        Some(Entry { kind, size, name })
    })
}
