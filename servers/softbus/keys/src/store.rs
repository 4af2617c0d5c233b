//! The key and what is trusted, on the disk.
//!
//! Both are replaced as a whole: written beside the old one, made durable, renamed, and
//! durable again before anybody is told.

use alloc::{string::String, vec::Vec};
use core::time::Duration;
use libipc::CallError;
use libipc::{
    Text,
    interfaces::{DirectoryClient, FileAccess::ReadWrite, FileError, directory::Name},
};
use tessera_softbus_protocol::limits::NAME;

use crate::interface::TRUST;

/// Bytes of a secret key.
pub const SECRET: usize = 32;

/// How long the disk may hold up the bus.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Where it is unless the page says `store=PATH`.
pub const PLACE: &str = "/data/softbus";

/// The directory at a path, made if it is not there.
pub fn walk(root: &DirectoryClient, path: &str) -> Option<DirectoryClient> {
    let mut names = path.split('/').filter(|name| !name.is_empty());
    let first = Text::new(names.next()?)?;
    let mut directory = root.open_directory(first, ReadWrite).ok()?;
    for name in names {
        let name = Text::new(name)?;
        let within = directory.with_timeout(PATIENCE);
        directory = match within.create_directory(name) {
            Err(CallError::Server(FileError::Exists)) => within.open_directory(name, ReadWrite),
            made => made,
        }
        .ok()?;
    }
    Some(directory)
}

/// The directory of the bus.
#[derive(Debug)]
pub struct Store(DirectoryClient);

impl Store {
    /// The directory at this path, made if it is not there. `None` if it cannot be made:
    /// without a disk, say.
    pub fn open(root: &DirectoryClient, path: &str) -> Option<Self> {
        let directory = walk(root, path)?;
        Some(Store(directory.with_timeout(PATIENCE)))
    }

    /// The secret key: that of the disk, or a new one that is now there. `None` if it
    /// cannot be made durable.
    pub fn secret(&self, fresh: [u8; SECRET]) -> Option<[u8; SECRET]> {
        match self.read("key") {
            Some(kept) if kept.len() == SECRET => kept.try_into().ok(),
            _ => self.write("key", &fresh).ok().map(|()| fresh),
        }
    }

    /// What the owner calls this device: the first line of the file `name`, if there is
    /// one that can be used.
    pub fn name(&self) -> Option<String> {
        let text = String::from_utf8(self.read("name")?).ok()?;
        let name = text.lines().next()?.trim();
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        (is_plain && (1..=NAME).contains(&name.len())).then(|| name.into())
    }

    /// What is trusted, as it was kept; nothing if it was not.
    pub fn trust(&self) -> Vec<u8> {
        self.read("trust").unwrap_or_default()
    }

    /// Keeps what is trusted. Durable when this returns well.
    pub fn keep(&self, trust: &[u8]) -> Result<(), FileError> {
        self.write("trust", trust)
    }

    fn read(&self, file: &str) -> Option<Vec<u8>> {
        let mut bytes = alloc::vec![0; TRUST];
        let (length, more) = self.0.open_read(name(file), &mut bytes).ok()?;
        bytes.truncate(length as usize);
        more.is_none().then_some(bytes)
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), FileError> {
        let error = |error: CallError<FileError>| match error {
            CallError::Server(error) => error,
            CallError::Transport(_) => FileError::DeviceFailed,
        };
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

fn name(text: &str) -> Name {
    Text::new(text).unwrap_or_default()
}
