//! Faults, ends and panics, and who is told.

use super::{invariants, machine::*};
use crate::{
    arch::{Arch, Port, host},
    capability::object::Target,
    fault,
    ipc::call::DEPTH,
    object::thread::State,
};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{self, FaultKind, reply, thread},
    registers::CallIn,
    status::Cause,
};

const LABEL: Label = Label::call(0, HASH);

/// A pair whose server handles the client's faults. The client's capability to
/// its handler has a badge.
fn handled() -> Pair {
    let pair = Pair::new();
    let m = &pair.machine;
    m.handle_faults(pair.client_task, pair.server_task, pair.serve);
    pair
}

/// The client faults at an address.
fn fault_of(pair: &Pair, kind: FaultKind, address: u64) {
    let m = &pair.machine;
    m.run(pair.client);
    fault::fault(m.k, pair.client, kind, address, 0xc0de);
    m.leave();
}

/// The server answers with this outcome.
fn answer(pair: &Pair, outcome: u8) {
    let label = Label::control(Flags::REPLY, outcome);
    let m = &pair.machine;
    let out = m.call(pair.server, Handle::NULL, label, &[]).unwrap();
    assert_eq!(out.status, MESSAGE);
}

fn check(pair: &Pair) {
    invariants::check(&pair.machine, |_| 1);
}

#[test]
fn a_handler_that_waits_again_leaves_the_registers_alone() {
    let pair = handled();
    let m = &pair.machine;
    // As if it had just called: the answer to a call is on the fast path then.
    assert_eq!(m.receive(pair.server, pair.serve), None);
    fault_of(&pair, FaultKind::Write, 0x7000);
    m.result(pair.server);
    let before = host::results(&pair.client.context);
    let label = Label::control(Flags::REPLY.union(Flags::RECEIVE), Label::OK);
    let answer = call_in(pair.serve, label, &[1, 2, 3], FOREVER);
    assert_eq!(m.enter(pair.server, answer), None);
    assert_eq!(pair.client.state.get(), State::Ready);
    assert_eq!(pair.client.pending_fault(), None);
    assert_eq!(host::results(&pair.client.context), before);
    check(&pair);
}

#[test]
fn a_handler_that_keeps_its_answer_leaves_the_registers_alone() {
    let pair = handled();
    let m = &pair.machine;
    assert_eq!(m.receive(pair.server, pair.serve), None);
    fault_of(&pair, FaultKind::Write, 0x7000);
    m.result(pair.server);
    let before = host::results(&pair.client.context);
    m.open(pair.server, 1);
    m.object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    let kept = Handle(m.buffer(pair.server, word::CAPABILITIES));
    let label = Label::control(Flags::REPLY, Label::OK);
    let answer = CallIn {
        request: kept,
        ..call_in(Handle::NULL, label, &[1, 2, 3], FOREVER)
    };
    // Above the handler: a call's answer would be on the fast path then.
    for priority in [&pair.client.priority, &pair.client.effective] {
        priority.set(priority.get() + 1);
    }
    m.enter(pair.server, answer).unwrap();
    assert_eq!(pair.client.state.get(), State::Ready);
    assert_eq!(host::results(&pair.client.context), before);
    check(&pair);
}

#[test]
fn a_handler_is_told_and_lets_the_thread_go_on() {
    let pair = handled();
    let m = &pair.machine;
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let pc = Port::registers(&pair.client.context).pc;
    fault_of(&pair, FaultKind::Write, 0x7000);
    let told = m.result(pair.server);
    assert_eq!(told.label.hash(), objects::fault::INTERFACE.hash);
    let (task, thread) = (pair.client_task.id.get(), pair.client.id.get());
    assert_eq!(told.words, [task, thread, 1, 0x7000, 0xc0de, pc, 0x2000, 0]);
    check(&pair);
    answer(&pair, Label::OK);
    assert_eq!(pair.client.state.get(), State::Ready);
    assert_eq!(Port::registers(&pair.client.context).pc, pc, "once more");
    assert_eq!(pair.client.pending_fault(), None);
    check(&pair);
}

#[test]
fn a_handler_that_refuses_ends_the_thread() {
    for outcome in [Label::SERVER_ERROR, Cause::Malformed as u8] {
        let pair = handled();
        pair.machine.receive(pair.server, pair.serve);
        fault_of(&pair, FaultKind::Illegal, 0);
        answer(&pair, outcome);
        assert_eq!(pair.client_task.alive.get(), 0);
        check(&pair);
    }
}

#[test]
fn a_page_that_is_only_absent_is_no_fault() {
    let pair = handled();
    pair.machine.receive(pair.server, pair.serve);
    for kind in [FaultKind::Read, FaultKind::Write] {
        fault_of(&pair, kind, DATA + 8);
        assert_eq!(pair.client.state.get(), State::Ready);
    }
    fault_of(&pair, FaultKind::Execute, DATA + 8);
    assert_eq!(pair.client.state.get(), State::Waiting);
    check(&pair);
}

#[test]
fn without_a_handler_a_thread_ends() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    m.run(pair.server);
    fault::fault(m.k, pair.server, FaultKind::Read, 0, 0);
    m.leave();
    assert_eq!(pair.server_task.alive.get(), 0);
    assert_eq!(m.result(pair.client).status, delivered(Cause::Died));
    check(&pair);
}

#[test]
fn who_is_served_waits_while_its_server_s_fault_is_handled() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let handler_task = m.task(64);
    let boss = m.thread(handler_task);
    let (endpoint, receive) = m.endpoint(handler_task);
    let target = Target::Endpoint(endpoint, None, 0);
    let call = m.give(pair.server_task, target, Rights::CALL);
    let own = m.give(
        pair.server_task,
        Target::Task(pair.server_task),
        Rights::all(),
    );
    let answer = m.task_call(pair.server, own, on_task::SET_FAULT_HANDLER, &[call], &[]);
    assert!(answer.is_ok());
    assert_eq!(m.receive(boss, receive), None);
    m.run(pair.server);
    fault::fault(m.k, pair.server, FaultKind::Read, 0, 0);
    m.leave();
    assert_eq!(pair.client.state.get(), State::Waiting);
    check(&pair);
    assert_eq!(m.reply(boss, &[]).status, MESSAGE);
    assert_eq!(m.reply(pair.server, &[3]).status, MESSAGE);
    assert_eq!(m.result(pair.client).words[0], 3);
    check(&pair);
}

#[test]
fn the_last_thread_s_end_is_told_once() {
    let pair = handled();
    let m = &pair.machine;
    let second = m.thread(pair.client_task);
    let exit = Label::call(4, thread::INTERFACE.hash);
    m.receive(pair.server, pair.serve);
    assert_eq!(m.call(second, Handle::THREAD, exit, &[1]), None);
    assert_eq!(pair.server.state.get(), State::Receiving, "not the last");
    assert_eq!(m.call(pair.client, Handle::THREAD, exit, &[42]), None);
    let told = m.result(pair.server);
    assert_eq!(told.words[2..4], [FaultKind::Exit as u64, 42]);
    check(&pair);
    // An answer does not bring it back.
    answer(&pair, Label::OK);
    assert_eq!(pair.client_task.alive.get(), 0);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    check(&pair);
}

#[test]
fn a_panic_is_told_and_ends_the_thread() {
    let pair = handled();
    let m = &pair.machine;
    let panic = Label::call(7, thread::INTERFACE.hash);
    assert_eq!(m.call(pair.client, Handle::THREAD, panic, &[DATA, 5]), None);
    // The handler was busy: the fault waits for it.
    assert_eq!(pair.client.state.get(), State::Sending);
    let told = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!(told.words[2..5], [FaultKind::Panic as u64, DATA, 5]);
    answer(&pair, Label::OK);
    assert_eq!(pair.client_task.alive.get(), 0);
    check(&pair);
}

#[test]
fn a_handler_s_death_ends_who_waits_for_it() {
    // In its hands, and in its queue.
    for received in [true, false] {
        let pair = handled();
        let m = &pair.machine;
        if received {
            m.receive(pair.server, pair.serve);
        }
        fault_of(&pair, FaultKind::Read, 0);
        m.kill(pair.server_task);
        assert_eq!(pair.client_task.alive.get(), 0);
        check(&pair);
        // Nobody is there to be told now.
        let next = m.thread(pair.client_task);
        m.run(next);
        fault::fault(m.k, next, FaultKind::Read, 0, 0);
        m.leave();
        assert_eq!(pair.client_task.alive.get(), 0);
        check(&pair);
    }
}

#[test]
fn cancelling_a_faulted_thread_ends_it() {
    let pair = handled();
    let m = &pair.machine;
    m.receive(pair.server, pair.serve);
    fault_of(&pair, FaultKind::Read, 0);
    let boss = m.thread(m.root);
    let handle = m.give(m.root, Target::Thread(pair.client), Rights::all());
    let out = m.object(boss, handle, 2, thread::INTERFACE.hash, &[]);
    assert!(Answer::of(&out).is_ok());
    assert_eq!(pair.client.state.get(), State::Dead);
    let died = Answer::error(objects::ObjectError::Died);
    for operation in 0..5 {
        let out = m.object(boss, handle, operation, thread::INTERFACE.hash, &[1]);
        assert_eq!(Answer::of(&out), died, "operation {operation}");
    }
    assert_eq!(m.reply(pair.server, &[]).status, refused(Cause::Cancelled));
    check(&pair);
}

#[test]
fn a_handler_that_is_expelled_leaves_faults_to_its_successor() {
    let pair = handled();
    let m = &pair.machine;
    fault_of(&pair, FaultKind::Read, 0x99);
    let boss = m.thread(m.root);
    let target = Target::Endpoint(pair.endpoint, None, 0);
    let all = m.give(m.root, target, Rights::all());
    let hash = objects::endpoint::INTERFACE.hash;
    assert!(Answer::of(&m.object(boss, all, 4, hash, &[])).is_ok());
    assert_eq!(m.receive(boss, all).unwrap().words[3], 0x99);
    check(&pair);
}

#[test]
fn threads_that_handle_each_other_s_faults_end_together() {
    let pair = Pair::new();
    let m = &pair.machine;
    let task = m.task(200);
    let (endpoint, receive) = m.endpoint(task);
    let target = Target::Endpoint(endpoint, None, 0);
    m.handle_faults(task, task, receive);
    // A client outside waits for the first of them.
    let call = m.give(pair.client_task, target, Rights::CALL);
    let mut thread = m.thread(task);
    m.receive(thread, receive);
    m.call(pair.client, call, LABEL, &[]);
    // Each receives its predecessor's fault, then faults itself.
    for _ in 1..DEPTH {
        let next = m.thread(task);
        assert_eq!(m.receive(next, receive), None);
        m.run(thread);
        fault::fault(m.k, thread, FaultKind::Illegal, 0, 0);
        m.leave();
        assert_eq!(next.state.get(), State::Ready);
        thread = next;
    }
    assert_eq!(task.alive.get(), DEPTH);
    invariants::check(m, |_| 1);
    // The chain is as long as can be: this fault cannot be told, so its thread
    // ends, and with it one after the other.
    m.receive(m.thread(task), receive);
    m.run(thread);
    fault::fault(m.k, thread, FaultKind::Illegal, 0, 0);
    m.leave();
    assert_eq!(task.alive.get(), 1);
    assert_eq!(m.result(pair.client).status, delivered(Cause::Died));
    invariants::check(m, |_| 1);
}

#[test]
fn suspending_oneself_answers_when_resumed() {
    let pair = Pair::new();
    let m = &pair.machine;
    let hash = thread::INTERFACE.hash;
    let own = m.give(pair.client_task, Target::Thread(pair.client), Rights::all());
    assert_eq!(m.call(pair.client, own, Label::call(1, hash), &[]), None);
    assert_eq!(pair.client.state.get(), State::Stopped);
    let boss = m.thread(m.root);
    let handle = m.give(m.root, Target::Thread(pair.client), Rights::all());
    assert!(Answer::of(&m.object(boss, handle, 0, hash, &[])).is_ok());
    assert_eq!(m.result(pair.client).status, MESSAGE);
    check(&pair);
}
