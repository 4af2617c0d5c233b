//! Calls that repeat the thread's last one, and their request ids.

use super::machine::*;
use crate::{capability::object::Target, fault};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{FaultKind, reply, task},
    registers::{CallIn, CallOut},
    status::Cause,
};

const LABEL: Label = Label::call(3, HASH);
const REPEAT: Label = LABEL.with_flags(Flags::REPEAT);

/// The client calls; what the server gets.
fn request(pair: &Pair, label: Label, deadline: u64) -> CallOut {
    let m = &pair.machine;
    let call = call_in(pair.use_, label, &[7], deadline);
    assert_eq!(m.enter(pair.client, call), None);
    m.receive(pair.server, pair.serve).unwrap()
}

#[test]
fn a_repeat_keeps_its_request_id_and_says_what_it_is() {
    let pair = Pair::new();
    let m = &pair.machine;
    let first = request(&pair, LABEL, FOREVER);
    assert_eq!(first.label, LABEL);
    m.reply(pair.server, &[]);
    let second = request(&pair, REPEAT, FOREVER);
    assert_eq!(
        (second.label, second.request_id),
        (REPEAT, first.request_id)
    );
    m.reply(pair.server, &[1]);
    // The answer says which call it is of, too.
    let answer = m.result(pair.client);
    assert_eq!(
        (answer.label, answer.request_id),
        (Label(0), first.request_id)
    );
    let third = request(&pair, LABEL, FOREVER);
    assert_eq!(third.label, LABEL);
    assert_ne!(third.request_id, first.request_id);
}

#[test]
fn a_late_answer_to_the_first_attempt_is_not_the_second_s() {
    let pair = Pair::new();
    let m = &pair.machine;
    let first = request(&pair, LABEL, 2000);
    m.open(pair.server, 1);
    m.object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    let kept = Handle(m.buffer(pair.server, word::CAPABILITIES));
    m.at(2000);
    assert_eq!(m.result(pair.client).status, delivered(Cause::TimedOut));
    let second = request(&pair, REPEAT, FOREVER);
    assert_eq!(second.request_id, first.request_id);
    let late = CallIn {
        request: kept,
        ..call_in(
            Handle::NULL,
            Label::control(Flags::REPLY, Label::OK),
            &[99],
            FOREVER,
        )
    };
    let out = m.enter(pair.server, late).unwrap();
    assert_eq!(out.status, refused(Cause::Cancelled));
    m.reply(pair.server, &[11]);
    assert_eq!(m.result(pair.client).words[0], 11);
}

#[test]
fn a_fault_between_two_attempts_changes_nothing() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.handle_faults(pair.client_task, pair.server_task, pair.serve);
    let first = request(&pair, LABEL, FOREVER);
    m.reply(pair.server, &[]);
    m.run(pair.client);
    fault::fault(m.k, pair.client, FaultKind::Read, 0x7000, 0);
    m.leave();
    let told = m.receive(pair.server, pair.serve).unwrap();
    assert_ne!(told.request_id, first.request_id);
    m.reply(pair.server, &[]);
    let second = request(&pair, REPEAT, FOREVER);
    assert_eq!(second.request_id, first.request_id);
}

#[test]
fn kernel_objects_take_no_repeats() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = m.give(
        pair.client_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    let label = Label::call(on_task::INFO, task::INTERFACE.hash).with_flags(Flags::REPEAT);
    let out = m.call(pair.client, own, label, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Malformed));
}
