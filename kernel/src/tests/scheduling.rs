//! Which thread runs, and for how long.

use super::{invariants, machine::*};
use crate::{
    arch::{Trap, host},
    capability::object::Target,
    object::thread::{State, Thread},
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, thread},
    status::Cause,
};

const LABEL: Label = Label::call(0, HASH);
/// Ticks of a slice: a hundredth of the host's second.
const SLICE: u64 = 10_000;

/// Who runs next at this time.
fn next(m: &Machine, now: u64) -> Option<&'static Thread> {
    host::set_now(now);
    leave(m.k, Trap::Interrupt)
}

fn is(next: Option<&'static Thread>, thread: &'static Thread) -> bool {
    next.is_some_and(|next| core::ptr::eq(next, thread))
}

/// Calls an operation of a thread by a thread of the first task.
fn operate(m: &Machine, boss: &'static Thread, of: &Thread, operation: u8, word: u64) -> Answer {
    let handle = m.give(m.root, Target::Thread(of), Rights::all());
    let hash = thread::INTERFACE.hash;
    let answer = Answer::of(&m.object(boss, handle, operation, hash, &[word]));
    let slot = m.root.table.find(m.k, handle).unwrap();
    m.root.table.delete(m.k, slot);
    answer
}

#[test]
fn the_highest_priority_runs() {
    let m = Machine::new(256);
    let task = m.task(100);
    assert!(next(&m, 1000).is_none());
    let low = m.thread_of(task, 0);
    assert!(is(next(&m, 1001), low));
    let [middle, high] = [63, 255].map(|priority| m.thread_of(task, priority));
    assert!(is(next(&m, 1002), high));
    assert!(
        is(next(&m, 1002 + 10 * SLICE), high),
        "slices are among equals"
    );
    high.end(m.k);
    high.detach(m.k);
    assert!(is(next(&m, 2003 + 10 * SLICE), middle));
    middle.end(m.k);
    middle.detach(m.k);
    assert!(is(next(&m, 2004 + 10 * SLICE), low));
    invariants::check(&m, |_| 1);
}

#[test]
fn equals_take_turns_by_slices() {
    let m = Machine::new(256);
    let task = m.task(100);
    let threads = [0; 3].map(|_| m.thread_of(task, 7));
    let mut now = 1000;
    for round in 0..9 {
        let thread = threads[round % 3];
        assert!(is(next(&m, now), thread), "round {round}");
        assert_eq!(host::alarm(), now + SLICE, "the timer ends the slice");
        assert!(is(next(&m, now + SLICE - 1), thread));
        now += SLICE;
    }
    for thread in threads {
        assert!(thread.time.get() >= 2 * SLICE);
    }
    assert_eq!(
        task.time.get(),
        threads.iter().map(|thread| thread.time.get()).sum()
    );
}

#[test]
fn alone_a_thread_needs_no_timer() {
    let m = Machine::new(256);
    let task = m.task(100);
    let thread = m.thread_of(task, 7);
    m.thread_of(task, 6);
    assert!(is(next(&m, 1000), thread));
    assert_eq!(host::alarm(), FOREVER);
}

#[test]
fn who_was_preempted_goes_on_before_its_equals() {
    let m = Machine::new(256);
    let task = m.task(100);
    let (first, second) = (m.thread_of(task, 7), m.thread_of(task, 7));
    assert!(is(next(&m, 1000), first));
    let high = m.thread_of(task, 9);
    assert!(is(next(&m, 1001), high));
    high.end(m.k);
    high.detach(m.k);
    assert!(is(next(&m, 1002), first));
    assert!(is(next(&m, 1002 + SLICE), second));
}

#[test]
fn who_is_alone_with_its_priority_is_known() {
    let m = Machine::new(256);
    let task = m.task(100);
    let queue = &m.k.core.queue;
    let alone = |thread: Option<&Thread>| match (queue.only(m.k), thread) {
        (Some(only), Some(thread)) => core::ptr::eq(only, thread),
        (only, thread) => only.is_none() && thread.is_none(),
    };
    assert!(alone(None));
    let first = m.thread_of(task, 7);
    m.thread_of(task, 6);
    assert!(alone(Some(first)));
    let second = m.thread_of(task, 7);
    assert!(alone(None), "an equal waits");
    queue.remove(m.k, first);
    assert!(alone(Some(second)));
    queue.push_front(m.k, first);
    assert!(alone(None));
    let third = m.thread_of(task, 8);
    assert!(alone(Some(third)));
}

#[test]
fn yielding_lets_equals_run_but_no_lesser() {
    let m = Machine::new(256);
    let task = m.task(100);
    let (first, second) = (m.thread_of(task, 7), m.thread_of(task, 7));
    let lesser = m.thread_of(task, 6);
    assert!(is(next(&m, 1000), first));
    let give_way = Label::call(5, thread::INTERFACE.hash);
    assert!(m.call(first, Handle::THREAD, give_way, &[]).is_some());
    assert!(m.k.core.current.is(second));
    second.end(m.k);
    second.detach(m.k);
    assert!(m.call(first, Handle::THREAD, give_way, &[]).is_some());
    assert!(m.k.core.current.is(first));
    assert_eq!(lesser.time.get(), 0);
    // Nobody gives way in another's name.
    let answer = operate(&m, m.thread_of(m.root, 7), second, 5, 0);
    assert_eq!(answer, Answer::error(ObjectError::WrongState));
}

#[test]
fn a_server_runs_at_no_less_than_its_client_s_priority() {
    let m = Machine::new(512);
    let (clients, servers) = (m.task(100), m.task(100));
    let low = m.thread_of(servers, 5);
    let (endpoint, serve) = m.endpoint(servers);
    let target = Target::Endpoint(endpoint, None, 0);
    let use_ = m.give(clients, target, Rights::CALL);
    let (high, middle) = (m.thread_of(clients, 200), m.thread_of(clients, 100));
    m.receive(low, serve);
    m.call(high, use_, LABEL, &[]);
    assert!(m.k.core.current.is(low), "before the one in the middle");
    assert_eq!(low.effective.get(), 200);
    invariants::check(&m, |_| 1);
    m.reply(low, &[]);
    assert_eq!(low.effective.get(), 5);
    assert!(m.k.core.current.is(high));
    // A server of its own priority keeps it.
    let strong = m.thread_of(servers, 250);
    m.receive(strong, serve);
    m.call(middle, use_, LABEL, &[]);
    assert_eq!(strong.effective.get(), 250);
    // A kept reply ends the loan.
    m.reply(strong, &[]);
    m.receive(low, serve);
    m.call(high, use_, LABEL, &[]);
    assert_eq!(low.effective.get(), 200);
    m.open(low, 1);
    let hash = libipc_abi::objects::reply::INTERFACE.hash;
    m.object(low, Handle::REQUEST, 0, hash, &[]);
    assert_eq!(low.effective.get(), 5);
    invariants::check(&m, |_| 1);
}

#[test]
fn a_loan_passes_through_a_chain_and_ends_with_a_time_out() {
    let m = Machine::new(512);
    let task = m.task(200);
    let threads = [5, 6, 7].map(|priority| m.thread_of(task, priority));
    let endpoints = [0; 3].map(|_| m.endpoint(task).1);
    for (thread, endpoint) in threads.iter().zip(endpoints) {
        m.receive(thread, endpoint);
    }
    let client = m.thread_of(task, 99);
    m.enter(client, call_in(endpoints[0], LABEL, &[], 4000));
    m.call(threads[0], endpoints[1], LABEL, &[]);
    m.call(threads[1], endpoints[2], LABEL, &[]);
    assert!(threads.iter().all(|thread| thread.effective.get() == 99));
    m.at(4000);
    assert_eq!(threads[0].effective.get(), 5);
    invariants::check(&m, |_| 1);
    assert_eq!(m.result(client).status, delivered(Cause::TimedOut));
}

#[test]
fn nobody_makes_what_outranks_him() {
    let m = Machine::new(256);
    let task = m.task(100);
    let boss = m.thread_of(m.root, 50);
    let thread = m.thread_of(task, 10);
    assert!(operate(&m, boss, thread, 3, 50).is_ok());
    assert_eq!((thread.priority.get(), thread.effective.get()), (50, 50));
    let denied = Answer::error(ObjectError::Denied);
    assert_eq!(operate(&m, boss, thread, 3, 51), denied);
    let bad = Answer::error(ObjectError::BadArgument);
    assert_eq!(operate(&m, boss, thread, 3, 256), bad);
    let own = m.give(m.root, Target::Task(task), Rights::all());
    for (priority, expected) in [(51, denied), (256, bad), (u64::MAX, bad)] {
        let words = [0x1000, 0, 0, 0, priority];
        let answer = m.task_call(boss, own, on_task::CREATE_THREAD, &[], &words);
        assert_eq!(answer, expected);
    }
    assert!(operate(&m, boss, thread, 3, 0).is_ok());
    assert_eq!(m.k.core.queue.highest(), Some(0));
    invariants::check(&m, |_| 1);
}

#[test]
fn suspended_threads_run_when_resumed() {
    let m = Machine::new(256);
    let task = m.task(100);
    let boss = m.thread_of(m.root, 50);
    let thread = m.thread_of(task, 60);
    assert!(is(next(&m, 1000), thread));
    assert!(operate(&m, boss, thread, 1, 0).is_ok());
    assert_eq!(thread.state.get(), State::Stopped);
    assert!(is(next(&m, 1001), boss));
    invariants::check(&m, |_| 1);
    assert!(operate(&m, boss, thread, 1, 0).is_ok(), "again");
    assert!(operate(&m, boss, thread, 0, 0).is_ok());
    assert!(is(next(&m, 1002), thread));
    assert!(operate(&m, boss, thread, 0, 0).is_ok(), "again");
    invariants::check(&m, |_| 1);
    // A wait is cancelled first.
    m.receive(thread, Handle::NULL);
    assert!(operate(&m, boss, thread, 1, 0).is_ok());
    assert_eq!(thread.state.get(), State::Stopped);
    assert!(operate(&m, boss, thread, 0, 0).is_ok());
    assert_eq!(m.result(thread).status, refused(Cause::Cancelled));
    invariants::check(&m, |_| 1);
}

#[test]
fn an_answer_to_a_suspended_client_waits_for_it() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let boss = m.thread(m.root);
    assert!(operate(m, boss, pair.client, 1, 0).is_ok());
    // Suspending cancelled the call.
    assert_eq!(m.reply(pair.server, &[]).status, refused(Cause::Cancelled));
    assert_eq!(pair.client.state.get(), State::Stopped);
    assert!(operate(m, boss, pair.client, 0, 0).is_ok());
    assert_eq!(m.result(pair.client).status, delivered(Cause::Cancelled));
    invariants::check(m, |_| 1);
}
