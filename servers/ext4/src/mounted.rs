//! A file system between mount and unmount.

use crate::{device::Device, error::refusal, pages::PAGE};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use libipc::interfaces::FileError;
use rsext4::{
    Clock, Ext4, Ext4Result, Ext4Timestamp, MkfsOptions, MountOptions, MountServices,
    MountedServices, NoopObserver,
};
use tessera_disk::Disk;

/// `rsext4`'s file system over a disk.
pub type FileSystem<D> = Ext4<Device<D>, MountedServices<(), NoopObserver>>;

/// Blocks that the journal may hold: they are in memory until they are in their
/// places, and `rsext4` brings them there by itself only when the journal is full.
const JOURNALED: u64 = 512;

/// Nanoseconds since 1970, set before each operation.
#[derive(Clone, Debug, Default)]
pub struct Time(Arc<AtomicU64>);

impl Time {
    /// It is now so late.
    pub fn set(&self, nanoseconds: u64) {
        self.0.store(nanoseconds, Ordering::Relaxed);
    }

    /// How late it is.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clock for Time {
    fn now(&self) -> Ext4Result<Ext4Timestamp> {
        const SECOND: u64 = 1_000_000_000;
        let now = Time::now(self);
        Ok(Ext4Timestamp::new(
            (now / SECOND) as i64,
            (now % SECOND) as u32,
        ))
    }
}

/// A file system that is mounted when it is used, and clean when it has been at
/// rest.
pub struct Mounted<D: Disk> {
    device: Device<D>,
    time: Time,
    is_read_only: bool,
    /// Its blocks are as large as pages.
    has_pages: bool,
    current: Option<FileSystem<D>>,
}

impl<D: Disk> Mounted<D> {
    /// Mounts what is on `disk`, replaying its journal.
    ///
    /// `Corrupt` if it is no ext4 file system that can be used, `DeviceFailed`.
    pub fn new(disk: D, time: Time) -> Result<Self, FileError> {
        let mut mounted = Mounted {
            is_read_only: disk.is_read_only(),
            device: Device::new(disk),
            time,
            has_pages: false,
            current: None,
        };
        mounted.get()?;
        Ok(mounted)
    }

    /// Whether it cannot be changed.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether its blocks are as large as pages.
    pub fn has_pages(&self) -> bool {
        self.has_pages
    }

    /// Whether `rsext4` has anything in its caches.
    pub fn is_mounted(&self) -> bool {
        self.current.is_some()
    }

    /// The disk. What is read and written there is not to be in blocks that the file
    /// system has in its own caches.
    pub fn device(&self) -> &Device<D> {
        &self.device
    }

    /// The file system, mounted now if it was not.
    pub fn get(&mut self) -> Result<&mut FileSystem<D>, FileError> {
        if self.current.is_none() {
            self.device.guard().begin().map_err(FileError::from)?;
            let options = if self.is_read_only {
                MountOptions::read_only_no_journal_replay()
            } else {
                MountOptions::read_write()
            };
            let services = MountServices::new(self.time.clone(), (), NoopObserver);
            let mounted = Ext4::mount(self.device.share(), services, options);
            let mounted = mounted.map_err(refusal)?;
            self.has_pages = mounted.statfs().block_size == PAGE;
            self.current = Some(mounted);
        }
        self.current.as_mut().ok_or(FileError::DeviceFailed)
    }

    /// Everything is durable when this returns.
    pub fn sync(&mut self) -> Result<(), FileError> {
        match &mut self.current {
            Some(current) => current.sync().map_err(refusal)?,
            // Bytes of files may have been written since it was unmounted.
            None => self.device.guard().flush().map_err(FileError::from)?,
        }
        if self.is_full() {
            self.rest()?;
        }
        Ok(())
    }

    /// Whether the journal holds as much as it may: a sync empties it.
    pub fn is_full(&self) -> bool {
        self.device.guard().small_writes() > JOURNALED
    }

    /// Everything is durable and in its place, the journal empty and the file
    /// system clean when this returns. While removed files are open it is only
    /// durable.
    pub fn rest(&mut self) -> Result<(), FileError> {
        let Some(current) = &mut self.current else {
            return self.device.guard().flush().map_err(FileError::from);
        };
        current.sync().map_err(refusal)?;
        match current.unmount() {
            Ok(()) => {}
            Err(error) if error.kind() == rsext4::Ext4ErrorKind::Busy => return Ok(()),
            Err(error) => return Err(refusal(error)),
        }
        self.current = None;
        if self.is_read_only {
            return Ok(());
        }
        self.device.guard().finish().map_err(FileError::from)
    }
}

/// Makes an empty file system on the whole of `disk`, whatever was there.
pub fn format<D: Disk>(disk: &mut D, time: Time) -> Result<(), FileError> {
    let device = Device::new(&mut *disk);
    rsext4::format(device, time, MkfsOptions::default()).map_err(refusal)?;
    Ok(())
}
