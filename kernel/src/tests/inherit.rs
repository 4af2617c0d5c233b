//! With what priority a thread runs while others wait for it.

use super::{invariants, machine::*};
use crate::{
    capability::object::Target,
    object::thread::{State, Thread},
    schedule::inherit::PRESSED,
};
use libipc_abi::{
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{endpoint, thread},
    status::Cause,
};
use std::vec::Vec;

const LABEL: Label = Label::call(0, HASH);
const LOW: u8 = 10;

/// Servers that each wait at an endpoint of their own, and who changes priorities.
struct Chain {
    m: Machine,
    boss: &'static Thread,
    servers: Vec<&'static Thread>,
    endpoints: Vec<Handle>,
    task: &'static crate::object::task::Task,
}

impl Chain {
    fn new(length: usize) -> Chain {
        let m = Machine::new(1024);
        let task = m.task(400);
        let boss = m.thread_of(m.root, 255);
        let servers: Vec<_> = (0..length).map(|_| m.thread_of(task, LOW)).collect();
        let endpoints: Vec<_> = (0..length).map(|_| m.endpoint(task).1).collect();
        for (server, endpoint) in servers.iter().zip(&endpoints) {
            assert_eq!(m.receive(server, *endpoint), None);
        }
        Chain {
            m,
            boss,
            servers,
            endpoints,
            task,
        }
    }

    /// A thread of this priority that calls.
    fn caller(&self, priority: u8, endpoint: usize) -> &'static Thread {
        let caller = self.m.thread_of(self.task, priority);
        self.call(caller, endpoint);
        caller
    }

    fn call(&self, caller: &'static Thread, endpoint: usize) {
        let called = self.m.call(caller, self.endpoints[endpoint], LABEL, &[]);
        assert_eq!(called, None);
        self.check();
    }

    fn operate(&self, of: &Thread, operation: u8, word: u64) {
        let m = &self.m;
        let handle = m.give(m.root, Target::Thread(of), Rights::all());
        let hash = thread::INTERFACE.hash;
        let out = m.object(self.boss, handle, operation, hash, &[word]);
        assert!(Answer::of(&out).is_ok());
        self.check();
    }

    fn set_priority(&self, of: &Thread, priority: u8) {
        self.operate(of, 3, priority.into());
    }

    fn cancel(&self, of: &Thread) {
        self.operate(of, 2, 0);
    }

    fn check(&self) {
        invariants::check(&self.m, |_| 1);
    }

    fn priorities(&self) -> Vec<u8> {
        self.servers.iter().map(|s| s.effective.get()).collect()
    }
}

#[test]
fn a_change_travels_down_the_chain() {
    let chain = Chain::new(4);
    let client = chain.caller(20, 0);
    for next in 1..4 {
        chain.call(chain.servers[next - 1], next);
    }
    assert_eq!(chain.priorities(), [20; 4]);
    chain.set_priority(client, 150);
    assert_eq!(chain.priorities(), [150; 4]);
    chain.set_priority(chain.servers[1], 160);
    assert_eq!(chain.priorities(), [150, 160, 160, 160]);
    chain.set_priority(client, 5);
    assert_eq!(chain.priorities(), [LOW, 160, 160, 160]);
    chain.set_priority(chain.servers[1], LOW);
    assert_eq!(chain.priorities(), [LOW; 4]);
    chain.set_priority(client, 99);
    chain.cancel(client);
    assert_eq!(chain.priorities(), [LOW; 4], "nobody waits any more");
}

#[test]
fn who_waits_in_line_presses_the_server_and_whom_it_waits_for() {
    let chain = Chain::new(2);
    chain.caller(20, 0);
    chain.call(chain.servers[0], 1);
    let high = chain.caller(200, 0);
    assert_eq!(high.state.get(), State::Sending);
    assert_eq!(chain.priorities(), [200, 200]);
    // A lesser one changes nothing, and a rise counts at once.
    let middle = chain.caller(100, 0);
    assert_eq!(chain.priorities(), [200, 200]);
    chain.set_priority(middle, 220);
    assert_eq!(chain.priorities(), [220, 220]);
    chain.cancel(middle);
    chain.cancel(high);
    assert_eq!(chain.priorities(), [20, 20]);
    // Until the server receives it runs at no less, also after its answer.
    chain.caller(90, 0);
    chain.m.reply(chain.servers[1], &[]);
    assert_eq!(chain.priorities(), [90, LOW]);
    chain.m.reply(chain.servers[0], &[]);
    assert_eq!(chain.priorities(), [90, LOW]);
    chain.check();
    let got = chain.m.receive(chain.servers[0], chain.endpoints[0]);
    assert!(got.is_some());
    chain.m.reply(chain.servers[0], &[]);
    assert_eq!(chain.priorities(), [LOW, LOW]);
    chain.check();
}

#[test]
fn the_highest_rank_is_first_and_equals_come_in_order() {
    let chain = Chain::new(1);
    chain.caller(1, 0);
    let order = [30, 50, 30, 70, 50, 30, 70];
    let waiting: Vec<_> = order.map(|priority| chain.caller(priority, 0)).into();
    let moved = waiting[2];
    chain.set_priority(moved, 50);
    let end = waiting[0];
    chain.cancel(end);
    for expected in [3, 6, 1, 4, 2, 5] {
        chain.m.reply(chain.servers[0], &[]);
        let got = chain.m.receive(chain.servers[0], chain.endpoints[0]);
        assert!(got.is_some());
        let served = waiting[expected];
        assert!(chain.servers[0].client.is(served), "number {expected}");
        chain.check();
    }
}

#[test]
fn a_rank_is_that_of_those_who_wait_behind() {
    let chain = Chain::new(2);
    chain.caller(20, 1);
    let client = chain.caller(15, 0);
    chain.call(chain.servers[0], 1);
    let other = chain.caller(60, 1);
    assert_eq!(chain.priorities(), [15, 60]);
    // Its own client's counts, that of who is in line behind it does not.
    chain.set_priority(client, 90);
    assert_eq!(chain.priorities(), [90, 90]);
    chain.set_priority(client, 15);
    assert_eq!(chain.priorities(), [15, 60]);
    chain.caller(200, 0);
    assert_eq!(chain.priorities(), [200, 60]);
    assert_eq!(chain.servers[0].rank.get(), 15);
    chain.cancel(other);
    assert_eq!(chain.priorities(), [200, 20]);
}

#[test]
fn a_circle_of_lines_holds_nobody_up() {
    let chain = Chain::new(2);
    chain.caller(20, 0);
    chain.caller(20, 1);
    chain.call(chain.servers[0], 1);
    chain.call(chain.servers[1], 0);
    let high = chain.caller(200, 0);
    assert_eq!(chain.priorities(), [200, 20]);
    chain.cancel(high);
    assert_eq!(chain.priorities(), [20, 20]);
}

#[test]
fn a_pause_presses_nobody() {
    let chain = Chain::new(1);
    chain.caller(20, 0);
    let hash = endpoint::INTERFACE.hash;
    let control = |operation| {
        let label = Label::call(operation, hash).with_flags(Flags::OBJECT);
        let all = chain
            .task
            .table
            .find(chain.m.k, chain.endpoints[0])
            .unwrap();
        let target = all.target(chain.m.k).unwrap();
        let handle = chain.m.give(chain.m.root, target, Rights::CONTROL);
        assert_eq!(
            chain.m.call(chain.boss, handle, label, &[]).unwrap().status,
            MESSAGE
        );
        chain.check();
    };
    control(1);
    let high = chain.caller(200, 0);
    assert_eq!(chain.priorities(), [20]);
    control(2);
    assert_eq!(chain.priorities(), [200]);
    control(3);
    assert_eq!(chain.priorities(), [20]);
    assert_eq!(chain.m.result(high).status, refused(Cause::Died));
}

#[test]
fn so_many_servers_are_pressed_and_no_more() {
    let chain = Chain::new(1);
    let others: Vec<_> = (0..PRESSED)
        .map(|_| chain.m.thread_of(chain.task, LOW))
        .collect();
    for server in &others {
        chain.m.receive(server, chain.endpoints[0]);
    }
    for _ in 0..=PRESSED {
        chain.caller(20, 0);
    }
    chain.caller(200, 0);
    let all = chain.servers.iter().chain(&others);
    let pressed = all.filter(|server| server.effective.get() == 200);
    assert_eq!(pressed.count(), PRESSED);
    // One that ends, or serves elsewhere, makes room.
    others[0].end(chain.m.k);
    others[0].detach(chain.m.k);
    chain.m.leave();
    chain.check();
    let (_, elsewhere) = chain.m.endpoint(chain.task);
    assert_eq!(chain.m.receive(others[1], elsewhere), None);
    chain.check();
    assert_eq!(others[1].effective.get(), LOW);
}
