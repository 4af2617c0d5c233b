//! Paths, as walks from the root that the page gave the shell.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use libipc::client::Borrowed;
use libipc::interfaces::{
    DirectoryClient, FileAccess, FileClient, FileError, Name, PipesClient, StreamClient, StreamMode,
};
use libipc::note::Use;
use libipc::start::NAME;
use libipc::{CallError, Capability};
use tessera_tools::IoError;
use tessera_tools::input::read_all;
use tessera_tools::io::{Directory, Kind};
use tessera_tools::native::{NativeDirectory, NativeFile, file_error};

use super::events::failed;
use super::mounts::Volume;

/// All paths: below a root, whose server makes pipes too, or below what is mounted.
pub struct Files {
    root: DirectoryClient,
    pub(super) mounts: Vec<Volume>,
}

/// A file or a directory.
enum Found {
    File(FileClient),
    Directory(DirectoryClient),
}

impl Files {
    /// Paths below `root`.
    pub fn new(root: DirectoryClient) -> Self {
        Files {
            root,
            mounts: Vec::new(),
        }
    }

    /// Makes a pipe: its reading and its writing end.
    pub fn pipe(&mut self) -> Result<(StreamClient, StreamClient), IoError> {
        let root: &Capability = self.root.as_ref();
        let pipes = Borrowed::<PipesClient>::new(root.handle());
        pipes.pipe().map_err(failed)
    }

    /// Names in a directory, and whether each is a directory.
    pub fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>, IoError> {
        let directory = self.directory(path, FileAccess::Read)?;
        let entries = NativeDirectory(directory).list()?;
        let named = entries
            .into_iter()
            .map(|entry| (entry.name, entry.kind == Kind::Directory));
        Ok(named.collect())
    }

    /// All of a file.
    pub fn read_file(&mut self, path: &str) -> Result<Vec<u8>, IoError> {
        read_all(&mut NativeFile(self.file(path, Use::READ)?))
    }

    /// Opens a file as a stream to read.
    pub fn open_input(&mut self, path: &str) -> Result<StreamClient, IoError> {
        let file = self.file(path, Use::READ)?;
        file.stream(StreamMode::Read, 0).map_err(file_error)
    }

    /// Opens a file as a stream to write, at its end if `append`, else from nothing.
    pub fn open_output(&mut self, path: &str, append: bool) -> Result<StreamClient, IoError> {
        let file = self.file(path, Use::WRITE | Use::CREATE)?;
        if append {
            return file.stream(StreamMode::Append, 0).map_err(file_error);
        }
        file.set_size(0).map_err(file_error)?;
        file.stream(StreamMode::Write, 0).map_err(file_error)
    }

    /// What a program's note asks for at a path.
    pub fn open_for(&mut self, path: &str, used: Use) -> Result<Capability, IoError> {
        if used.contains(Use::PARENT) {
            self.may_change(path)?;
            let (parent, _) = split(path);
            return self
                .directory(parent, FileAccess::ReadWrite)
                .map(Capability::from);
        }
        match self.open(path, used)? {
            Found::File(file) => Ok(file.into()),
            Found::Directory(directory) => Ok(directory.into()),
        }
    }

    fn file(&mut self, path: &str, used: Use) -> Result<FileClient, IoError> {
        match self.open(path, used)? {
            Found::File(file) => Ok(file),
            Found::Directory(_) => Err(IoError::IsADirectory),
        }
    }

    fn open(&mut self, path: &str, used: Use) -> Result<Found, IoError> {
        let access = if used.contains(Use::WRITE) {
            FileAccess::ReadWrite
        } else {
            FileAccess::Read
        };
        let (start, rest) = self.start(path);
        let (parent, last) = split(rest);
        if last.is_empty() {
            return self.directory(path, access).map(Found::Directory);
        }
        let walked = walk(start, parent, access)?;
        let parent = walked.as_ref().unwrap_or(start);
        match parent.open(name(last)?, access) {
            Ok(file) => Ok(Found::File(file)),
            Err(CallError::Server(FileError::IsDirectory)) => {
                let directory = parent.open_directory(name(last)?, access);
                directory.map(Found::Directory).map_err(file_error)
            }
            Err(CallError::Server(FileError::NotFound)) if used.contains(Use::CREATE) => parent
                .create(name(last)?)
                .map(Found::File)
                .map_err(file_error),
            Err(error) => Err(file_error(error)),
        }
    }

    /// A capability of its own for a directory.
    pub(super) fn directory(
        &mut self,
        path: &str,
        access: FileAccess,
    ) -> Result<DirectoryClient, IoError> {
        let (start, rest) = self.start(path);
        match walk(start, rest, access)? {
            Some(directory) => Ok(directory),
            None => start.attenuate(access).map_err(file_error),
        }
    }

    /// Where the way to a path begins, the last that was mounted on it or the root, and
    /// the rest of the way.
    fn start<'p>(&self, path: &'p str) -> (&DirectoryClient, &'p str) {
        let mounts = self.mounts.iter();
        let on_the_way = mounts.filter_map(|one| Some((&one.root, below(path, one.directory())?)));
        let nearest = on_the_way.min_by_key(|(_, rest)| rest.len());
        nearest.unwrap_or((&self.root, path))
    }

    /// Capabilities for what is mounted, by the directories in whose places it is seen, for
    /// a program that gets the root.
    pub(super) fn open_mounts(&self) -> Vec<(String, Capability)> {
        let open = |one: &Volume| {
            // What is gone is left out.
            let directory = one.root.attenuate(FileAccess::Read).ok()?;
            Some((String::from(one.directory()), directory.into()))
        };
        self.mounts.iter().filter_map(open).collect()
    }

    /// Whether something can be mounted there: in the place of a directory, by a name that
    /// programs can be told, once.
    pub(super) fn may_mount(&mut self, path: &str) -> Result<(), IoError> {
        let is_root = path.trim_matches('/').is_empty();
        if is_root || path.len() > NAME {
            let text = format!("a mount point is below / and has at most {NAME} bytes");
            return Err(IoError::Failed(text));
        }
        if self.mounts.iter().any(|one| one.directory() == path) {
            return Err(IoError::Failed(format!("something is mounted at {path}")));
        }
        self.directory(path, FileAccess::Read).map(|_| ())
    }

    /// A name that leads to what is mounted is not to be removed or moved.
    fn may_change(&self, path: &str) -> Result<(), IoError> {
        let mut mounts = self.mounts.iter();
        let found = mounts.find(|one| below(one.directory(), path).is_some());
        found.map_or(Ok(()), |one| {
            let text = format!("something is mounted at {}", one.directory());
            Err(IoError::Failed(text))
        })
    }
}

/// Walks to a directory, a capability a step; `None` is where the way begins.
fn walk(
    start: &DirectoryClient,
    path: &str,
    access: FileAccess,
) -> Result<Option<DirectoryClient>, IoError> {
    let mut walked: Option<DirectoryClient> = None;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        let from = walked.as_ref().unwrap_or(start);
        let next = from.open_directory(name(step)?, access);
        walked = Some(next.map_err(file_error)?);
    }
    Ok(walked)
}

/// The rest of a path below a directory, empty for the directory itself.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn name(text: &str) -> Result<Name, IoError> {
    Name::new(text).ok_or(IoError::BadName)
}

/// The directory of a path, and its last name, which is empty for the root.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
