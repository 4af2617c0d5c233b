//! Answers: kept, late, wrong and thrown away.

use super::machine::*;
use crate::capability::object::Target;
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{ObjectError, reply},
    registers::CallIn,
    status::Cause,
    wire::ErrorCode,
};
use std::vec;

const LABEL: Label = Label::call(0, HASH);

fn keep(pair: &Pair) -> Handle {
    pair.machine.open(pair.server, 1);
    let out = pair
        .machine
        .object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    assert_eq!((out.status, out.label.capabilities()), (MESSAGE, 1));
    Handle(
        pair.machine
            .buffer(pair.server, libipc_abi::buffer::word::CAPABILITIES),
    )
}

fn answer(kept: Handle, words: &[u64]) -> CallIn {
    let label = Label::control(Flags::REPLY, Label::OK);
    CallIn {
        request: kept,
        ..call_in(Handle::NULL, label, words, FOREVER)
    }
}

#[test]
fn a_kept_reply_is_answered_later_and_once() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let kept = keep(&pair);
    // The server is free for others meanwhile.
    let other = m.thread(pair.client_task);
    assert_eq!(m.call(other, pair.use_, LABEL, &[5]), None);
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().words[0], 5);
    assert_eq!(
        m.enter(pair.server, answer(kept, &[77])).unwrap().status,
        MESSAGE
    );
    assert_eq!(m.result(pair.client).words[0], 77);
    assert_eq!(
        m.enter(pair.server, answer(kept, &[])).unwrap().status,
        refused(Cause::Denied)
    );
    // The request being served was not touched.
    assert_eq!(m.reply(pair.server, &[6]).status, MESSAGE);
    assert_eq!(m.result(other).words[0], 6);
}

#[test]
fn a_reply_without_its_right_can_be_carried_only() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let kept = keep(&pair);
    let slot = pair.server_task.table.find(m.k, kept).unwrap();
    let target = slot.target(m.k).unwrap();
    let weak = m.give(pair.server_task, target, Rights::GRANT);
    let hash = reply::INTERFACE.hash;
    for (operation, words) in [(0, vec![]), (1, vec![0; 4]), (2, vec![0; 4]), (3, vec![])] {
        m.open(pair.server, 1);
        let out = m.object(pair.server, weak, operation, hash, &words);
        assert_eq!(out.status, refused(Cause::Denied), "operation {operation}");
        let out = m.object(pair.server, kept, operation, hash, &words);
        assert_ne!(out.status, refused(Cause::Denied), "operation {operation}");
    }
    assert_eq!(
        m.enter(pair.server, answer(weak, &[])).unwrap().status,
        refused(Cause::Denied)
    );
}

#[test]
fn deleting_a_kept_reply_answers_dropped() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let kept = keep(&pair);
    let slot = pair.server_task.table.find(m.k, kept).unwrap();
    pair.server_task.table.delete(m.k, slot);
    assert_eq!(m.result(pair.client).status, delivered(Cause::Dropped));
}

#[test]
fn the_death_of_who_kept_a_reply_answers_died() {
    let pair = Pair::called(LABEL, &[]);
    keep(&pair);
    pair.machine.kill(pair.server_task);
    let status = pair.machine.result(pair.client).status;
    assert_eq!(status, delivered(Cause::Died));
}

#[test]
fn receiving_without_answering_answers_dropped() {
    let pair = Pair::called(LABEL, &[]);
    assert_eq!(pair.machine.receive(pair.server, pair.serve), None);
    assert_eq!(
        pair.machine.result(pair.client).status,
        delivered(Cause::Dropped)
    );
}

#[test]
fn a_late_answer_is_refused() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.receive(pair.server, pair.serve);
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 2000));
    let kept = keep(&pair);
    m.at(2000);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    // The client has gone on to a new call: the old answer does not fit it.
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    let out = m.enter(pair.server, answer(kept, &[])).unwrap();
    assert_eq!(out.status, refused(Cause::Cancelled));
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().status, MESSAGE);
}

#[test]
fn only_a_dispatch_s_own_causes_are_accepted_without_proxy() {
    for (cause, accepted) in [
        (Cause::Malformed, true),
        (Cause::VersionMismatch, true),
        (Cause::Revoked, false),
    ] {
        let pair = Pair::called(LABEL, &[]);
        let m = &pair.machine;
        let label = Label::control(Flags::REPLY, cause as u8);
        let out = m
            .enter(pair.server, call_in(Handle::NULL, label, &[1], FOREVER))
            .unwrap();
        if accepted {
            assert_eq!(out.status, MESSAGE);
            assert_eq!(m.result(pair.client).status, refused(cause));
        } else {
            assert_eq!(out.status, refused(Cause::Denied));
            // With a capability that has the right it goes through.
            let out = m
                .enter(pair.server, call_in(pair.serve, label, &[1], FOREVER))
                .unwrap();
            assert_eq!(out.status, MESSAGE);
            assert_eq!(m.result(pair.client).status, delivered(cause));
        }
    }
}

#[test]
fn a_proxy_says_whether_it_ran_and_passes_nothing_with_an_error() {
    for (bit, status) in [
        (0, refused(Cause::Unreachable)),
        (2, refused(Cause::Unreachable)),
        (3, delivered(Cause::Unreachable)),
    ] {
        let pair = Pair::called(LABEL, &[]);
        let m = &pair.machine;
        // Nobody looks at what is attached, which is no capability.
        let label = Label::control(Flags::REPLY, Cause::Unreachable as u8).with_capabilities(1);
        m.set_buffer(pair.server, word::CAPABILITIES, 99);
        let out = m
            .enter(pair.server, call_in(pair.serve, label, &[bit], FOREVER))
            .unwrap();
        assert_eq!(out.status, MESSAGE);
        assert_eq!(m.result(pair.client).status, status);
    }
}

#[test]
fn an_answer_of_no_meaning_is_malformed_and_leaves_the_request() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    for operation in [2, 15, 30, 255] {
        let label = Label::control(Flags::REPLY, operation);
        let out = m
            .enter(pair.server, call_in(Handle::NULL, label, &[], FOREVER))
            .unwrap();
        assert_eq!(out.status, refused(Cause::Malformed));
    }
    let ok = Label::control(Flags::REPLY, Label::OK);
    for label in [ok.with_capabilities(5), ok.with_leases(1)] {
        let out = m
            .enter(pair.server, call_in(Handle::NULL, label, &[], FOREVER))
            .unwrap();
        assert_eq!(out.status, refused(Cause::Malformed));
    }
    assert_eq!(m.reply(pair.server, &[1]).status, MESSAGE);
    assert_eq!(m.reply(pair.server, &[1]).status, refused(Cause::Cancelled));
}

#[test]
fn a_reply_capability_can_move_but_not_be_copied() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let kept = keep(&pair);
    let task = m.give(
        pair.server_task,
        Target::Task(pair.server_task),
        Rights::all(),
    );
    let hash = libipc_abi::objects::task::INTERFACE.hash;
    let out = m.object(pair.server, task, 8, hash, &[kept.0, 0xff]);
    assert_eq!(out.status, refused(Cause::Denied));
    // Moved to another server, which answers.
    let other_task = m.task(64);
    let other = m.thread(other_task);
    let (endpoint, receive) = m.endpoint(other_task);
    let target = Target::Endpoint(endpoint, None, 0);
    let send = m.give(pair.server_task, target, Rights::CALL);
    m.open(other, 1);
    assert_eq!(m.receive(other, receive), None);
    use libipc_abi::buffer::word;
    m.set_buffer(pair.server, word::CAPABILITIES, kept.0);
    assert_eq!(
        m.call(pair.server, send, LABEL.with_capabilities(1), &[]),
        None
    );
    let moved = Handle(m.buffer(other, word::CAPABILITIES));
    assert_eq!(m.enter(other, answer(moved, &[3])).unwrap().status, MESSAGE);
    assert_eq!(m.result(pair.client).words[0], 3);
}

#[test]
fn keeping_needs_a_request() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.open(pair.server, 1);
    let out = m.object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    assert_eq!(out.status, refused(Cause::Cancelled));
    let pair = Pair::called(LABEL, &[]);
    let kept = keep(&pair);
    pair.machine.open(pair.server, 1);
    let out = pair
        .machine
        .object(pair.server, kept, 0, reply::INTERFACE.hash, &[]);
    assert_eq!(
        (out.label.operation(), out.words[0]),
        (1, ObjectError::WrongState.to_code())
    );
}
