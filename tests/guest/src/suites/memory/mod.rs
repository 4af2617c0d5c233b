//! Address spaces: what is mapped how, and what is not there at all.
//!
//! `dma`: memory that a device may reach.

mod dma;
mod moves;

use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, Report, STACK, given, number},
    raw::{self, PlaceAt},
    run::{Case, World, cases},
    wait,
};
use alloc::vec::Vec;
use libipc::{
    CallError, PAGE, Start,
    handle::Rights,
    memory::Mapping,
    objects::{FaultKind, MemoryClient, ObjectError},
    status::Cause,
};

use dma::*;
use moves::*;

pub(crate) const CASES: &[Case] = cases![
    the_processors_guards_are_on,
    writable_and_executable_is_refused,
    protecting_cannot_make_it_writable_and_executable,
    text_cannot_be_written,
    constants_cannot_be_written,
    data_cannot_be_executed,
    memory_that_is_not_executable_cannot_be_executed,
    copies_change_what_they_should,
    fills_change_what_they_should,
    the_null_page_is_not_there,
    the_guard_below_the_stack_is_not_there,
    kernel_addresses_cannot_be_reached,
    an_unmapped_page_is_gone_at_once,
    a_protected_page_cannot_be_written_any_more,
    protecting_gives_no_more_than_the_capability,
    code_that_was_written_runs_once_it_is_executable,
    frames_are_zeroed_before_another_sees_them,
    memory_is_shared_where_it_is_mapped_twice,
    a_mapping_keeps_memory_alive,
    mappings_do_not_overlap,
    mappings_stay_inside_their_memory,
    unmapping_takes_whole_mappings,
    there_is_a_limit_of_mappings,
    a_quota_is_a_limit_and_comes_back,
    a_childs_quota_is_its_parents_cost,
    tasks_end_with_the_one_that_pays_for_them,
    message_buffers_have_a_guard,
    physical_addresses_need_a_right,
    pinned_pages_do_not_move_and_are_zeroed,
    frames_of_a_ring_follow_one_another,
    a_pin_outlives_the_memorys_owner,
    a_dead_drivers_pins_wait_for_the_reset,
    revoking_and_unmapping_take_no_pin_away,
];

const PAGE_SIZE: u64 = PAGE as u64;
const KERNEL: u64 = 0xffff_ffc0_8020_0000;
/// Where cases map things by hand.
const HERE: u64 = 1 << 35;

const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;

type Done = Result<(), CallError<ObjectError>>;
const fn refused(error: ObjectError) -> Done {
    Err(CallError::Server(error))
}

fn cause<T>(result: Result<T, CallError<ObjectError>>) -> Option<Cause> {
    result
        .err()
        .and_then(|error| error.transport())
        .map(|error| error.cause)
}

fn touch(start: Start) -> Verdict {
    let (how, address) = (number(&start, 0)?, number(&start, 1)?);
    if how & READ != 0 {
        raw::load(address);
    }
    if how & WRITE != 0 {
        raw::store(address, 1);
    }
    if how & EXECUTE != 0 {
        raw::jump(address);
    }
    Ok(())
}

/// A child touches that address; returns what its fault handler is told.
fn touching(world: &World, how: u64, address: u64) -> Result<Report, Failure> {
    let child = Plan::new(touch).tell(&[how, address]).start(&world.image)?;
    child.fault(false)
}

fn faults(world: &World, how: u64, address: u64, kind: FaultKind) -> Verdict {
    let report = touching(world, how, address)?;
    if (report.kind, report.address) != (kind, address) {
        return Err(Failure::new(format_args!(
            "touching {address:#x} with access {how}: {report:x?}"
        )));
    }
    Ok(())
}

/// The child touches an address without harm.
fn goes_well(child: Child) -> Verdict {
    child.finish()
}

fn writable_and_executable_is_refused(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    for access in [WRITE | EXECUTE, READ | WRITE | EXECUTE] {
        let result = libipc::task().map_at(&memory, HERE, 0, 1, access);
        check_eq!(result, refused(ObjectError::WriteExecute));
    }
    for access in [8, 0x80, u64::MAX, 1 << 32] {
        let result = libipc::task().map_at(&memory, HERE, 0, 1, access);
        check_eq!(result, refused(ObjectError::BadArgument));
    }
    check_eq!(
        cause(libipc::task().map_at(&memory, HERE, 0, 1, 0)),
        Some(Cause::Denied)
    );
    check_eq!(
        libipc::task().unmap_at(HERE, 1),
        refused(ObjectError::NotMapped)
    );
    Ok(())
}

fn protecting_cannot_make_it_writable_and_executable(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    libipc::task().map_at(&memory, HERE, 0, 1, READ | WRITE)?;
    for access in [WRITE | EXECUTE, READ | WRITE | EXECUTE] {
        let result = libipc::task().protect_at(HERE, 1, access);
        check_eq!(result, refused(ObjectError::WriteExecute));
    }
    raw::store(HERE, 5);
    libipc::task().protect_at(HERE, 1, READ | EXECUTE)?;
    check_eq!(raw::load(HERE), 5);
    Ok(libipc::task().unmap_at(HERE, 1)?)
}

fn text_cannot_be_written(world: &mut World) -> Verdict {
    faults(
        world,
        WRITE,
        raw::park as *const () as u64,
        FaultKind::Write,
    )
}

fn constants_cannot_be_written(world: &mut World) -> Verdict {
    static CONSTANT: [u64; 2] = [7; 2];
    let address = (&raw const CONSTANT).addr() as u64;
    check_eq!(raw::load(address), 7);
    faults(world, WRITE, address, FaultKind::Write)
}

fn data_cannot_be_executed(world: &mut World) -> Verdict {
    static VARIABLE: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(1);
    let address = (&raw const VARIABLE).addr() as u64;
    let report = touching(world, EXECUTE, address)?;
    check_eq!(
        (report.kind, report.address, report.pc),
        (FaultKind::Execute, address, address)
    );
    // Its stack neither.
    faults(world, EXECUTE, STACK + 64, FaultKind::Execute)
}

fn memory_that_is_not_executable_cannot_be_executed(world: &mut World) -> Verdict {
    // Also a page that is there, as it was read before: what an absent one may be
    // used for the kernel itself looks up.
    let ways =
        [EXECUTE, READ | EXECUTE].map(|how| [READ, READ | WRITE].map(|access| (how, access)));
    for (how, access) in ways.into_iter().flatten() {
        let child = Plan::new(touch).tell(&[how, HERE]).make(&world.image)?;
        let memory = child.task.create_memory(1)?;
        memory.write_from(0, &code())?;
        child.task.map(&memory, HERE, 0, 1, access)?;
        child.thread.resume()?;
        let report = child.fault(false)?;
        check_eq!((report.kind, report.address), (FaultKind::Execute, HERE));
    }
    Ok(())
}

fn code() -> [u8; 8] {
    let [first, second] = raw::RETURNS_42.map(u32::to_le_bytes);
    let mut code = [0; 8];
    code[..4].copy_from_slice(&first);
    code[4..].copy_from_slice(&second);
    code
}

fn the_null_page_is_not_there(world: &mut World) -> Verdict {
    for address in [0, 8, PAGE_SIZE - 8] {
        faults(world, READ, address, FaultKind::Read)?;
        faults(world, WRITE, address, FaultKind::Write)?;
    }
    faults(world, EXECUTE, 0, FaultKind::Execute)
}

fn the_guard_below_the_stack_is_not_there(world: &mut World) -> Verdict {
    faults(world, READ, STACK - 8, FaultKind::Read)?;
    faults(world, WRITE, STACK - 8, FaultKind::Write)?;
    // What runs over its stack finds out.
    fn deeper(_: Start) -> Verdict {
        #[inline(never)]
        fn down(depth: u64) -> u64 {
            let room = core::hint::black_box([depth; 128]);
            if depth == 0 {
                0
            } else {
                down(depth - 1) + room[3]
            }
        }
        core::hint::black_box(down(1 << 20));
        Ok(())
    }
    let report = Plan::new(deeper).start(&world.image)?.fault(false)?;
    check_eq!(report.kind, FaultKind::Write);
    check!(report.address < STACK && report.address >= STACK - 2 * PAGE_SIZE);
    Ok(())
}

/// What the kernel says about itself when it begins: a guard that the processor
/// has is on.
fn the_processors_guards_are_on(world: &mut World) -> Verdict {
    let mut bytes = [0; 512];
    let (_, count) = world.log.read_log_into(0, &mut bytes)?;
    let text = alloc::string::String::from_utf8_lossy(&bytes[..count as usize]);
    let line = text.lines().find_map(|line| line.split_once("guards: "));
    let (_, guards) = line.ok_or_else(|| Failure::new(format_args!("not told:\n{text}")))?;
    let states: Vec<_> = guards
        .split(", ")
        .filter_map(|guard| guard.rsplit_once(' '))
        .collect();
    check_eq!(states.len(), 2);
    for (name, state) in states {
        if state != "on" && state != "absent" {
            return Err(Failure::new(format_args!("{name} is {state}")));
        }
    }
    Ok(())
}

fn kernel_addresses_cannot_be_reached(world: &mut World) -> Verdict {
    for address in [KERNEL, 0xffff_ffff_ffff_f000, 0xffff_ff80_4020_0000] {
        faults(world, READ, address, FaultKind::Read)?;
        faults(world, WRITE, address, FaultKind::Write)?;
        faults(world, EXECUTE, address, FaultKind::Execute)?;
    }
    Ok(())
}

fn an_unmapped_page_is_gone_at_once(world: &mut World) -> Verdict {
    fn program(_: Start) -> Verdict {
        let memory = libipc::task().create_memory(1)?;
        libipc::task().map_at(&memory, HERE, 0, 1, READ | WRITE)?;
        raw::store(HERE, 1);
        check_eq!(raw::load(HERE), 1);
        libipc::task().unmap_at(HERE, 1)?;
        raw::load(HERE);
        Ok(())
    }
    let report = Plan::new(program).start(&world.image)?.fault(false)?;
    check_eq!((report.kind, report.address), (FaultKind::Read, HERE));
    Ok(())
}

fn a_protected_page_cannot_be_written_any_more(world: &mut World) -> Verdict {
    fn program(_: Start) -> Verdict {
        let memory = libipc::task().create_memory(2)?;
        libipc::task().map_at(&memory, HERE, 0, 2, READ | WRITE)?;
        raw::store(HERE + PAGE_SIZE, 77);
        libipc::task().protect_at(HERE, 2, READ)?;
        check_eq!(raw::load(HERE + PAGE_SIZE), 77);
        raw::store(HERE + PAGE_SIZE, 78);
        Ok(())
    }
    let child = Plan::new(program).start(&world.image)?;
    let report = child.fault(false)?;
    check_eq!(
        (report.kind, report.address),
        (FaultKind::Write, HERE + PAGE_SIZE)
    );
    Ok(())
}

fn protecting_gives_no_more_than_the_capability(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(2)?;
    let weak = MemoryClient::from(memory.as_ref().derive(Rights::READ)?);
    libipc::task().map_at(&weak, HERE, 0, 2, READ)?;
    check_eq!(
        cause(libipc::task().protect_at(HERE, 2, READ | WRITE)),
        Some(Cause::Denied)
    );
    check_eq!(
        cause(libipc::task().protect_at(HERE, 2, READ | EXECUTE)),
        Some(Cause::Denied)
    );
    for (address, pages) in [(HERE, 1), (HERE + PAGE_SIZE, 1), (HERE, 3)] {
        let result = libipc::task().protect_at(address, pages, READ);
        check_eq!(result, refused(ObjectError::NotMapped));
    }
    Ok(libipc::task().unmap_at(HERE, 2)?)
}

fn code_that_was_written_runs_once_it_is_executable(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    libipc::task().map_at(&memory, HERE, 0, 1, READ | WRITE)?;
    for (index, instruction) in raw::RETURNS_42.iter().enumerate() {
        let place = (HERE as usize + 4 * index) as *mut u32;
        // SAFETY: mapped above, and used by nobody else.
        #[allow(unsafe_code, reason = "code is written by hand")]
        unsafe {
            place.write_volatile(*instruction);
        }
    }
    libipc::task().protect_at(HERE, 1, READ | EXECUTE)?;
    check_eq!(raw::jump(HERE), 42);
    Ok(libipc::task().unmap_at(HERE, 1)?)
}

fn frames_are_zeroed_before_another_sees_them(_: &mut World) -> Verdict {
    const PAGES: u64 = 128;
    for round in 0..4 {
        let memory = libipc::task().create_memory(PAGES)?;
        let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
        for page in 0..PAGES {
            for place in [0, 8, PAGE_SIZE / 2, PAGE_SIZE - 8] {
                let address = mapping.address() as u64 + page * PAGE_SIZE + place;
                if raw::load(address) != 0 {
                    return Err(Failure::new(format_args!(
                        "round {round}, page {page}, {place}"
                    )));
                }
                raw::store(address, 0x5ec2_e700_5ec2_e700);
            }
        }
    }
    Ok(())
}

fn memory_is_shared_where_it_is_mapped_twice(world: &mut World) -> Verdict {
    fn program(mut start: Start) -> Verdict {
        let memory: MemoryClient = start.take("memory")?;
        libipc::task().map_at(&memory, HERE, 0, 1, READ | WRITE)?;
        check_eq!(raw::load(HERE), 11);
        raw::store(HERE + 8, 22);
        Ok(())
    }
    let memory = libipc::task().create_memory(1)?;
    let mapping = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    raw::store(mapping.address() as u64, 11);
    Plan::new(program)
        .give(&[given("memory", &memory)])
        .start(&world.image)?
        .finish()?;
    check_eq!(raw::load(mapping.address() as u64 + 8), 22);
    Ok(())
}

fn a_mapping_keeps_memory_alive(_: &mut World) -> Verdict {
    let used = libipc::task().info()?.used;
    let memory = libipc::task().create_memory(16)?;
    libipc::task().map_at(&memory, HERE, 0, 16, READ | WRITE)?;
    raw::store(HERE + 15 * PAGE_SIZE, 9);
    drop(memory);
    check_eq!(raw::load(HERE + 15 * PAGE_SIZE), 9);
    check!(libipc::task().info()?.used >= used + 16);
    libipc::task().unmap_at(HERE, 16)?;
    wait::until(|| Ok(libipc::task().info()?.used < used + 16))
}

fn mappings_do_not_overlap(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(4)?;
    let task = libipc::task().create_task(64)?;
    task.map_at(&memory, HERE, 0, 4, READ)?;
    for (address, pages) in [(0, 4), (3, 1), (-1, 2), (-2, 4), (1, 2)] {
        let address = HERE.wrapping_add_signed(address * PAGE as i64);
        let result = task.map_at(&memory, address, 0, pages, READ);
        check_eq!(result, refused(ObjectError::Overlap));
    }
    task.map_at(&memory, HERE - 4 * PAGE_SIZE, 0, 4, READ)?;
    task.map_at(&memory, HERE + 4 * PAGE_SIZE, 0, 4, READ)?;
    Ok(())
}

fn mappings_stay_inside_their_memory(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(4)?;
    let task = libipc::task().create_task(64)?;
    for (offset, pages) in [(0, 5), (4, 1), (3, 2), (u64::MAX, 1), (u64::MAX - 1, 4)] {
        let result = task.map_at(&memory, HERE, offset, pages, READ);
        check_eq!(result, refused(ObjectError::OutOfRange));
    }
    task.map_at(&memory, HERE, 3, 1, READ)?;
    Ok(())
}

fn unmapping_takes_whole_mappings(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(4)?;
    let task = libipc::task().create_task(64)?;
    task.map_at(&memory, HERE, 0, 4, READ)?;
    for (offset, pages) in [(0, 3), (1, 3), (2, 1), (3, 9)] {
        let result = task.unmap_at(HERE + offset * PAGE_SIZE, pages);
        check_eq!(result, refused(ObjectError::Overlap));
    }
    check_eq!(
        task.unmap_at(HERE - PAGE_SIZE, 1),
        refused(ObjectError::NotMapped)
    );
    task.map_at(&memory, HERE + 8 * PAGE_SIZE, 0, 4, READ)?;
    // Both, and what lies between.
    task.unmap_at(HERE - PAGE_SIZE, 32)?;
    check_eq!(task.unmap_at(HERE, 32), refused(ObjectError::NotMapped));
    Ok(())
}

fn there_is_a_limit_of_mappings(_: &mut World) -> Verdict {
    let memory = libipc::task().create_memory(1)?;
    let task = libipc::task().create_task(1024)?;
    let mut count = 0;
    let error = loop {
        match task.map_at(&memory, HERE + count * 2 * PAGE_SIZE, 0, 1, READ) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    check_eq!(cause::<()>(Err(error)), Some(Cause::QuotaExceeded));
    check_eq!(count, 1024);
    Ok(())
}

fn a_quota_is_a_limit_and_comes_back(_: &mut World) -> Verdict {
    let task = libipc::task().create_task(100)?;
    let empty = task.info()?;
    check_eq!(empty.quota, 100);
    let exceeded = Some(Cause::QuotaExceeded);
    check_eq!(cause(task.create_memory(100)), exceeded);
    check_eq!(cause(task.create_task(100)), exceeded);
    check_eq!(task.info()?.used, empty.used);
    let mut all = Vec::new();
    let error = loop {
        match task.create_memory(7) {
            Ok(memory) => all.push(memory),
            Err(error) => break error,
        }
    };
    check_eq!(cause::<()>(Err(error)), exceeded);
    check!((12..=14).contains(&all.len()));
    check!(task.info()?.used <= 100);
    drop(all);
    wait::until(|| Ok(task.info()?.used == empty.used))
}

fn a_childs_quota_is_its_parents_cost(world: &mut World) -> Verdict {
    let own = libipc::task();
    let (before, free) = (own.info()?.used, world.counters.counters()?.free);
    check!(free > 0);
    let exceeded = Some(Cause::QuotaExceeded);
    check_eq!(cause(own.create_task(own.info()?.quota)), exceeded);
    check_eq!(
        own.create_task(0).map(|_| ()),
        refused(ObjectError::OutOfRange)
    );
    {
        let child = own.create_task(500)?;
        check!(own.info()?.used >= before + 500);
        let grandchild = child.create_task(300)?;
        check!(child.info()?.used >= 300);
        check_eq!(cause(child.create_memory(200)), exceeded);
        // What the grandchild makes is paid by its own quota.
        let memory = grandchild.create_memory(250)?;
        check!(grandchild.info()?.used >= 250);
        check!(own.info()?.used < before + 510);
        child.kill()?;
        // Somebody still holds what the grandchild paid for.
        memory.write_from(0, &[1])?;
        drop(memory);
        grandchild.kill()?;
    }
    wait::until(|| Ok(own.info()?.used == before))
}

fn tasks_end_with_the_one_that_pays_for_them(_: &mut World) -> Verdict {
    let own = libipc::task();
    let before = own.info()?.used;
    let parent = own.create_task(200)?;
    let child = parent.create_task(100)?;
    let grandchild = child.create_task(50)?;
    // One that holds itself, and two that hold each other: no count would ever
    // reach zero.
    child.install(child.as_ref(), 255)?;
    grandchild.install(child.as_ref(), 255)?;
    child.install(grandchild.as_ref(), 255)?;
    drop((child, grandchild));
    parent.kill()?;
    wait::until(|| Ok(own.info()?.used <= before + 2))?;
    drop(parent);
    wait::until(|| Ok(own.info()?.used == before))
}

fn message_buffers_have_a_guard(world: &mut World) -> Verdict {
    fn program(start: Start) -> Verdict {
        let step = number(&start, 0)?;
        let buffer = raw::buffer() as u64;
        check_eq!(buffer % PAGE_SIZE, 0);
        raw::store(buffer + PAGE_SIZE - 8, 1);
        check_eq!(raw::load(buffer + PAGE_SIZE - 8), 1);
        raw::load(if step == 0 {
            buffer + PAGE_SIZE
        } else {
            buffer - 8
        });
        Ok(())
    }
    for step in [0, 1] {
        let report = Plan::new(program)
            .tell(&[step])
            .start(&world.image)?
            .fault(false)?;
        check_eq!(report.kind, FaultKind::Read);
    }
    // A child that touches nothing wrong ends well.
    goes_well(Plan::new(touch).tell(&[READ, STACK]).start(&world.image)?)
}
