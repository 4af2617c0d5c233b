//! Files and directories of the file server.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use libipc::client::Borrowed;
use libipc::interfaces::directory::{MAX_ENTRY, entries};
use libipc::interfaces::{
    DirectoryClient, FileAccess, FileClient, FileError, FileKind, Name, Stat,
};
use libipc::status::Cause;
use libipc::{CallError, Capability};

use super::errors::{counted, file_error, not_kept};
use crate::error::IoError;
use crate::io;

/// Bytes of a listing that are asked for at once.
const PAGE: usize = 4096;
const _: () = assert!(PAGE >= MAX_ENTRY);

/// Entries of a directory that are listed; more are taken for a server's mistake.
const ENTRIES: usize = 1 << 16;

/// An open file of the file server.
pub struct NativeFile(pub FileClient);

/// An open directory of the file server.
pub struct NativeDirectory(pub DirectoryClient);

/// What a capability leads to, which may be either.
pub fn open_any(capability: Capability) -> Result<io::Node<NativeFile, NativeDirectory>, IoError> {
    let file = Borrowed::<FileClient>::new(capability.handle());
    match file.stat() {
        Ok(stat) if stat.kind == FileKind::File => {
            Ok(io::Node::File(NativeFile(capability.into())))
        }
        Ok(_) => Ok(io::Node::Directory(NativeDirectory(capability.into()))),
        Err(error) if of_other_kind(&error) => {
            Ok(io::Node::Directory(NativeDirectory(capability.into())))
        }
        Err(error) => Err(file_error(error)),
    }
}

/// Whether the server says that the capability is no file.
fn of_other_kind(error: &CallError<FileError>) -> bool {
    match error {
        CallError::Server(error) => *error == FileError::Stale,
        CallError::Transport(error) => error.cause == Cause::VersionMismatch,
    }
}

fn name(text: &str) -> Result<Name, IoError> {
    Name::new(text).ok_or(IoError::BadName)
}

fn stat(stat: Stat) -> io::Stat {
    io::Stat {
        kind: kind(stat.kind),
        size: stat.size,
        modified: stat.modified,
    }
}

fn kind(kind: FileKind) -> io::Kind {
    match kind {
        FileKind::File => io::Kind::File,
        FileKind::Directory => io::Kind::Directory,
    }
}

impl io::File for NativeFile {
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, IoError> {
        let most = into.len();
        let count = self.0.read_at(offset, into).map_err(file_error)?;
        counted(count, most)
    }

    fn write_at(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), IoError> {
        while !bytes.is_empty() {
            let count = self.0.write_at(offset, bytes).map_err(file_error)?;
            if count == 0 {
                return Err(IoError::NoSpace);
            }
            bytes = &bytes[counted(count, bytes.len())?..];
            offset += count;
        }
        Ok(())
    }

    fn set_length(&mut self, length: u64) -> Result<(), IoError> {
        self.0.set_size(length).map_err(file_error)
    }

    fn stat(&mut self) -> Result<io::Stat, IoError> {
        self.0.stat().map(stat).map_err(file_error)
    }
}

impl io::Directory for NativeDirectory {
    type File = NativeFile;

    fn list(&mut self) -> Result<Vec<io::Entry>, IoError> {
        let mut found = Vec::new();
        let mut page = vec![0; PAGE];
        let mut cursor = 0;
        loop {
            let listing = self.0.list(cursor, &mut page).map_err(file_error)?;
            let bytes = &page[..counted(listing.bytes, PAGE)?];
            let before = found.len();
            found.extend(entries(bytes).map(|entry| io::Entry {
                name: String::from(entry.name),
                kind: kind(entry.kind),
                size: entry.size,
            }));
            cursor = listing.next;
            if cursor == 0 {
                break;
            }
            // One without an end would be listed until there is no memory.
            if found.len() == before || found.len() > ENTRIES {
                return Err(not_kept());
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    fn stat_of(&mut self, text: &str) -> Result<io::Stat, IoError> {
        self.0.stat_name(name(text)?).map(stat).map_err(file_error)
    }

    fn open(&mut self, text: &str, write: bool) -> Result<io::Node<NativeFile, Self>, IoError> {
        let access = if write {
            FileAccess::ReadWrite
        } else {
            FileAccess::Read
        };
        match self.0.open(name(text)?, access) {
            Ok(file) => Ok(io::Node::File(NativeFile(file))),
            Err(CallError::Server(FileError::IsDirectory)) => {
                let directory = self.0.open_directory(name(text)?, access);
                directory
                    .map(NativeDirectory)
                    .map(io::Node::Directory)
                    .map_err(file_error)
            }
            Err(error) => Err(file_error(error)),
        }
    }

    fn open_read(
        &mut self,
        text: &str,
        into: &mut [u8],
    ) -> Result<(usize, Option<NativeFile>), IoError> {
        let most = into.len();
        let opened = self.0.open_read(name(text)?, into).map_err(file_error)?;
        Ok((counted(opened.0, most)?, opened.1.map(NativeFile)))
    }

    fn create(&mut self, text: &str) -> Result<NativeFile, IoError> {
        let file = match self.0.open(name(text)?, FileAccess::ReadWrite) {
            Err(CallError::Server(FileError::NotFound)) => self.0.create(name(text)?),
            opened => opened,
        };
        file.map(NativeFile).map_err(file_error)
    }

    fn make_directory(&mut self, text: &str) -> Result<Self, IoError> {
        let made = self.0.create_directory(name(text)?);
        made.map(NativeDirectory).map_err(file_error)
    }

    fn remove(&mut self, text: &str) -> Result<(), IoError> {
        self.0.remove(name(text)?).map_err(file_error)
    }

    fn rename(&mut self, from: &str, into: &mut Self, target: &str) -> Result<(), IoError> {
        self.0
            .rename(name(from)?, &into.0, name(target)?)
            .map_err(file_error)
    }

    fn stat(&mut self) -> Result<io::Stat, IoError> {
        self.0.stat().map(stat).map_err(file_error)
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.0.sync().map_err(file_error)
    }

    fn space(&mut self) -> Result<io::Space, IoError> {
        let usage = self.0.usage().map_err(file_error)?;
        Ok(io::Space {
            used: usage.bytes,
            total: usage.bytes_limit,
            own: usage.client_bytes,
            own_limit: usage.client_bytes_limit,
        })
    }
}
