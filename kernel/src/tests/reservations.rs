//! Reservations: how much time a thread gets, and on whose time a server runs.

use super::{invariants, machine::*};
use crate::{
    arch::{Arch, Port, Trap, host},
    capability::object::Target,
    object::{
        reservation::Reservation,
        thread::{State, Thread},
    },
};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, reply, reservation, system, thread},
    status::Cause,
};

const LABEL: Label = Label::call(0, HASH);
const PERIOD: u64 = 1000;
const BUDGET: u64 = 300;

/// Who runs next at this time.
fn next(m: &Machine, now: u64) -> Option<&'static Thread> {
    host::set_now(now);
    leave(m.k, Trap::Interrupt)
}

fn is(next: Option<&'static Thread>, thread: &Thread) -> bool {
    next.is_some_and(|next| core::ptr::eq(next, thread))
}

/// A reservation of the first task, for this thread.
fn reserve(m: &Machine, thread: &'static Thread) -> &'static Reservation {
    let made = Reservation::create(m.k, m.root, BUDGET, PERIOD).unwrap();
    thread.set_reservation(m.k, Some(made));
    made
}

fn check(m: &Machine) {
    invariants::check(m, |_| 1);
}

#[test]
fn a_budget_is_used_up_and_filled_again() {
    let m = Machine::new(256);
    let task = m.task(100);
    let thread = m.thread(task);
    let time = reserve(&m, thread);
    assert!(is(next(&m, 1000), thread));
    assert_eq!(host::alarm(), 1000 + BUDGET, "the timer ends the budget");
    assert!(is(next(&m, 1000 + BUDGET - 1), thread));
    assert!(next(&m, 1000 + BUDGET).is_none());
    assert_eq!(
        (thread.state.get(), time.overruns.get()),
        (State::Throttled, 1)
    );
    assert!(
        host::alarm() <= 1000 + PERIOD,
        "the timer begins the next period"
    );
    check(&m);
    assert!(next(&m, 1000 + PERIOD - 1).is_none());
    assert!(is(next(&m, 1000 + PERIOD), thread));
    assert_eq!(time.left.get(), BUDGET);
    // Late by a part of a period: the next one is as if it had been on time.
    assert!(next(&m, 1000 + PERIOD + BUDGET).is_none());
    assert!(is(next(&m, 1000 + 2 * PERIOD + 50), thread));
    assert_eq!(time.refill.get(), 1000 + 3 * PERIOD);
    assert_eq!(time.spent.get(), 2 * BUDGET);
    check(&m);
}

#[test]
fn others_run_while_a_budget_is_used_up() {
    let m = Machine::new(256);
    let task = m.task(100);
    let (high, low) = (m.thread_of(task, 200), m.thread_of(task, 5));
    reserve(&m, high);
    let (mut ran, mut now) = ([0, 0], 1000);
    // Twenty periods, by steps of the timer.
    while now < 1000 + 20 * PERIOD {
        let current = next(&m, now).unwrap();
        let until = host::alarm().min(1000 + 20 * PERIOD);
        ran[usize::from(core::ptr::eq(current, low))] += until - now;
        now = until;
    }
    assert_eq!(ran, [20 * BUDGET, 20 * (PERIOD - BUDGET)]);
    check(&m);
}

#[test]
fn a_thread_that_sleeps_begins_a_period_when_it_wakes() {
    let pair = Pair::new();
    let m = &pair.machine;
    let time = reserve(m, pair.server);
    assert_eq!(m.receive_until(pair.server, pair.serve, 50_000), None);
    m.at(50_000);
    assert_eq!(m.result(pair.server).status, refused(Cause::TimedOut));
    assert_eq!(
        (time.left.get(), time.refill.get()),
        (BUDGET, 50_000 + PERIOD)
    );
    check(m);
}

#[test]
fn a_server_runs_on_its_client_s_time_through_the_chain() {
    let pair = Pair::new();
    let m = &pair.machine;
    let client_time = reserve(m, pair.client);
    let last = m.thread(pair.server_task);
    let (_, end) = m.endpoint(pair.server_task);
    assert_eq!(m.receive(last, end), None);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    assert!(pair.server.runs_on.is(client_time));
    assert_eq!(m.call(pair.server, end, LABEL, &[]), None);
    assert!(last.runs_on.is(client_time));
    check(m);
    // What the last one does is the client's time.
    let before = client_time.spent.get();
    let now = Port::now();
    m.run(last);
    m.at(now + 100);
    assert_eq!(client_time.spent.get(), before + 100);
    // When the client's call ends, all of them run on their own again.
    m.kill(pair.client_task);
    assert!(last.runs_on.is_none() && pair.server.runs_on.is_none());
    check(m);
}

#[test]
fn a_call_after_the_end_of_a_period_begins_the_next() {
    let pair = Pair::new();
    let m = &pair.machine;
    let time = reserve(m, pair.client);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.at(5000);
    m.run(pair.client);
    m.at(5000 + BUDGET / 2);
    assert_eq!(
        (time.left.get(), time.refill.get()),
        (BUDGET / 2, 5000 + PERIOD)
    );
    // Nobody has looked since its period was over.
    host::set_now(5000 + PERIOD);
    time.left.set(2 * PERIOD);
    let call = call_in(pair.use_, LABEL, &[], FOREVER);
    assert!(
        !m.passes(m.k, pair.client, &call),
        "it is for the slow path"
    );
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    assert_eq!(time.refill.get(), 5000 + 2 * PERIOD);
    check(m);
}

#[test]
fn a_server_finishes_on_its_own_time_when_its_client_s_is_used_up() {
    let pair = Pair::new();
    let m = &pair.machine;
    reserve(m, pair.client);
    let own = Reservation::create(m.k, m.root, 2 * BUDGET, PERIOD).unwrap();
    pair.server.set_reservation(m.k, Some(own));
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.at(5000);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    assert!(is(next(m, 5000), pair.server));
    assert!(is(next(m, 5000 + BUDGET), pair.server), "it goes on");
    assert!(pair.server.runs_on.is(own));
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    // Its client has the answer, and no time to look at it.
    assert_eq!(pair.client.state.get(), State::Throttled);
    check(m);
}

#[test]
fn a_passive_server_waits_with_its_client() {
    let pair = Pair::new();
    let m = &pair.machine;
    reserve(m, pair.client);
    pair.server.passive.set(true);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.at(5000);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    // It has nothing to answer later with.
    m.open(pair.server, 1);
    let hash = reply::INTERFACE.hash;
    let kept = m.object(pair.server, Handle::REQUEST, 0, hash, &[]);
    assert_eq!(Answer::of(&kept), Answer::error(ObjectError::WrongState));
    assert!(next(m, 5000 + BUDGET).is_none());
    assert_eq!(pair.server.state.get(), State::Throttled);
    assert!(is(next(m, 5000 + PERIOD), pair.server));
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    check(m);
}

#[test]
fn a_client_that_stops_waiting_leaves_its_server_to_itself() {
    let pair = Pair::new();
    let m = &pair.machine;
    let client_time = reserve(m, pair.client);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.at(5000);
    let call = call_in(pair.use_, LABEL, &[], 5100);
    assert_eq!(m.enter(pair.client, call), None);
    assert!(pair.server.runs_on.is(client_time));
    m.at(5100);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    assert!(pair.server.runs_on.is_none());
    check(m);
}

#[test]
fn a_throttled_thread_can_be_suspended_moved_and_ended() {
    let m = Machine::new(256);
    let task = m.task(100);
    let threads = [0; 3].map(|_| m.thread(task));
    let boss = m.thread_of(m.root, 1);
    for thread in threads {
        reserve(&m, thread);
    }
    let mut now = 1000;
    while !is(next(&m, now), boss) {
        now += BUDGET;
    }
    assert!(threads.iter().all(|t| t.state.get() == State::Throttled));
    let call = |of: &Thread, operation: u8| {
        let handle = m.give(m.root, Target::Thread(of), Rights::all());
        Answer::of(&m.object(boss, handle, operation, thread::INTERFACE.hash, &[0]))
    };
    assert!(call(threads[0], thread::number::SUSPEND).is_ok());
    assert_eq!(threads[0].state.get(), State::Stopped);
    assert!(call(threads[0], thread::number::RESUME).is_ok());
    assert_eq!(
        threads[0].state.get(),
        State::Throttled,
        "it has no time yet"
    );
    assert!(call(threads[1], thread::number::EXIT).is_ok());
    m.leave();
    assert_eq!(threads[1].state.get(), State::Dead);
    check(&m);
    // Without a reservation it runs at once.
    threads[2].set_reservation(m.k, None);
    assert!(is(next(&m, now), threads[2]));
    check(&m);
}

/// The first task's capabilities: the machine, and what `create_reservation`
/// answers.
fn create(m: &Machine, boss: &'static Thread, rights: Rights, words: &[u64]) -> Answer {
    let machine = m.give(m.root, Target::System, rights);
    m.open(boss, 1);
    let number = system::number::CREATE_RESERVATION;
    Answer::of(&m.object(boss, machine, number, system::INTERFACE.hash, words))
}

#[test]
fn reservations_are_made_with_the_right_and_sensible_numbers() {
    let m = Machine::new(256);
    let boss = m.thread(m.root);
    let bad = Answer::error(ObjectError::BadArgument);
    for words in [[0, PERIOD], [PERIOD + 1, PERIOD], [1, 99], [1, 0]] {
        assert_eq!(create(&m, boss, Rights::TIME, &words), bad, "{words:?}");
    }
    let denied = Answer::error(ObjectError::Denied);
    assert_eq!(
        create(&m, boss, Rights::all() - Rights::TIME, &[1, 100]),
        denied
    );
    assert!(create(&m, boss, Rights::TIME, &[BUDGET, PERIOD]).is_ok());
    let handle = m.received(boss);
    let slot = m.root.table.find(m.k, handle).unwrap();
    let Some(Target::Reservation(made)) = slot.target(m.k) else {
        panic!("it is a reservation");
    };
    assert_eq!(made.left.get(), BUDGET, "full from the first");
    assert_ne!(made.id.get(), 0);
    let task = m.task(50);
    let thread = m.thread(task);
    let call = |handle: Handle, operation: u8, argument: Option<Handle>, words: &[u64]| {
        let mut label = Label::call(operation, reservation::INTERFACE.hash);
        if let Some(argument) = argument {
            m.set_buffer(boss, word::CAPABILITIES, argument.0);
            m.set_buffer(boss, word::PASSING, 1);
            label = label.with_capabilities(1);
        }
        Answer::of(&m.call(boss, handle, label, words).unwrap())
    };
    use reservation::number::*;
    let named = m.give(m.root, Target::Thread(thread), Rights::all());
    assert!(call(handle, BIND, Some(named), &[]).is_ok());
    let Some(made) = thread.reservation.get(m.k) else {
        panic!("it has a reservation")
    };
    assert_eq!(call(handle, CHANGE, None, &[0, 0]), bad);
    assert!(call(handle, CHANGE, None, &[50, 500]).is_ok());
    let Answer::Ok(info) = call(handle, INFO, None, &[]) else {
        panic!("it can be inspected")
    };
    assert_eq!(info[..3], [made.id.get(), 50, 500]);
    assert_eq!(info[6], thread.id.get());
    // Each needs its right, and a thread that may be changed.
    let target = Target::Reservation(made);
    let deaf = m.give(m.root, target, Rights::GRANT);
    let seen = m.give(m.root, Target::Thread(thread), Rights::INSPECT);
    for operation in [BIND, UNBIND, CHANGE, WATCH, INFO] {
        let argument = matches!(operation, BIND | WATCH).then_some(named);
        assert_eq!(call(deaf, operation, argument, &[50, 500]), denied);
    }
    assert_eq!(call(handle, BIND, Some(seen), &[]), denied);
    assert!(call(handle, UNBIND, None, &[]).is_ok());
    assert!(thread.reservation.is_none());
    check(&m);
}

#[test]
fn who_watches_is_told_of_an_overrun() {
    let m = Machine::new(256);
    let task = m.task(100);
    let (thread, watcher) = (m.thread(task), m.thread_of(m.root, 250));
    let (endpoint, handle) = m.endpoint(m.root);
    let time = reserve(&m, thread);
    let source = m.root.table.find(m.k, handle).unwrap();
    time.watcher.bind(m.k, source, endpoint, None, 6);
    assert_eq!(m.receive_until(watcher, handle, FOREVER), None);
    assert!(is(next(&m, 1000), thread));
    assert!(is(next(&m, 1000 + BUDGET), watcher));
    let told = m.result(watcher);
    assert_eq!((told.status, told.words[0]), (SIGNALS, 6));
    check(&m);
    // The end of the thread ends its time, and nobody is told any more.
    thread.end(m.k);
    thread.detach(m.k);
    m.leave();
    assert!(check_none(&m));
}

fn check_none(m: &Machine) -> bool {
    invariants::check(m, |_| 1).reservations.is_empty()
}
