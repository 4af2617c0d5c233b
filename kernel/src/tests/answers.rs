//! Answers after which the server goes on, on the fast path where they may be: each of
//! these clients is above the server, so that it would run at once.

use super::{invariants, machine::*};
use crate::{
    arch::host,
    capability::object::Target,
    fault,
    ipc::session,
    object::thread::{State, Thread},
    schedule::ready,
};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::FaultKind,
    registers::CallIn,
};

const LABEL: Label = Label::call(0, HASH);

fn answer() -> CallIn {
    let label = Label::control(Flags::REPLY, Label::OK);
    call_in(Handle::NULL, label, &[5], FOREVER)
}

/// One priority more than it has.
fn raise(thread: &Thread) {
    for priority in [&thread.priority, &thread.effective] {
        priority.set(priority.get() + 1);
    }
}

/// The server has the client's request.
fn called(pair: &Pair, handle: Handle) {
    let m = &pair.machine;
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(m.call(pair.client, handle, LABEL, &[]), None);
    m.result(pair.server);
    raise(pair.client);
}

#[test]
fn time_goes_to_who_spent_it() {
    let pair = Pair::new();
    let m = &pair.machine;
    called(&pair, pair.use_);
    m.run(pair.server);
    let before = pair.server.time.get();
    host::set_now(1700);
    host::set_call(&pair.server.context, &answer());
    assert!(m.passes(m.k, pair.server, &answer()));
    assert_eq!(pair.server.time.get() - before, 700);
    assert_eq!(m.result(pair.client).words[0], 5);
    invariants::check(m, |_| 1);
}

#[test]
fn who_is_suspended_while_its_fault_is_handled_stays_where_it_is() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.handle_faults(pair.client_task, pair.server_task, pair.serve);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.run(pair.client);
    fault::fault(m.k, pair.client, FaultKind::Illegal, 0, 0);
    m.result(pair.server);
    // Suspending cancels calls, but no faults.
    pair.client.suspended.set(true);
    let label = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
    let answer = call_in(pair.serve, label, &[], FOREVER);
    assert_eq!(m.enter(pair.server, answer), None);
    assert_eq!(pair.client.state.get(), State::Stopped);
    invariants::check(m, |_| 1);
}

#[test]
fn the_last_call_of_a_session_ends_it() {
    let pair = Pair::new();
    let m = &pair.machine;
    let session = session::create(m.k, pair.endpoint, 7, 1).unwrap();
    let badged = Target::Endpoint(pair.endpoint, Some(session), 0);
    let handle = m.give(pair.client_task, badged, Rights::CALL);
    called(&pair, handle);
    let table = &pair.client_task.table;
    table.delete(m.k, table.find(m.k, handle).unwrap());
    // The server is told that the client is gone, and then answers its last call.
    let told = m.receive(m.thread(pair.server_task), pair.serve);
    assert_eq!(told.unwrap().badge, 7);
    assert_eq!(pair.endpoint.session_count.get(), 1);
    m.enter(pair.server, answer()).unwrap();
    assert_eq!(pair.endpoint.session_count.get(), 0);
    invariants::check(m, |_| 1);
}

#[test]
fn a_client_of_another_core_runs_there() {
    let pair = Pair::on_cores(2);
    let m = &pair.machine;
    ready::set_core(m.k, pair.client, 1);
    called(&pair, pair.use_);
    m.enter(pair.server, answer()).unwrap();
    assert_eq!(m.on(0).core.queue.top(), 0);
    assert!(m.on(1).core.queue.top() > 0);
    assert!(core::ptr::eq(pair.client.core(m.k), m.on(1).core));
    assert_eq!(pair.client.state.get(), State::Ready);
    invariants::check(m, |_| 1);
}
