//! Registers of a device on PCI (Virtio 1.2, 4.1.4). They are all that the proxy has of
//! it: whose device it is, where it answers, whether it may write to memory at all and
//! how it interrupts is decided where this task cannot reach (`devices/pci` of the
//! supervisor). It interrupts by its pin, not by messages, which would be writes.

use super::{QUEUES, Registers, ring::Place};
use libipc::{interfaces::clients::VirtioPci, memory::Mapping};

/// The part that all devices have (4.1.4.3).
mod common {
    pub(super) const FEATURES_SELECT: usize = 0x00;
    pub(super) const FEATURES: usize = 0x04;
    pub(super) const DRIVER_FEATURES_SELECT: usize = 0x08;
    pub(super) const DRIVER_FEATURES: usize = 0x0c;
    pub(super) const STATUS: usize = 0x14;
    pub(super) const QUEUE_SELECT: usize = 0x16;
    pub(super) const QUEUE_SIZE: usize = 0x18;
    pub(super) const QUEUE_ENABLE: usize = 0x1c;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 0x1e;
    pub(super) const QUEUE_DESCRIPTORS: usize = 0x20;
    pub(super) const QUEUE_AVAILABLE: usize = 0x28;
    pub(super) const QUEUE_USED: usize = 0x30;
    pub(super) const END: usize = 0x38;
}

/// A device's registers, mapped.
#[derive(Debug)]
pub struct Pci {
    mapping: Mapping,
    parts: VirtioPci,
    /// Where each queue is announced.
    notify: [Option<usize>; QUEUES as usize],
}

impl Pci {
    /// The registers whose parts are there. `None` if one does not lie in the mapping.
    pub fn new(mapping: Mapping, parts: VirtioPci) -> Option<Pci> {
        let lies = |offset: u32, length: usize| {
            let end = (offset as usize).checked_add(length);
            end.is_some_and(|end| end <= mapping.len())
        };
        let fits = lies(parts.common, common::END)
            && parts.common.is_multiple_of(4)
            && lies(parts.notify.0, parts.notify.1 as usize)
            && lies(parts.interrupt, 1)
            && lies(parts.config.0, parts.config.1 as usize);
        fits.then_some(Pci {
            mapping,
            parts,
            notify: [None; QUEUES as usize],
        })
    }

    fn place(&self, register: usize) -> usize {
        self.parts.common as usize + register
    }

    fn set_wide(&mut self, register: usize, value: u64) {
        let place = self.place(register);
        // In halves: a device need not take more at once (4.1.3.1).
        self.mapping.write(place, value as u32);
        self.mapping.write(place + 4, (value >> 32) as u32);
    }

    fn set_half(&mut self, register: usize, value: u16) {
        let set = self.mapping.write(self.place(register), value);
        debug_assert!(set.is_some(), "`new` made sure that it is there");
    }

    /// Where a queue is announced, if that is where the device says that it can be.
    fn notify_place(&self, queue: u16) -> Option<usize> {
        let address = self
            .mapping
            .read::<u16>(self.place(common::QUEUE_NOTIFY_OFF))?;
        let offset = u64::from(address) * u64::from(self.parts.multiplier);
        let (first, length) = self.parts.notify;
        let there = offset + 2 <= u64::from(length) && queue < QUEUES;
        let place = (u64::from(first) + offset) as usize;
        (there && place.is_multiple_of(2)).then_some(place)
    }
}

impl Registers for Pci {
    fn device(&self) -> u32 {
        self.parts.device
    }

    fn features(&self) -> u64 {
        let half = |select: u32| {
            let selected = self
                .mapping
                .write(self.place(common::FEATURES_SELECT), select);
            let half = selected.and_then(|()| self.mapping.read(self.place(common::FEATURES)));
            u64::from(half.unwrap_or(0_u32))
        };
        half(1) << 32 | half(0)
    }

    fn set_features(&mut self, features: u64) {
        for (select, half) in [(0_u32, features as u32), (1, (features >> 32) as u32)] {
            let place = self.place(common::DRIVER_FEATURES_SELECT);
            self.mapping.write(place, select);
            self.mapping
                .write(self.place(common::DRIVER_FEATURES), half);
        }
    }

    fn status(&self) -> u32 {
        let status = self.mapping.read::<u8>(self.place(common::STATUS));
        // What nobody says is no reset.
        status.unwrap_or(u8::MAX).into()
    }

    fn set_status(&mut self, status: u32) {
        self.mapping.write(self.place(common::STATUS), status as u8);
    }

    fn queue_size(&mut self, queue: u16) -> u32 {
        self.set_half(common::QUEUE_SELECT, queue);
        let size = self.mapping.read::<u16>(self.place(common::QUEUE_SIZE));
        // A queue that cannot be announced is none.
        let size = size.filter(|_| self.notify_place(queue).is_some());
        size.unwrap_or(0).into()
    }

    fn set_queue(&mut self, queue: u16, size: u16, place: Place<u64>) {
        self.set_half(common::QUEUE_SELECT, queue);
        let notify = self.notify_place(queue);
        if let Some(known) = self.notify.get_mut(usize::from(queue)) {
            *known = notify;
        }
        self.set_half(common::QUEUE_SIZE, size);
        self.set_wide(common::QUEUE_DESCRIPTORS, place.descriptors);
        self.set_wide(common::QUEUE_AVAILABLE, place.available);
        self.set_wide(common::QUEUE_USED, place.used);
        self.set_half(common::QUEUE_ENABLE, 1);
    }

    #[inline]
    fn notify(&mut self, queue: u16) {
        if let Some(Some(place)) = self.notify.get(usize::from(queue)) {
            self.mapping.write(*place, queue);
        }
    }

    #[inline]
    fn take_interrupt(&mut self) -> u32 {
        // Reading it clears it (4.1.4.5).
        let why = self.mapping.read::<u8>(self.parts.interrupt as usize);
        why.unwrap_or(0).into()
    }

    fn config(&self, offset: usize) -> Option<u8> {
        let (first, length) = self.parts.config;
        let there = offset < length as usize;
        there.then(|| self.mapping.read(first as usize + offset))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libipc::handle::Rights;

    const PARTS: VirtioPci = VirtioPci {
        device: 4,
        common: 0,
        notify: (0x800, 0x100),
        multiplier: 4,
        interrupt: 0x400,
        config: (0x600, 8),
    };

    fn mapping() -> Mapping {
        let memory = libipc::task().create_memory(1).unwrap();
        Mapping::new(&memory, Rights::READ | Rights::WRITE).unwrap()
    }

    #[test]
    fn parts_outside_the_mapping_are_refused() {
        assert!(Pci::new(mapping(), PARTS).is_some());
        let end = 4096;
        let config = (end - 8, 8);
        assert!(Pci::new(mapping(), VirtioPci { config, ..PARTS }).is_some());
        for bad in [
            VirtioPci {
                common: end - 0x34,
                ..PARTS
            },
            VirtioPci { common: 2, ..PARTS },
            VirtioPci {
                notify: (end - 0xff, 0x100),
                ..PARTS
            },
            VirtioPci {
                notify: (0, u32::MAX),
                ..PARTS
            },
            VirtioPci {
                interrupt: end,
                ..PARTS
            },
            VirtioPci {
                config: (end - 7, 8),
                ..PARTS
            },
            VirtioPci {
                config: (u32::MAX, 8),
                ..PARTS
            },
        ] {
            assert!(Pci::new(mapping(), bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_queue_is_announced_where_the_device_says_or_is_none() {
        let mut pci = Pci::new(mapping(), PARTS).unwrap();
        pci.mapping.write(0x18, 256_u16).unwrap();
        pci.mapping.write(0x1e, 3_u16).unwrap();
        assert_eq!(pci.queue_size(1), 256);
        let place = Place {
            descriptors: 0x1_2345_6000,
            available: 0x1_2345_7000,
            used: 0x1_2345_8000,
        };
        pci.notify(1);
        assert_eq!(pci.mapping.read::<u16>(0x80c), Some(0));
        pci.set_queue(1, 64, place);
        pci.notify(1);
        assert_eq!(pci.mapping.read::<u16>(0x80c), Some(1));
        assert_eq!(pci.mapping.read::<u64>(0x30), Some(0x1_2345_8000));
        assert_eq!(pci.mapping.read::<u16>(0x1c), Some(1));
        for outside in [0x40, u16::MAX] {
            pci.mapping.write(0x1e, outside).unwrap();
            assert_eq!(pci.queue_size(1), 0);
        }
        pci.mapping.write(0x1e, 0x3f_u16).unwrap();
        pci.mapping.write(0x18, 8_u16).unwrap();
        assert_eq!(pci.queue_size(1), 8);
    }

    #[test]
    fn the_configuration_ends_where_the_device_says() {
        let pci = Pci::new(mapping(), PARTS).unwrap();
        pci.mapping.write(0x607, 9_u8).unwrap();
        assert_eq!((pci.config(7), pci.config(8)), (Some(9), None));
        assert_eq!(pci.config(usize::MAX), None);
    }
}
