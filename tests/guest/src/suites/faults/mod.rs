//! Faults are messages: the handler is told the truth, and its answer counts.
//!
//! `pagers`: handlers that bring the memory that was touched.

mod pagers;

use crate::{
    check::{Failure, Verdict},
    child::{Plan, STACK, number, patience, serve_fault},
    raw::{self, PlaceAt},
    run::{Case, World, cases},
    wait,
};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libipc::{
    CallError, PAGE, Start,
    objects::{FaultKind, ObjectError, ThreadState},
    thread,
    time::Instant,
};

use pagers::*;

pub(crate) const CASES: &[Case] = cases![
    a_read_fault_names_address_and_instruction,
    a_write_fault_names_address_and_instruction,
    an_execute_fault_names_where_it_went,
    an_illegal_instruction_is_told,
    a_privileged_instruction_is_told,
    a_breakpoint_is_told,
    a_misaligned_access_is_told,
    an_exit_code_is_told,
    a_panic_is_told_with_its_text,
    a_handler_that_helps_lets_the_thread_go_on,
    a_handler_that_refuses_ends_the_thread,
    a_handler_that_dies_ends_the_thread,
    a_badge_says_whose_fault_it_is,
    registers_of_a_faulted_thread_can_be_read,
    the_last_calls_of_a_thread_can_be_read,
    one_threads_fault_stops_no_other,
    a_crash_leaves_other_tasks_unharmed,
    a_task_without_a_handler_just_ends,
    every_frame_of_a_crashed_task_comes_back,
    a_pager_brings_what_is_touched,
    a_pager_that_brings_nothing_is_asked_again,
    a_pager_that_dies_ends_who_waits_for_it,
    a_pager_that_never_answers_holds_up_no_other,
    a_pager_is_paged_itself,
    what_a_pager_would_bring_is_absent_for_a_lease,
];

const PAGE_SIZE: u64 = PAGE as u64;
const NOWHERE: u64 = 0x12_3456_7000;

fn touch(start: Start) -> Verdict {
    let (what, address) = (number(&start, 0)?, number(&start, 1)?);
    match what {
        0 => _ = raw::load(address),
        1 => raw::store(address, 1),
        2 => _ = raw::jump(address),
        3 => raw::illegal(),
        4 => raw::privileged(),
        5 => raw::breakpoint(),
        _ => raw::misaligned(STACK),
    }
    Ok(())
}

/// The kind, address and instruction of a child's fault.
fn fault(world: &World, what: u64) -> Result<(FaultKind, u64, u64), Failure> {
    let child = Plan::new(touch)
        .tell(&[what, NOWHERE])
        .start(&world.image)?;
    let report = child.fault(false)?;
    check_eq!(report.task, child.task.info()?.id);
    check!((STACK..STACK + 16 * PAGE_SIZE).contains(&report.sp));
    check_eq!(report.sp % 16, 0);
    Ok((report.kind, report.address, report.pc))
}

/// Whether the program counter is in this program's text, which a child has at
/// the same place.
fn in_text(pc: u64) -> bool {
    let here = raw::park as *const () as u64;
    pc.abs_diff(here) < 4 << 20 && pc.is_multiple_of(2)
}

fn a_read_fault_names_address_and_instruction(world: &mut World) -> Verdict {
    let (kind, address, pc) = fault(world, 0)?;
    check_eq!((kind, address), (FaultKind::Read, NOWHERE));
    check!(in_text(pc));
    Ok(())
}

fn a_write_fault_names_address_and_instruction(world: &mut World) -> Verdict {
    let (kind, address, pc) = fault(world, 1)?;
    check_eq!((kind, address), (FaultKind::Write, NOWHERE));
    check!(in_text(pc));
    Ok(())
}

fn an_execute_fault_names_where_it_went(world: &mut World) -> Verdict {
    let (kind, address, pc) = fault(world, 2)?;
    check_eq!((kind, address, pc), (FaultKind::Execute, NOWHERE, NOWHERE));
    Ok(())
}

fn an_illegal_instruction_is_told(world: &mut World) -> Verdict {
    let (kind, _, pc) = fault(world, 3)?;
    check_eq!(kind, FaultKind::Illegal);
    check!(in_text(pc));
    Ok(())
}

fn a_privileged_instruction_is_told(world: &mut World) -> Verdict {
    let (kind, _, pc) = fault(world, 4)?;
    check_eq!(kind, FaultKind::Illegal);
    check!(in_text(pc));
    Ok(())
}

fn a_breakpoint_is_told(world: &mut World) -> Verdict {
    let (kind, _, pc) = fault(world, 5)?;
    check_eq!(kind, FaultKind::Breakpoint);
    check!(in_text(pc));
    Ok(())
}

fn a_misaligned_access_is_told(world: &mut World) -> Verdict {
    let (kind, address, pc) = fault(world, 6)?;
    check_eq!((kind, address), (FaultKind::Alignment, STACK + 1));
    check!(in_text(pc));
    Ok(())
}

fn exit_with(start: Start) -> Verdict {
    thread::exit(number(&start, 0)?)
}

fn an_exit_code_is_told(world: &mut World) -> Verdict {
    for code in [0, 1, 255, u64::MAX, 1 << 40] {
        let child = Plan::new(exit_with).tell(&[code]).start(&world.image)?;
        let report = child.fault(true)?;
        check_eq!((report.kind, report.address), (FaultKind::Exit, code));
        // An answer does not bring it back.
        wait::until(|| Ok(child.task.info()?.threads == 0))?;
    }
    Ok(())
}

fn panic(_: Start) -> Verdict {
    panic!("a case wanted {} of it", "this")
}

fn a_panic_is_told_with_its_text(world: &mut World) -> Verdict {
    let child = Plan::new(panic).start(&world.image)?;
    let report = serve_fault(&child.faults, patience(), true)?;
    check_eq!(report.kind, FaultKind::Panic);
    let text = child.text(report.address, report.code);
    check!(text.contains("a case wanted this of it"));
    check!(text.contains("faults/mod.rs"));
    wait::until(|| Ok(child.task.info()?.threads == 0))
}

fn read_three_pages(start: Start) -> Verdict {
    let address = number(&start, 0)?;
    let sum = (0..3)
        .map(|page| raw::load(address + page * PAGE_SIZE))
        .sum::<u64>();
    thread::exit(sum)
}

fn a_handler_that_helps_lets_the_thread_go_on(world: &mut World) -> Verdict {
    let child = Plan::new(read_three_pages)
        .tell(&[NOWHERE])
        .start(&world.image)?;
    for page in 0..3 {
        // The page is mapped before the handler answers.
        wait::for_state(Some(&child.thread), ThreadState::Faulted)?;
        let address = NOWHERE + page * PAGE_SIZE;
        let memory = child.task.create_memory(1)?;
        memory.write_from(0, &(100 + page).to_le_bytes())?;
        child.task.map(&memory, address, 0, 1, 1)?;
        let report = child.fault(true)?;
        check_eq!((report.kind, report.address), (FaultKind::Read, address));
    }
    let report = child.fault(false)?;
    check_eq!((report.kind, report.address), (FaultKind::Exit, 303));
    Ok(())
}

fn a_handler_that_refuses_ends_the_thread(world: &mut World) -> Verdict {
    let child = Plan::new(touch).tell(&[0, NOWHERE]).start(&world.image)?;
    child.fault(false)?;
    wait::for_state(Some(&child.thread), ThreadState::Dead)?;
    check_eq!(child.task.info()?.threads, 0);
    let died = child
        .thread
        .resume()
        .err()
        .and_then(|error| error.transport());
    check_eq!(
        died.map(|error| error.cause),
        Some(libipc::status::Cause::Died)
    );
    Ok(())
}

fn a_handler_that_dies_ends_the_thread(world: &mut World) -> Verdict {
    let child = Plan::new(touch).tell(&[0, NOWHERE]).start(&world.image)?;
    wait::for_state(Some(&child.thread), ThreadState::Faulted)?;
    child.faults.close()?;
    wait::for_state(Some(&child.thread), ThreadState::Dead)?;
    let late = Plan::new(touch).tell(&[0, NOWHERE]).make(&world.image)?;
    late.faults.close()?;
    late.thread.resume()?;
    wait::for_state(Some(&late.thread), ThreadState::Dead)
}

fn a_badge_says_whose_fault_it_is(world: &mut World) -> Verdict {
    let all = libipc::task().create_endpoint()?;
    let mut children = alloc::vec::Vec::new();
    for badge in [31, 32, 33] {
        let child = Plan::new(touch)
            .tell(&[0, NOWHERE + badge * 8])
            .make(&world.image)?;
        child.task.set_fault_handler(&all.mint_client(badge)?)?;
        child.thread.resume()?;
        children.push(child);
    }
    let mut told = 0;
    while told < children.len() {
        let out = raw::receive(all.as_ref().handle(), patience().ticks());
        // A killed child's badge ends, too, at any time.
        if raw::status(&out) == Some(libipc::status::Status::Closed) {
            continue;
        }
        check_eq!(raw::status(&out), Some(libipc::status::Status::Message));
        told += 1;
        check_eq!(out.words[3], NOWHERE + out.badge * 8);
        check_eq!(
            out.words[0],
            children[out.badge as usize - 31].task.info()?.id
        );
        raw::reply(&[]);
        // It faults again at the same instruction, and its call is queued.
        children[out.badge as usize - 31].kill()?;
    }
    Ok(())
}

fn registers_of_a_faulted_thread_can_be_read(world: &mut World) -> Verdict {
    let child = Plan::new(touch).tell(&[1, NOWHERE]).start(&world.image)?;
    wait::for_state(Some(&child.thread), ThreadState::Faulted)?;
    let registers = child.task.registers(0)?;
    check!(in_text(registers.pc));
    check!((STACK..STACK + 16 * PAGE_SIZE).contains(&registers.sp));
    // The address and the value of the store are in some of them.
    check!(registers.general.contains(&NOWHERE));
    check!(registers.general.contains(&1));
    let report = child.fault(false)?;
    check_eq!((report.pc, report.sp), (registers.pc, registers.sp));
    // A thread cannot look at itself that way.
    let own = libipc::task().registers(0);
    check_eq!(own, Err(CallError::Server(ObjectError::WrongState)));
    Ok(())
}

fn the_last_calls_of_a_thread_can_be_read(world: &mut World) -> Verdict {
    fn program(_: Start) -> Verdict {
        for number in 0..20 {
            raw::call(
                libipc::handle::Handle::NULL,
                libipc::label::Label::call(number, 9),
                &[],
            );
            thread::yield_now();
        }
        raw::illegal();
        Ok(())
    }
    let child = Plan::new(program).start(&world.image)?;
    wait::for_state(Some(&child.thread), ThreadState::Faulted)?;
    let history = child.task.history(0)?;
    let fault = libipc::label::Label(history[0]);
    check_eq!(fault.operation(), 0);
    // The fault's own label, then yields; calls without a valid handle are none.
    let yields = libipc::objects::thread::INTERFACE.hash;
    check!(
        history[1..]
            .iter()
            .all(|label| libipc::label::Label(*label).hash() == yields)
    );
    check_eq!(
        child.task.history(1),
        Err(CallError::Server(ObjectError::NotFound))
    );
    Ok(())
}

fn one_threads_fault_stops_no_other(world: &mut World) -> Verdict {
    fn program(_: Start) -> Verdict {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let crashing = thread::spawn(|| raw::store(NOWHERE, 1))?;
        wait::for_state(crashing.thread(), ThreadState::Faulted)?;
        let counting = thread::spawn(|| {
            for _ in 0..100 {
                COUNT.fetch_add(1, Relaxed);
                thread::yield_now();
            }
        })?;
        counting.join();
        wait::for_state(crashing.thread(), ThreadState::Faulted)?;
        thread::exit(COUNT.load(Relaxed));
    }
    let child = Plan::new(program).start(&world.image)?;
    // The crashing thread's call stays queued until the other has ended: the
    // last thread but one does not end the task.
    wait::for_state(Some(&child.thread), ThreadState::Dead)?;
    check_eq!(child.task.info()?.threads, 1);
    let report = child.fault(false)?;
    check_eq!((report.kind, report.address), (FaultKind::Write, NOWHERE));
    wait::until(|| Ok(child.task.info()?.threads == 0))
}

fn count_for_a_while(start: Start) -> Verdict {
    let end = Instant::from_ticks(number(&start, 0)?);
    let mut count = 0;
    // It ends only if it goes on, whatever happens to others.
    while !end.passed() || count < 10 {
        count += 1;
        thread::yield_now();
    }
    Ok(())
}

fn a_crash_leaves_other_tasks_unharmed(world: &mut World) -> Verdict {
    let end = Instant::after(core::time::Duration::from_millis(60)).ticks();
    let bystander = Plan::new(count_for_a_while)
        .tell(&[end])
        .start(&world.image)?;
    for what in 0..7 {
        fault(world, what)?;
    }
    bystander.finish()
}

fn a_task_without_a_handler_just_ends(world: &mut World) -> Verdict {
    // A thread that begins where nothing is, in a task that nobody looks after.
    let task = libipc::task().create_task(64)?;
    let thread = task.thread_at(NOWHERE, NOWHERE, 0, 0, 1)?;
    thread.resume()?;
    wait::for_state(Some(&thread), ThreadState::Dead)?;
    check_eq!(task.info()?.threads, 0);
    let _ = world;
    Ok(())
}

fn every_frame_of_a_crashed_task_comes_back(world: &mut World) -> Verdict {
    let own = libipc::task();
    let settled = |world: &World| {
        let mut last = (0, 0);
        wait::until(|| {
            let now = (own.info()?.used, world.counters.counters()?.free);
            Ok(core::mem::replace(&mut last, now) == now)
        })?;
        Ok::<_, Failure>(last)
    };
    fault(world, 0)?;
    let before = settled(world)?;
    for round in 0..20 {
        fault(world, round % 7)?;
        // One that is killed in the midst of things.
        let child = Plan::new(count_for_a_while)
            .tell(&[u64::MAX - 1])
            .start(&world.image)?;
        thread::yield_now();
        child.kill()?;
    }
    check_eq!(settled(world)?, before);
    Ok(())
}
