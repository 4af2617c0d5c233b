//! What a file system offers: nodes by number, below one root.

use crate::quota::{Account, Accounts};
pub use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};

/// A file or directory of one volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Bytes on their way to a client: offset and piece. Fails if the client's
/// memory cannot be written.
pub type Outlet<'a> = dyn FnMut(u64, &[u8]) -> Result<(), FileError> + 'a;

/// Bytes on their way from a client: offset and where to put the piece.
pub type Inlet<'a> = dyn FnMut(u64, &mut [u8]) -> Result<(), FileError> + 'a;

/// Who changes something, and when.
#[derive(Debug)]
pub struct Change<'a> {
    /// All accounts.
    pub accounts: &'a mut Accounts,
    /// The one that pays.
    pub payer: Account,
    /// Nanoseconds since 1970, or since boot if the time is not known.
    pub now: u64,
}

impl Change<'_> {
    /// Whose what is made now is to be.
    pub fn owner(&self) -> u32 {
        self.accounts.owner(self.payer)
    }
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that there are.
    pub total: u64,
}

/// What one owner has of a file system, and may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Bytes that its files take.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
    /// Bytes that they may take.
    pub bytes_limit: Option<u64>,
    /// How many there may be.
    pub files_limit: Option<u64>,
}

/// A file system. Whoever implements only the reading half is read-only.
///
/// Bytes go directly between the blocks of a file and the client's memory, in
/// as many pieces as there are blocks: one copy from end to end.
pub trait Volume: core::fmt::Debug {
    /// The directory above all others.
    fn root(&self) -> NodeId;

    /// Whether anything here can change.
    fn is_writable(&self) -> bool {
        false
    }

    /// What is known of a node.
    fn stat(&self, node: NodeId) -> Result<Stat, FileError>;

    /// The node of that name.
    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError>;

    /// Shows entries from `cursor` on until `show` says no more; returns the
    /// cursor of the first entry that was not taken, or 0 at the end.
    fn list(
        &self,
        directory: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError>;

    /// Reads up to `length` bytes from `position` on.
    fn read(
        &self,
        file: NodeId,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError>;

    /// A capability for the node exists from now on.
    fn open(&mut self, _node: NodeId) {}

    /// One such capability is gone.
    fn close(&mut self, _node: NodeId, _accounts: &mut Accounts) {}

    /// Makes an empty file.
    fn create_file(
        &mut self,
        _directory: NodeId,
        _name: &str,
        _change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        Err(FileError::ReadOnly)
    }

    /// Makes an empty directory.
    fn create_directory(
        &mut self,
        _directory: NodeId,
        _name: &str,
        _change: Change<'_>,
    ) -> Result<NodeId, FileError> {
        Err(FileError::ReadOnly)
    }

    /// Removes a name.
    fn remove(
        &mut self,
        _directory: NodeId,
        _name: &str,
        _change: Change<'_>,
    ) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// Moves a name.
    fn rename(
        &mut self,
        _from: (NodeId, &str),
        _to: (NodeId, &str),
        _change: Change<'_>,
    ) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// Writes up to `length` bytes at `position`.
    fn write(
        &mut self,
        _file: NodeId,
        _position: u64,
        _length: u64,
        _inlet: &mut Inlet<'_>,
        _change: Change<'_>,
    ) -> Result<u64, FileError> {
        Err(FileError::ReadOnly)
    }

    /// Cuts or extends a file.
    fn set_size(
        &mut self,
        _file: NodeId,
        _size: u64,
        _change: Change<'_>,
    ) -> Result<(), FileError> {
        Err(FileError::ReadOnly)
    }

    /// What was written to the node is as durable as this file system makes it
    /// when this returns.
    fn sync(&mut self, _node: NodeId) -> Result<(), FileError> {
        Ok(())
    }

    /// Whether anything here outlasts the server, which otherwise never asks whether it
    /// is durable.
    fn is_lasting(&self) -> bool {
        true
    }

    /// Whether everything is durable.
    fn is_settled(&self) -> bool {
        true
    }

    /// Everything is durable when this returns.
    fn settle(&mut self) -> Result<(), FileError> {
        Ok(())
    }

    /// So is everything, and what the file system stands on could be taken away.
    fn rest(&mut self) -> Result<(), FileError> {
        Ok(())
    }

    /// How full it is, unless accounts say all that there is to say.
    fn space(&self) -> Result<Option<Space>, FileError> {
        Ok(None)
    }

    /// What an owner has of it, if that is counted here.
    fn share(&self, _owner: u32) -> Option<Share> {
        None
    }
}

/// Checks a name: 1 to 255 bytes, no `/`, no zero byte, neither `.` nor `..`.
pub fn check_name(name: &str) -> Result<(), FileError> {
    let bad = name.is_empty()
        || name.len() > 255
        || name == "."
        || name == ".."
        || name.bytes().any(|byte| byte == b'/' || byte == 0);
    if bad { Err(FileError::BadName) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component() {
        for good in ["a", "...", "héllo wörld", &"x".repeat(255)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "/", "a\0", &"x".repeat(256)] {
            assert_eq!(check_name(bad), Err(FileError::BadName), "{bad:?}");
        }
    }
}
