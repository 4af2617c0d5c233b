//! The boot archive as a read-only file system: files at the top, and folders
//! for programs, symbols and what describes the system.

use crate::volume::{NodeId, Outlet, Volume, check_name};
use alloc::vec::Vec;
use libipc::interfaces::{FileError, FileKind, Stat, directory::Entry};
use tessera_archive::{Archive, Entry as Packed, Kind};

/// The folders, and which kinds of entries each shows.
const FOLDERS: [(&str, &[Kind]); 3] = [
    ("bin", &[Kind::Program]),
    ("symbols", &[Kind::Symbols]),
    ("system", &[Kind::Page, Kind::Interfaces]),
];

/// Kinds shown at the top.
const TOP: &[Kind] = &[Kind::File];

const ROOT: NodeId = NodeId(0);
/// Number of the first entry; those below are the folders'.
const FIRST: u64 = 1 + FOLDERS.len() as u64;

/// A checked archive as a file system.
#[derive(Debug, Default)]
pub struct BootVolume<'a> {
    entries: Vec<Packed<'a>>,
}

impl<'a> BootVolume<'a> {
    /// Shows `archive`. Entries whose names are no file names are left out.
    pub fn new(archive: &Archive<'a>) -> Self {
        let entries = archive
            .entries()
            .filter(|entry| check_name(entry.name).is_ok())
            .collect();
        BootVolume { entries }
    }

    fn entry(&self, node: NodeId) -> Option<&Packed<'a>> {
        let index = usize::try_from(node.0.checked_sub(FIRST)?).ok()?;
        self.entries.get(index)
    }

    /// Kinds that a directory shows.
    fn kinds(&self, directory: NodeId) -> Result<&'static [Kind], FileError> {
        if directory == ROOT {
            return Ok(TOP);
        }
        let folder = directory.0.checked_sub(1).map(|index| index as usize);
        match folder.and_then(|index| FOLDERS.get(index)) {
            Some((_, kinds)) => Ok(kinds),
            None if self.entry(directory).is_some() => Err(FileError::NotDirectory),
            None => Err(FileError::Stale),
        }
    }

    /// Everything in a directory, folders first.
    fn children(
        &self,
        directory: NodeId,
    ) -> Result<impl Iterator<Item = (NodeId, &str)>, FileError> {
        let kinds = self.kinds(directory)?;
        let folders = if directory == ROOT { &FOLDERS[..] } else { &[] };
        let folders = (1..)
            .zip(folders)
            .map(|(id, (name, _))| (NodeId(id), *name));
        let entries = (FIRST..)
            .zip(&self.entries)
            .filter(|(_, entry)| kinds.contains(&entry.kind))
            .map(|(id, entry)| (NodeId(id), entry.name));
        Ok(folders.chain(entries))
    }
}

impl Volume for BootVolume<'_> {
    fn is_lasting(&self) -> bool {
        false
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn stat(&self, node: NodeId) -> Result<Stat, FileError> {
        let (kind, size) = match self.entry(node) {
            Some(entry) => (FileKind::File, entry.data.len() as u64),
            None => (FileKind::Directory, self.children(node)?.count() as u64),
        };
        Ok(Stat {
            kind,
            size,
            created: 0,
            modified: 0,
            id: node.0,
        })
    }

    fn lookup(&self, directory: NodeId, name: &str) -> Result<NodeId, FileError> {
        check_name(name)?;
        self.children(directory)?
            .find(|&(_, child)| child == name)
            .map(|(id, _)| id)
            .ok_or(FileError::NotFound)
    }

    fn list(
        &self,
        directory: NodeId,
        cursor: u64,
        show: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<u64, FileError> {
        for (id, name) in self.children(directory)?.filter(|(id, _)| id.0 >= cursor) {
            let stat = self.stat(id)?;
            let entry = Entry {
                kind: stat.kind,
                size: stat.size,
                name,
            };
            if !show(entry) {
                return Ok(id.0);
            }
        }
        Ok(0)
    }

    fn read(
        &self,
        file: NodeId,
        position: u64,
        length: u64,
        outlet: &mut Outlet<'_>,
    ) -> Result<u64, FileError> {
        let entry = self.entry(file).ok_or(FileError::IsDirectory)?;
        let Some(rest) = usize::try_from(position)
            .ok()
            .and_then(|position| entry.data.get(position..))
        else {
            return Ok(0);
        };
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        if length > 0 {
            outlet(0, &rest[..length])?;
        }
        Ok(length as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::String, vec};
    use tessera_archive::Writer;

    fn archive() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.add(Kind::Program, "ls", b"ELF".to_vec()).unwrap();
        writer.add(Kind::File, "motd", b"hello".to_vec()).unwrap();
        writer
            .add(Kind::Page, "standard", b"page".to_vec())
            .unwrap();
        writer.finish()
    }

    fn names(volume: &BootVolume<'_>, directory: NodeId, page: usize) -> Vec<String> {
        let (mut all, mut cursor) = (Vec::new(), 0);
        loop {
            let mut room = page;
            let next = volume.list(directory, cursor, &mut |entry| {
                let fits = room > 0;
                if fits {
                    room -= 1;
                    all.push(entry.name.into());
                }
                fits
            });
            cursor = next.unwrap();
            if cursor == 0 {
                return all;
            }
        }
    }

    #[test]
    fn the_archive_is_a_tree() {
        let bytes = archive();
        let volume = BootVolume::new(&Archive::new(&bytes).unwrap());
        for page in [1, 2, 100] {
            assert_eq!(
                names(&volume, ROOT, page),
                ["bin", "symbols", "system", "motd"]
            );
        }
        let bin = volume.lookup(ROOT, "bin").unwrap();
        assert_eq!(names(&volume, bin, 1), ["ls"]);
        assert_eq!(volume.lookup(bin, "motd"), Err(FileError::NotFound));
        let motd = volume.lookup(ROOT, "motd").unwrap();
        assert_eq!(volume.stat(motd).unwrap().size, 5);
        assert_eq!(volume.lookup(motd, "x"), Err(FileError::NotDirectory));
        assert_eq!(volume.stat(NodeId(99)), Err(FileError::Stale));
    }

    #[test]
    fn reads_end_at_the_end() {
        let bytes = archive();
        let volume = BootVolume::new(&Archive::new(&bytes).unwrap());
        let motd = volume.lookup(ROOT, "motd").unwrap();
        let read = |position, length| {
            let mut text = vec![];
            let count = volume.read(motd, position, length, &mut |_, piece| {
                text.extend_from_slice(piece);
                Ok(())
            });
            (count, String::from_utf8(text).unwrap())
        };
        assert_eq!(read(1, 3), (Ok(3), "ell".into()));
        assert_eq!(read(3, 100), (Ok(2), "lo".into()));
        assert_eq!(read(5, 1), (Ok(0), String::new()));
        assert_eq!(read(u64::MAX, u64::MAX), (Ok(0), String::new()));
        assert_eq!(
            volume.read(ROOT, 0, 1, &mut |_, _| Ok(())),
            Err(FileError::IsDirectory)
        );
    }
}
