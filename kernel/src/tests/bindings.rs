//! What is bound to an endpoint comes from the capability with which it was bound.

use super::{invariants, machine::*};
use crate::{
    arch::host,
    capability::object::Target,
    fault,
    object::{binding::Binding, thread::State},
};
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::{Handle, ObjectType, Rights},
    label::Label,
    objects::{FaultKind, interrupt, reservation, system, task},
    status::Cause,
};

const DERIVE: u8 = 8;
const DELETE: u8 = 9;
const REVOKE: u8 = 18;

/// The server's task with powers, and something of each kind that can be bound.
struct Bound {
    pair: Pair,
    own: Handle,
    interrupt: Handle,
    reservation: Handle,
    system: Handle,
}

impl Bound {
    fn new() -> Bound {
        let pair = Pair::new();
        let m = &pair.machine;
        let give = |target| m.give(pair.server_task, target, Rights::all());
        let (own, system) = (give(Target::Task(pair.server_task)), give(Target::System));
        let make = |operation, words: &[u64]| {
            m.open(pair.server, 1);
            let hash = system::INTERFACE.hash;
            let out = m.object(pair.server, system, operation, hash, words);
            assert_eq!(out.status, MESSAGE);
            m.received(pair.server)
        };
        Bound {
            own,
            interrupt: make(7, &[33]),
            reservation: make(8, &[500, 1000]),
            system,
            pair,
        }
    }

    fn own(&self, operation: u8, words: &[u64]) -> u64 {
        let pair = &self.pair;
        let answer = pair
            .machine
            .task_call(pair.server, self.own, operation, &[], words);
        answer.word()
    }

    /// A capability that comes from `from`.
    fn derive(&self, from: Handle) -> Handle {
        Handle(self.own(DERIVE, &[from.0, 0xff]))
    }

    /// Binds everything with this capability.
    fn bind(&self, with: Handle) {
        let calls = [
            (self.interrupt, 0, interrupt::INTERFACE.hash),
            (self.reservation, 3, reservation::INTERFACE.hash),
            (self.system, 4, system::INTERFACE.hash),
            (self.own, on_task::SET_FAULT_HANDLER, task::INTERFACE.hash),
        ];
        let (m, server) = (&self.pair.machine, self.pair.server);
        for (handle, operation, hash) in calls {
            m.set_buffer(server, word::CAPABILITIES, with.0);
            let label = Label::call(operation, hash).with_capabilities(1);
            let out = m.call(server, handle, label, &[6]).unwrap();
            assert!(Answer::of(&out).is_ok(), "{label:?}");
        }
    }

    fn bindings(&self) -> [&'static Binding; 4] {
        let m = &self.pair.machine;
        let target = |handle: Handle, kind: ObjectType| {
            let table = &self.pair.server_task.table;
            table.get(m.k, handle, kind, Rights::empty()).unwrap()
        };
        let Target::Interrupt(line) = target(self.interrupt, ObjectType::Interrupt) else {
            panic!()
        };
        let Target::Reservation(time) = target(self.reservation, ObjectType::Reservation) else {
            panic!()
        };
        [
            &line.binding,
            &time.watcher,
            &m.k.kernel.log.reader,
            &self.pair.server_task.fault_handler,
        ]
    }

    /// Whether all are bound, or none is.
    fn are_bound(&self) -> bool {
        let k = self.pair.machine.k;
        let bound = self.bindings().map(|b| b.endpoint(k).is_some());
        assert!(bound.iter().all(|each| *each == bound[0]), "{bound:?}");
        invariants::check(&self.pair.machine, |_| 1);
        bound[0]
    }
}

#[test]
fn revoking_what_it_was_made_with_ends_it() {
    let bound = Bound::new();
    let root = bound.pair.serve;
    let with = bound.derive(root);
    bound.bind(with);
    assert!(bound.are_bound());
    // What comes from the capability is the binding.
    bound.own(REVOKE, &[with.0]);
    assert!(!bound.are_bound());
    bound.bind(with);
    // And so does it from what that comes from, in steps.
    host::interrupt_after(2);
    bound.own(REVOKE, &[root.0]);
    assert!(!bound.are_bound());
    assert!(
        bound
            .pair
            .server_task
            .table
            .find(bound.pair.machine.k, root)
            .is_some()
    );
}

#[test]
fn deleting_what_it_was_made_with_does_not() {
    let bound = Bound::new();
    let root = bound.pair.serve;
    let middle = bound.derive(root);
    let with = bound.derive(middle);
    bound.bind(with);
    bound.own(DELETE, &[with.0]);
    bound.own(DELETE, &[middle.0]);
    assert!(bound.are_bound());
    bound.own(REVOKE, &[root.0]);
    assert!(!bound.are_bound());
}

#[test]
fn another_binding_takes_its_place() {
    let bound = Bound::new();
    let [first, second] = [0; 2].map(|_| bound.derive(bound.pair.serve));
    bound.bind(first);
    bound.bind(second);
    bound.own(REVOKE, &[first.0]);
    assert!(bound.are_bound());
    bound.own(REVOKE, &[second.0]);
    assert!(!bound.are_bound());
}

#[test]
fn nobody_is_told_any_more() {
    let bound = Bound::new();
    let m = &bound.pair.machine;
    let [line, time, log, _] = bound.bindings();
    bound.bind(bound.pair.serve);
    [line, time, log]
        .iter()
        .for_each(|binding| binding.signal(m.k));
    assert_eq!(bound.pair.endpoint.signals.replace(0), 6);
    bound.own(REVOKE, &[bound.pair.serve.0]);
    [line, time, log]
        .iter()
        .for_each(|binding| binding.signal(m.k));
    assert_eq!(bound.pair.endpoint.signals.get(), 0);
}

#[test]
fn a_fault_that_waits_ends_its_thread_when_the_handler_is_revoked() {
    let bound = Bound::new();
    let (pair, m) = (&bound.pair, &bound.pair.machine);
    let with = bound.derive(pair.serve);
    m.handle_faults(pair.client_task, pair.server_task, with);
    let [told, waits] = [0; 2].map(|_| m.thread(pair.client_task));
    assert_eq!(m.receive(pair.server, pair.serve), None);
    for thread in [told, waits] {
        m.run(thread);
        fault::fault(m.k, thread, FaultKind::Illegal, 0, 0);
        m.leave();
    }
    assert_eq!(
        (told.state.get(), waits.state.get()),
        (State::Waiting, State::Sending)
    );
    let before = pair.client_task.alive.get();
    bound.own(REVOKE, &[with.0]);
    // The one that was received is still to be answered.
    assert_eq!(pair.client_task.alive.get(), before - 1);
    assert_eq!(told.state.get(), State::Waiting);
    // Faults from now on have no handler, and calls by others go on.
    assert_eq!(
        m.call(pair.client, pair.use_, Label::call(0, HASH), &[]),
        None
    );
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    assert_eq!(told.state.get(), State::Ready);
    m.run(told);
    fault::fault(m.k, told, FaultKind::Illegal, 0, 0);
    m.leave();
    assert_eq!(pair.client_task.alive.get(), before - 2);
    invariants::check(m, |_| 1);
}

#[test]
fn a_badge_is_in_use_while_something_is_bound_with_it() {
    let bound = Bound::new();
    let (pair, m) = (&bound.pair, &bound.pair.machine);
    m.open(pair.server, 1);
    let hash = libipc_abi::objects::endpoint::INTERFACE.hash;
    m.object(pair.server, pair.serve, 0, hash, &[77, 0xff, 4]);
    let minted = m.received(pair.server);
    m.handle_faults(pair.client_task, pair.server_task, minted);
    bound.own(DELETE, &[minted.0]);
    let none = m.receive_until(pair.server, pair.serve, 0).unwrap();
    assert_eq!(none.status, refused(Cause::TimedOut));
    bound.own(REVOKE, &[pair.serve.0]);
    let told = m.receive_until(pair.server, pair.serve, FOREVER).unwrap();
    assert_eq!((told.status, told.badge), (CLOSED, 77));
    invariants::check(m, |_| 1);
}
