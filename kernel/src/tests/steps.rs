//! Nothing runs to its end while something else waits, and everything comes to its
//! end though something always waits.

use super::{invariants, machine::*};
use crate::{
    arch::{Access, Arch, Port, Trap, host},
    capability::object::Target,
    memory::{
        slab,
        space::{self, Progress},
    },
    object::{
        task::Task,
        thread::{State, Thread},
    },
    syscall,
};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{endpoint, task},
    registers::CallIn,
    status::Cause,
};
use std::vec::Vec;

const LABEL: Label = Label::call(0, HASH);
const MANY: usize = 20;

/// Lets `thread` make a call while an interrupt always waits: how often it was
/// tried, and whether it then blocked.
pub(super) fn tries(m: &Machine, thread: &'static Thread, call: &CallIn) -> u32 {
    m.run(thread);
    host::set_call(&thread.context, call);
    let before = Port::registers(&thread.context).pc;
    let mut tries = 1;
    host::interrupt_after(0);
    loop {
        syscall::syscall(m.k, thread);
        leave(m.k, Trap::Call);
        if Port::registers(&thread.context).pc == before {
            break;
        }
        host::advance(&thread.context);
        // Another one may have had its turn.
        m.run(thread);
        tries += 1;
        assert!(tries < 10_000, "no progress");
    }
    host::interrupt_after(u32::MAX);
    tries
}

/// Leaves the kernel, with an interrupt waiting, until nothing is left to do: how
/// often.
fn leaves(m: &Machine) -> u32 {
    let mut leaves = 0;
    let kernel = m.k.kernel;
    while !(kernel.unsettled.is_empty() && kernel.dying_tasks.is_empty()) {
        host::interrupt_after(0);
        m.leave();
        leaves += 1;
        assert!(leaves < 10_000, "no progress");
    }
    host::interrupt_after(u32::MAX);
    leaves
}

fn on(handle: Handle, operation: u8) -> CallIn {
    let label = Label::call(operation, endpoint::INTERFACE.hash).with_flags(Flags::OBJECT);
    call_in(handle, label, &[], FOREVER)
}

/// Threads of the server's task that wait for messages.
fn receivers(pair: &Pair) -> Vec<&'static Thread> {
    let made = (0..MANY).map(|_| {
        let thread = pair.machine.thread(pair.server_task);
        assert_eq!(pair.machine.receive(thread, pair.serve), None);
        thread
    });
    made.collect()
}

/// Threads of the client's task whose calls wait.
fn senders(pair: &Pair, label: Label) -> Vec<&'static Thread> {
    let made = (0..MANY).map(|_| {
        let thread = pair.machine.thread(pair.client_task);
        assert_eq!(pair.machine.call(thread, pair.use_, label, &[]), None);
        assert_eq!(thread.state.get(), State::Sending);
        thread
    });
    made.collect()
}

fn pair() -> Pair {
    Pair::in_machine(1024, 200)
}

#[test]
fn expelling_goes_receiver_by_receiver_and_once() {
    let pair = pair();
    let m = &pair.machine;
    let waiting = receivers(&pair);
    assert_eq!(tries(m, pair.server, &on(pair.serve, 4)), MANY as u32 + 1);
    for thread in waiting {
        assert_eq!(m.result(thread).status, refused(Cause::Cancelled));
    }
    assert_eq!(pair.endpoint.epoch.get(), 1);
    // The caller's own capability is not expelled, whatever the call began with.
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let boss = m.thread(pair.server_task);
    let mut call = on(pair.serve, 4);
    call.words[7] = 1;
    m.enter(boss, call);
    assert_eq!(m.result(pair.server).status, refused(Cause::Cancelled));
    invariants::check(m, |_| 1);
}

#[test]
fn a_pause_ends_message_by_message() {
    let pair = pair();
    let m = &pair.machine;
    let receivers = receivers(&pair);
    m.enter(pair.server, on(pair.serve, 1));
    let senders = senders(&pair, LABEL);
    host::interrupt_after(0);
    m.enter(pair.server, on(pair.serve, 2));
    assert_eq!(pair.endpoint.senders.length(), MANY as u64 - 1);
    invariants::check(m, |_| 1);
    assert!(leaves(m) >= MANY as u32 - 1);
    for (sender, receiver) in senders.into_iter().zip(receivers) {
        assert!(sender.server.is(receiver), "in order of arrival");
    }
    invariants::check(m, |_| 1);
}

#[test]
fn messages_that_cannot_be_delivered_go_one_by_one() {
    let pair = pair();
    let m = &pair.machine;
    // Nobody has what they say that they pass.
    let bad = senders(&pair, LABEL.with_capabilities(1));
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[7]), None);
    host::interrupt_after(0);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(pair.server.state.get(), State::Receiving);
    assert!(pair.endpoint.senders.length() >= MANY as u64 - 1);
    invariants::check(m, |_| 1);
    assert!(leaves(m) >= MANY as u32 - 2);
    for thread in bad {
        assert_eq!(m.result(thread).status, refused(Cause::Denied));
    }
    assert_eq!(m.result(pair.server).words[0], 7);
    invariants::check(m, |_| 1);
}

#[test]
fn closing_ends_wait_after_wait() {
    let pair = pair();
    let m = &pair.machine;
    let waiting = senders(&pair, LABEL);
    host::interrupt_after(0);
    m.enter(pair.server, on(pair.serve, 3));
    assert!(pair.endpoint.senders.length() >= MANY as u64 - 2);
    assert!(leaves(m) >= MANY as u32 - 2);
    for thread in waiting {
        assert_eq!(m.result(thread).status, refused(Cause::Died));
    }
    invariants::check(m, |_| 1);
}

/// A capability for the endpoint of the pair in the client's task that comes from
/// the one that is returned first.
fn derived(pair: &Pair) -> (Handle, Handle) {
    let m = &pair.machine;
    let target = Target::Endpoint(pair.endpoint, None, 0);
    let root = m.give(pair.server_task, target, Rights::all());
    let slot = pair.server_task.table.find(m.k, root).unwrap();
    let rights = Rights::CALL | Rights::RECEIVE;
    let table = &pair.client_task.table;
    let given = table.insert_from(m.k, pair.client_task, &target, rights, slot);
    (root, given.unwrap())
}

fn revoke(pair: &Pair, handle: Handle) -> CallIn {
    let m = &pair.machine;
    let own = Target::Task(pair.server_task);
    let own = m.give(pair.server_task, own, Rights::all());
    let label = Label::call(18, task::INTERFACE.hash);
    call_in(own, label, &[handle.0], FOREVER)
}

#[test]
fn revoking_ends_the_waits_through_what_is_gone_and_no_other() {
    let pair = pair();
    let m = &pair.machine;
    let (root, given) = derived(&pair);
    let (others, mut ended) = (senders(&pair, LABEL), Vec::new());
    for _ in 0..MANY {
        let thread = m.thread(pair.client_task);
        assert_eq!(m.call(thread, given, LABEL, &[]), None);
        ended.push(thread);
    }
    let call = revoke(&pair, root);
    assert!(tries(m, pair.server, &call) >= MANY as u32);
    for thread in ended {
        assert_eq!(m.result(thread).status, refused(Cause::Revoked));
    }
    assert!(others.iter().all(|t| t.state.get() == State::Sending));
    invariants::check(m, |_| 1);
}

#[test]
fn revoking_ends_receivers_and_meets_those_that_move() {
    let pair = pair();
    let m = &pair.machine;
    let (root, given) = derived(&pair);
    let mut waiting = receivers(&pair);
    for _ in 0..3 {
        let thread = m.thread(pair.client_task);
        assert_eq!(m.receive(thread, given), None);
        waiting.push(thread);
    }
    // Stopped in the middle of its look, in which those before it leave the line.
    let call = revoke(&pair, root);
    m.run(pair.server);
    host::set_call(&pair.server.context, &call);
    for _ in 0..MANY / 2 {
        host::interrupt_after(0);
        syscall::syscall(m.k, pair.server);
        host::advance(&pair.server.context);
    }
    host::interrupt_after(u32::MAX);
    let boss = m.thread(m.root);
    let hash = libipc_abi::objects::thread::INTERFACE.hash;
    for thread in &waiting[..MANY - 2] {
        let handle = m.give(m.root, Target::Thread(thread), Rights::all());
        m.object(boss, handle, 2, hash, &[]);
        assert_eq!(m.result(thread).status, refused(Cause::Cancelled));
    }
    m.run(pair.server);
    syscall::syscall(m.k, pair.server);
    m.leave();
    assert_eq!(m.result(pair.server).status, MESSAGE);
    for thread in &waiting[MANY..] {
        assert_eq!(m.result(thread).status, refused(Cause::Revoked));
    }
    assert_eq!(pair.endpoint.receivers.iter(m.k).count(), 2);
    invariants::check(m, |_| 1);
}

#[test]
fn a_look_is_begun_anew_for_who_comes_during_one() {
    let pair = pair();
    let m = &pair.machine;
    let (first, _) = derived(&pair);
    let (second, given) = derived(&pair);
    let early = m.thread(pair.client_task);
    assert_eq!(m.call(early, given, LABEL, &[]), None);
    senders(&pair, LABEL);
    let one = revoke(&pair, first);
    let boss = m.thread(pair.server_task);
    m.run(boss);
    host::set_call(&boss.context, &one);
    // The look of the first has passed the early one when the second begins.
    for _ in 0..4 {
        host::interrupt_after(0);
        syscall::syscall(m.k, boss);
        host::advance(&boss.context);
    }
    assert_eq!(early.state.get(), State::Sending);
    assert!(tries(m, pair.server, &revoke(&pair, second)) > MANY as u32);
    assert_eq!(m.result(early).status, refused(Cause::Revoked));
    // Looks that are not there yet are not waited for.
    let mut call = revoke(&pair, second);
    call.words[7] = u64::MAX;
    assert_eq!(m.enter(pair.server, call).unwrap().status, MESSAGE);
    invariants::check(m, |_| 1);
}

#[test]
fn a_look_goes_on_when_who_began_it_has_ended() {
    let pair = pair();
    let m = &pair.machine;
    let (root, given) = derived(&pair);
    let early = m.thread(pair.client_task);
    assert_eq!(m.call(early, given, LABEL, &[]), None);
    senders(&pair, LABEL);
    let boss = m.thread(pair.server_task);
    let call = revoke(&pair, root);
    m.run(boss);
    host::set_call(&boss.context, &call);
    for _ in 0..2 {
        host::interrupt_after(0);
        syscall::syscall(m.k, boss);
        host::advance(&boss.context);
    }
    assert!(pair.endpoint.is_looked_at());
    boss.end(m.k);
    boss.detach(m.k);
    host::interrupt_after(0);
    m.leave();
    assert!(pair.endpoint.is_looked_at(), "it is put off in steps");
    leaves(m);
    assert!(!pair.endpoint.is_looked_at());
    assert_eq!(m.result(early).status, refused(Cause::Revoked));
    invariants::check(m, |_| 1);
}

/// A task with so many capabilities, killed by a thread of this priority.
fn dying(m: &Machine, capabilities: usize, priority: u8) -> &'static Task {
    let task = m.task(100);
    let (endpoint, _) = m.endpoint(m.root);
    for _ in 0..capabilities {
        m.give(task, Target::Endpoint(endpoint, None, 0), Rights::CALL);
    }
    let killer = m.thread_of(m.root, priority);
    m.run(killer);
    task.kill(m.k);
    killer.end(m.k);
    killer.detach(m.k);
    task
}

#[test]
fn what_is_put_off_has_the_priority_of_who_put_it_off() {
    const CAPABILITIES: usize = 500;
    let m = Machine::new(1024);
    let task = dying(&m, CAPABILITIES, 50);
    let left = || task.table.count.get() as usize;
    // Who has a higher one waits for some steps, and then a while runs.
    let high = m.thread_of(m.root, 60);
    host::set_now(5000);
    for round in 1..10 {
        m.leave();
        assert!(m.k.core.current.is(high));
        assert!(left() + 8 * round >= CAPABILITIES, "{} left", left());
        assert_eq!(host::alarm(), 5000 + crate::schedule::core::pause());
    }
    assert!(left() < CAPABILITIES);
    // One of the same waits until it is done.
    high.priority.set(50);
    crate::schedule::inherit::settle(m.k, high);
    m.leave();
    assert!(task.reaped.get());
    assert_eq!(m.k.kernel.urgency.get(), 0);
    invariants::check(&m, |_| 1);
}

#[test]
fn nobody_who_wakes_waits_for_what_is_put_off() {
    let m = Machine::new(1024);
    let sleeper = m.thread_of(m.root, 1);
    assert_eq!(m.receive_until(sleeper, Handle::NULL, 9000), None);
    let task = dying(&m, 500, 254);
    host::set_now(9000);
    m.leave();
    assert!(m.k.core.current.is(sleeper));
    assert!(!task.reaped.get());
    m.receive(sleeper, Handle::NULL);
    assert!(task.reaped.get());
    invariants::check(&m, |_| 1);
}

#[test]
fn an_ended_thread_leaves_its_buffer_to_the_next() {
    let m = Machine::new(512);
    let task = m.task(200);
    let threads: Vec<_> = (0..3).map(|_| m.thread(task)).collect();
    let (first, second) = (threads[0], threads[1]);
    let used = task.used.get();
    let place = first.buffer_address.get();
    m.open(first, 4);
    m.set_buffer(first, word::CAPABILITIES, 5);
    for thread in [first, second] {
        thread.end(m.k);
        thread.detach(m.k);
        m.leave();
        invariants::check(&m, |_| 1);
    }
    // One is kept.
    let kept = task.used.get();
    assert!(kept < used);
    let next = m.thread(task);
    assert_eq!(next.buffer_address.get(), place);
    let header: Vec<_> = (0..word::BYTES).map(|word| m.buffer(next, word)).collect();
    assert_eq!(header, [0; word::BYTES]);
    next.end(m.k);
    next.detach(m.k);
    m.leave();
    assert_eq!(task.used.get(), kept);
    m.kill(task);
    assert_eq!(task.used.get(), 0);
    invariants::check(&m, |_| 1);
}

#[test]
fn message_buffers_use_their_places_again() {
    let m = Machine::new(512);
    let task = m.task(200);
    let place = |thread: &Thread| thread.buffer_address.get();
    let threads: Vec<_> = (0..8).map(|_| m.thread(task)).collect();
    let places: Vec<_> = threads.iter().map(|thread| place(thread)).collect();
    for index in [1, 4, 6] {
        threads[index].end(m.k);
        threads[index].detach(m.k);
        m.leave();
    }
    // The first has left its buffer. Then the last that became free comes first, and
    // at last places that are new.
    for index in [1, 6, 4] {
        assert_eq!(place(m.thread(task)), places[index]);
    }
    assert_eq!(place(m.thread(task)), places[7] + 2 * 4096);
    // A thread that could not be made has taken none.
    let short = m.task(16);
    let thread = m.thread(short);
    m.set_buffer(thread, word::OPEN, 1);
    let own = m.give(short, Target::Task(short), Rights::all());
    while m
        .task_call(thread, own, on_task::CREATE_MEMORY, &[], &[1])
        .is_ok()
    {}
    let before = short.new_place.get();
    let words = [0x1000, 0, 0, 0, 1];
    let answer = m.task_call(thread, own, on_task::CREATE_THREAD, &[], &words);
    assert!(!answer.is_ok());
    assert_eq!(short.new_place.get(), before);
    invariants::check(&m, |_| 1);
}

#[test]
fn protecting_goes_on_where_nothing_is() {
    let m = Machine::new(2048);
    let task = m.task(1500);
    const AT: u64 = 0x40_0000;
    m.map(task, AT, 1024, Access::READ | Access::WRITE);
    m.poke(task, AT, &[1]);
    host::interrupt_after(0);
    let mut tries = 1;
    while space::protect(m.k, task, AT, 1024, Access::READ) != Ok(Progress::Done) {
        tries += 1;
    }
    assert_eq!(tries, 1024 / 64);
    // To what it is already there is nothing to do.
    assert_eq!(
        space::protect(m.k, task, AT, 1024, Access::READ),
        Ok(Progress::Done)
    );
    host::interrupt_after(u32::MAX);
}

#[test]
fn much_that_was_retired_is_freed_before_more_is() {
    let m = Machine::new(2048);
    let task = m.task(1500);
    let endpoints: Vec<_> = (0..600).map(|_| m.endpoint(task).1).collect();
    let used = task.used.get();
    m.leave();
    for handle in endpoints {
        let slot = task.table.find(m.k, handle).unwrap();
        task.table.delete(m.k, slot);
    }
    // All are closed first; that goes until much is to be freed.
    assert!(!slab::is_crowded(m.k));
    m.leave();
    assert!(!m.k.kernel.unsettled.is_empty());
    assert_eq!(host::alarm(), 0, "it goes on at once");
    leaves(&m);
    assert!(task.used.get() < used - 30);
    invariants::check(&m, |_| 1);
}

/// So many tasks, each paid by the one before.
fn nested(m: &Machine, depth: u64) -> Vec<&'static Task> {
    let mut tasks = Vec::new();
    let mut parent = m.root;
    for index in 0..depth {
        parent = Task::create(m.k, parent, 20 + 4 * (depth - index)).unwrap();
        parent.uses.add(1);
        tasks.push(parent);
    }
    tasks
}

#[test]
fn tasks_that_are_nested_deep_end_in_steps() {
    const DEPTH: u64 = 150;
    let m = Machine::new(2048);
    let (free, used) = (m.k.kernel.frames.free(), m.root.used.get());
    let tasks = nested(&m, DEPTH);
    // The last one's object is named from outside: all the others wait for it.
    let last = tasks[tasks.len() - 1];
    let thread = Target::Thread(m.thread(last));
    let held = m.give(m.root, thread, Rights::all());
    m.kill(tasks[0]);
    tasks.iter().for_each(|task| task.release(m.k));
    m.leave();
    assert!(tasks.iter().all(|task| task.reaped.get()));
    let slot = m.root.table.find(m.k, held).unwrap();
    m.root.table.delete(m.k, slot);
    // All of them end when it goes, one after the other, and some at a time.
    host::interrupt_after(0);
    m.leave();
    assert!(m.root.used.get() > used + 1);
    let mut leaves = 1;
    while m.root.used.get() > used + 2 {
        m.leave();
        leaves += 1;
        assert!(leaves < DEPTH);
    }
    assert!(leaves > 3);
    host::interrupt_after(u32::MAX);
    m.leave();
    assert!(free - m.k.kernel.frames.free() <= 2);
    invariants::check(&m, |_| 1);
}
