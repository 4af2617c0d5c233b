//! Every other way in which a call ends, each with its cause and `delivered`.

use super::machine::*;
use crate::{capability::object::Target, ipc::end, object::thread::State};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::Label,
    objects::{endpoint, task, thread},
    status::Cause,
};

const LABEL: Label = Label::call(0, HASH);

#[test]
fn time_runs_out_in_the_queue_and_with_the_server() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 1500));
    m.at(1499);
    assert_eq!(pair.client.state.get(), State::Sending);
    m.at(1500);
    assert_eq!(m.result(pair.client).status, refused(Cause::TimedOut));
    assert_eq!(
        (pair.endpoint.senders.length(), pair.endpoint.uses.get()),
        (0, 2)
    );

    m.receive(pair.server, pair.serve);
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 1600));
    m.at(1700);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    assert_eq!(m.reply(pair.server, &[]).status, refused(Cause::Cancelled));
}

#[test]
fn a_deadline_that_has_passed_refuses_at_once() {
    let pair = Pair::new();
    let m = &pair.machine;
    let out = m
        .enter(pair.client, call_in(pair.use_, LABEL, &[], 0))
        .unwrap();
    assert_eq!(out.status, refused(Cause::TimedOut));
    let out = m.receive_until(pair.server, pair.serve, 0).unwrap();
    assert_eq!(out.status, refused(Cause::TimedOut));
    assert!(pair.endpoint.receivers.is_empty());
    let out = m.receive_until(pair.server, Handle::NULL, 5).unwrap();
    assert_eq!(out.status, refused(Cause::TimedOut));
    // Though somebody waits who would take it.
    m.receive(pair.server, pair.serve);
    let out = m
        .enter(pair.client, call_in(pair.use_, LABEL, &[], 5))
        .unwrap();
    assert_eq!(out.status, refused(Cause::TimedOut));
    assert_eq!(pair.server.state.get(), State::Receiving);
}

#[test]
fn receiving_and_sleeping_end_in_time() {
    let pair = Pair::new();
    let m = &pair.machine;
    assert_eq!(m.receive_until(pair.server, pair.serve, 1200), None);
    assert_eq!(m.receive_until(pair.client, Handle::NULL, 1100), None);
    m.at(1100);
    assert_eq!(m.result(pair.client).status, refused(Cause::TimedOut));
    assert_eq!(pair.server.state.get(), State::Receiving);
    m.at(1250);
    assert_eq!(m.result(pair.server).status, refused(Cause::TimedOut));
    assert!(pair.endpoint.receivers.is_empty());
}

#[test]
fn a_server_s_death_ends_the_calls_that_it_serves() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let waiting = m.thread(pair.client_task);
    // Somebody else keeps the endpoint alive, as a supervisor does.
    m.give(
        m.root,
        Target::Endpoint(pair.endpoint, None, 0),
        Rights::all(),
    );
    m.call(waiting, pair.use_, LABEL, &[]);
    m.kill(pair.server_task);
    assert_eq!(m.result(pair.client).status, delivered(Cause::Died));
    // Who was not received waits for a successor.
    assert_eq!(waiting.state.get(), State::Sending);
}

#[test]
fn when_nobody_can_receive_any_more_calls_end() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.call(pair.client, pair.use_, LABEL, &[]);
    m.kill(pair.server_task);
    assert_eq!(m.result(pair.client).status, refused(Cause::Died));
    let out = m.call(pair.client, pair.use_, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Died));
    let out = m.signal(pair.client, pair.use_, 1);
    assert_eq!(out.status, refused(Cause::Died));
}

#[test]
fn a_client_s_death_frees_the_server() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    m.kill(pair.client_task);
    assert!(pair.server.client.is_none());
    assert_eq!(m.reply(pair.server, &[]).status, refused(Cause::Cancelled));
    assert_eq!(m.receive(pair.server, pair.serve), None);
}

#[test]
fn cancelling_ends_any_wait() {
    let pair = Pair::new();
    let m = &pair.machine;
    let boss = m.thread(m.root);
    let hash = thread::INTERFACE.hash;
    let cancel = |thread| {
        let handle = m.give(m.root, Target::Thread(thread), Rights::all());
        assert_eq!(m.object(boss, handle, 2, hash, &[]).status, MESSAGE);
    };
    m.call(pair.client, pair.use_, LABEL, &[]);
    cancel(pair.client);
    assert_eq!(m.result(pair.client).status, refused(Cause::Cancelled));
    m.receive(pair.server, pair.serve);
    cancel(pair.server);
    assert_eq!(m.result(pair.server).status, refused(Cause::Cancelled));
    m.receive(pair.server, pair.serve);
    m.call(pair.client, pair.use_, LABEL, &[]);
    cancel(pair.client);
    assert_eq!(m.result(pair.client).status, delivered(Cause::Cancelled));
    assert_eq!(m.receive(pair.server, pair.serve), None);
}

#[test]
fn a_paused_endpoint_holds_callers_back() {
    let pair = Pair::new();
    let m = &pair.machine;
    let hash = endpoint::INTERFACE.hash;
    let other = m.thread(pair.server_task);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(m.object(other, pair.serve, 1, hash, &[]).status, MESSAGE);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[8]), None);
    assert_eq!(pair.client.state.get(), State::Sending);
    assert_eq!(m.object(other, pair.serve, 2, hash, &[]).status, MESSAGE);
    assert_eq!(m.result(pair.server).words[0], 8);
}

#[test]
fn an_endpoint_is_handed_to_a_successor() {
    let pair = Pair::new();
    let m = &pair.machine;
    let hash = endpoint::INTERFACE.hash;
    let boss = m.thread(m.root);
    let all = m.give(
        m.root,
        Target::Endpoint(pair.endpoint, None, 0),
        Rights::all(),
    );
    m.receive(pair.server, pair.serve);
    assert_eq!(m.object(boss, all, 1, hash, &[]).status, MESSAGE);
    assert_eq!(m.object(boss, all, 4, hash, &[]).status, MESSAGE);
    // The old server is out, the supervisor's own capability is not.
    assert_eq!(m.result(pair.server).status, refused(Cause::Cancelled));
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!(out.status, refused(Cause::Revoked));
    m.call(pair.client, pair.use_, LABEL, &[4]);
    assert_eq!(m.object(boss, all, 2, hash, &[]).status, MESSAGE);
    assert_eq!(m.receive(boss, all).unwrap().words[0], 4);
}

#[test]
fn closing_refuses_for_good() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.call(pair.client, pair.use_, LABEL, &[]);
    let hash = endpoint::INTERFACE.hash;
    assert_eq!(
        m.object(pair.server, pair.serve, 3, hash, &[]).status,
        MESSAGE
    );
    assert_eq!(m.result(pair.client).status, refused(Cause::Died));
    assert_eq!(
        m.receive(pair.server, pair.serve).unwrap().status,
        refused(Cause::Died)
    );
    for operation in [1, 2] {
        let out = m.object(pair.server, pair.serve, operation, hash, &[]);
        assert_eq!(out.label.operation(), Label::SERVER_ERROR);
    }
}

#[test]
fn control_is_needed_for_control() {
    let pair = Pair::new();
    let m = &pair.machine;
    let target = Target::Endpoint(pair.endpoint, None, 0);
    let plain = m.give(
        pair.client_task,
        target,
        Rights::CALL | Rights::SIGNAL | Rights::GRANT,
    );
    for operation in 0..=6 {
        m.open(pair.client, 1);
        let out = m.object(
            pair.client,
            plain,
            operation,
            endpoint::INTERFACE.hash,
            &[1, 1, 1],
        );
        assert_eq!(out.status, refused(Cause::Denied), "operation {operation}");
    }
    let mute = m.give(
        pair.client_task,
        Target::Task(pair.client_task),
        Rights::GRANT,
    );
    for operation in [2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17] {
        let label = Label::call(operation, task::INTERFACE.hash).with_capabilities(1);
        m.open(pair.client, 1);
        m.set_buffer(pair.client, 0, plain.0);
        let out = m
            .call(pair.client, mute, label, &[0x20_0000, 0, 1, 1])
            .unwrap();
        assert_eq!(out.status, refused(Cause::Denied), "operation {operation}");
    }
}

#[test]
fn a_deadline_is_inherited() {
    let pair = Pair::new();
    let m = &pair.machine;
    let (_, third) = m.endpoint(pair.server_task);
    m.receive(pair.server, pair.serve);
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 3000));
    m.enter(pair.server, call_in(third, LABEL, &[], FOREVER));
    assert_eq!(pair.server.alarm.deadline(), 3000);
    m.at(3000);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    assert_eq!(m.result(pair.server).status, refused(Cause::TimedOut));
}

#[test]
fn a_server_may_give_a_nested_call_a_deadline_of_its_own() {
    let pair = Pair::new();
    let m = &pair.machine;
    let (_, third) = m.endpoint(pair.server_task);
    m.receive(pair.server, pair.serve);
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 3000));
    m.enter(pair.server, call_in(third, LABEL, &[], 5000));
    assert_eq!(pair.server.alarm.deadline(), 5000);
    m.at(3000);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    assert_eq!(pair.server.state.get(), State::Sending);
}

#[test]
fn closing_ends_no_use_twice() {
    let pair = Pair::new();
    end::close(pair.machine.k, pair.endpoint);
    end::close(pair.machine.k, pair.endpoint);
    pair.machine.leave();
    assert_eq!(
        (pair.endpoint.uses.get(), pair.endpoint.receive_uses.get()),
        (2, 1)
    );
}
