//! Pairs of caller and server on cores of their own: on the call path they write
//! nothing that another pair reads or writes, and take no lock that it takes.

use super::machine::*;
use crate::{
    arch::{Trap, host},
    capability::object::Target,
    cell::touched::{self, Lines},
    entry::Mail,
    ipc::session,
    object::{endpoint::Endpoint, task::Task, thread::Thread},
    schedule::ready,
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::{Flags, Label},
    registers::CallIn,
};
use std::vec::Vec;

/// A caller with a badge, and who answers it.
struct Two {
    caller: &'static Thread,
    server: &'static Thread,
    call: Handle,
    receive: Handle,
}

impl Two {
    fn on(m: &Machine, core: usize, tasks: [&'static Task; 2]) -> Two {
        let endpoint = Endpoint::create(m.k, tasks[1]).unwrap();
        let session = session::create(m.k, endpoint, core as u64, 4).unwrap();
        let badged = Target::Endpoint(endpoint, Some(session), 0);
        let call = m.give(tasks[0], badged, Rights::CALL);
        let receive = m.give(
            tasks[1],
            Target::Endpoint(endpoint, None, 0),
            Rights::RECEIVE,
        );
        let [caller, server] = tasks.map(|task| {
            let thread = m.thread(task);
            ready::set_core(m.k, thread, core);
            thread
        });
        m.trap(core, Trap::Interrupt);
        let two = Two {
            caller,
            server,
            call,
            receive,
        };
        assert!(m.receive(server, receive).is_none());
        two
    }

    /// A call and its answer, both on the fast path.
    fn turn(&self, m: &Machine) {
        let both = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
        let there = call_in(self.call, Label::call(1, HASH), &[1, 2], FOREVER);
        let back = call_in(self.receive, both, &[3], FOREVER);
        self.pass(m, self.caller, &there);
        self.pass(m, self.server, &back);
    }

    fn pass(&self, m: &Machine, thread: &'static Thread, call: &CallIn) {
        let k = m.on(m.core_of(thread));
        host::set_call(&thread.context, call);
        assert!(m.passes(k, thread, call), "it took the slow path");
    }

    fn lines(&self, m: &Machine) -> Lines {
        m.run(self.caller);
        self.turn(m);
        touched::by(|| self.turn(m))
    }
}

fn shared(one: &Lines, other: &Lines) -> (Vec<usize>, Vec<usize>) {
    let written = one.written.intersection(&other.written);
    let read = one.written.intersection(&other.read);
    (written.copied().collect(), read.copied().collect())
}

#[test]
fn independent_pairs_share_no_written_line() {
    let m = Machine::with_cores(700, 3);
    let tasks: Vec<_> = (0..4).map(|_| m.task(64)).collect();
    // The last one is of the same tasks as the first.
    let pairs = [(0, 0, 1), (1, 2, 3), (2, 0, 1)];
    let pairs =
        pairs.map(|(core, caller, server)| Two::on(&m, core, [tasks[caller], tasks[server]]));
    let lines: Vec<_> = pairs.iter().map(|pair| pair.lines(&m)).collect();
    for (number, one) in lines.iter().enumerate() {
        assert!(!one.written.is_empty());
        for (_, other) in lines
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
        {
            assert_eq!(shared(one, other), (Vec::new(), Vec::new()));
        }
    }
    std::println!(
        "a call and its answer read {} lines and write {} of them, none of which another pair \
         touches",
        lines[0].read.len(),
        lines[0].written.len()
    );
}

#[test]
fn a_pair_whose_server_others_call_shares_the_endpoint() {
    // That lines are found at all: two callers of one server share what is its.
    let m = Machine::with_cores(700, 2);
    let tasks = [m.task(64), m.task(64)];
    let two = Two::on(&m, 0, tasks);
    let lines = two.lines(&m);
    let again = two.lines(&m);
    assert!(!shared(&lines, &again).0.is_empty());
}

#[test]
fn the_fast_path_is_barred_while_another_core_is_inside() {
    let m = Machine::with_cores(700, 2);
    let two = Two::on(&m, 1, [m.task(64), m.task(64)]);
    m.run(two.caller);
    two.turn(&m);
    let gate = &m.on(1).core.gate;
    gate.post(Mail::BARRED);
    assert!(!gate.enter());
    gate.leave();
    gate.unbar();
    assert!(gate.enter());
    gate.leave();
    two.turn(&m);
}
