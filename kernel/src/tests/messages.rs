//! Calls and receives: what travels, and in which order.

use super::machine::*;
use libipc_abi::{
    buffer::{BYTES, word},
    handle::{Handle, Rights},
    label::{Flags, Label},
    status::Cause,
};

const LABEL: Label = Label::call(3, HASH);

#[test]
fn words_travel_both_ways() {
    let pair = Pair::called(LABEL, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let request = pair.machine.result(pair.server);
    assert_eq!(request.status, MESSAGE);
    assert_eq!((request.label, request.badge), (LABEL, 0));
    assert_eq!(request.words, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(request.request_id, pair.client.id.get() << 40 | 1);

    assert_eq!(pair.machine.reply(pair.server, &[9, 10]).status, MESSAGE);
    let answer = pair.machine.result(pair.client);
    assert_eq!((answer.status, answer.label), (MESSAGE, Label(0)));
    assert_eq!(answer.words[..2], [9, 10]);
}

#[test]
fn a_caller_waits_for_a_receiver() {
    let pair = Pair::new();
    assert_eq!(pair.machine.call(pair.client, pair.use_, LABEL, &[7]), None);
    assert_eq!(pair.endpoint.senders.length(), 1);
    let request = pair.machine.receive(pair.server, pair.serve).unwrap();
    assert_eq!((request.status, request.words[0]), (MESSAGE, 7));
    assert_eq!(pair.endpoint.senders.length(), 0);
}

#[test]
fn callers_are_served_in_order() {
    let pair = Pair::new();
    let m = &pair.machine;
    let second = m.thread(pair.client_task);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[1]), None);
    assert_eq!(m.call(second, pair.use_, LABEL, &[2]), None);
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().words[0], 1);
    // Answer and receive in one.
    let label = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
    let next = m
        .enter(pair.server, call_in(pair.serve, label, &[11], u64::MAX))
        .unwrap();
    assert_eq!(next.words[0], 2);
    assert_eq!(m.result(pair.client).words[0], 11);
}

#[test]
fn bytes_travel_in_the_buffer_and_no_more_of_them_than_said() {
    let pair = Pair::new();
    let m = &pair.machine;
    for index in 0..4 {
        m.set_buffer(pair.client, word::BYTES + index, 100 + index as u64);
    }
    m.set_buffer(pair.server, word::BYTES + 3, 55);
    m.receive(pair.server, pair.serve);
    m.call(pair.client, pair.use_, LABEL.with_bytes(24), &[]);
    let got: [u64; 4] = core::array::from_fn(|index| m.buffer(pair.server, word::BYTES + index));
    assert_eq!(got, [100, 101, 102, 55]);
    assert_eq!(m.result(pair.server).label.bytes(), 24);
}

#[test]
fn impossible_labels_are_malformed() {
    let pair = Pair::new();
    let m = &pair.machine;
    for label in [
        LABEL.with_bytes(BYTES + 1),
        LABEL.with_capabilities(5),
        LABEL.with_leases(5),
        LABEL.with_flags(Flags::SIGNAL | Flags::REPLY),
        LABEL.with_flags(Flags::REPEAT | Flags::OBJECT),
        LABEL.with_flags(Flags::REPEAT | Flags::SIGNAL),
    ] {
        let out = m.call(pair.client, pair.use_, label, &[]).unwrap();
        assert_eq!(out.status, refused(Cause::Malformed), "{label:?}");
    }
    assert_eq!(pair.endpoint.senders.length(), 0);
}

#[test]
fn a_call_needs_the_right_to_call() {
    let pair = Pair::new();
    let m = &pair.machine;
    let target = crate::capability::object::Target::Endpoint(pair.endpoint, None, 0);
    let deaf = m.give(pair.client_task, target, Rights::SIGNAL);
    for handle in [
        deaf,
        Handle::NULL,
        Handle(u64::MAX),
        Handle(pair.use_.0 ^ 1 << 40),
        pair.serve,
    ] {
        if handle == pair.serve && pair.serve == pair.use_ {
            continue;
        }
        let out = m.call(pair.client, handle, LABEL, &[]).unwrap();
        assert_eq!(out.status, refused(Cause::Denied), "{handle:?}");
    }
    let out = m.receive(pair.client, pair.use_).unwrap();
    assert_eq!(out.status, refused(Cause::Denied));
    let out = m.signal(pair.server, Handle(1), 1);
    assert_eq!(
        out.status,
        if pair.serve.0 == 1 {
            MESSAGE
        } else {
            refused(Cause::Denied)
        }
    );
}

#[test]
fn signals_come_before_messages() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.call(pair.client, pair.use_, LABEL, &[]);
    assert_eq!(m.signal(pair.server, pair.serve, 0b101).status, MESSAGE);
    assert_eq!(m.signal(pair.server, pair.serve, 0b010).status, MESSAGE);
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!((out.status, out.words[0]), (SIGNALS, 0b111));
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().status, MESSAGE);
}

#[test]
fn a_signal_wakes_who_waits() {
    let pair = Pair::new();
    let m = &pair.machine;
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.signal(pair.client, pair.use_, 4);
    let out = m.result(pair.server);
    assert_eq!((out.status, out.words[0]), (SIGNALS, 4));
    assert_eq!(pair.endpoint.signals.get(), 0);
}

#[test]
fn a_bit_that_is_set_twice_is_set() {
    let pair = Pair::new();
    let m = &pair.machine;
    for bits in [0b11, 0b110] {
        assert_eq!(m.signal(pair.client, pair.use_, bits).status, MESSAGE);
    }
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!((out.status, out.words[0]), (SIGNALS, 0b111));
}
