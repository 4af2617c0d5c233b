//! Devices: which one a page means, what its driver's task gets of it, and what
//! happens to it when that task ends.
//!
//! ```text
//! tree          devices in the device tree, by their `compatible` strings
//! virtio        virtio devices, by their type: on PCI, then on the memory bus
//! host          the bridge to a PCI bus, as the device tree has it
//! pci           functions of that bus: addresses, and what they may do
//! capabilities  where a virtio device on PCI has its registers
//! held          what the supervisor keeps of a device that a task has
//! ```

mod capabilities;
mod held;
mod host;
mod pci;
mod tree;
mod virtio;

pub(crate) use held::Held;

use core::cell::OnceCell;
use libipc::{PAGE, interfaces::clients::VirtioPci, objects::SystemClient};
use tessera_page::Device;

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'t> {
    /// Which of the `compatible` strings that were asked for it has.
    pub compatible: &'t str,
    /// Physical address of its registers.
    pub address: u64,
    /// Bytes of its registers.
    pub length: u64,
    /// Its interrupt line, as the kernel numbers them.
    pub line: Option<u64>,
    /// Where its registers are, if it is a virtio device on PCI, and its function
    /// there.
    pub pci: Option<(u16, VirtioPci)>,
}

impl Found<'_> {
    /// The pages in which the registers lie: physical address and number.
    pub fn pages(&self) -> (u64, u64) {
        let page = PAGE as u64;
        let first = self.address / page;
        let end = self
            .address
            .saturating_add(self.length.max(1))
            .div_ceil(page);
        (first * page, end - first)
    }

    /// Where in the first of these pages they begin.
    pub fn offset(&self) -> u64 {
        self.address % PAGE as u64
    }
}

/// Why there is no device for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDevice {
    /// The machine has none such, or not so many.
    Absent,
    /// Its registers share a page with another device's, so whoever had them would
    /// have both.
    Shared,
}

/// The devices of the machine.
#[derive(Debug)]
pub struct Devices {
    tree: &'static [u8],
    /// The PCI bus, walked when somebody first asks for what may be there.
    bus: OnceCell<Option<pci::Bus>>,
}

impl Devices {
    /// Those that this device tree describes.
    pub fn new(tree: &'static [u8]) -> Devices {
        Devices {
            tree,
            bus: OnceCell::new(),
        }
    }

    fn bus(&self, system: &SystemClient) -> Option<&pci::Bus> {
        let walk = || pci::Bus::new(system, &host::find(self.tree)?);
        self.bus.get_or_init(walk).as_ref()
    }

    /// The device that a page means.
    pub(crate) fn find(
        &self,
        system: &SystemClient,
        device: &Device,
    ) -> Result<Found<'static>, NoDevice> {
        match device.virtio {
            Some(kind) => virtio::find(system, self.tree, self.bus(system), kind, device.index),
            None => {
                let mut found = tree::all(self.tree, &device.compatible);
                found.next().ok_or(NoDevice::Absent)
            }
        }
    }
}
