//! Calls that nobody could ever answer are refused, and chains are short.

use super::machine::*;
use crate::{capability::object::Target, ipc::call::DEPTH, object::thread::Thread};
use libipc_abi::{
    handle::{Handle, Rights},
    label::Label,
    objects::reply,
    status::Cause,
};
use std::vec::Vec;

const LABEL: Label = Label::call(0, HASH);

#[test]
fn a_server_that_calls_itself_is_refused() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let out = m.call(pair.server, pair.serve, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Deadlock));
    // It can still answer.
    assert_eq!(m.reply(pair.server, &[1]).status, MESSAGE);
    assert_eq!(m.result(pair.client).words[0], 1);
}

#[test]
fn a_second_receiver_breaks_the_cycle() {
    let pair = Pair::new();
    let m = &pair.machine;
    let second = m.thread(pair.server_task);
    m.receive(second, pair.serve);
    m.receive(pair.server, pair.serve);
    m.call(pair.client, pair.use_, LABEL, &[]);
    // `second` waited first and has the request; the other one serves it.
    assert_eq!(m.call(second, pair.serve, LABEL, &[]), None);
    assert_eq!(m.result(pair.server).status, MESSAGE);
    // Now both wait for each other: a third call would hang.
    let out = m.call(pair.server, pair.serve, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Deadlock));
}

#[test]
fn a_cycle_through_two_servers_is_found() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    let other_task = m.task(64);
    let other = m.thread(other_task);
    let (endpoint, receive) = m.endpoint(other_task);
    let target = Target::Endpoint(endpoint, None, 0);
    let onward = m.give(pair.server_task, target, Rights::CALL);
    let back = m.give(
        other_task,
        Target::Endpoint(pair.endpoint, None, 0),
        Rights::CALL,
    );
    m.receive(other, receive);
    assert_eq!(m.call(pair.server, onward, LABEL, &[]), None);
    let out = m.call(other, back, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Deadlock));
}

#[test]
fn a_kept_reply_is_no_link_of_a_chain() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    m.open(pair.server, 1);
    m.object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    // The server no longer acts for the client, yet calls itself.
    let out = m.call(pair.server, pair.serve, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Deadlock));
    assert_eq!(pair.server.depth.get(), 0);
}

#[test]
fn chains_have_an_end() {
    let m = Machine::new(2048);
    let task = m.task(1024);
    let threads: Vec<(&'static Thread, Handle)> = (0..DEPTH + 2)
        .map(|_| (m.thread(task), m.endpoint(task).1))
        .collect();
    for (thread, endpoint) in &threads[1..] {
        assert_eq!(m.receive(thread, *endpoint), None);
    }
    for index in 0..DEPTH as usize {
        let next = threads[index + 1].1;
        assert_eq!(
            m.call(threads[index].0, next, LABEL, &[]),
            None,
            "call {index}"
        );
    }
    let last = threads[DEPTH as usize].0;
    let out = m
        .call(last, threads[DEPTH as usize + 1].1, LABEL, &[])
        .unwrap();
    assert_eq!(out.status, refused(Cause::Deadlock));
    // One answer later it may call.
    assert_eq!(m.reply(last, &[]).status, MESSAGE);
    assert_eq!(
        m.call(last, threads[DEPTH as usize + 1].1, LABEL, &[]),
        None
    );
}
