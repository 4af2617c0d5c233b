//! A hostile driver: this suite drives a disk through its proxy and has the device read
//! its sectors to where it must not write. Not a byte changes.

use crate::{
    check::{Failure, Verdict},
    child::patience,
    run::{Case, World, cases},
};
use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use libipc::{
    CallError, PAGE, Text,
    handle::{ObjectType, Rights},
    interfaces::{
        supervisor::{CapsClient, SupervisorError},
        virtio::{VirtioClient, VirtioError, VirtioQueue},
    },
    memory::Mapping,
    objects::{EndpointClient, MemoryClient},
    server::{Event, Receiver},
    thread,
};
use tessera_test_cases::disk;

pub(crate) const CASES: &[Case] = cases![
    a_driver_reads_what_it_may,
    descriptors_that_lead_anywhere_else_change_nothing,
    memory_that_was_given_back_is_out_of_reach,
    descriptors_that_change_while_they_are_read_change_nothing,
    a_driver_holds_neither_registers_nor_interrupts,
];

/// Sectors of the disk that is driven are filled with this disk's bytes.
const DISK: u8 = 2;
/// Where the driver's memory is in its space: rings and header, then data.
const OWN: u64 = 0x10_0000;
const DATA: u64 = 0x4000_0000;
/// Places in the first.
const AVAILABLE: usize = 0x200;
const USED: usize = 0x400;
const HEADER: usize = 0x800;
const STATUS: usize = 0x900;

const NEXT: u64 = 1 << 32;
const WRITE: u64 = 2 << 32;

/// A driver, as far as it must work.
struct Driver {
    device: VirtioClient,
    told: EndpointClient,
    own: Arc<Mapping>,
    own_memory: MemoryClient,
    /// Memory that the device may write to, of two pages.
    data: MemoryClient,
    available: u16,
}

impl Driver {
    fn attach(world: &mut World) -> Result<Driver, Failure> {
        Self::attach_with(world, libipc::task().create_memory(1)?)
    }

    /// With this memory for its rings.
    fn attach_with(world: &mut World, own: MemoryClient) -> Result<Driver, Failure> {
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
        let queue = VirtioQueue {
            size: 8,
            descriptors: OWN,
            available: OWN + AVAILABLE as u64,
            used: OWN + USED as u64,
        };
        device.set_queue(0, queue)?;
        device.start()?;
        Ok(Driver {
            device,
            told,
            own: Arc::new(mapping),
            own_memory: own,
            data,
            available: 0,
        })
    }

    fn write(&self, offset: usize, value: u64) -> Verdict {
        let written = self.own.write(offset, value);
        written.ok_or_else(|| Failure::new("outside the page"))
    }

    fn descriptor(&self, index: usize, address: u64, rest: u64) -> Verdict {
        self.write(16 * index, address)?;
        self.write(16 * index + 8, rest)
    }

    /// Asks the device to read a sector to this address.
    fn read(&mut self, sector: u64, address: u64) -> Result<(), CallError<VirtioError>> {
        let asked = (|| {
            self.write(HEADER, 0)?;
            self.write(HEADER + 8, sector)?;
            self.write(STATUS, u64::MAX)?;
            self.descriptor(0, OWN + HEADER as u64, 16 | NEXT | 1 << 48)?;
            self.descriptor(1, address, 512 | NEXT | WRITE | 2 << 48)?;
            self.descriptor(2, OWN + STATUS as u64, 1 | WRITE)?;
            let slot = AVAILABLE + 4 + 2 * usize::from(self.available % 8);
            self.own.write(slot, 0_u16);
            self.available = self.available.wrapping_add(1);
            self.own.write(AVAILABLE + 2, self.available);
            Ok::<_, Failure>(())
        })();
        asked.map_err(|_| CallError::Server(VirtioError::BadAddress))?;
        self.device.notify(0)
    }

    /// Waits until all was used.
    fn wait(&self) -> Verdict {
        let mut receiver = Receiver::new(&self.told);
        while self.own.read::<u16>(USED + 2) != Some(self.available) {
            check!(matches!(receiver.wait(patience()), Ok(Event::Signals(1))));
        }
        Ok(())
    }
}

fn refused(error: VirtioError) -> Result<(), CallError<VirtioError>> {
    Err(CallError::Server(error))
}

/// Memory of somebody else, so many pages full of a pattern.
struct Victim(MemoryClient, u64);

impl Victim {
    fn new(pages: u64) -> Result<Victim, Failure> {
        let memory = libipc::task().create_memory(pages)?;
        for page in 0..pages {
            memory.write_from(page * PAGE as u64, &[0x5a; PAGE])?;
        }
        Ok(Victim(memory, pages))
    }

    fn is_untouched(&self) -> Verdict {
        let mut bytes = [0; PAGE];
        for page in 0..self.1 {
            self.0.read_into(page * PAGE as u64, &mut bytes)?;
            check!(bytes == [0x5a; PAGE]);
        }
        Ok(())
    }
}

fn a_driver_reads_what_it_may(world: &mut World) -> Verdict {
    let mut driver = Driver::attach(world)?;
    for sector in [0, 5, 77] {
        driver.read(sector, DATA + 4000)?;
        driver.wait()?;
        check_eq!(driver.own.read::<u8>(STATUS), Some(0));
        let mut bytes = [0; 512];
        driver.data.read_into(4000, &mut bytes)?;
        check_eq!(bytes, disk::sector(DISK, sector));
    }
    Ok(())
}

fn descriptors_that_lead_anywhere_else_change_nothing(world: &mut World) -> Verdict {
    // All of RAM, from before its begin to behind its end: the kernel, the frames of
    // others, those that are free; and where the registers of devices are.
    let ram: u64 = if cfg!(target_arch = "aarch64") {
        0x4000_0000
    } else {
        0x8000_0000
    };
    let victim = Victim::new(64)?;
    let mut addresses: Vec<u64> = (0..68).map(|mib| ram + (mib << 20) + 0x1000).collect();
    addresses.extend([
        0,
        0x0a00_0000,
        0x1000_1000,
        0x0900_0000,
        ram - 0x1000,
        OWN - 512,
        OWN + 4096 - 511,
        DATA - 1,
        DATA + 8192 - 511,
        u64::MAX - 511,
        u64::MAX - 100,
    ]);
    // Where the driver's own data is in its space is RAM, too.
    addresses.retain(|address| !(DATA..DATA + 8192 - 511).contains(address));
    for address in addresses {
        let mut driver = Driver::attach(world)?;
        check_eq!(driver.read(1, address), refused(VirtioError::BadDescriptor));
        // The device was stopped, and knows nothing of it.
        check_eq!(driver.device.notify(0), refused(VirtioError::NotAttached));
        check_eq!(driver.own.read::<u16>(USED + 2), Some(0));
    }
    victim.is_untouched()?;
    // The next one finds all as it was.
    a_driver_reads_what_it_may(world)
}

fn memory_that_was_given_back_is_out_of_reach(world: &mut World) -> Verdict {
    let mut driver = Driver::attach(world)?;
    driver.device.unmap(DATA)?;
    // Its frames are free, and soon somebody else's.
    let data = core::mem::replace(&mut driver.data, libipc::task().create_memory(1)?);
    drop(data);
    let victim = Victim::new(256)?;
    check_eq!(driver.read(1, DATA), refused(VirtioError::BadDescriptor));
    victim.is_untouched()?;
    // Nor is it in use by who comes next, in whatever way the last one left.
    let driver = Driver::attach(world)?;
    check_eq!(driver.device.unmap(OWN), refused(VirtioError::InUse));
    drop(Driver::attach(world)?);
    check_eq!(driver.device.notify(0), Ok(()));
    Ok(())
}

fn descriptors_that_change_while_they_are_read_change_nothing(world: &mut World) -> Verdict {
    let victim = Victim::new(64)?;
    let mut driver = Driver::attach(world)?;
    let memory = libipc::task().create_memory(1)?;
    driver
        .device
        .map(DATA + 0x10_0000, memory.as_ref().copy()?.into())?;
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let page = driver.own.clone();
    let other = thread::spawn(move || {
        // The second descriptor leads to the driver's memory, or to the kernel's.
        let mut flips = 0_u64;
        while !stop.load(Relaxed) {
            for address in [DATA, 0x4020_0000, DATA + 0x10_0000, 0x8020_0000] {
                page.write(16, address);
                flips += 1;
            }
        }
        flips
    })?;
    let cores = world.counters.counters()?.cores;
    if let Some(other) = other.thread() {
        other.set_core(cores - 1)?;
    }
    let (mut verdict, mut stopped) = (Ok(()), 0);
    for round in 0..200 {
        match driver.read(round % 100, DATA) {
            Ok(()) => verdict = driver.wait(),
            Err(CallError::Server(VirtioError::BadDescriptor)) => {
                // The same page again, which the other thread writes to.
                let own = driver.own_memory.as_ref().copy()?.into();
                driver = Driver::attach_with(world, own)?;
                stopped += 1;
            }
            Err(error) => verdict = Err(error.into()),
        }
        if verdict.is_err() {
            break;
        }
    }
    over.store(true, Relaxed);
    let flips = other
        .join()
        .ok_or_else(|| Failure::new("the other thread ended"))?;
    verdict?;
    // On one core the two take turns of a length that seldom ends in between.
    check!(flips > 0 && (stopped > 0 || cores == 1));
    victim.is_untouched()
}

fn a_driver_holds_neither_registers_nor_interrupts(world: &mut World) -> Verdict {
    let caps: CapsClient = world.power("caps")?;
    for (task, kinds) in [
        ("disk", 0),
        ("fixed", 0),
        ("disk-queue", 3),
        ("fixed-queue", 3),
    ] {
        let name = Text::new(task).ok_or_else(|| Failure::new("a long name"))?;
        let (mut index, mut found) = (0, Vec::new());
        loop {
            let held = match caps.capability(name, index) {
                Ok(held) => held,
                Err(CallError::Server(SupervisorError::NotFound)) => break,
                Err(error) => return Err(error.into()),
            };
            let kinds = [ObjectType::Interrupt, ObjectType::Dma];
            let given = held.name.as_str() == "registers";
            if given || kinds.iter().any(|kind| *kind as u8 == held.kind) {
                found.push(held.name.as_str().to_string());
            }
            index = held.next;
            if index == 0 {
                break;
            }
        }
        // Registers, interrupt, DMA: all the proxy's own, none the driver's.
        check_eq!((task, found.len()), (task, kinds));
    }
    Ok(())
}
