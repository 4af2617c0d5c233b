//! The disk as `rsext4` wants it.

use crate::{error::of_disk, guard::Guard};
use alloc::rc::Rc;
use core::cell::{RefCell, RefMut};
use rsext4::{BlockIo, DeviceCapabilities, DeviceGeometry, Ext4Result, SectorId};
use tessera_disk::{Disk, SECTOR};

/// A guarded disk with two holders: the mounted file system, and whoever mounts
/// and unmounts it.
#[derive(Debug)]
pub struct Device<D>(Rc<RefCell<Guard<D>>>);

impl<D: Disk> Device<D> {
    /// Holds `disk`.
    pub fn new(disk: D) -> Self {
        Device(Rc::new(RefCell::new(Guard::new(disk))))
    }

    /// A second holder.
    pub fn share(&self) -> Self {
        Device(self.0.clone())
    }

    /// The disk behind its guard. Not to be kept: the file system needs it.
    pub fn guard(&self) -> RefMut<'_, Guard<D>> {
        self.0.borrow_mut()
    }
}

impl<D: Disk> BlockIo for Device<D> {
    fn write(&mut self, buffer: &[u8], sector: SectorId, _count: u32) -> Ext4Result<()> {
        self.guard().write(sector.raw(), buffer).map_err(of_disk)
    }

    fn read(&mut self, buffer: &mut [u8], sector: SectorId, _count: u32) -> Ext4Result<()> {
        self.guard().read(sector.raw(), buffer).map_err(of_disk)
    }

    fn geometry(&self) -> DeviceGeometry {
        DeviceGeometry::new(SECTOR as u32, self.guard().disk().sectors())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities {
            read_only: self.guard().disk().is_read_only(),
            flush: true,
            ..DeviceCapabilities::default()
        }
    }

    fn flush(&mut self) -> Ext4Result<()> {
        self.guard().flush().map_err(of_disk)
    }
}
