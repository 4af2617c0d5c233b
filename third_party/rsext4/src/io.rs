//! Synchronous block I/O capabilities required by the portable ext4 core.

use bitflags::bitflags;

use crate::error::{Ext4Error, Ext4Result};

/// Typed logical sector identifier exposed by a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct SectorId(u64);

impl SectorId {
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    pub fn as_usize(self) -> Ext4Result<usize> {
        usize::try_from(self.0).map_err(|_| Ext4Error::overflow())
    }

    pub fn to_u32(self) -> Ext4Result<u32> {
        u32::try_from(self.0).map_err(|_| Ext4Error::overflow())
    }

    pub fn checked_add(self, count: u32) -> Ext4Result<Self> {
        self.0
            .checked_add(u64::from(count))
            .map(Self)
            .ok_or_else(Ext4Error::overflow)
    }
}

/// Immutable geometry of the injected block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceGeometry {
    pub logical_block_size: u32,
    pub physical_block_size: u32,
    pub block_count: u64,
}

impl DeviceGeometry {
    pub const fn new(logical_block_size: u32, block_count: u64) -> Self {
        Self {
            logical_block_size,
            physical_block_size: logical_block_size,
            block_count,
        }
    }

    /// Overrides the physical block size while preserving logical-sector I/O.
    pub const fn with_physical_block_size(mut self, physical_block_size: u32) -> Self {
        self.physical_block_size = physical_block_size;
        self
    }
}

/// Optional durability and maintenance operations provided by a device.
///
/// Setting `fua` requires [`BlockIo::write_with_flags`] to implement
/// [`WriteFlags::FUA`]. A device that cannot do so must leave `fua` clear; the
/// filesystem-block adapter may then emulate FUA with an advertised `flush`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCapabilities {
    pub read_only: bool,
    pub flush: bool,
    pub barrier: bool,
    pub fua: bool,
    pub discard: bool,
}

bitflags! {
    /// Durability requirements attached to one block write.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct WriteFlags: u8 {
        const FUA = 1 << 0;
        const METADATA = 1 << 1;
    }
}

/// Low-level synchronous sector I/O interface used by the filesystem core.
///
/// Device lifecycle, asynchronous completion, IRQ handling, and OS locking are
/// deliberately outside this boundary. Addresses and counts are always in the
/// device's logical-sector units; ext4 filesystem blocks are translated by the
/// core's private block layer.
pub trait BlockIo {
    /// Writes exactly `count * geometry().logical_block_size` bytes.
    fn write(&mut self, buffer: &[u8], sector: SectorId, count: u32) -> Ext4Result<()>;

    /// Reads exactly `count * geometry().logical_block_size` bytes.
    fn read(&mut self, buffer: &mut [u8], sector: SectorId, count: u32) -> Ext4Result<()>;

    /// Writes with an explicit durability requirement.
    ///
    /// Implementations that advertise [`DeviceCapabilities::fua`] must honor
    /// [`WriteFlags::FUA`] here. The default deliberately rejects FUA instead
    /// of reporting false durability.
    fn write_with_flags(
        &mut self,
        buffer: &[u8],
        sector: SectorId,
        count: u32,
        flags: WriteFlags,
    ) -> Ext4Result<()> {
        if flags.is_empty() || flags == WriteFlags::METADATA {
            self.write(buffer, sector, count)
        } else {
            Err(Ext4Error::unsupported())
        }
    }

    /// Returns immutable device geometry.
    fn geometry(&self) -> DeviceGeometry;

    /// Returns optional operations supported by this device.
    fn capabilities(&self) -> DeviceCapabilities;

    /// Flushes device state to stable storage.
    fn flush(&mut self) -> Ext4Result<()>;

    /// Establishes an ordering barrier when supported by the device.
    fn barrier(&mut self) -> Ext4Result<()> {
        Err(Ext4Error::unsupported())
    }

    /// Discards a logical device-sector range when supported by the device.
    fn discard(&mut self, _start: SectorId, _count: u32) -> Ext4Result<()> {
        Err(Ext4Error::unsupported())
    }
}
