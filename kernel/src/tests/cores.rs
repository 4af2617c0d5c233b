//! Several cores: what one does to a thread that another has.

use super::{invariants, machine::*};
use crate::{
    Kernel,
    arch::{Arch, Port, Trap, host},
    capability::object::Target,
    entry::Inside,
    object::{
        reservation::Reservation,
        thread::{State, Thread},
    },
    schedule::ready,
    syscall,
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, task, thread},
    registers::CallOut,
    status::Cause,
};
use std::{boxed::Box, sync::Arc, vec::Vec};

const LABEL: Label = Label::call(0, HASH);
/// Ticks of a slice: a hundredth of the host's second.
const SLICE: u64 = 10_000;

fn is(next: Option<&'static Thread>, thread: &'static Thread) -> bool {
    next.is_some_and(|next| core::ptr::eq(next, thread))
}

/// A thread that core 1 runs in user mode, of a task of its own.
fn running(m: &Machine) -> &'static Thread {
    let thread = m.thread(m.task(60));
    ready::set_core(m.k, thread, 1);
    assert!(is(m.trap(1, Trap::Interrupt), thread));
    host::interrupted();
    thread
}

/// A thread of the first task on core 0, which runs.
fn boss(m: &Machine) -> &'static Thread {
    let boss = m.thread_of(m.root, 200);
    assert!(is(m.trap(0, Trap::Interrupt), boss));
    boss
}

/// One try of a call of a kernel object: `None` if it is to be made again.
fn once(
    m: &Machine,
    by: &'static Thread,
    handle: Handle,
    label: Label,
    words: &[u64],
) -> Option<CallOut> {
    m.run(by);
    let before = Port::registers(&by.context).pc;
    host::set_call(&by.context, &call_in(handle, label, words, FOREVER));
    syscall::syscall(m.on(m.core_of(by)), by);
    let again = Port::registers(&by.context).pc == before;
    leave(m.on(m.core_of(by)), Trap::Call);
    (!again).then(|| host::results(&by.context))
}

/// One try of an operation of a thread.
fn operate(
    m: &Machine,
    by: &'static Thread,
    of: &Thread,
    operation: u8,
    word: u64,
) -> Option<Answer> {
    let handle = m.give(m.root, Target::Thread(of), Rights::all());
    let label = Label::call(operation, thread::INTERFACE.hash);
    let out = once(m, by, handle, label, &[word]);
    if let Some(slot) = m.root.table.find(m.k, handle) {
        m.root.table.delete(m.k, slot);
    }
    out.map(|out| Answer::of(&out))
}

#[test]
fn a_core_is_interrupted_when_that_changes_what_it_does() {
    let m = Machine::with_cores(256, 2);
    let task = m.task(100);
    let [low, equal, high] = [7, 7, 9].map(|priority| m.thread_of(task, priority));
    // It idles.
    ready::set_core(m.k, low, 1);
    assert_eq!(host::interrupted(), 1 << 1);
    ready::set_core(m.k, equal, 1);
    assert_eq!(host::interrupted(), 0, "it has been told already");
    assert!(is(m.trap(1, Trap::Interrupt), low));
    // It has set its timer to let equals take turns.
    assert_eq!(host::alarm(), 1000 + SLICE);
    ready::set_core(m.k, equal, 0);
    m.trap(1, Trap::Interrupt);
    assert_eq!(host::alarm(), FOREVER, "alone it needs none");
    ready::set_core(m.k, equal, 1);
    assert_eq!(host::interrupted(), 1 << 1, "it has to set it");
    m.trap(1, Trap::Interrupt);
    ready::set_core(m.k, equal, 0);
    ready::set_core(m.k, equal, 1);
    assert_eq!(host::interrupted(), 0, "it has set it");
    ready::set_core(m.k, high, 1);
    assert_eq!(host::interrupted(), 1 << 1, "who outranks all runs now");
    assert!(is(m.trap(1, Trap::Interrupt), high));
    invariants::check(&m, |_| 1);
}

#[test]
fn a_call_goes_to_another_core_and_back() {
    let pair = Pair::on_cores(2);
    let m = &pair.machine;
    ready::set_core(m.k, pair.server, 1);
    m.trap(1, Trap::Interrupt);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    host::interrupted();
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[5]), None);
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(m.k.core.current.is_none(), "this core has nothing to do");
    assert!(is(m.trap(1, Trap::Interrupt), pair.server));
    assert_eq!(m.result(pair.server).words[0], 5);
    m.reply(pair.server, &[6]);
    assert_eq!(host::interrupted(), 1 << 0);
    assert!(is(m.trap(0, Trap::Interrupt), pair.client));
    assert_eq!(m.result(pair.client).words[0], 6);
    invariants::check(m, |_| 1);
}

#[test]
fn an_alarm_moves_with_its_thread() {
    let m = Machine::with_cores(256, 2);
    let sleeper = m.thread(m.task(60));
    m.trap(1, Trap::Interrupt);
    assert_eq!(m.receive_until(sleeper, Handle::NULL, 5000), None);
    host::interrupted();
    ready::set_core(m.k, sleeper, 1);
    assert_eq!(host::interrupted(), 1 << 1, "its timer has to ring earlier");
    assert_eq!(m.k.core.alarms.next(), FOREVER);
    host::set_now(5000);
    m.trap(0, Trap::Interrupt);
    assert_eq!(sleeper.state.get(), State::Receiving);
    assert!(is(m.trap(1, Trap::Interrupt), sleeper));
    assert_eq!(m.result(sleeper).status, refused(Cause::TimedOut));
    invariants::check(&m, |_| 1);
}

#[test]
fn a_running_thread_moves_when_its_core_enters() {
    let m = Machine::with_cores(256, 3);
    let thread = running(&m);
    m.trap(1, Trap::FloatingPoint);
    assert_eq!(host::fp(&thread.context), 2);
    ready::set_core(m.k, thread, 2);
    assert_eq!(thread.core(m.k).number, 1, "its core still runs it");
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(m.trap(1, Trap::Interrupt).is_none());
    assert_eq!(host::fp(&thread.context), 1, "its registers are saved");
    assert_eq!(host::interrupted(), 1 << 2);
    assert!(is(m.trap(2, Trap::Interrupt), thread));
    invariants::check(&m, |_| 1);
    // It may go by itself, and its call comes back on the other core.
    let own = thread.task.get(m.k).unwrap();
    let own = m.give(own, Target::Thread(thread), Rights::all());
    let label = Label::call(8, thread::INTERFACE.hash);
    let out = once(&m, thread, own, label, &[0]).unwrap();
    assert!(Answer::of(&out).is_ok());
    assert_eq!(thread.core(m.k).number, 0);
    assert!(is(m.trap(0, Trap::Interrupt), thread));
    let out = once(&m, thread, own, label, &[3]).unwrap();
    assert_eq!(Answer::of(&out), Answer::error(ObjectError::OutOfRange));
    invariants::check(&m, |_| 1);
}

#[test]
fn a_task_ends_only_when_the_core_that_runs_it_has_entered() {
    let m = Machine::with_cores(256, 2);
    let thread = running(&m);
    m.trap(1, Trap::FloatingPoint);
    let task = thread.task.get(m.k).unwrap();
    let boss = boss(&m);
    let handle = m.give(m.root, Target::Task(task), Rights::all());
    let kill = Label::call(on_task::KILL, task::INTERFACE.hash);
    assert_eq!(once(&m, boss, handle, kill, &[]), None, "it is to wait");
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(m.on(1).core.current.is(thread));
    assert_eq!(thread.state.get(), State::Stopped);
    assert!(!task.reaped.get());
    assert_ne!(task.root.get(), 0, "its core walks these tables");
    assert_eq!(once(&m, boss, handle, kill, &[]), None, "still");
    // What it was about to do is of no interest any more.
    assert!(m.trap(1, Trap::Call).is_none());
    assert_eq!(host::fp(&thread.context), 0, "its state is nobody's");
    let out = once(&m, boss, handle, kill, &[]).unwrap();
    assert!(Answer::of(&out).is_ok());
    assert!(task.reaped.get() && task.root.get() == 0);
    task.uses.take(1);
    invariants::check(&m, |of| u64::from(core::ptr::eq(of, m.root)));
}

#[test]
fn a_core_that_idles_leaves_an_address_space_that_ends() {
    let m = Machine::with_cores(256, 2);
    let thread = running(&m);
    let task = thread.task.get(m.k).unwrap();
    assert_eq!(m.receive(thread, Handle::NULL), None);
    assert!(m.on(1).core.current.is_none());
    host::interrupted();
    m.kill(task);
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(task.threads.is_empty());
    assert_ne!(task.root.get(), 0, "the core may walk these tables");
    m.leave();
    assert_ne!(task.root.get(), 0);
    m.trap(1, Trap::Interrupt);
    m.leave();
    assert!(task.reaped.get());
    invariants::check(&m, |_| 1);
}

#[test]
fn a_suspended_thread_makes_its_call_once_when_it_goes_on() {
    let m = Machine::with_cores(256, 2);
    let thread = running(&m);
    let boss = boss(&m);
    let task = thread.task.get(m.k).unwrap();
    let own = m.give(task, Target::Task(task), Rights::all());
    // It is about to make a call while it is being suspended.
    let label = Label::call(on_task::CREATE_ENDPOINT, task::INTERFACE.hash);
    m.open(thread, 1);
    let pc = Port::registers(&thread.context).pc;
    host::set_call(&thread.context, &call_in(own, label, &[], FOREVER));
    assert_eq!(operate(&m, boss, thread, 1, 0), None, "it still runs");
    let capabilities = task.table.count.get();
    assert!(m.trap(1, Trap::Call).is_none());
    assert_eq!(task.table.count.get(), capabilities, "not now");
    assert_eq!(Port::registers(&thread.context).pc, pc);
    assert!(operate(&m, boss, thread, 1, 0).unwrap().is_ok());
    assert_eq!(thread.state.get(), State::Stopped);
    invariants::check(&m, |_| 1);
    assert!(operate(&m, boss, thread, 0, 0).unwrap().is_ok());
    assert!(is(m.trap(1, Trap::Interrupt), thread));
    host::advance(&thread.context);
    assert!(is(m.trap(1, Trap::Call), thread));
    assert_eq!(task.table.count.get(), capabilities + 1, "once");
    invariants::check(&m, |_| 1);
}

#[test]
fn registers_are_read_when_the_thread_stands_still() {
    let m = Machine::with_cores(256, 2);
    let thread = running(&m);
    let boss = boss(&m);
    let task = thread.task.get(m.k).unwrap();
    let handle = m.give(m.root, Target::Task(task), Rights::all());
    let registers = Label::call(task::number::REGISTERS, task::INTERFACE.hash);
    assert_eq!(once(&m, boss, handle, registers, &[0]), None);
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(m.trap(1, Trap::Interrupt).is_none(), "it is held");
    invariants::check(&m, |_| 1);
    let out = once(&m, boss, handle, registers, &[0]).unwrap();
    assert!(Answer::of(&out).is_ok());
    assert_eq!(thread.state.get(), State::Ready);
    assert_eq!(host::interrupted(), 1 << 1, "it goes on");
    assert!(is(m.trap(1, Trap::Interrupt), thread));
    // Who asks and never comes back holds nobody up for long.
    assert_eq!(once(&m, boss, handle, registers, &[0]), None);
    assert!(m.trap(1, Trap::Interrupt).is_none());
    assert!(
        host::alarm() <= 1000 + SLICE,
        "it does not depend on anybody"
    );
    host::set_now(1000 + SLICE);
    assert!(is(m.trap(1, Trap::Interrupt), thread));
    assert!(!thread.held.get());
    invariants::check(&m, |_| 1);
}

#[test]
fn a_thread_that_is_held_can_be_suspended_resumed_and_ended() {
    let m = Machine::with_cores(256, 2);
    let thread = running(&m);
    let boss = boss(&m);
    let (k, task) = (m.k, thread.task.get(m.k).unwrap());
    let handle = m.give(m.root, Target::Task(task), Rights::all());
    let registers = Label::call(task::number::REGISTERS, task::INTERFACE.hash);
    let hold = || {
        assert_eq!(once(&m, boss, handle, registers, &[0]), None);
        m.trap(1, Trap::Interrupt);
        assert!(thread.held.get());
    };
    hold();
    assert!(operate(&m, boss, thread, 1, 0).unwrap().is_ok());
    assert!(once(&m, boss, handle, registers, &[0]).is_some());
    assert_eq!(thread.state.get(), State::Stopped, "it is suspended still");
    assert!(operate(&m, boss, thread, 0, 0).unwrap().is_ok());
    assert!(is(m.trap(1, Trap::Interrupt), thread));
    hold();
    assert!(operate(&m, boss, thread, 0, 0).unwrap().is_ok());
    assert!(thread.held.get(), "resuming it is not letting it go");
    assert_eq!(thread.state.get(), State::Stopped);
    ready::set_core(k, thread, 0);
    assert_eq!(m.on(1).core.alarms.next(), FOREVER);
    assert!(operate(&m, boss, thread, 4, 0).unwrap().is_ok());
    assert!(task.threads.is_empty());
    assert_eq!(k.core.alarms.next(), FOREVER);
    m.leave();
    invariants::check(&m, |_| 1);
}

#[test]
fn long_operations_stop_when_another_core_waits() {
    let m = Machine::with_cores(512, 2);
    let task = m.task(300);
    for _ in 0..4 {
        m.thread(task);
    }
    // Nobody but this core wants the lock.
    m.k.kernel.lock.crowd(1);
    assert!(!m.k.wanted());
    m.k.kernel.lock.crowd(1);
    assert!(m.k.wanted());
    task.kill(m.k);
    m.leave();
    assert_eq!(task.threads.iter(m.k).count(), 3, "a step at a time");
    invariants::check(&m, |_| 1);
    while !task.reaped.get() {
        m.leave();
    }
    invariants::check(&m, |_| 1);
}

#[test]
fn all_cores_are_accounted() {
    let m = Machine::with_cores(256, 3);
    m.others(9);
    let thread = running(&m);
    let k = m.k;
    let idle = |now| -> u64 {
        let cores = k.kernel.cores().iter();
        cores.map(|core| core.idle_until(now)).sum()
    };
    let before = idle(1000);
    host::set_now(1400);
    assert_eq!(idle(1400) - before, 800, "two cores idle");
    assert_eq!(k.kernel.cores()[1].passing(1400), 400, "not accounted yet");
    m.trap(1, Trap::Interrupt);
    assert_eq!(thread.time.get(), 400);
}

#[test]
fn the_lock_lets_one_core_in_at_a_time() {
    const CORES: usize = 4;
    let rounds = if cfg!(miri) { 40 } else { 3000 };
    let kernel = Arc::new(Box::new(Kernel::new()));
    kernel.core_count.set(CORES);
    let threads: Vec<_> = (0..CORES)
        .map(|core| {
            let kernel = Arc::clone(&kernel);
            std::thread::spawn(move || {
                host::set_core(core);
                for _ in 0..rounds {
                    let inside = Inside::enter(&kernel);
                    let k = inside.entered();
                    assert_eq!(k.core.number, core);
                    // Two halves: another core in between would be lost.
                    let calls = &kernel.boot_task.calls;
                    let before = calls.get();
                    if before.is_multiple_of(7) {
                        std::thread::yield_now();
                    }
                    calls.set(before + 1);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(kernel.boot_task.calls.get(), (CORES * rounds) as u64);
}

#[test]
fn an_idle_core_leaves_a_dying_task_s_address_space() {
    for kicked in [false, true] {
        let m = Machine::with_cores(512, 2);
        let boss = boss(&m);
        let task = m.task(60);
        task.uses.add(1);
        let thread = m.thread(task);
        ready::set_core(m.k, thread, 1);
        assert!(is(m.trap(1, Trap::Interrupt), thread));
        // It sleeps; the core has its address space still chosen.
        assert!(m.receive(thread, Handle::NULL).is_none());
        assert!(m.trap(1, Trap::Interrupt).is_none());
        let switches = m.on(1).core.switches.get();
        assert!(m.trap(1, Trap::Interrupt).is_none());
        assert_eq!(m.on(1).core.switches.get(), switches, "idle as before");
        if kicked {
            m.on(1).core.kick(m.k);
        }
        task.kill(m.k);
        // It is asked more than once.
        for _ in 0..2 {
            m.trap(0, Trap::Interrupt);
        }
        assert!(!task.reaped.get());
        m.trap(1, Trap::Interrupt);
        m.trap(0, Trap::Interrupt);
        assert!(task.reaped.get(), "kicked before: {kicked}");
        let _ = boss;
    }
}

#[test]
fn who_is_given_spent_time_is_stopped_by_its_own_core() {
    let m = Machine::with_cores(512, 2);
    let thread = running(&m);
    let spent = Reservation::create(m.k, m.root, 300, 1000).unwrap();
    spent.left.set(0);
    spent.refill.set(5000);
    thread.set_reservation(m.k, Some(spent));
    assert_eq!(thread.state.get(), State::Ready, "the core still runs it");
    assert_eq!(host::interrupted(), 1 << 1);
    assert!(m.trap(1, Trap::Interrupt).is_none());
    assert_eq!(thread.state.get(), State::Throttled);
}
