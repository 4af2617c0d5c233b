//! Taking back: everything that came from a capability, and nothing else.

use super::machine::*;
use crate::{
    arch::{Access, host},
    capability::{derivation, object::Target, revoke, slot::Slot},
    memory::{fill, space::Progress},
    object::{memory::Memory, task::Task, thread::State},
};
use libipc_abi::{
    buffer::word,
    handle::{Handle, Rights},
    label::Label,
    objects::{endpoint, task},
    status::Cause,
};
use std::{vec, vec::Vec};

const LABEL: Label = Label::call(0, HASH);
const REVOKE: u8 = 18;
const DERIVE: u8 = 8;
const INSTALL: u8 = 7;

impl Pair {
    /// A handle of the server's task for itself.
    fn own(&self) -> Handle {
        let target = Target::Task(self.server_task);
        self.machine.give(self.server_task, target, Rights::all())
    }

    fn task_call(&self, own: Handle, operation: u8, words: &[u64]) -> u64 {
        let hash = task::INTERFACE.hash;
        let out = self
            .machine
            .object(self.server, own, operation, hash, words);
        assert_eq!(out.label.operation(), Label::OK);
        if out.status == MESSAGE {
            out.words[0]
        } else {
            out.status
        }
    }

    fn holds(&self, task: &Task, handle: u64) -> bool {
        task.table.find(self.machine.k, Handle(handle)).is_some()
    }
}

#[test]
fn what_was_derived_goes_and_the_rest_stays() {
    let pair = Pair::new();
    let own = pair.own();
    let root = pair.serve.0;
    let other = pair.task_call(own, DERIVE, &[root, 0xff]);
    let child = pair.task_call(own, DERIVE, &[other, 0xff]);
    let grandchild = pair.task_call(own, DERIVE, &[child, 0xff]);
    let sibling = pair.task_call(own, DERIVE, &[root, 0xff]);
    pair.task_call(own, REVOKE, &[other]);
    assert!(pair.holds(pair.server_task, root) && pair.holds(pair.server_task, other));
    assert!(pair.holds(pair.server_task, sibling));
    assert!(!pair.holds(pair.server_task, child) && !pair.holds(pair.server_task, grandchild));
    pair.task_call(own, REVOKE, &[root]);
    assert!(pair.holds(pair.server_task, root));
    assert!(!pair.holds(pair.server_task, other) && !pair.holds(pair.server_task, sibling));
}

#[test]
fn deleting_the_one_in_between_saves_nobody() {
    let pair = Pair::new();
    let own = pair.own();
    let root = pair.serve.0;
    let middle = pair.task_call(own, DERIVE, &[root, 0xff]);
    let last: Vec<u64> = (0..3)
        .map(|_| pair.task_call(own, DERIVE, &[middle, 0xff]))
        .collect();
    pair.task_call(own, 9, &[middle]);
    assert!(
        last.iter()
            .all(|handle| pair.holds(pair.server_task, *handle))
    );
    pair.task_call(own, REVOKE, &[root]);
    assert!(
        !last
            .iter()
            .any(|handle| pair.holds(pair.server_task, *handle))
    );
}

/// The server installs a copy of its endpoint's capability in the client's task.
fn installed(pair: &Pair) -> u64 {
    let m = &pair.machine;
    let client = m.give(
        pair.server_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    m.set_buffer(pair.server, word::CAPABILITIES, pair.serve.0);
    let label = Label::call(INSTALL, task::INTERFACE.hash).with_capabilities(1);
    let rights = u64::from((Rights::CALL | Rights::GRANT).bits());
    let out = m.call(pair.server, client, label, &[rights]).unwrap();
    assert_eq!(out.status, MESSAGE);
    out.words[0]
}

#[test]
fn queued_calls_end_and_received_ones_finish() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = pair.own();
    let given = installed(&pair);
    let second = m.thread(pair.client_task);
    m.receive(pair.server, pair.serve);
    assert_eq!(m.call(pair.client, Handle(given), LABEL, &[]), None);
    assert_eq!(m.call(second, Handle(given), LABEL, &[]), None);
    assert_eq!(second.state.get(), State::Sending);
    pair.task_call(own, REVOKE, &[pair.serve.0]);
    assert_eq!(m.result(second).status, refused(Cause::Revoked));
    assert_eq!(pair.client.state.get(), State::Waiting);
    assert_eq!(m.reply(pair.server, &[3]).status, MESSAGE);
    assert_eq!(m.result(pair.client).words[0], 3);
    let out = m.call(pair.client, Handle(given), LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Denied));
}

#[test]
fn minted_badges_go_and_tell() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = pair.own();
    m.open(pair.server, 1);
    let hash = endpoint::INTERFACE.hash;
    m.object(pair.server, pair.serve, 0, hash, &[77, 1, 4]);
    let minted = m.buffer(pair.server, word::CAPABILITIES);
    pair.task_call(own, REVOKE, &[pair.serve.0]);
    assert!(!pair.holds(pair.server_task, minted));
    let out = m.receive(pair.server, pair.serve).unwrap();
    assert_eq!((out.status, out.badge), (CLOSED, 77));
}

#[test]
fn moved_capabilities_stay_where_they_come_from() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = pair.own();
    let (_, root) = m.endpoint(pair.server_task);
    let child = pair.task_call(own, DERIVE, &[root.0, 0xff]);
    let grandchild = pair.task_call(own, DERIVE, &[child, 0xff]);
    // The child moves to another task by message.
    let target = Target::Endpoint(pair.endpoint, None, 0);
    let back = m.give(pair.server_task, target, Rights::CALL);
    let receiver = m.thread(pair.client_task);
    let all = m.give(pair.client_task, target, Rights::all());
    m.open(receiver, 1);
    assert_eq!(m.receive(receiver, all), None);
    m.set_buffer(pair.server, word::CAPABILITIES, child);
    assert_eq!(
        m.call(pair.server, back, LABEL.with_capabilities(1), &[]),
        None
    );
    let moved = m.buffer(receiver, word::CAPABILITIES);
    assert!(pair.holds(pair.client_task, moved) && !pair.holds(pair.server_task, child));
    m.reply(receiver, &[]);
    // Its new holder can take back what came from it.
    let theirs = m.give(
        pair.client_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    let hash = task::INTERFACE.hash;
    assert_eq!(
        m.object(receiver, theirs, REVOKE, hash, &[moved]).status,
        MESSAGE
    );
    assert!(!pair.holds(pair.server_task, grandchild));
    assert!(pair.holds(pair.client_task, moved));
    // And whoever it comes from, it.
    pair.task_call(own, REVOKE, &[root.0]);
    assert!(!pair.holds(pair.client_task, moved));
}

#[test]
fn memory_is_unmapped_everywhere_even_if_the_capability_is_gone() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = pair.own();
    let memory = Memory::create(m.k, pair.server_task, 20).unwrap();
    let rights = Rights::READ | Rights::WRITE | Rights::GRANT;
    let root = m.give(pair.server_task, Target::Memory(memory), rights);
    let copy = pair.task_call(own, DERIVE, &[root.0, 0xff]);
    let client = m.give(
        pair.server_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    for (task, address) in [(own, 0x80_0000), (client, 0x90_0000)] {
        m.set_buffer(pair.server, word::CAPABILITIES, copy);
        m.set_buffer(pair.server, word::PASSING, 1);
        let label = Label::call(4, task::INTERFACE.hash).with_capabilities(1);
        let out = m
            .call(pair.server, task, label, &[address, 0, 20, 3])
            .unwrap();
        assert_eq!((out.status, out.label), (MESSAGE, Label(0)));
    }
    m.poke(pair.client_task, 0x90_0000, &[1; 4096 * 2]);
    pair.task_call(own, 9, &[copy]);
    let there = |task, address| fill::resolve(m.k, task, address, Access::READ).is_ok();
    assert!(there(pair.server_task, 0x80_0000) && there(pair.client_task, 0x90_0000));
    host::interrupt_after(3);
    pair.task_call(own, REVOKE, &[root.0]);
    assert!(!there(pair.server_task, 0x80_0000) && !there(pair.client_task, 0x90_0000));
    assert_eq!(memory.uses.get(), 1);
}

#[test]
fn while_it_is_taken_back_it_allows_nothing() {
    let pair = Pair::new();
    let m = &pair.machine;
    let slot = pair.client_task.table.find(m.k, pair.use_).unwrap();
    // Its server waits, so that the fast path could take the call.
    assert_eq!(m.receive(pair.server, pair.serve), None);
    slot.set_revoking(true);
    let out = m.call(pair.client, pair.use_, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Revoked));
    let own = m.give(
        pair.client_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    let hash = task::INTERFACE.hash;
    let out = m.object(pair.client, own, DERIVE, hash, &[pair.use_.0, 0xff]);
    assert_eq!(out.status, refused(Cause::Denied));
    // Taking back again finishes it.
    assert_eq!(
        m.object(pair.client, own, REVOKE, hash, &[pair.use_.0])
            .status,
        MESSAGE
    );
    assert!(!slot.is_revoking());
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
}

#[test]
fn an_interrupted_revoke_goes_on() {
    let pair = Pair::new();
    let own = pair.own();
    let root = pair.serve.0;
    let all: Vec<u64> = (0..200)
        .map(|_| pair.task_call(own, DERIVE, &[root, 0xff]))
        .collect();
    host::interrupt_after(5);
    pair.task_call(own, REVOKE, &[root]);
    assert!(
        !all.iter()
            .any(|handle| pair.holds(pair.server_task, *handle))
    );
}

/// The tree against a model: a parent for each slot.
#[test]
fn the_tree_agrees_with_a_model() {
    let m = Machine::new(64);
    let slots: Vec<Slot> = (0..24).map(|_| Slot::default()).collect();
    // None: not in the tree. Some(None): a root.
    let mut parents: Vec<Option<Option<usize>>> = vec![None; slots.len()];
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let steps = if cfg!(miri) { 300 } else { 20_000 };
    for _ in 0..steps {
        let one = random(slots.len());
        let other = random(slots.len());
        match (random(5), parents[one], parents[other]) {
            (0, None, _) => parents[one] = Some(None),
            (1 | 2, None, Some(_)) => {
                derivation::add(m.k, &slots[other], &slots[one]);
                parents[one] = Some(Some(other));
            }
            (3, Some(above), _) => {
                derivation::remove(m.k, &slots[one]);
                parents[one] = None;
                for parent in parents.iter_mut().flatten() {
                    if *parent == Some(one) {
                        *parent = above;
                    }
                }
            }
            (4, Some(above), None) => {
                derivation::replace(m.k, &slots[one], &slots[other]);
                parents[other] = Some(above);
                parents[one] = None;
                for parent in parents.iter_mut().flatten() {
                    if *parent == Some(one) {
                        *parent = Some(other);
                    }
                }
            }
            _ => continue,
        }
        for (index, slot) in slots.iter().enumerate() {
            let expected: Vec<usize> = (0..slots.len())
                .filter(|child| parents[*child] == Some(Some(index)))
                .collect();
            let mut found = derivation::children(m.k, slot)
                .map(|child| {
                    slots
                        .iter()
                        .position(|slot| core::ptr::eq(slot, child))
                        .unwrap()
                })
                .collect::<Vec<_>>();
            found.sort();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_revoke_stops_for_what_waits_and_only_then() {
    let m = Machine::new(256);
    let task = m.task(100);
    let (_, handle) = m.endpoint(task);
    let root = task.table.find(m.k, handle).unwrap();
    let derive = |count: usize| {
        for _ in 0..count {
            let target = root.target(m.k).unwrap();
            let rights = handle.rights();
            task.table
                .insert_from(m.k, task, &target, rights, root)
                .unwrap();
        }
    };
    derive(20);
    assert_eq!(revoke::revoke(m.k, root, &mut 0), Progress::Done);
    derive(20);
    host::interrupt_after(0);
    let (mut tries, mut look) = (0, 0);
    while revoke::revoke(m.k, root, &mut look) == Progress::Again {
        tries += 1;
    }
    host::interrupt_after(u32::MAX);
    assert_eq!(tries, 20, "one at a time");
}
