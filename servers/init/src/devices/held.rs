//! What the supervisor keeps of a device that reads and writes memory by itself.

use super::{Devices, Found, pci::Switch};
use libipc::{
    CallError,
    handle::Rights,
    memory::{Mapping, Word},
    objects::{DmaClient, MemoryClient, ObjectError, SystemClient},
};

/// Where a virtio device has its status: on the memory bus, and on PCI in the first
/// part of its registers (Virtio 1.2, 4.2.2 and 4.1.4.3).
const STATUS: usize = 0x70;
const STATUS_ON_PCI: usize = 0x14;

/// How often a device that was reset is asked whether it has done so.
const PATIENCE: usize = 1 << 20;

/// A device that a task has, and the memory that it may reach: that goes back when the
/// task has ended and the device was reset, whatever the task did.
#[derive(Debug)]
pub struct Held {
    registers: Mapping,
    offset: usize,
    dma: DmaClient,
    /// Where it is turned off, on PCI.
    switch: Option<Switch>,
}

impl Held {
    /// Keeps hold of the device with these registers, which may reach no memory yet.
    pub(crate) fn new(
        devices: &Devices,
        system: &SystemClient,
        registers: &MemoryClient,
        found: &Found<'_>,
    ) -> Result<Held, CallError<ObjectError>> {
        let switch = found
            .pci
            .and_then(|(number, _)| Some(devices.bus(system)?.switch(number)));
        let held = Held {
            registers: Mapping::new(registers, Rights::READ | Rights::WRITE)?,
            offset: found.offset() as usize,
            dma: system.create_dma()?,
            switch,
        };
        if let Some(switch) = &held.switch {
            switch.on();
        }
        Ok(held)
    }

    /// What the device may reach.
    pub(crate) fn dma(&self) -> &DmaClient {
        &self.dma
    }

    /// The task has ended. `false` if the device cannot be reset: then it keeps what
    /// it may be writing to.
    pub(crate) fn release(self) -> bool {
        let reset = match &self.switch {
            None => reset::<u32>(&self.registers, self.offset + STATUS),
            Some(_) => reset::<u8>(&self.registers, self.offset + STATUS_ON_PCI),
        };
        if let Some(switch) = &self.switch {
            switch.off();
        }
        reset.is_some() && self.dma.release_all().is_ok()
    }
}

/// Resets a device: when this is `Some` it reads and writes no memory any more.
fn reset<W: Word + PartialEq + From<u8>>(registers: &Mapping, status: usize) -> Option<()> {
    registers.write(status, W::from(0))?;
    let mut asked = (0..PATIENCE).map(|_| registers.read::<W>(status));
    asked.find(|status| *status == Some(W::from(0))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_reset_when_it_says_so() {
        let memory = libipc::task().create_memory(1).unwrap();
        let registers = Mapping::new(&memory, Rights::READ | Rights::WRITE).unwrap();
        registers.write(0x270, 0x0f0f_0f0f_u32).unwrap();
        assert_eq!(reset::<u8>(&registers, 0x271), Some(()));
        assert_eq!(registers.read::<u32>(0x270), Some(0x0f0f_000f));
        assert_eq!(reset::<u32>(&registers, 0x270), Some(()));
        assert_eq!(registers.read::<u32>(0x270), Some(0));
        // One whose registers are not there never is.
        assert_eq!(reset::<u32>(&registers, 0x1000), None);
    }
}
