//! Sessions: badges, limits, `Closed`.

use super::machine::*;
use crate::capability::object::Target;
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{ObjectError, endpoint, task},
    status::Cause,
    wire::ErrorCode,
};

const LABEL: Label = Label::call(0, HASH);

/// Mints a badge and gives the capability to the client.
fn mint(pair: &Pair, badge: u64, limit: u64) -> Handle {
    let m = &pair.machine;
    m.open(pair.server, 1);
    let rights = (Rights::CALL | Rights::GRANT).bits();
    let words = [badge, u64::from(rights), limit];
    let out = m.object(pair.server, pair.serve, 0, endpoint::INTERFACE.hash, &words);
    assert_eq!((out.status, out.label.operation()), (MESSAGE, Label::OK));
    let minted = Handle(m.buffer(pair.server, word::CAPABILITIES));
    assert_eq!(minted.rights().bits(), rights);
    let slot = pair.server_task.table.find(m.k, minted).unwrap();
    let target = slot.target(m.k).unwrap();
    let handle = m.give(pair.client_task, target, minted.rights());
    pair.server_task.table.delete(m.k, slot);
    handle
}

#[test]
fn the_server_sees_the_badge() {
    let pair = Pair::new();
    let badged = mint(&pair, 0xbad9e, 4);
    pair.machine.receive(pair.server, pair.serve);
    pair.machine.call(pair.client, badged, LABEL, &[]);
    assert_eq!(pair.machine.result(pair.server).badge, 0xbad9e);
}

#[test]
fn the_last_copy_s_end_is_told_once() {
    let pair = Pair::new();
    let m = &pair.machine;
    let badged = mint(&pair, 7, 4);
    let own = m.give(
        pair.client_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    let hash = task::INTERFACE.hash;
    let copy = m.object(pair.client, own, 8, hash, &[badged.0, 0xff]).words[0];
    assert_eq!(
        m.object(pair.client, own, 9, hash, &[badged.0]).status,
        MESSAGE
    );
    assert!(pair.endpoint.closed.is_empty());
    assert_eq!(m.object(pair.client, own, 9, hash, &[copy]).status, MESSAGE);
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!((out.status, out.badge), (CLOSED, 7));
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(pair.endpoint.session_count.get(), 0);
}

#[test]
fn a_client_s_death_closes_its_sessions() {
    let pair = Pair::new();
    let m = &pair.machine;
    mint(&pair, 8, 4);
    mint(&pair, 9, 4);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.kill(pair.client_task);
    let mut badges = [m.result(pair.server).badge, 0];
    badges[1] = m.receive(pair.server, pair.serve).unwrap().badge;
    badges.sort();
    assert_eq!(badges, [8, 9]);
}

#[test]
fn closed_waits_for_calls_in_flight_only_with_its_memory() {
    let pair = Pair::new();
    let m = &pair.machine;
    let badged = mint(&pair, 5, 4);
    m.receive(pair.server, pair.serve);
    m.call(pair.client, badged, LABEL, &[]);
    let slot = pair.client_task.table.find(m.k, badged).unwrap();
    pair.client_task.table.delete(m.k, slot);
    assert_eq!(pair.endpoint.session_count.get(), 1);
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!((out.status, out.badge), (CLOSED, 5));
    assert_eq!(pair.endpoint.session_count.get(), 0);
}

#[test]
fn a_session_that_nobody_holds_ends_with_its_last_answer() {
    let pair = Pair::new();
    let m = &pair.machine;
    let second = m.thread(pair.server_task);
    let badged = mint(&pair, 5, 4);
    m.receive(pair.server, pair.serve);
    m.call(pair.client, badged, LABEL, &[]);
    assert_eq!(m.receive(second, pair.serve), None);
    let slot = pair.client_task.table.find(m.k, badged).unwrap();
    pair.client_task.table.delete(m.k, slot);
    assert_eq!(m.result(second).badge, 5, "it is told at once");
    assert_eq!(m.receive(second, pair.serve), None);
    assert_eq!(pair.endpoint.session_count.get(), 1);
    let answer = Label::control(Flags::REPLY | Flags::RECEIVE, 0);
    let out = m.enter(pair.server, call_in(pair.serve, answer, &[], FOREVER));
    assert_eq!(out, None);
    assert_eq!(pair.endpoint.session_count.get(), 0);
}

#[test]
fn calls_in_flight_are_limited() {
    let pair = Pair::new();
    let m = &pair.machine;
    let badged = mint(&pair, 1, 2);
    let others = [m.thread(pair.client_task), m.thread(pair.client_task)];
    assert_eq!(m.call(pair.client, badged, LABEL, &[]), None);
    assert_eq!(m.call(others[0], badged, LABEL, &[]), None);
    let out = m.call(others[1], badged, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::QuotaExceeded));
    // An answer makes room.
    m.receive(pair.server, pair.serve);
    m.reply(pair.server, &[]);
    assert_eq!(m.call(others[1], badged, LABEL, &[]), None);
}

#[test]
fn sessions_are_listed() {
    let pair = Pair::new();
    let m = &pair.machine;
    let badged = mint(&pair, 11, 3);
    let gone = mint(&pair, 12, 5);
    m.call(pair.client, badged, LABEL.with_bytes(16), &[]);
    let hash = endpoint::INTERFACE.hash;
    let out = m.object(pair.server, pair.serve, 6, hash, &[0]);
    assert_eq!(out.words[..6], [11, 1, 1, 3, 1, 16]);
    let second = out.words[6];
    let ask = |cursor| m.object(pair.server, pair.serve, 6, hash, &[cursor]);
    assert_eq!(ask(second).words[..7], [12, 1, 0, 5, 0, 0, 0]);
    let missing = ObjectError::NotFound.to_code();
    for bit in 0..64 {
        let out = ask(second ^ 1 << bit);
        assert_eq!(out.words[0], missing, "bit {bit}");
    }
    // Whoever is there after it has ended is another one.
    let slot = pair.client_task.table.find(m.k, gone).unwrap();
    pair.client_task.table.delete(m.k, slot);
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().status, CLOSED);
    assert_eq!(ask(second).words[0], missing);
    mint(&pair, 13, 5);
    assert_eq!(ask(second).words[0], missing);
    assert_eq!(ask(ask(0).words[6]).words[0], 13);
}

#[test]
fn minting_needs_room_and_a_limit() {
    let pair = Pair::new();
    let m = &pair.machine;
    let hash = endpoint::INTERFACE.hash;
    m.open(pair.server, 0);
    let out = m.object(pair.server, pair.serve, 0, hash, &[1, 1, 1]);
    assert_eq!(out.status, refused(Cause::QuotaExceeded));
    m.open(pair.server, 1);
    let out = m.object(pair.server, pair.serve, 0, hash, &[1, 1, 0]);
    assert_eq!(out.words[0], ObjectError::BadArgument.to_code());
}
