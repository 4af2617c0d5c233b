//! Threads that are started and whose end is watched.

use super::{invariants, machine::*};
use crate::{
    capability::object::Target,
    fault,
    object::thread::{State, Thread},
};
use libipc_abi::{
    handle::{Handle, Rights},
    objects::{CALLERS_PRIORITY, FaultKind, ObjectError, task, thread},
    status::Cause,
};

const EXIT: u8 = 4;

/// A task that controls itself and has an endpoint.
struct Watch {
    pair: Pair,
    own: Handle,
}

impl Watch {
    fn new() -> Watch {
        let pair = Pair::new();
        let target = Target::Task(pair.server_task);
        let own = pair.machine.give(pair.server_task, target, Rights::all());
        Watch { pair, own }
    }

    fn try_start(&self, watcher: Handle, priority: u64) -> Answer {
        let words = [0x1000, 0x2000, 42, priority, 6];
        let (m, server) = (&self.pair.machine, self.pair.server);
        m.task_call(server, self.own, on_task::START_THREAD, &[watcher], &words)
    }

    /// The thread that was started, and its cursor.
    fn start(&self, watcher: Handle) -> (&'static Thread, u64) {
        let cursor = self.try_start(watcher, CALLERS_PRIORITY).word();
        let (m, task) = (&self.pair.machine, self.pair.server_task);
        (task.threads.last(m.k).unwrap(), cursor)
    }

    /// Asks for a capability for the thread.
    fn ask(&self, cursor: u64) -> Answer {
        let (m, server) = (&self.pair.machine, self.pair.server);
        m.task_call(
            server,
            self.own,
            task::number::STARTED_THREAD,
            &[],
            &[cursor],
        )
    }

    fn told(&self) -> u64 {
        invariants::check(&self.pair.machine, |_| 1);
        self.pair.endpoint.signals.replace(0)
    }

    fn exit(&self, by: &'static Thread, handle: Handle) {
        let m = &self.pair.machine;
        let label = libipc_abi::label::Label::call(EXIT, thread::INTERFACE.hash);
        m.call(by, handle, label, &[]);
    }
}

#[test]
fn it_runs_at_once_with_its_maker_s_priority() {
    let watch = Watch::new();
    watch.pair.server.effective.set(200);
    let (started, _) = watch.start(watch.pair.serve);
    assert_eq!(started.state.get(), State::Ready);
    assert_eq!(started.priority.get(), watch.pair.server.priority.get());
    assert_eq!(watch.pair.endpoint.signals.get(), 0);
}

#[test]
fn its_end_is_told_whoever_ends_it() {
    let watch = Watch::new();
    let (m, serve) = (&watch.pair.machine, watch.pair.serve);
    let (first, cursor) = watch.start(serve);
    watch.exit(first, Handle::THREAD);
    // Nothing of it is left, at the endpoint or elsewhere.
    assert_eq!((watch.told(), watch.told()), (6, 0));
    let gone = Answer::error(ObjectError::NotFound);
    assert_eq!(watch.ask(cursor), gone);
    let (second, cursor) = watch.start(serve);
    assert!(watch.ask(cursor).is_ok());
    watch.exit(watch.pair.server, m.received(watch.pair.server));
    assert_eq!((second.state.get(), watch.told()), (State::Dead, 6));
    assert_eq!(watch.ask(cursor), gone);
    // A fault that nobody handles.
    let (third, _) = watch.start(serve);
    m.run(third);
    fault::fault(m.k, third, FaultKind::Illegal, 0, 0);
    m.leave();
    assert_eq!(watch.told(), 6);
    assert_eq!(watch.told(), 0);
}

#[test]
fn its_task_s_end_is_its_own() {
    let watch = Watch::new();
    let (pair, m) = (&watch.pair, &watch.pair.machine);
    let other = m.give(
        pair.server_task,
        Target::Task(pair.client_task),
        Rights::all(),
    );
    let words = [0x1000, 0x2000, 0, 1, 8];
    let answer = m.task_call(
        pair.server,
        other,
        on_task::START_THREAD,
        &[pair.serve],
        &words,
    );
    assert!(answer.is_ok());
    m.kill(pair.client_task);
    assert_eq!(pair.endpoint.signals.get(), 8);
}

#[test]
fn nobody_is_told_whose_capability_was_taken_back() {
    let watch = Watch::new();
    let (pair, m) = (&watch.pair, &watch.pair.machine);
    let on_own = |operation, words: &[u64]| {
        let answer = m.task_call(pair.server, watch.own, operation, &[], words);
        answer.word()
    };
    let derived = Handle(on_own(on_task::DERIVE, &[pair.serve.0, 0xff]));
    let (first, _) = watch.start(derived);
    let (second, _) = watch.start(derived);
    on_own(on_task::DELETE, &[derived.0]);
    watch.exit(first, Handle::THREAD);
    assert_eq!(watch.told(), 6);
    on_own(task::number::REVOKE, &[pair.serve.0]);
    watch.exit(second, Handle::THREAD);
    assert_eq!(watch.told(), 0);
}

#[test]
fn one_that_is_refused_never_was() {
    let watch = Watch::new();
    let (pair, m) = (&watch.pair, &watch.pair.machine);
    let before = pair.server_task.used.get();
    let mute = Rights::all() - Rights::SIGNAL - Rights::FAR_ONLY;
    let mute = m.give(
        pair.server_task,
        Target::Endpoint(pair.endpoint, None, 0),
        mute,
    );
    let denied = Answer::error(ObjectError::Denied);
    assert_eq!(watch.try_start(mute, 1), denied);
    assert_eq!(watch.try_start(pair.serve, 255), denied);
    let bad = Answer::error(ObjectError::BadArgument);
    assert_eq!(watch.try_start(pair.serve, 256), bad);
    // The quota is used up in the middle.
    let limit = pair.server_task.limit.replace(before);
    let words = [0x1000, 0x2000, 0, 1, 6];
    let poor = Answer::Status(refused(Cause::QuotaExceeded));
    let own = |watcher| {
        m.task_call(
            pair.server,
            watch.own,
            on_task::START_THREAD,
            &[watcher],
            &words,
        )
    };
    assert_eq!(own(pair.serve), poor);
    pair.server_task.limit.set(limit);
    pair.endpoint
        .set_state(m.k, crate::object::endpoint::State::Closed);
    assert_eq!(own(pair.serve), Answer::error(ObjectError::Died));
    assert_eq!(pair.server_task.used.get(), before);
    assert_eq!(pair.server_task.alive.get(), 1);
}

#[test]
fn only_one_that_was_started_is_had_by_its_cursor() {
    let watch = Watch::new();
    let (pair, m) = (&watch.pair, &watch.pair.machine);
    let other = m.thread(pair.server_task);
    let gone = Answer::error(ObjectError::NotFound);
    for thread in [pair.server, other, pair.client] {
        assert_eq!(watch.ask(crate::memory::slab::name(m.k, thread)), gone);
    }
    let (started, cursor) = watch.start(pair.serve);
    assert_eq!(watch.ask(0), gone);
    assert!(watch.ask(cursor).is_ok());
    let target = pair.server_task.table.get(
        m.k,
        m.received(pair.server),
        libipc_abi::handle::ObjectType::Thread,
        Rights::CONTROL | Rights::INSPECT,
    );
    let Ok(Target::Thread(had)) = target else {
        panic!("a capability with all rights");
    };
    assert!(core::ptr::eq(had, started));
    watch.told();
}
