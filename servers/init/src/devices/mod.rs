//! Devices: which one a page means, what its driver's task gets of it, and what
//! happens to it when that task ends.
//!
//! ```text
//! tree      devices in the device tree, by their `compatible` strings
//! virtio    virtio devices on the memory bus, by their type
//! held      what the supervisor keeps of a device that a task has
//! ```

mod held;
mod tree;
mod virtio;

pub(crate) use held::Held;

use libipc::{PAGE, objects::SystemClient};
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

/// The device that a page means, if the machine has it.
pub(crate) fn find<'t>(
    system: &SystemClient,
    tree: &'t [u8],
    device: &Device,
) -> Option<Found<'t>> {
    match device.virtio {
        Some(kind) => virtio::find(system, tree, kind, device.index),
        None => tree::all(tree, &device.compatible).next(),
    }
}
