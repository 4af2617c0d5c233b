//! The key and the bus's records, on the disk.
//!
//! Each is replaced as a whole: written beside the old one, made durable, renamed, and
//! durable again before anybody is told. So a crash leaves the old one or the new one, and
//! what anybody was told of is there.

use alloc::{string::String, vec::Vec};
use core::time::Duration;
use libipc::CallError;
use libipc::{
    Text,
    interfaces::{DirectoryClient, FileAccess::ReadWrite, FileError, directory::Name},
};
use tessera_softbus_protocol::limits::NAME;

use crate::interface::{RECORD, Record};

/// Bytes of a secret key.
pub const SECRET: usize = 32;

/// How long the disk may hold up the bus.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Where it is unless the page says `store=PATH`.
pub const PLACE: &str = "/data/softbus";

/// The directory at a path, made if it is not there.
pub fn walk(root: &DirectoryClient, path: &str) -> Result<DirectoryClient, FileError> {
    let mut names = path.split('/').filter(|name| !name.is_empty()).map(name);
    let first = names.next().unwrap_or_default();
    let mut directory = root.open_directory(first, ReadWrite).map_err(error)?;
    for name in names {
        let within = directory.with_timeout(PATIENCE);
        directory = match within.create_directory(name) {
            Err(CallError::Server(FileError::Exists)) => within.open_directory(name, ReadWrite),
            made => made,
        }
        .map_err(error)?;
    }
    Ok(directory)
}

/// The directory of the bus.
#[derive(Debug)]
pub struct Store(DirectoryClient);

impl Store {
    /// The directory at this path, made if it is not there. `None` without a disk, or if
    /// it is one that cannot be changed. Any other error may hide a key that there is.
    pub fn open(root: &DirectoryClient, path: &str) -> Result<Option<Self>, FileError> {
        match walk(root, path) {
            Ok(directory) => Ok(Some(Store(directory.with_timeout(PATIENCE)))),
            Err(FileError::NotFound | FileError::NoDevice | FileError::ReadOnly) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The secret key: that of the disk, or a new one that is now there if there was none.
    /// One that cannot be read is never replaced.
    pub fn secret(&self, fresh: [u8; SECRET]) -> Result<[u8; SECRET], FileError> {
        match self.read("key")? {
            Some(kept) => kept.try_into().map_err(|_| FileError::Corrupt),
            None => self.write("key", &fresh).map(|()| fresh),
        }
    }

    /// What the owner calls this device: the first line of the file `name`, if there is
    /// one that can be used.
    pub fn name(&self) -> Option<String> {
        let text = String::from_utf8(self.read("name").ok()??).ok()?;
        let name = text.lines().next()?.trim();
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        (is_plain && (1..=NAME).contains(&name.len())).then(|| name.into())
    }

    /// A record as it was kept; nothing if it was not.
    pub fn kept(&self, record: Record) -> Result<Vec<u8>, FileError> {
        Ok(self.read(file(record))?.unwrap_or_default())
    }

    /// Keeps a record. Durable when this returns well.
    pub fn keep(&self, record: Record, contents: &[u8]) -> Result<(), FileError> {
        self.write(file(record), contents)
    }

    /// A file, if it is there. One that is larger than a record is none of ours.
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, FileError> {
        let mut bytes = alloc::vec![0; RECORD];
        let (length, more) = match self.0.open_read(name(file), &mut bytes) {
            Err(CallError::Server(FileError::NotFound)) => return Ok(None),
            read => read.map_err(error)?,
        };
        bytes.truncate(length as usize);
        match more {
            None => Ok(Some(bytes)),
            Some(_) => Err(FileError::OutOfRange),
        }
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), FileError> {
        let fresh = name("new");
        match self.0.remove(fresh) {
            Ok(()) | Err(CallError::Server(FileError::NotFound)) => {}
            Err(other) => return Err(error(other)),
        }
        let made = self.0.create(fresh).map_err(error)?;
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match made.write_at(written as u64, rest).map_err(error)? {
                0 => return Err(FileError::NoSpace),
                count => written += count as usize,
            }
        }
        made.sync().map_err(error)?;
        self.0.rename(fresh, &self.0, name(file)).map_err(error)?;
        made.sync().map_err(error)
    }
}

/// The file that a record is.
fn file(record: Record) -> &'static str {
    match record {
        Record::Trust => "trust",
        Record::Consents => "consents",
        Record::Uses => "uses",
    }
}

fn error(error: CallError<FileError>) -> FileError {
    match error {
        CallError::Server(error) => error,
        CallError::Transport(_) => FileError::DeviceFailed,
    }
}

fn name(text: &str) -> Name {
    Text::new(text).unwrap_or_default()
}
