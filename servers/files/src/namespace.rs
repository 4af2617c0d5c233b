//! The one tree that clients see: `/boot` and `/tmp` below a fixed root.

use crate::{
    boot::BootVolume,
    quota::Accounts,
    ram::RamVolume,
    volume::{Change, NodeId, Outlet, Volume, check_name},
};
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};

/// Which volume a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeId {
    /// The fixed root.
    Root = 0,
    /// The boot archive.
    Boot = 1,
    /// The RAM file system.
    Tmp = 2,
}

/// A file or directory anywhere in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its volume.
    pub volume: VolumeId,
    /// Its node there.
    pub node: NodeId,
}

/// Names at the root.
const MOUNTS: [(&str, VolumeId); 2] = [("boot", VolumeId::Boot), ("tmp", VolumeId::Tmp)];

/// Low bits of a `Stat`'s id name the volume.
const VOLUME_BITS: u32 = 2;

/// All volumes in one tree.
#[derive(Debug, Default)]
pub struct Namespace<'a> {
    root: Mounts,
    boot: BootVolume<'a>,
    tmp: RamVolume,
}

impl<'a> Namespace<'a> {
    /// The root directory.
    pub const ROOT: Place = Place {
        volume: VolumeId::Root,
        node: NodeId(0),
    };

    /// `/boot` shows `boot`, `/tmp` is empty.
    pub fn new(boot: BootVolume<'a>) -> Self {
        Namespace {
            boot,
            ..Namespace::default()
        }
    }

    /// The volume with this number.
    pub fn volume(&self, id: VolumeId) -> &dyn Volume {
        match id {
            VolumeId::Root => &self.root,
            VolumeId::Boot => &self.boot,
            VolumeId::Tmp => &self.tmp,
        }
    }

    /// The volume with this number, to change it.
    pub fn volume_mut(&mut self, id: VolumeId) -> &mut dyn Volume {
        match id {
            VolumeId::Root => &mut self.root,
            VolumeId::Boot => &mut self.boot,
            VolumeId::Tmp => &mut self.tmp,
        }
    }

    /// What a name leads to, across volumes.
    pub fn lookup(&self, directory: Place, name: &str) -> Result<Place, FileError> {
        let volume = self.volume(directory.volume);
        let node = volume.lookup(directory.node, name)?;
        if directory.volume != VolumeId::Root {
            return Ok(Place { node, ..directory });
        }
        let mounted = MOUNTS.get(node.0 as usize).ok_or(FileError::Stale)?.1;
        Ok(Place {
            volume: mounted,
            node: self.volume(mounted).root(),
        })
    }

    /// What is known of a place; its id is unique across volumes.
    pub fn stat(&self, place: Place) -> Result<Stat, FileError> {
        let stat = self.volume(place.volume).stat(place.node)?;
        Ok(Stat {
            id: stat.id << VOLUME_BITS | place.volume as u64,
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

/// The root: nothing but mounts, numbered as in [`MOUNTS`].
#[derive(Debug, Default)]
struct Mounts;

impl Volume for Mounts {
    fn root(&self) -> NodeId {
        Namespace::ROOT.node
    }

    fn stat(&self, _: NodeId) -> Result<Stat, FileError> {
        Ok(Stat {
            kind: FileKind::Directory,
            size: MOUNTS.len() as u64,
            created: 0,
            modified: 0,
            id: 0,
        })
    }

    fn lookup(&self, _: NodeId, name: &str) -> Result<NodeId, FileError> {
        check_name(name)?;
        let index = MOUNTS.iter().position(|(mount, _)| *mount == name);
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
        for (number, (name, _)) in (1..).zip(MOUNTS).skip_while(|(number, _)| *number < cursor) {
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
