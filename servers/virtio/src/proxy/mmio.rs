//! Registers of a device on the memory bus (Virtio 1.2, 4.2.2).

use super::{Registers, ring::Place};
use libipc::memory::Mapping;

/// What stands in the first register.
const MAGIC: u32 = 0x7472_6976;
/// The version of the interface that is not the legacy one.
const VERSION: u32 = 2;

mod register {
    pub(super) const MAGIC: usize = 0x000;
    pub(super) const VERSION: usize = 0x004;
    pub(super) const DEVICE: usize = 0x008;
    pub(super) const FEATURES: usize = 0x010;
    pub(super) const FEATURES_SELECT: usize = 0x014;
    pub(super) const DRIVER_FEATURES: usize = 0x020;
    pub(super) const DRIVER_FEATURES_SELECT: usize = 0x024;
    pub(super) const QUEUE_SELECT: usize = 0x030;
    pub(super) const QUEUE_SIZE_MAX: usize = 0x034;
    pub(super) const QUEUE_SIZE: usize = 0x038;
    pub(super) const QUEUE_READY: usize = 0x044;
    pub(super) const QUEUE_NOTIFY: usize = 0x050;
    pub(super) const INTERRUPT_STATUS: usize = 0x060;
    pub(super) const INTERRUPT_ACKNOWLEDGE: usize = 0x064;
    pub(super) const STATUS: usize = 0x070;
    pub(super) const QUEUE_DESCRIPTORS: usize = 0x080;
    pub(super) const QUEUE_AVAILABLE: usize = 0x090;
    pub(super) const QUEUE_USED: usize = 0x0a0;
    pub(super) const CONFIG: usize = 0x100;
    /// Bytes of the registers, as the device tree says.
    pub(super) const END: usize = 0x200;
}

/// A device's registers, mapped.
#[derive(Debug)]
pub struct Mmio {
    mapping: Mapping,
    offset: usize,
}

impl Mmio {
    /// The registers that begin at `offset` of a mapping. `None` if they do not lie
    /// there, or are none of a device that speaks this version.
    pub fn new(mapping: Mapping, offset: usize) -> Option<Mmio> {
        let fits = offset.checked_add(register::END)? <= mapping.len() && offset.is_multiple_of(4);
        let mmio = fits.then_some(Mmio { mapping, offset })?;
        let known = mmio.get(register::MAGIC) == MAGIC && mmio.get(register::VERSION) == VERSION;
        known.then_some(mmio)
    }

    fn get(&self, register: usize) -> u32 {
        // `new` made sure that it is there.
        self.mapping.read(self.offset + register).unwrap_or(0)
    }

    fn set(&mut self, register: usize, value: u32) {
        let set = self.mapping.write(self.offset + register, value);
        debug_assert!(set.is_some(), "`new` made sure that it is there");
    }

    fn set_wide(&mut self, register: usize, value: u64) {
        self.set(register, value as u32);
        self.set(register + 4, (value >> 32) as u32);
    }
}

impl Registers for Mmio {
    fn device(&self) -> u32 {
        self.get(register::DEVICE)
    }

    fn features(&self) -> u64 {
        let half = |select: u32| {
            let place = self.offset + register::FEATURES_SELECT;
            let selected = self.mapping.write(place, select);
            u64::from(selected.map_or(0, |()| self.get(register::FEATURES)))
        };
        half(1) << 32 | half(0)
    }

    fn set_features(&mut self, features: u64) {
        for (select, half) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.set(register::DRIVER_FEATURES_SELECT, select);
            self.set(register::DRIVER_FEATURES, half);
        }
    }

    fn status(&self) -> u32 {
        self.get(register::STATUS)
    }

    fn set_status(&mut self, status: u32) {
        self.set(register::STATUS, status);
    }

    fn queue_size(&mut self, queue: u16) -> u32 {
        self.set(register::QUEUE_SELECT, queue.into());
        self.get(register::QUEUE_SIZE_MAX)
    }

    fn set_queue(&mut self, queue: u16, size: u16, place: Place<u64>) {
        self.set(register::QUEUE_SELECT, queue.into());
        self.set(register::QUEUE_SIZE, size.into());
        self.set_wide(register::QUEUE_DESCRIPTORS, place.descriptors);
        self.set_wide(register::QUEUE_AVAILABLE, place.available);
        self.set_wide(register::QUEUE_USED, place.used);
        self.set(register::QUEUE_READY, 1);
    }

    #[inline]
    fn notify(&mut self, queue: u16) {
        self.set(register::QUEUE_NOTIFY, queue.into());
    }

    #[inline]
    fn take_interrupt(&mut self) -> u32 {
        let status = self.get(register::INTERRUPT_STATUS);
        self.set(register::INTERRUPT_ACKNOWLEDGE, status);
        status
    }

    fn config(&self, offset: usize) -> Option<u8> {
        let place = register::CONFIG.checked_add(offset)?;
        let there = place < register::END;
        there.then(|| self.mapping.read(self.offset + place))?
    }
}
