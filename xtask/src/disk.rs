//! Disk images, by the code that the guest's file server runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use tessera_disk::{Disk, DiskError, SECTOR};
use tessera_ext4::mounted::{Time, format};
use tessera_ext4::volume::Ext4Volume;
use tessera_files::quota::{Accounts, Limits};
use tessera_files::volume::{Change, FileError, FileKind, NodeId, Volume};

/// Bytes of the page cache.
const CACHE: usize = 8 << 20;

/// Smallest size of an image: the journal alone takes 16 MiB.
pub const SMALLEST: u64 = 24 << 20;

/// The size of an image unless another is wanted.
pub const USUAL: u64 = 256 << 20;

/// An image in a file, which takes only the space of what is not zero.
#[derive(Debug)]
struct ImageFile {
    file: File,
    sectors: u64,
    /// Nothing was written yet, so zeros need not be.
    is_fresh: bool,
}

impl ImageFile {
    fn open(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let sectors = file.metadata()?.len() / SECTOR as u64;
        Ok(ImageFile {
            file,
            sectors,
            is_fresh: false,
        })
    }

    fn create(path: &Path, size: u64) -> Result<Self> {
        let file = File::create_new(path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(size)?;
        drop(file);
        let file = Self::open(path)?;
        Ok(ImageFile {
            is_fresh: true,
            ..file
        })
    }

    fn position(&self, sector: u64, length: usize) -> Result<u64, DiskError> {
        let end = sector.checked_add((length / SECTOR) as u64);
        match end {
            Some(end) if end <= self.sectors => Ok(sector * SECTOR as u64),
            _ => Err(DiskError::OutOfRange),
        }
    }
}

impl Disk for ImageFile {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let position = self.position(sector, into.len())?;
        let read = self.file.read_exact_at(into, position);
        read.map_err(|_| DiskError::Failed)
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> Result<(), DiskError> {
        let position = self.position(sector, from.len())?;
        if self.is_fresh && from.iter().all(|byte| *byte == 0) {
            // It may be over something that is not zero: then it must be written.
            let mut there = vec![0; from.len()];
            self.read(sector, &mut there)?;
            if there == from {
                return Ok(());
            }
        }
        let written = self.file.write_all_at(from, position);
        written.map_err(|_| DiskError::Failed)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if self.is_fresh {
            return Ok(());
        }
        self.file.sync_data().map_err(|_| DiskError::Failed)
    }
}

/// The first sector of a disk with at most four partitions: an MBR (UEFI Specification
/// 2.10, 5.2.1) of first sector, sectors and type of each.
pub fn mbr(partitions: &[(u64, u64, u8)]) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    for (place, (first, sectors, kind)) in (446..510).step_by(16).zip(partitions) {
        bytes[place + 4] = *kind;
        bytes[place + 8..place + 12].copy_from_slice(&(*first as u32).to_le_bytes());
        bytes[place + 12..place + 16].copy_from_slice(&(*sectors as u32).to_le_bytes());
    }
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

/// Makes an image with an empty file system, where no file is yet.
pub fn create(path: &Path, size: u64) -> Result<()> {
    if size < SMALLEST {
        bail!("an image has at least {} MiB", SMALLEST >> 20);
    }
    let mut image = ImageFile::create(path, size)?;
    format(&mut image, now()).map_err(|error| anyhow!("cannot make a file system: {error}"))?;
    image.file.sync_data()?;
    Ok(())
}

/// The file system in an image.
pub struct DiskImage {
    volume: Ext4Volume<ImageFile>,
    accounts: Accounts,
}

/// What a directory holds under a name.
pub struct Listed {
    /// The name.
    pub name: String,
    /// What it leads to.
    pub kind: FileKind,
    /// Bytes of a file.
    pub size: u64,
}

impl DiskImage {
    /// Opens an image, replaying its journal.
    pub fn open(path: &Path) -> Result<Self> {
        let image = ImageFile::open(path)?;
        let volume = Ext4Volume::new(image, CACHE, now());
        let volume = volume.map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let limits = Limits {
            bytes: 0,
            nodes: 0,
            open: 0,
        };
        Ok(DiskImage {
            volume,
            accounts: Accounts::new(limits, []),
        })
    }

    /// What is in the directory at `path`, by name.
    pub fn list(&self, path: &str) -> Result<Vec<Listed>> {
        let directory = self
            .walk(path)
            .map_err(|error| anyhow!("{path}: {error}"))?;
        let (mut all, mut cursor) = (Vec::new(), 0);
        loop {
            let page = self.volume.list(directory, cursor, &mut |entry| {
                all.push(Listed {
                    name: entry.name.into(),
                    kind: entry.kind,
                    size: entry.size,
                });
                true
            });
            cursor = page.map_err(|error| anyhow!("{path}: {error}"))?;
            if cursor == 0 {
                all.sort_by(|one, other| one.name.cmp(&other.name));
                return Ok(all);
            }
        }
    }

    /// The bytes of the file at `path`.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.walk(path);
        let read = file.and_then(|file| {
            self.volume.read(file, 0, u64::MAX, &mut |_, piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })
        });
        read.map_err(|error| anyhow!("{path}: {error}"))?;
        Ok(bytes)
    }

    /// Writes a file at `path`, whose directories are made if they are missing.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let written = self.write(path, bytes);
        written.map_err(|error| anyhow!("{path}: {error}"))
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        let names: Vec<_> = path.split('/').filter(|name| !name.is_empty()).collect();
        let (name, above) = names.split_last().ok_or(FileError::IsDirectory)?;
        let mut directory = self.volume.root();
        for name in above {
            directory = match self.volume.lookup(directory, name) {
                Err(FileError::NotFound) => {
                    let change = change(&mut self.accounts);
                    self.volume.create_directory(directory, name, change)?
                }
                found => found?,
            };
        }
        let file = match self.volume.lookup(directory, name) {
            Err(FileError::NotFound) => {
                let change = change(&mut self.accounts);
                self.volume.create_file(directory, name, change)?
            }
            found => found?,
        };
        self.volume.open(file);
        let change_size = change(&mut self.accounts);
        self.volume.set_size(file, 0, change_size)?;
        let mut inlet = |offset: u64, into: &mut [u8]| {
            let offset = offset as usize;
            into.copy_from_slice(&bytes[offset..offset + into.len()]);
            Ok(())
        };
        let length = bytes.len() as u64;
        let change = change(&mut self.accounts);
        let written = self.volume.write(file, 0, length, &mut inlet, change)?;
        self.volume.close(file, &mut self.accounts);
        if written < length {
            return Err(FileError::NoSpace);
        }
        Ok(())
    }

    /// Writes everything out and leaves the file system clean.
    pub fn close(mut self) -> Result<()> {
        let rested = self.volume.rest();
        rested.map_err(|error| anyhow!("cannot write the image: {error}"))
    }

    fn walk(&self, path: &str) -> Result<NodeId, FileError> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names
            .into_iter()
            .try_fold(self.volume.root(), |node, name| {
                self.volume.lookup(node, name)
            })
    }
}

/// Where the data disk of `cargo xtask run` is.
pub fn usual() -> PathBuf {
    crate::workspace::root().join("data.img")
}

fn now() -> Time {
    let time = Time::default();
    time.set(nanoseconds());
    time
}

fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

fn change(accounts: &mut Accounts) -> Change<'_> {
    Change {
        accounts,
        payer: Accounts::GUEST,
        now: nanoseconds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got() {
        let path = std::env::temp_dir().join(format!("xtask-disk-{}.img", std::process::id()));
        let _ = std::fs::remove_file(&path);
        create(&path, SMALLEST).unwrap();
        assert!(create(&path, SMALLEST).is_err(), "it is there already");
        let bytes: Vec<u8> = (0..100_000_u32).map(|index| (index / 3) as u8).collect();
        let mut image = DiskImage::open(&path).unwrap();
        image.put("a/b/file", &bytes).unwrap();
        image.put("/a/b/file", &bytes[5..]).unwrap();
        image.close().unwrap();
        let image = DiskImage::open(&path).unwrap();
        assert!(image.get("/a/b/file").unwrap() == bytes[5..]);
        let names: Vec<_> = image
            .list("a")
            .unwrap()
            .into_iter()
            .map(|l| l.name)
            .collect();
        assert_eq!(names, ["b"]);
        assert!(image.get("a").is_err() && image.list("none").is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
