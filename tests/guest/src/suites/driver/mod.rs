//! A hostile driver: this suite drives a disk through its proxy and has the device read
//! its sectors to where it must not write, and write what it must not read. Not a byte
//! changes.

pub(crate) mod device;

use crate::{
    check::{Failure, Verdict},
    child::patience,
    run::{Case, World, cases},
};
use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use device::{DATA, Driver, NEXT, OWN, Victim, WRITE, elsewhere, refused};
use libipc::{
    CallError, Text,
    handle::ObjectType,
    interfaces::{
        supervisor::{CapsClient, SupervisorError},
        virtio::{VirtioError, VirtioQueue},
    },
    thread,
};
use tessera_test_cases::disk;

pub(crate) const CASES: &[Case] = cases![
    a_driver_reads_what_it_may,
    descriptors_that_lead_anywhere_else_change_nothing,
    rings_that_lie_anywhere_else_are_refused,
    memory_that_was_given_back_is_out_of_reach,
    descriptors_that_change_while_they_are_read_change_nothing,
    a_driver_holds_neither_registers_nor_interrupts,
];

/// Sectors of the disk that is driven are filled with this disk's bytes.
const DISK: u8 = 2;
/// Places in the driver's own memory.
const HEADER: usize = 0x800;
const STATUS: usize = 0x900;

/// Asks the device to read a sector to this address.
fn read(driver: &mut Driver, sector: u64, address: u64) -> Result<(), CallError<VirtioError>> {
    transfer(driver, 0, sector, address, WRITE)
}

/// Asks it to write a sector from this address.
fn write(driver: &mut Driver, sector: u64, address: u64) -> Result<(), CallError<VirtioError>> {
    transfer(driver, 1, sector, address, 0)
}

fn transfer(
    driver: &mut Driver,
    kind: u64,
    sector: u64,
    address: u64,
    flags: u64,
) -> Result<(), CallError<VirtioError>> {
    let asked = (|| {
        driver.write(HEADER, kind)?;
        driver.write(HEADER + 8, sector)?;
        driver.write(STATUS, u64::MAX)?;
        driver.descriptor(0, OWN + HEADER as u64, 16 | NEXT | 1 << 48)?;
        driver.descriptor(1, address, 512 | NEXT | flags | 2 << 48)?;
        driver.descriptor(2, OWN + STATUS as u64, 1 | WRITE)
    })();
    asked.map_err(|_| CallError::Server(VirtioError::BadAddress))?;
    driver.offer()
}

fn a_driver_reads_what_it_may(world: &mut World) -> Verdict {
    let mut driver = Driver::attach(world)?;
    for sector in [0, 5, 77] {
        read(&mut driver, sector, DATA + 4000)?;
        driver.wait()?;
        check_eq!(driver.own.read::<u8>(STATUS), Some(0));
        let mut bytes = [0; 512];
        driver.data.read_into(4000, &mut bytes)?;
        check_eq!(bytes, disk::sector(DISK, sector));
    }
    Ok(())
}

fn descriptors_that_lead_anywhere_else_change_nothing(world: &mut World) -> Verdict {
    let victim = Victim::new(64)?;
    for address in elsewhere() {
        for way in [read, write] {
            let mut driver = Driver::attach(world)?;
            check_eq!(
                way(&mut driver, 1, address),
                refused(VirtioError::BadDescriptor)
            );
            // The device was stopped, and knows nothing of it.
            check_eq!(driver.device.notify(0), refused(VirtioError::NotAttached));
            check_eq!(driver.used(), Some(0));
        }
    }
    // Nor does the disk hold what was there.
    let mut driver = Driver::attach(world)?;
    read(&mut driver, 1, DATA)?;
    driver.wait()?;
    let mut bytes = [0; 512];
    driver.data.read_into(0, &mut bytes)?;
    check_eq!(bytes, disk::sector(DISK, 1));
    victim.is_untouched()?;
    // The next one finds all as it was.
    a_driver_reads_what_it_may(world)
}

fn rings_that_lie_anywhere_else_are_refused(world: &mut World) -> Verdict {
    let victim = Victim::new(64)?;
    let good = Driver::queue();
    for address in elsewhere() {
        let driver = Driver::attach_without_queue(world)?;
        for queue in [
            VirtioQueue {
                descriptors: address,
                ..good
            },
            VirtioQueue {
                available: address,
                ..good
            },
            VirtioQueue {
                used: address,
                ..good
            },
        ] {
            let made = driver.device.set_queue(0, queue);
            check_eq!(made, refused(VirtioError::BadAddress));
        }
    }
    victim.is_untouched()?;
    a_driver_reads_what_it_may(world)
}

fn memory_that_was_given_back_is_out_of_reach(world: &mut World) -> Verdict {
    let mut driver = Driver::attach(world)?;
    driver.device.unmap(DATA)?;
    // Its frames are free, and soon somebody else's.
    let data = core::mem::replace(&mut driver.data, libipc::task().create_memory(1)?);
    drop(data);
    let victim = Victim::new(256)?;
    check_eq!(
        read(&mut driver, 1, DATA),
        refused(VirtioError::BadDescriptor)
    );
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
    let mut rounds = 0..;
    // The cores of a busy host take turns, too: the two must have met. On one core they
    // do after slices that seldom end in between.
    let deadline = patience();
    while let Some(round) = rounds.next()
        && (round < 200 || cores > 1 && stopped == 0 && !deadline.passed())
    {
        match read(&mut driver, round % 100, DATA) {
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
    check!(flips > 0 && (stopped > 0 || cores == 1));
    victim.is_untouched()
}

fn a_driver_holds_neither_registers_nor_interrupts(world: &mut World) -> Verdict {
    holds_no_device(world, &["disk", "fixed"], &["disk-queue", "fixed-queue"])
}

/// Registers, interrupt, DMA: all the proxies' own, none the drivers'.
pub(super) fn holds_no_device(world: &mut World, drivers: &[&str], proxies: &[&str]) -> Verdict {
    let caps: CapsClient = world.power("caps")?;
    let drivers = drivers.iter().map(|task| (task, 0));
    for (task, kinds) in drivers.chain(proxies.iter().map(|task| (task, 3))) {
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
        check_eq!((task, found.len()), (task, kinds));
    }
    Ok(())
}
