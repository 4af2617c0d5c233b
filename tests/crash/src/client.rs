//! A client of a file system that may be damaged: it tries everything.

use crate::{
    disk::SimulatedDisk,
    history::Found,
    random::Random,
    workload::{change, join, mount, no_accounts},
};
use libipc::interfaces::{FileError, FileKind};
use std::collections::{BTreeMap, BTreeSet};
use tessera_disk::{Disk, SECTOR};
use tessera_ext4::volume::Ext4Volume;
use tessera_files::volume::{NodeId, Volume};

/// Nodes that are visited of one image: damage can make many.
const NODES: usize = 2000;

/// Bytes that are read of one file from the front: more than any has.
const BYTES: u64 = 2 << 20;

/// What a server could do instead of refusing, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It panics.
    Panic,
    /// It shows a file that it cannot read as an empty one.
    ShowAnyway,
    /// It shows a directory only as far as it can be read.
    ShowLess,
    /// It follows a number to behind the disk's end.
    Stray,
    /// It tries again for ever.
    Repeat,
    /// It takes as much memory as the disk says.
    Hoard,
}

impl Mistake {
    /// All of them, and what is said of each.
    pub const ALL: [(Mistake, &'static str); 6] = [
        (Mistake::Panic, "panic"),
        (Mistake::ShowAnyway, "bytes that were never written"),
        (Mistake::ShowLess, "a name is not shown"),
        (Mistake::Stray, "sectors that the disk does not have"),
        (Mistake::Repeat, "requests without end"),
        (Mistake::Hoard, "memory without end"),
    ];
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Sum),
}

/// The bytes of a file, told from others by their number and FNV-1a.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(usize, u64);

impl core::fmt::Display for Sum {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {:016x}", self.0, self.1)
    }
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
        for byte in bytes {
            self.1 = (self.1 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

/// The same of what was found with all its bytes.
pub fn shown(contents: &BTreeMap<String, Found>) -> BTreeMap<String, Shown> {
    let of = |found: &Found| match found {
        Found::Directory => Shown::Directory,
        Found::File(bytes) => {
            let mut sum = Sum::default();
            sum.add(bytes);
            Shown::File(sum)
        }
    };
    let all = contents.iter();
    all.map(|(path, found)| (path.clone(), of(found))).collect()
}

/// What was seen of a file system.
#[derive(Debug, Default)]
pub struct Seen {
    /// What paths led to.
    found: BTreeMap<String, Shown>,
    /// Paths that something is not known of.
    unknown: BTreeSet<String>,
    /// What has been visited: there are no links, but damage can make some.
    nodes: BTreeSet<NodeId>,
}

impl Seen {
    /// Whether something could not be read.
    pub fn is_limited(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// What was shown as good and is not, if these are the contents.
    pub fn wrong(&self, contents: &BTreeMap<String, Shown>) -> Option<&'static str> {
        for (path, shown) in &self.found {
            match contents.get(path) {
                _ if self.is_unknown(path) => {}
                None => return Some("a name that was never given"),
                Some(good) if good != shown => return Some("bytes that were never written"),
                Some(_) => {}
            }
        }
        let missing = |path: &&String| !self.found.contains_key(*path) && !self.is_unknown(path);
        contents.keys().find(missing).map(|_| "a name is not shown")
    }

    /// Whether something was refused at this path or above it.
    fn is_unknown(&self, path: &str) -> bool {
        let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
        self.unknown.contains("")
            || self.unknown.contains(path)
            || above.any(|path| self.unknown.contains(path))
    }
}

/// Who uses a disk.
pub struct Client<'d> {
    disk: &'d SimulatedDisk,
    mistake: Option<Mistake>,
}

impl<'d> Client<'d> {
    /// Makes this mistake at each error.
    pub fn new(disk: &'d SimulatedDisk, mistake: Option<Mistake>) -> Self {
        Client { disk, mistake }
    }

    /// Reads all and changes much, twice; what there was at first, `None` if the
    /// file system is refused.
    pub fn use_up(&self, random: &mut Random) -> Option<Seen> {
        let mut volume = mount(self.disk).ok()?;
        let seen = self.walk(&volume);
        change_all(&mut volume, &seen, random);
        drop(volume);
        // As after a cut: what the first time left is replayed.
        if let Ok(mut volume) = mount(self.disk) {
            let again = self.walk(&volume);
            change_all(&mut volume, &again, random);
        }
        Some(seen)
    }

    /// Reads all that there is.
    pub fn walk(&self, volume: &Ext4Volume<SimulatedDisk>) -> Seen {
        let mut seen = Seen::default();
        seen.nodes.insert(volume.root());
        let mut open = vec![(String::new(), volume.root())];
        while let Some((above, directory)) = open.pop() {
            let listed = self.list(volume, &above, directory, &mut seen, &mut open);
            if listed.is_err() && self.mistake != Some(Mistake::ShowLess) {
                seen.unknown.insert(above);
            }
        }
        // An error is as good as an answer.
        let _ = volume.space();
        seen
    }

    fn list(
        &self,
        volume: &dyn Volume,
        above: &str,
        directory: NodeId,
        seen: &mut Seen,
        open: &mut Vec<(String, NodeId)>,
    ) -> Result<(), FileError> {
        let mut cursor = 0;
        loop {
            let mut names = Vec::new();
            cursor = volume.list(directory, cursor, &mut |entry| {
                names.push((entry.name.to_owned(), entry.kind));
                names.len() < NODES
            })?;
            for (name, kind) in names {
                let path = join(above, &name);
                if seen.found.len() + seen.unknown.len() > NODES {
                    seen.unknown.insert(String::new());
                    return Ok(());
                }
                let visited = visit(volume, directory, &name, kind, &mut seen.nodes);
                match visited.or_else(|error| self.refused(directory, error)) {
                    Ok((node, shown)) => {
                        if shown == Shown::Directory {
                            open.push((path.clone(), node));
                        }
                        seen.found.insert(path, shown);
                    }
                    Err(_) => _ = seen.unknown.insert(path),
                }
            }
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// What becomes of an error.
    fn refused(&self, node: NodeId, error: FileError) -> Result<(NodeId, Shown), FileError> {
        let mut disk = self.disk.clone();
        let mut sector = [0; SECTOR];
        match self.mistake {
            Some(Mistake::Panic) => panic!("a mistake: {error}"),
            Some(Mistake::ShowAnyway) => return Ok((node, Shown::File(Sum::default()))),
            Some(Mistake::Stray) => {
                // Refused, but counted.
                let _ = disk.read(disk.sectors(), &mut sector);
            }
            Some(Mistake::Repeat) => while disk.read(0, &mut sector).is_ok() {},
            Some(Mistake::Hoard) => drop(std::hint::black_box(vec![0_u8; 8 << 20])),
            Some(Mistake::ShowLess) | None => {}
        }
        Err(error)
    }
}

fn visit(
    volume: &dyn Volume,
    directory: NodeId,
    name: &str,
    kind: FileKind,
    nodes: &mut BTreeSet<NodeId>,
) -> Result<(NodeId, Shown), FileError> {
    let node = volume.lookup(directory, name)?;
    if !nodes.insert(node) {
        return Err(FileError::Loop);
    }
    let stat = volume.stat(node)?;
    if kind == FileKind::Directory {
        return Ok((node, Shown::Directory));
    }
    let mut sum = Sum::default();
    let mut add = |_: u64, piece: &[u8]| {
        sum.add(piece);
        Ok(())
    };
    volume.read(node, 0, BYTES, &mut add)?;
    if stat.size > BYTES {
        volume.read(node, stat.size - 5000, 5000, &mut |_, _| Ok(()))?;
    }
    Ok((node, Shown::File(sum)))
}

/// Changes what there is in all ways. Any of them may be refused.
fn change_all(volume: &mut dyn Volume, seen: &Seen, random: &mut Random) {
    let mut accounts = no_accounts();
    let root = volume.root();
    let paths: Vec<&String> = seen.found.keys().collect();
    let length = 1 + random.below(60_000);
    let mut inlet = |_: u64, into: &mut [u8]| {
        into.fill(0xa5);
        Ok(())
    };
    for round in 0..6 {
        let name = format!("new{round}");
        if round % 3 == 0 {
            let _ = volume.create_directory(root, &name, change(&mut accounts));
        } else if let Ok(node) = volume.create_file(root, &name, change(&mut accounts)) {
            volume.open(node);
            let _ = volume.write(node, 0, length, &mut inlet, change(&mut accounts));
            let _ = volume.sync(node);
            volume.close(node, &mut accounts);
        }
        if paths.is_empty() {
            continue;
        }
        let path = random.pick(&paths);
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Ok(directory) = find(volume, above) else {
            continue;
        };
        if let Ok(node) = volume.lookup(directory, name) {
            volume.open(node);
            let (at, size) = (random.below(100_000), random.below(20_000));
            let _ = volume.write(node, at, length / 8, &mut inlet, change(&mut accounts));
            let _ = volume.set_size(node, size, change(&mut accounts));
            volume.close(node, &mut accounts);
        }
        let moved = format!("moved{round}");
        let _ = match random.below(2) {
            0 => volume.remove(directory, name, change(&mut accounts)),
            _ => volume.rename((directory, name), (root, &moved), change(&mut accounts)),
        };
    }
    let _ = volume.rest();
}

fn find(volume: &dyn Volume, path: &str) -> Result<NodeId, FileError> {
    let names = path.split('/').filter(|name| !name.is_empty());
    let mut node = volume.root();
    for name in names {
        node = volume.lookup(node, name)?;
    }
    Ok(node)
}
