//! All short histories of two clients and two servers at one endpoint, in every
//! order, with every invariant checked after each.
//!
//! A kernel cannot be copied, so each history is played from its beginning.
//! `TESSERA_EXPLORE_DEPTH` sets how many steps the longest has.

use super::{invariants, machine::*};
use crate::{
    arch::{Arch, Port},
    capability::object::Target,
    object::thread::{State, Thread},
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{endpoint, reply, thread},
    registers::CallIn,
    status::Status,
};
use std::{env, vec, vec::Vec};

const LABEL: Label = Label::call(0, HASH);
const OK: Label = Label::control(Flags::REPLY, Label::OK);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client calls, for ever or with a deadline soon.
    Call(usize, bool),
    Signal,
    Receive(usize),
    Reply(usize),
    ReplyReceive(usize),
    Keep,
    AnswerKept,
    DeleteKept,
    Pass,
    Cancel,
    Suspend,
    Pause,
    Resume,
    Expel,
    Close,
    KillClients,
    KillServers,
}

const STEPS: [Step; 20] = [
    Step::Call(0, true),
    Step::Call(1, true),
    Step::Call(1, false),
    Step::Signal,
    Step::Receive(0),
    Step::Receive(1),
    Step::Reply(0),
    Step::Reply(1),
    Step::ReplyReceive(0),
    Step::Keep,
    Step::AnswerKept,
    Step::DeleteKept,
    Step::Pass,
    Step::Cancel,
    Step::Suspend,
    Step::Pause,
    Step::Resume,
    Step::Expel,
    Step::Close,
    Step::KillClients,
];

struct World {
    pair: Pair,
    clients: [&'static Thread; 2],
    servers: [&'static Thread; 2],
    boss: &'static Thread,
    /// The first task's capability to control the endpoint.
    control: Handle,
    kept: Option<Handle>,
}

impl World {
    fn new() -> World {
        let pair = Pair::in_machine(128, 24);
        let m = &pair.machine;
        let clients = [pair.client, m.thread(pair.client_task)];
        let servers = [pair.server, m.thread(pair.server_task)];
        let boss = m.thread(m.root);
        let target = Target::Endpoint(pair.endpoint, None, 0);
        let control = m.give(m.root, target, Rights::CONTROL);
        World {
            clients,
            servers,
            boss,
            control,
            kept: None,
            pair,
        }
    }

    /// Does a step; `false` if it is not possible now.
    fn step(&mut self, step: Step) -> bool {
        let m = &self.pair.machine;
        let (serve, use_) = (self.pair.serve, self.pair.use_);
        let ready = |thread: &'static Thread| thread.state.get() == State::Ready;
        let soon = Port::now() + 10;
        let receive = Label::control(Flags::RECEIVE, 0);
        let system_call = |thread: &'static Thread, call: CallIn| {
            ready(thread) && {
                m.enter(thread, call);
                true
            }
        };
        match step {
            Step::Call(index, for_ever) => {
                let deadline = if for_ever { FOREVER } else { soon };
                system_call(self.clients[index], call_in(use_, LABEL, &[], deadline))
            }
            Step::Signal => {
                let label = Label::control(Flags::SIGNAL, 0);
                system_call(self.clients[1], call_in(use_, label, &[1], FOREVER))
            }
            Step::Receive(index) => {
                system_call(self.servers[index], call_in(serve, receive, &[], soon))
            }
            Step::Reply(index) => {
                system_call(self.servers[index], call_in(Handle::NULL, OK, &[], FOREVER))
            }
            Step::ReplyReceive(index) => {
                let label = OK.with_flags(Flags::REPLY | Flags::RECEIVE);
                system_call(self.servers[index], call_in(serve, label, &[], FOREVER))
            }
            Step::Keep => {
                let server = self.servers[0];
                let possible = ready(server) && !server.client.is_none() && self.kept.is_none();
                possible && {
                    m.open(server, 1);
                    m.object(server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
                    self.kept = Some(m.received(server));
                    true
                }
            }
            Step::AnswerKept => {
                let Some(request) = self.kept.take_if(|_| ready(self.servers[1])) else {
                    return false;
                };
                let mut call = call_in(Handle::NULL, OK, &[], FOREVER);
                call.request = request;
                system_call(self.servers[1], call)
            }
            Step::DeleteKept => {
                let table = &self.pair.server_task.table;
                let slot = self.kept.take().and_then(|kept| table.find(m.k, kept));
                slot.is_some_and(|slot| {
                    table.delete(m.k, slot);
                    m.leave();
                    true
                })
            }
            Step::Pass => {
                m.at(soon);
                true
            }
            Step::Cancel => self.on_thread(2, self.clients[0]),
            Step::Suspend => self.on_thread(1, self.servers[0]),
            Step::Pause => self.on_endpoint(1),
            Step::Resume => self.on_endpoint(2),
            Step::Expel => self.on_endpoint(4),
            Step::Close => self.on_endpoint(3),
            Step::KillClients => {
                let dying = self.pair.client_task.dying.get();
                m.kill(self.pair.client_task);
                !dying
            }
            Step::KillServers => {
                m.kill(self.pair.server_task);
                true
            }
        }
    }

    fn on_endpoint(&self, operation: u8) -> bool {
        let hash = endpoint::INTERFACE.hash;
        let m = &self.pair.machine;
        m.object(self.boss, self.control, operation, hash, &[]);
        true
    }

    fn on_thread(&self, operation: u8, of: &'static Thread) -> bool {
        of.state.get() != State::Dead && {
            let m = &self.pair.machine;
            let handle = m.give(m.root, Target::Thread(of), Rights::all());
            m.object(self.boss, handle, operation, thread::INTERFACE.hash, &[]);
            let slot = m.root.table.find(m.k, handle).unwrap();
            m.root.table.delete(m.k, slot);
            true
        }
    }
}

/// Plays a history. `None` if its last step is not possible; earlier ones are.
fn play(history: &[Step]) -> Option<World> {
    let mut world = World::new();
    let mut possible = true;
    for step in history {
        assert!(possible, "the histories that begin so were given up");
        possible = world.step(*step);
    }
    possible.then_some(world)
}

/// Whoever waits for an answer has one when the servers are gone.
fn nobody_hangs(mut world: World) {
    world.step(Step::KillServers);
    for client in world.clients {
        let state = client.state.get();
        assert!(
            !matches!(state, State::Sending | State::Waiting),
            "a client hangs: {state:?}"
        );
        if state == State::Ready && client.call_number.get() > 0 {
            let status = world.pair.machine.result(client).status;
            assert!(Status::from_word(status).is_some());
        }
    }
    invariants::check(&world.pair.machine, |_| 1);
}

fn explore(history: &mut Vec<Step>, depth: usize, count: &mut u64) {
    for step in STEPS {
        history.push(step);
        let outcome = std::panic::catch_unwind(|| {
            let world = play(history)?;
            invariants::check(&world.pair.machine, |_| 1);
            nobody_hangs(world);
            Some(())
        });
        match outcome {
            Err(_) => panic!("broken by {history:?}"),
            Ok(Some(())) => {
                *count += 1;
                if depth > 1 {
                    explore(history, depth - 1, count);
                }
            }
            Ok(None) => {}
        }
        history.pop();
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn every_short_history_keeps_every_invariant() {
    let depth = env::var("TESSERA_EXPLORE_DEPTH").ok();
    let depth = depth.and_then(|depth| depth.parse().ok());
    let depth = depth.unwrap_or(3);
    let mut count = 0;
    explore(&mut vec![], depth, &mut count);
    assert!(
        count >= 12_u64.pow(depth as u32 - 1),
        "most steps are possible"
    );
}
