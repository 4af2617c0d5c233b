//! Address spaces in use on several cores.

use super::{count, on, other, result};
use crate::{
    check::{Failure, Verdict},
    child::{Plan, number},
    raw::{self, PlaceAt},
    run::World,
    wait,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};
use libipc::{
    PAGE, Start,
    handle::Rights,
    memory::Mapping,
    objects::{FaultKind, MemoryClient},
    time,
};

/// Where a child has a page that is taken away.
const HERE: u64 = 1 << 30;
const READ: u64 = 1;
const WRITE: u64 = 2;

/// Writes there at full speed.
fn write_for_ever(_: Start) -> Verdict {
    let mut count = 1;
    loop {
        raw::store(HERE, count);
        count += 1;
    }
}

fn first_word(memory: &MemoryClient) -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    memory.read_into(0, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Lets a child write to a page on each core and takes that away by `take`.
fn take_away(world: &World, take: impl Fn(&crate::child::Child) -> Verdict) -> Verdict {
    let cores = count(world)?;
    for round in 0..40 {
        let child = Plan::new(write_for_ever)
            .on(round % cores)
            .make(&world.image)?;
        let memory = libipc::task().create_memory(1)?;
        child.task.map_at(&memory, HERE, 0, 1, READ | WRITE)?;
        child.thread.resume()?;
        wait::until(|| Ok(first_word(&memory)? > 100 * round))?;
        take(&child)?;
        let then = first_word(&memory)?;
        check!(then > 0);
        let report = child.fault(false)?;
        check_eq!((report.kind, report.address), (FaultKind::Write, HERE));
        check_eq!(first_word(&memory)?, then);
    }
    Ok(())
}

pub(super) fn an_unmapped_page_is_gone_on_all_cores(world: &mut World) -> Verdict {
    take_away(world, |child| Ok(child.task.unmap_at(HERE, 1)?))
}

pub(super) fn a_protected_page_cannot_be_written_on_any_core(world: &mut World) -> Verdict {
    take_away(world, |child| Ok(child.task.protect_at(HERE, 1, READ)?))
}

pub(super) fn a_thread_of_the_same_task_sees_new_pages(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let core = other(world)?;
    let (place, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (there, end) = (Arc::clone(&place), Arc::clone(&stop));
    // Reads what this thread has mapped and written, at once, on another core.
    let reader = on(core, move || {
        let mut wrong = 0;
        while end.load(SeqCst) == 0 {
            let address = there.load(SeqCst);
            if address != 0 {
                wrong += u64::from(raw::load(address) != address);
                // A page that nobody has touched yet is full of zeros.
                wrong += u64::from(raw::load(address + PAGE as u64) != 0);
                there.store(0, SeqCst);
            }
        }
        wrong
    })?;
    for round in 0..100 {
        let memory = libipc::task().create_memory(2)?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
        let address = mapping.address() as u64;
        raw::store(address, address);
        place.store(address, SeqCst);
        if cores == 1 {
            libipc::thread::yield_now();
        }
        wait::until(|| Ok(place.load(SeqCst) == 0))?;
        // Dirt for whoever gets the frames next.
        raw::store(address + PAGE as u64, round);
        drop(mapping);
    }
    stop.store(1, SeqCst);
    check_eq!(result(reader)?, 0);
    Ok(())
}

/// Has a page of its own where others of the same identifier had theirs.
fn own_page(start: Start) -> Verdict {
    let own = number(&start, 0)?;
    check_eq!(raw::load(HERE), 0);
    for round in 0..200 {
        raw::store(HERE, own + round);
        check_eq!(raw::load(HERE), own + round);
    }
    Ok(())
}

pub(super) fn address_space_identifiers_are_used_again(world: &mut World) -> Verdict {
    let cores = count(world)?;
    for round in 0..20 {
        let children: Vec<_> = (0..cores)
            .map(|core| {
                // The core changes from round to round, the identifier does not.
                let child = Plan::new(own_page)
                    .tell(&[(round * 16 + core) << 32])
                    .on((core + round) % cores)
                    .make(&world.image)?;
                let memory = child.task.create_memory(1)?;
                child.task.map_at(&memory, HERE, 0, 1, READ | WRITE)?;
                child.thread.resume()?;
                Ok(child)
            })
            .collect::<Result<_, Failure>>()?;
        if round % 4 == 0 {
            time::sleep(Duration::from_micros(300));
        }
        for child in children {
            child.finish()?;
        }
    }
    Ok(())
}
