//! The disks that the page gave the shell, to be handed on whole or in part.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::interfaces::block::{BlockAccess, BlockClient, BlockError, Partition};
use libipc::note::{DISK, Use};
use libipc::{CallError, Capability, Start};
use tessera_tools::IoError;
use tessera_tools::disk::{Disk, split};
use tessera_tools::native::{NativeDisk, block_error};

/// What the names begin with under which a page gives a shell disks.
const PREFIX: &str = "disk";

/// Disks by name.
pub struct Disks(Vec<(String, NativeDisk)>);

impl Disks {
    /// Takes all that the shell was given.
    pub fn new(start: &mut Start) -> Self {
        let names = start.names().filter(|name| name.starts_with(PREFIX));
        let names: Vec<String> = names.map(ToString::to_string).collect();
        let take = |name: String| {
            let disk = start.take::<BlockClient>(&name).ok()?;
            Some((name, NativeDisk(disk)))
        };
        Disks(names.into_iter().filter_map(take).collect())
    }

    /// A capability for what a path such as `@disk/2` names, that allows no more.
    pub fn open(&mut self, path: &str, access: BlockAccess) -> Result<BlockClient, IoError> {
        let (name, partition) = split(path).unwrap_or_default();
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        let (_, disk) = found.ok_or_else(no_disk)?;
        let number = match partition {
            None => 0,
            Some(wanted) => find(disk, wanted)?.number,
        };
        disk.0.open(number, access).map_err(block_error)
    }

    /// What a program's note asks for.
    pub fn open_for(&mut self, path: &str, used: Use) -> Result<Capability, IoError> {
        let access = match used.contains(Use::WRITE) {
            true => BlockAccess::ReadWrite,
            false => BlockAccess::Read,
        };
        self.open(path, access).map(Capability::from)
    }

    /// Capabilities to read all disks, by the paths that name them.
    pub fn open_all(&mut self) -> Vec<(String, Capability)> {
        let disks = self.0.iter();
        let opened = disks.filter_map(|(name, disk)| {
            // One that the machine does not have is none.
            let disk = disk.0.open(0, BlockAccess::Read).ok()?;
            Some((alloc::format!("{DISK}{name}"), disk.into()))
        });
        opened.collect()
    }
}

/// The partition of this number, or the only one of this name.
fn find(disk: &mut NativeDisk, wanted: &str) -> Result<Partition, IoError> {
    if let Ok(number) = wanted.parse::<u64>() {
        let found = disk.partition(number.max(1))?;
        return found
            .filter(|found| found.number == number)
            .ok_or_else(no_disk);
    }
    let mut found = None;
    let mut number = 1;
    while let Some(partition) = disk.partition(number)? {
        if partition.name.as_str() == wanted && found.replace(partition).is_some() {
            return Err(IoError::Failed("several partitions have this name".into()));
        }
        number = partition.number + 1;
    }
    found.ok_or_else(no_disk)
}

/// Why a disk is not opened that somebody has to himself.
pub(super) fn in_use() -> IoError {
    block_error(CallError::Server(BlockError::InUse))
}

fn no_disk() -> IoError {
    IoError::Failed("no such disk or partition (`lsblk` lists them)".into())
}
