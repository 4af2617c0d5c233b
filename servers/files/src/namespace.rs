//! The tree that clients see: one volume, or several below a fixed root.

use crate::{
    boot::BootVolume,
    quota::Accounts,
    ram::RamVolume,
    volume::{Change, NodeId, Outlet, Volume, check_name},
};
use alloc::{boxed::Box, vec::Vec};
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};

/// Which volume a node belongs to; the first has the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeId(u8);

/// A file or directory anywhere in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its volume.
    pub volume: VolumeId,
    /// Its node there.
    pub node: NodeId,
}

/// What a name at the fixed root leads to.
#[derive(Debug)]
pub enum Mount<'a> {
    /// A volume of this server.
    Here(Box<dyn Volume + 'a>),
    /// A directory of another, by a number that the caller knows.
    Elsewhere(usize),
}

/// Low bits of a `Stat`'s id name the volume.
const VOLUME_BITS: u32 = 3;

/// All volumes in one tree.
#[derive(Debug)]
pub struct Namespace<'a> {
    volumes: Vec<Box<dyn Volume + 'a>>,
    /// What the nodes of a fixed root lead to; none if the first volume is all.
    mounts: Vec<Target>,
    root: Place,
    /// Volumes that outlast the server.
    lasting: Vec<VolumeId>,
}

/// What a node of the fixed root leads to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Here(VolumeId),
    Elsewhere(usize),
}

impl<'a> Namespace<'a> {
    /// One volume, from its root on.
    pub fn of(volume: impl Volume + 'a) -> Self {
        Namespace::with(alloc::vec![Box::new(volume)], Vec::new())
    }

    /// A fixed root with these names. At most seven are volumes of this server.
    pub fn new(mounts: impl IntoIterator<Item = (&'static str, Mount<'a>)>) -> Self {
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        let mut volumes = Vec::new();
        for (name, mount) in mounts {
            names.push(name);
            targets.push(match mount {
                Mount::Here(volume) => {
                    volumes.push(volume);
                    Target::Here(VolumeId(volumes.len() as u8))
                }
                Mount::Elsewhere(number) => Target::Elsewhere(number),
            });
        }
        volumes.insert(0, Box::new(Root(names)));
        Namespace::with(volumes, targets)
    }

    fn with(volumes: Vec<Box<dyn Volume + 'a>>, mounts: Vec<Target>) -> Self {
        let numbered = (0..).map(VolumeId).zip(&volumes);
        let lasting = numbered.filter(|(_, volume)| volume.is_lasting());
        Namespace {
            root: Place {
                volume: VolumeId(0),
                node: volumes[0].root(),
            },
            lasting: lasting.map(|(id, _)| id).collect(),
            volumes,
            mounts,
        }
    }

    /// An empty `/boot` and an empty `/tmp`, for tests.
    pub fn in_memory() -> Self {
        Namespace::new([
            ("boot", Mount::Here(Box::new(BootVolume::default()))),
            ("tmp", Mount::Here(Box::new(RamVolume::default()))),
        ])
    }

    /// The root directory.
    pub fn root(&self) -> Place {
        self.root
    }

    /// The volume with this number.
    pub fn volume(&self, id: VolumeId) -> &(dyn Volume + 'a) {
        &*self.volumes[usize::from(id.0)]
    }

    /// The volume with this number, to change it.
    pub fn volume_mut(&mut self, id: VolumeId) -> &mut (dyn Volume + 'a) {
        &mut *self.volumes[usize::from(id.0)]
    }

    /// Whether nothing would be lost if the power failed now.
    pub fn is_settled(&self) -> bool {
        let mut lasting = self.lasting.iter();
        lasting.all(|id| self.volume(*id).is_settled())
    }

    /// All volumes, to change them.
    pub fn volumes_mut(&mut self) -> impl Iterator<Item = &mut (dyn Volume + 'a)> {
        self.volumes.iter_mut().map(|volume| &mut **volume)
    }

    /// The directory of another server that this name leads to, if it does.
    pub fn elsewhere(&self, directory: Place, name: &str) -> Option<usize> {
        if directory != self.root() {
            return None;
        }
        let node = self.volume(directory.volume).lookup(directory.node, name);
        match self.mounts.get(node.ok()?.0 as usize)? {
            Target::Elsewhere(number) => Some(*number),
            Target::Here(_) => None,
        }
    }

    /// What a name leads to, across volumes.
    pub fn lookup(&self, directory: Place, name: &str) -> Result<Place, FileError> {
        let volume = self.volume(directory.volume);
        let node = volume.lookup(directory.node, name)?;
        if self.mounts.is_empty() || directory.volume != self.root().volume {
            return Ok(Place { node, ..directory });
        }
        match self.mounts.get(node.0 as usize) {
            Some(Target::Here(volume)) => Ok(Place {
                volume: *volume,
                node: self.volume(*volume).root(),
            }),
            Some(Target::Elsewhere(_)) => Err(FileError::OtherFileSystem),
            None => Err(FileError::Stale),
        }
    }

    /// What is known of a place; its id is unique across volumes.
    pub fn stat(&self, place: Place) -> Result<Stat, FileError> {
        let stat = self.volume(place.volume).stat(place.node)?;
        Ok(Stat {
            id: stat.id << VOLUME_BITS | u64::from(place.volume.0),
            ..stat
        })
    }

    /// Moves a name, within one volume.
    pub fn rename(
        &mut self,
        from: (Place, &str),
        to: (Place, &str),
        change: Change<'_>,
    ) -> Result<(), FileError> {
        if from.0.volume != to.0.volume {
            return Err(FileError::OtherFileSystem);
        }
        self.volume_mut(from.0.volume)
            .rename((from.0.node, from.1), (to.0.node, to.1), change)
    }

    /// A capability for the place exists from now on.
    pub fn open(&mut self, place: Place) {
        self.volume_mut(place.volume).open(place.node);
    }

    /// One such capability is gone.
    pub fn close(&mut self, place: Place, accounts: &mut Accounts) {
        self.volume_mut(place.volume).close(place.node, accounts);
    }
}

/// The fixed root: nothing but names, which are its nodes by their place here.
#[derive(Debug)]
struct Root(Vec<&'static str>);

impl Volume for Root {
    fn is_lasting(&self) -> bool {
        false
    }

    fn root(&self) -> NodeId {
        NodeId(u64::MAX)
    }

    fn stat(&self, _: NodeId) -> Result<Stat, FileError> {
        Ok(Stat {
            kind: FileKind::Directory,
            size: self.0.len() as u64,
            created: 0,
            modified: 0,
            id: 0,
        })
    }

    fn lookup(&self, _: NodeId, name: &str) -> Result<NodeId, FileError> {
        check_name(name)?;
        let index = self.0.iter().position(|mount| *mount == name);
        index
            .map(|index| NodeId(index as u64))
            .ok_or(FileError::NotFound)
    }

    fn list(
        &self,
        _: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError> {
        // Cursors count from 1, as 0 is the first page and the end.
        let names = (1..).zip(&self.0);
        for (number, name) in names.skip_while(|(number, _)| *number < cursor) {
            let entry = Entry {
                kind: FileKind::Directory,
                size: 0,
                name,
            };
            if !show(entry) {
                return Ok(number);
            }
        }
        Ok(0)
    }

    fn read(&self, _: NodeId, _: u64, _: u64, _: &mut Outlet<'_>) -> Result<u64, FileError> {
        Err(FileError::IsDirectory)
    }
}
