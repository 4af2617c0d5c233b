//! The disks that the page gave the shell, to be handed on whole or in part.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::interfaces::block::{BlockAccess, BlockClient, BlockError, Partition};
use libipc::note::{DISK, Use};
use libipc::{CallError, Capability, Start, Text};
use tessera_tools::IoError;
use tessera_tools::disk::{Disk, split};
use tessera_tools::native::{NativeDisk, block_error};

use super::World;
use super::mounts::PATIENCE;
use crate::execute::Host;
use crate::execute::bus::in_words;

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

    /// The disk that a path such as `@disk/2` names, and which partition, if it is one of
    /// these.
    fn find<'p>(&mut self, path: &'p str) -> Option<(&mut NativeDisk, Option<&'p str>)> {
        let (name, partition) = split(path)?;
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, disk)| (disk, partition))
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

impl World {
    /// A capability for what a path such as `@disk/2` names, or `@kitchen/usb/2` of a disk
    /// that another device lends, that allows no more.
    pub(super) fn open_disk(
        &mut self,
        path: &str,
        access: BlockAccess,
    ) -> Result<BlockClient, IoError> {
        if let Some((disk, partition)) = self.disks.find(path) {
            return open(disk, partition, access);
        }
        let (device, rest) = split(path).ok_or_else(no_disk)?;
        let (service, partition) = match rest.ok_or_else(no_disk)?.split_once('/') {
            Some((service, partition)) => (service, Some(partition)),
            None => (rest.unwrap_or_default(), None),
        };
        let service = Text::new(service).ok_or_else(no_disk)?;
        let (device, partition) = (device.to_string(), partition.map(ToString::to_string));
        self.ask_bus(move |bus| {
            let device = bus.find(&device).map_err(|_| no_disk())?;
            let opened = bus.open(device.id, service, 0, &[]).map_err(in_words)?;
            let disk = BlockClient::from(opened).with_timeout(PATIENCE);
            let opened = open(&mut NativeDisk(disk), partition.as_deref(), access)?;
            Ok(opened.with_timeout(PATIENCE))
        })
    }

    /// Whether a path names a disk of this device.
    pub(super) fn is_here(&mut self, path: &str) -> bool {
        self.disks.find(path).is_some()
    }

    /// What a program's note asks for.
    pub(super) fn open_disk_for(&mut self, path: &str, used: Use) -> Result<Capability, IoError> {
        let access = match used.contains(Use::WRITE) {
            true => BlockAccess::ReadWrite,
            false => BlockAccess::Read,
        };
        self.open_disk(path, access).map(Capability::from)
    }
}

fn open(
    disk: &mut NativeDisk,
    partition: Option<&str>,
    access: BlockAccess,
) -> Result<BlockClient, IoError> {
    let number = match partition {
        None => 0,
        Some(wanted) => find(disk, wanted)?.number,
    };
    disk.0.open(number, access).map_err(block_error)
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
    IoError::Failed(
        "no such disk or partition (`lsblk` lists them), nor a device that lends one (`bus`)"
            .into(),
    )
}
