//! Memory that a device may reach: whose it stays, and until when.

use super::{EXECUTE, HERE, PAGE_SIZE, READ, WRITE, cause, refused};
use crate::{
    check::Verdict,
    child::{Given, Plan, given, patience},
    raw::PlaceAt,
    run::World,
    wait,
};
use alloc::vec::Vec;
use libipc::{
    CallError, PAGE, Start,
    handle::Rights,
    objects::{DmaClient, EndpointClient, MemoryClient, ObjectError},
    status::Cause,
};

/// Physical addresses of all pages of a pin.
fn addresses(dma: &DmaClient, pin: u64, pages: u64) -> Result<Vec<u64>, CallError<ObjectError>> {
    let mut all = Vec::new();
    while (all.len() as u64) < pages {
        all.extend(dma.addresses(pin, all.len() as u64)?);
    }
    all.truncate(pages as usize);
    Ok(all)
}

pub(super) fn physical_addresses_need_a_right(world: &mut World) -> Verdict {
    let denied = Some(Cause::Denied);
    check_eq!(cause(world.counters.create_dma()), denied);
    check_eq!(cause(world.log.create_dma()), denied);
    let dma = world.devices()?.create_dma()?;
    let memory = libipc::task().create_memory(2)?;
    let pin = dma.pin(&memory)?;
    let control = DmaClient::from(dma.as_ref().derive(Rights::CONTROL)?);
    check_eq!(cause(control.pin(&memory)), denied);
    check_eq!(cause(control.unpin(pin)), denied);
    check_eq!(cause(control.addresses(pin, 0)), denied);
    check_eq!(cause(control.create_contiguous(1)), denied);
    let driver = DmaClient::from(dma.as_ref().derive(Rights::PIN)?);
    check_eq!(cause(driver.release_all()), denied);
    check_eq!(cause(driver.pins()), denied);
    // The device could write what the driver may not.
    for rights in [Rights::READ, Rights::WRITE, Rights::EXECUTE] {
        let less = memory.as_ref().derive(rights)?.into();
        check_eq!(cause(driver.pin(&less)), denied);
    }
    let device = Err(CallError::Server(ObjectError::BadArgument));
    check_eq!(driver.pin(world.uart()?), device);
    check_eq!(control.pins()?, 1);
    Ok(driver.unpin(pin)?)
}

pub(super) fn pinned_pages_do_not_move_and_are_zeroed(world: &mut World) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    let memory = libipc::task().create_memory(20)?;
    memory.write_from(5 * PAGE_SIZE, b"before it was pinned")?;
    let pin = dma.pin(&memory)?;
    let first = addresses(&dma, pin, 20)?;
    let mut sorted = first.clone();
    sorted.sort_unstable();
    sorted.dedup();
    check_eq!(sorted.len(), 20);
    check!(
        sorted
            .iter()
            .all(|address| *address != 0 && address.is_multiple_of(PAGE_SIZE))
    );
    // Those that were filled in for the device are zero.
    let mut bytes = [1; PAGE];
    memory.read_into(9 * PAGE_SIZE, &mut bytes)?;
    check!(bytes.iter().all(|byte| *byte == 0));
    memory.read_into(5 * PAGE_SIZE, &mut bytes)?;
    check_eq!(&bytes[..20], b"before it was pinned");
    let again = dma.pin(&memory)?;
    check_eq!(addresses(&dma, again, 20)?, first);
    let none: Result<[u64; 8], _> = Err(CallError::Server(ObjectError::OutOfRange));
    check_eq!(dma.addresses(pin, 20), none);
    Ok(dma.release_all()?)
}

pub(super) fn frames_of_a_ring_follow_one_another(world: &mut World) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    let used = || libipc::task().info().map(|info| info.used);
    let before = used()?;
    for pages in [1, 2, 8, 9, 16] {
        let ring = dma.create_contiguous(pages)?;
        check_eq!(ring.pages()?, pages);
        check!(used()? >= before + pages);
        let pin = dma.pin(&ring)?;
        let places = addresses(&dma, pin, pages)?;
        check!(places.windows(2).all(|pair| pair[1] == pair[0] + PAGE_SIZE));
        let mut bytes = [1; PAGE];
        for page in 0..pages {
            ring.read_into(page * PAGE_SIZE, &mut bytes)?;
            check!(bytes.iter().all(|byte| *byte == 0));
        }
        // What a device writes is nobody's program.
        let mapped = libipc::task().map_at(&ring, HERE, 0, pages, EXECUTE);
        check_eq!(cause(mapped), Some(Cause::Denied));
        // Dirty, for who comes next.
        for page in 0..pages {
            ring.write_from(page * PAGE_SIZE, &[7; PAGE])?;
        }
        dma.unpin(pin)?;
        drop(ring);
        wait::until(|| Ok(used()? == before))?;
    }
    let outside = Some(ObjectError::OutOfRange);
    for pages in [0, 17, u64::MAX] {
        let result = dma.create_contiguous(pages);
        check_eq!(result.err().and_then(|error| error.server()), outside);
    }
    Ok(())
}

pub(super) fn a_pin_outlives_the_memorys_owner(world: &mut World) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    let used = || libipc::task().info().map(|info| info.used);
    let before = used()?;
    let owner = libipc::task().create_task(32)?;
    let memory = owner.create_memory(3)?;
    memory.write_from(0, b"for the device")?;
    let pin = dma.pin(&memory)?;
    let places = addresses(&dma, pin, 3)?;
    // Every capability is gone, and the owner, and its frames are not.
    drop(memory);
    owner.kill()?;
    drop(owner);
    check!(used()? >= before + 32);
    check_eq!(addresses(&dma, pin, 3)?, places);
    // Nobody else gets them.
    let other = libipc::task().create_memory(200)?;
    let whole = dma.pin(&other)?;
    let theirs = addresses(&dma, whole, 200)?;
    check!(places.iter().all(|place| !theirs.contains(place)));
    dma.unpin(whole)?;
    drop(other);
    check!(used()? >= before + 32);
    dma.unpin(pin)?;
    wait::until(|| Ok(used()? == before))
}

/// Pins memory of its own until it is ended.
fn drive(mut start: Start) -> Verdict {
    let dma: DmaClient = start.take("dma")?;
    let ready: EndpointClient = start.take("ready")?;
    let ring = dma.create_contiguous(2)?;
    let pool = libipc::task().create_memory(5)?;
    dma.pin(&ring)?;
    dma.pin(&pool)?;
    ready.signal(1)?;
    crate::raw::park()
}

pub(super) fn a_dead_drivers_pins_wait_for_the_reset(world: &mut World) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    let ready = libipc::task().create_endpoint()?;
    let used = || libipc::task().info().map(|info| info.used);
    let before = used()?;
    let driver = Plan::new(drive)
        .give(&[
            Given {
                name: "dma",
                capability: dma.as_ref(),
                rights: Rights::PIN,
            },
            given("ready", &ready),
        ])
        .start(&world.image)?;
    let out = crate::raw::receive(ready.as_ref().handle(), patience().ticks());
    check_eq!(out.words[0], 1);
    check_eq!(dma.pins()?, 2);
    driver.kill()?;
    drop(driver);
    check_eq!(dma.pins()?, 2);
    check!(used()? >= before + crate::child::QUOTA);
    // The device has been reset.
    dma.release_all()?;
    check_eq!(dma.pins()?, 0);
    wait::until(|| Ok(used()? == before))
}

pub(super) fn revoking_and_unmapping_take_no_pin_away(world: &mut World) -> Verdict {
    let dma = world.devices()?.create_dma()?;
    let used = || libipc::task().info().map(|info| info.used);
    let before = used()?;
    let rights = Rights::READ | Rights::WRITE;
    let memory = libipc::task().create_memory(12)?;
    let lent: MemoryClient = memory.as_ref().derive(rights)?.into();
    libipc::task().map_at(&lent, HERE, 0, 12, READ | WRITE)?;
    let tables = used()? - before - 12;
    let pin = dma.pin(&lent)?;
    let places = addresses(&dma, pin, 12)?;
    libipc::task().revoke(memory.as_ref().handle().0)?;
    let unmapped = libipc::task().unmap_at(HERE, 12);
    check_eq!(unmapped, refused(ObjectError::NotMapped));
    libipc::task().map_at(&memory, HERE, 0, 12, READ | WRITE)?;
    libipc::task().unmap_at(HERE, 12)?;
    drop((lent, memory));
    // Nothing names it any more but the pin.
    check_eq!(addresses(&dma, pin, 12)?, places);
    let other = libipc::task().create_memory(200)?;
    let whole = dma.pin(&other)?;
    let theirs = addresses(&dma, whole, 200)?;
    check!(places.iter().all(|place| !theirs.contains(place)));
    check_eq!(dma.pins()?, 2);
    drop(other);
    check!(used()? >= before + 200 + 12);
    dma.release_all()?;
    // Page tables stay until the task ends.
    wait::until(|| Ok(used()? <= before + tables))
}
