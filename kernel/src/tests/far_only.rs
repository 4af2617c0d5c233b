//! The mark `FAR_ONLY`: a server that stands alone, and no other that joins it.

use super::machine::*;
use crate::capability::object::Target;
use libipc_abi::{
    handle::{Handle, Rights},
    label::Label,
    objects::{ObjectError, task},
    status::Cause,
};

const LABEL: Label = Label::call(0, HASH);

/// A handle of the client with the mark.
fn marked(pair: &Pair) -> Handle {
    let target = Target::Endpoint(pair.endpoint, None, 0);
    let rights = Rights::CALL | Rights::FAR_ONLY;
    pair.machine.give(pair.client_task, target, rights)
}

/// The client, who controls the server's task, says that it is shared.
fn set_shared(pair: &Pair) -> Answer {
    let m = &pair.machine;
    let controller = m.thread(pair.client_task);
    let task = m.give(
        pair.client_task,
        Target::Task(pair.server_task),
        Rights::CONTROL,
    );
    m.task_call(controller, task, task::number::SET_SHARED, &[], &[])
}

#[test]
fn a_shared_task_receives_no_marked_call() {
    for queued in [false, true] {
        let pair = Pair::new();
        let m = &pair.machine;
        assert!(set_shared(&pair).is_ok());
        let status = if queued {
            assert_eq!(m.call(pair.client, marked(&pair), LABEL, &[]), None);
            assert_eq!(m.receive(pair.server, pair.serve), None);
            m.result(pair.client).status
        } else {
            assert_eq!(m.receive(pair.server, pair.serve), None);
            let out = m.call(pair.client, marked(&pair), LABEL, &[]);
            out.unwrap().status
        };
        assert_eq!(status, refused(Cause::FarOnly));
        // It receives what others send.
        assert_eq!(m.call(pair.client, pair.use_, LABEL, &[7]), None);
        assert_eq!(m.result(pair.server).words[0], 7);
    }
}

#[test]
fn who_received_a_marked_call_is_not_shared() {
    let pair = Pair::new();
    let m = &pair.machine;
    // One without the mark demands nothing, nor does one that is not delivered.
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    assert!(!pair.server_task.alone.get());
    m.reply(pair.server, &[]);
    assert_eq!(m.call(pair.client, marked(&pair), LABEL, &[]), None);
    assert!(!pair.server_task.alone.get());
    assert_eq!(m.receive(pair.server, pair.serve).unwrap().status, MESSAGE);
    assert_eq!(set_shared(&pair), Answer::error(ObjectError::FarOnly));
    m.reply(pair.server, &[]);
    assert_eq!(set_shared(&pair), Answer::error(ObjectError::FarOnly));
    assert!(!pair.server_task.shared.get());
}

#[test]
fn sharing_is_said_by_who_controls_the_task_and_once_for_all() {
    let pair = Pair::new();
    let m = &pair.machine;
    let target = Target::Task(pair.server_task);
    let weak = m.give(pair.client_task, target, Rights::all() - Rights::CONTROL);
    let answer = m.task_call(pair.client, weak, task::number::SET_SHARED, &[], &[]);
    assert_eq!(answer, Answer::error(ObjectError::Denied));
    assert!(set_shared(&pair).is_ok());
    assert!(set_shared(&pair).is_ok());
    assert!(pair.server_task.shared.get());
    pair.server_task.kill(m.k);
    assert_eq!(set_shared(&pair), Answer::error(ObjectError::Died));
}

#[test]
fn a_refused_call_passes_nothing() {
    let pair = Pair::new();
    let m = &pair.machine;
    assert!(set_shared(&pair).is_ok());
    let passed = m.give(
        pair.client_task,
        Target::Endpoint(pair.endpoint, None, 0),
        Rights::SIGNAL | Rights::GRANT,
    );
    m.set_buffer(
        pair.client,
        libipc_abi::buffer::word::CAPABILITIES,
        passed.0,
    );
    m.open(pair.server, 1);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let label = LABEL.with_capabilities(1);
    let out = m.call(pair.client, marked(&pair), label, &[]);
    assert_eq!(out.unwrap().status, refused(Cause::FarOnly));
    assert!(pair.client_task.table.find(m.k, passed).is_some());
}
