//! What objects say of themselves.

use super::machine::*;
use crate::{arch::host, capability::object::Target, fault, object::thread::HISTORY};
use libipc_abi::{
    FOREVER,
    handle::{Handle, Rights},
    label::Label,
    objects::{FaultKind, ObjectError, ThreadState, endpoint, interrupt, reply, system, thread},
    status::Cause,
    wire::ErrorCode,
};

const LABEL: Label = Label::call(0, HASH);
const INFO: u8 = 6;

/// The first eight words of what `of` says of itself to the thread of `pair`'s root.
fn info(pair: &Pair, target: Target<'_>, operation: u8, hash: u32) -> [u64; 8] {
    let m = &pair.machine;
    let boss = m.thread(m.root);
    let handle = m.give(m.root, target, Rights::all());
    let out = m.object(boss, handle, operation, hash, &[]);
    assert_eq!(out.status, MESSAGE);
    out.words
}

#[test]
fn an_endpoint_says_who_waits() {
    let pair = Pair::new();
    let m = &pair.machine;
    let of = |operation| {
        let target = Target::Endpoint(pair.endpoint, None, 0);
        info(&pair, target, operation, endpoint::INTERFACE.hash)
    };
    let id = pair.endpoint.id.get();
    let sessions = pair.endpoint.session_count.get();
    assert_eq!(of(5)[..6], [id, 0, 0, 0, 0, sessions]);
    m.receive(pair.server, pair.serve);
    assert_eq!(of(5)[3], 1);
    m.call(pair.client, pair.use_, LABEL, &[]);
    assert_eq!(of(5)[3], 0);
    let second = m.thread(pair.client_task);
    m.call(second, pair.use_, LABEL, &[]);
    assert_eq!(of(5)[2], 1);
    of(1);
    assert_eq!(of(5)[1], 1);
    // Either right is enough; others are not.
    for (rights, allowed) in [
        (Rights::CONTROL, true),
        (Rights::RECEIVE, true),
        (Rights::CALL | Rights::SIGNAL, false),
    ] {
        let handle = m.give(m.root, Target::Endpoint(pair.endpoint, None, 0), rights);
        let out = m.object(m.thread(m.root), handle, 5, endpoint::INTERFACE.hash, &[]);
        let denied = refused(Cause::Denied);
        assert_eq!(out.status, if allowed { MESSAGE } else { denied });
    }
}

#[test]
fn a_thread_says_what_it_does() {
    let pair = Pair::new();
    let m = &pair.machine;
    let of = || {
        info(
            &pair,
            Target::Thread(pair.client),
            INFO,
            thread::INTERFACE.hash,
        )
    };
    assert_eq!(of()[1], ThreadState::Ready as u64);
    // Of its own time, what is not accounted yet is in it.
    m.run(pair.client);
    m.leave();
    host::set_now(1700);
    let hash = thread::INTERFACE.hash;
    let own = m.object(pair.client, Handle::THREAD, INFO, hash, &[]).words[3];
    assert_eq!(own, 700);
    m.call(pair.client, pair.use_, LABEL, &[]);
    assert_eq!(of()[1], ThreadState::Sending as u64);
    m.receive(pair.server, pair.serve);
    assert_eq!(of()[1], ThreadState::Waiting as u64);
    m.reply(pair.server, &[]);
    m.handle_faults(pair.client_task, pair.server_task, pair.serve);
    m.run(pair.client);
    fault::fault(m.k, pair.client, FaultKind::Read, 8, 0);
    m.leave();
    assert_eq!(of()[1], ThreadState::Faulted as u64);
}

#[test]
fn a_thread_remembers_its_last_calls() {
    let pair = Pair::new();
    let thread = pair.client;
    assert_eq!(thread.remembered(0), 0, "it made none");
    for number in 1..=HISTORY as u64 + 3 {
        thread.remember(number * 10);
        assert_eq!(thread.remembered(0), number * 10);
        assert_eq!(thread.remembered(1), (number - 1) * 10);
        assert_eq!(
            thread.remembered(number),
            0,
            "there was none before the first"
        );
    }
    assert_eq!(thread.remembered(HISTORY as u64 - 1), 4 * 10);
}

#[test]
fn a_server_sees_whether_its_caller_still_waits() {
    let pair = Pair::new();
    let m = &pair.machine;
    let hash = reply::INTERFACE.hash;
    m.receive(pair.server, pair.serve);
    m.enter(pair.client, call_in(pair.use_, LABEL, &[], 2000));
    assert_eq!(
        m.object(pair.server, Handle::REQUEST, 3, hash, &[]).words[0],
        0
    );
    m.open(pair.server, 1);
    m.object(pair.server, Handle::REQUEST, 0, hash, &[]);
    let kept = m.received(pair.server);
    assert_eq!(m.object(pair.server, kept, 3, hash, &[]).words[0], 0);
    m.at(2000);
    assert_eq!(m.object(pair.server, kept, 3, hash, &[]).words[0], 1);
}

#[test]
fn an_interrupt_comes_again_once_it_was_acknowledged() {
    let pair = Pair::new();
    let m = &pair.machine;
    let system = m.give(pair.server_task, Target::System, Rights::all());
    m.open(pair.server, 1);
    let made = m.object(pair.server, system, 7, system::INTERFACE.hash, &[33]);
    assert_eq!(made.status, MESSAGE);
    let line = m.received(pair.server);
    let hash = interrupt::INTERFACE.hash;
    let wrong = ObjectError::WrongState.to_code();
    assert_eq!(m.object(pair.server, line, 1, hash, &[]).words[0], wrong);
    let bind = Label::call(0, hash).with_capabilities(1);
    m.set_buffer(
        pair.server,
        libipc_abi::buffer::word::CAPABILITIES,
        pair.serve.0,
    );
    assert_eq!(
        m.call(pair.server, line, bind, &[1]).unwrap().status,
        MESSAGE
    );
    assert_eq!(host::unmasked(), 1 << 33, "binding lets it through");
    assert_eq!(m.object(pair.server, line, 1, hash, &[]).status, MESSAGE);
    assert_eq!(host::unmasked(), 1 << 33);
    assert_eq!(m.object(pair.server, line, 2, hash, &[]).status, MESSAGE);
    // It is nobody's now.
    assert_eq!(m.object(pair.server, line, 1, hash, &[]).words[0], wrong);
    assert_eq!(m.receive_until(pair.server, pair.serve, FOREVER), None);
}
