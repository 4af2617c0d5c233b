//! A driver as hostile as a suite wants it, of a device behind its proxy.

use crate::{
    check::{Failure, Verdict},
    child::patience,
    run::World,
};
use alloc::{sync::Arc, vec::Vec};
use libipc::{
    CallError, PAGE,
    handle::Rights,
    interfaces::virtio::{VirtioClient, VirtioError, VirtioQueue},
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
};

/// Where the driver's memory is in its space: rings and header, then data.
pub(crate) const OWN: u64 = 0x10_0000;
pub(crate) const DATA: u64 = 0x4000_0000;
/// Places in the first.
const AVAILABLE: usize = 0x200;
const USED: usize = 0x400;

pub(crate) const NEXT: u64 = 1 << 32;
pub(crate) const WRITE: u64 = 2 << 32;

/// A driver, as far as it must work.
pub(crate) struct Driver {
    pub(crate) device: VirtioClient,
    told: EndpointClient,
    pub(crate) own: Arc<Mapping>,
    pub(crate) own_memory: MemoryClient,
    /// Memory that the device may write to, of two pages.
    pub(crate) data: MemoryClient,
    available: u16,
}

impl Driver {
    pub(crate) fn attach(world: &mut World) -> Result<Driver, Failure> {
        Self::attach_with(world, libipc::task().create_memory(1)?)
    }

    /// With this memory for its rings.
    pub(crate) fn attach_with(world: &mut World, own: MemoryClient) -> Result<Driver, Failure> {
        let driver = Self::prepare(world, own)?;
        driver.device.set_queue(0, Self::queue())?;
        driver.device.start()?;
        Ok(driver)
    }

    /// As far as to its queue, which it does not have yet.
    pub(crate) fn attach_without_queue(world: &mut World) -> Result<Driver, Failure> {
        Self::prepare(world, libipc::task().create_memory(1)?)
    }

    /// Where its queue is.
    pub(crate) fn queue() -> VirtioQueue {
        VirtioQueue {
            size: 8,
            descriptors: OWN,
            available: OWN + AVAILABLE as u64,
            used: OWN + USED as u64,
        }
    }

    fn prepare(world: &mut World, own: MemoryClient) -> Result<Driver, Failure> {
        let device: VirtioClient = world.power("hostile")?;
        let told = libipc::task().create_endpoint()?;
        let signal = told.as_ref().derive(Rights::SIGNAL | Rights::GRANT)?;
        device.attach(signal.into(), 1)?;
        device.negotiate(1 << 32)?;
        let mapping = Mapping::new(&own, Rights::READ | Rights::WRITE)?;
        // Nothing is available yet, and nothing was used.
        let cleared = mapping
            .write(AVAILABLE, 0_u64)
            .and(mapping.write(USED, 0_u64));
        cleared.ok_or_else(|| Failure::new("outside the page"))?;
        device.map(OWN, own.as_ref().copy()?.into())?;
        let data = libipc::task().create_memory(2)?;
        device.map(DATA, data.as_ref().copy()?.into())?;
        Ok(Driver {
            device,
            told,
            own: Arc::new(mapping),
            own_memory: own,
            data,
            available: 0,
        })
    }

    pub(crate) fn write(&self, offset: usize, value: u64) -> Verdict {
        let written = self.own.write(offset, value);
        written.ok_or_else(|| Failure::new("outside the page"))
    }

    pub(crate) fn descriptor(&self, index: usize, address: u64, rest: u64) -> Verdict {
        self.write(16 * index, address)?;
        self.write(16 * index + 8, rest)
    }

    /// Makes the chain available that begins with the first descriptor.
    pub(crate) fn offer(&mut self) -> Result<(), CallError<VirtioError>> {
        let slot = AVAILABLE + 4 + 2 * usize::from(self.available % 8);
        self.available = self.available.wrapping_add(1);
        let head = self.own.write(slot, 0_u16);
        let count = self.own.write(AVAILABLE + 2, self.available);
        head.and(count)
            .ok_or(CallError::Server(VirtioError::BadAddress))?;
        self.device.notify(0)
    }

    /// How much was used so far.
    pub(crate) fn used(&self) -> Option<u16> {
        self.own.read(USED + 2)
    }

    /// Waits until all was used.
    pub(crate) fn wait(&self) -> Verdict {
        let mut receiver = Receiver::new(&self.told);
        while self.used() != Some(self.available) {
            check!(matches!(receiver.wait(patience()), Ok(Event::Signals(1))));
        }
        Ok(())
    }
}

pub(crate) fn refused(error: VirtioError) -> Result<(), CallError<VirtioError>> {
    Err(CallError::Server(error))
}

/// Addresses that are none of a driver's own: all of RAM, from before its begin to
/// behind its end, with the kernel, the frames of others and those that are free; where
/// the registers of devices are, this one's included; and where its own memory ends.
pub(crate) fn elsewhere() -> Vec<u64> {
    let (ram, registers) = if cfg!(target_arch = "aarch64") {
        (
            0x4000_0000,
            [0x0a00_0000, 0x0900_0000, 0x0800_0000, 0x1000_0000],
        )
    } else {
        (
            0x8000_0000,
            [0x1000_1000, 0x1000_0000, 0x0c00_0000, 0x4000_0000_u64],
        )
    };
    let mut addresses: Vec<u64> = (0..68).map(|mib| ram + (mib << 20) + 0x1000).collect();
    addresses.extend(registers);
    addresses.extend([
        0,
        ram - 0x1000,
        OWN - 512,
        OWN + 4096 - 511,
        DATA - 1,
        DATA + 8192 - 511,
        u64::MAX - 511,
        u64::MAX - 100,
    ]);
    // Where the driver's own data is in its space is RAM, or registers, too.
    addresses.retain(|address| !(DATA..DATA + 8192 - 511).contains(address));
    addresses
}

/// Memory of somebody else, so many pages full of a pattern.
pub(crate) struct Victim(MemoryClient, u64);

impl Victim {
    pub(crate) fn new(pages: u64) -> Result<Victim, Failure> {
        let memory = libipc::task().create_memory(pages)?;
        for page in 0..pages {
            memory.write_from(page * PAGE as u64, &[0x5a; PAGE])?;
        }
        Ok(Victim(memory, pages))
    }

    pub(crate) fn is_untouched(&self) -> Verdict {
        let mut bytes = [0; PAGE];
        for page in 0..self.1 {
            self.0.read_into(page * PAGE as u64, &mut bytes)?;
            check!(bytes == [0x5a; PAGE]);
        }
        Ok(())
    }
}
