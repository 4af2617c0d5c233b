//! Leases: what a server can copy, and what it cannot.

use super::machine::*;
use crate::arch::host;
use libipc_abi::{
    FOREVER,
    buffer::word,
    handle::Handle,
    label::{Flags, Label},
    objects::{ObjectError, reply},
    registers::CallIn,
    status::Cause,
    wire::ErrorCode,
};
use std::vec::Vec;

const READ: u64 = 1;
const WRITE: u64 = 2;
const LABEL: Label = Label::call(0, HASH).with_leases(1);

/// The client lends a range to the server.
fn lent(address: u64, length: u64, access: u64) -> Pair {
    let pair = Pair::new();
    let m = &pair.machine;
    for (field, value) in [address, length, access].into_iter().enumerate() {
        m.set_buffer(pair.client, word::LEASE + field, value);
    }
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(m.call(pair.client, pair.use_, LABEL, &[]), None);
    pair
}

/// Copies as the server: operation 1 reads, 2 writes.
fn copy(pair: &Pair, operation: u8, lease: u64, offset: u64, own: u64, length: u64) -> u64 {
    let words = [lease, offset, own, length];
    let hash = reply::INTERFACE.hash;
    let out = pair
        .machine
        .object(pair.server, Handle::REQUEST, operation, hash, &words);
    match out.label.operation() {
        Label::OK => out.status,
        _ => 0x1000 + out.words[0],
    }
}

fn error(error: ObjectError) -> u64 {
    0x1000 + error.to_code()
}

#[test]
fn bytes_are_copied_both_ways() {
    let pair = lent(DATA + 10, 20, READ | WRITE);
    let m = &pair.machine;
    m.poke(pair.client_task, DATA + 10, b"from the client");
    assert_eq!(copy(&pair, 1, 0, 5, DATA, 10), MESSAGE);
    let mut got = [0; 10];
    m.peek(pair.server_task, DATA, &mut got);
    assert_eq!(&got, b"the client");
    m.poke(pair.server_task, DATA, b"SERVER");
    assert_eq!(copy(&pair, 2, 0, 9, DATA, 6), MESSAGE);
    let mut got = [0; 15];
    m.peek(pair.client_task, DATA + 10, &mut got);
    assert_eq!(&got, b"from the SERVER");
}

#[test]
fn the_server_learns_length_and_access_but_no_address() {
    let pair = lent(DATA + 10, 20, READ);
    let field = |index| pair.machine.buffer(pair.server, word::LEASE + index);
    assert_eq!([field(0), field(1), field(2)], [0, 20, READ]);
}

#[test]
fn nothing_outside_the_lease_can_be_copied() {
    let pair = lent(DATA + 10, 20, READ | WRITE);
    for operation in [1, 2] {
        for (lease, offset, length) in [
            (0, 0, 21),
            (0, 20, 1),
            (0, u64::MAX, 1),
            (0, 1, u64::MAX),
            (1, 0, 1),
            (u64::MAX, 0, 1),
        ] {
            let got = copy(&pair, operation, lease, offset, DATA, length);
            assert_eq!(
                got,
                error(ObjectError::OutOfRange),
                "{lease} {offset} {length}"
            );
        }
        assert_eq!(copy(&pair, operation, 0, 20, DATA, 0), MESSAGE);
        assert_eq!(copy(&pair, operation, 0, 0, DATA, 20), MESSAGE);
    }
}

#[test]
fn access_is_as_lent() {
    let pair = lent(DATA, 20, READ);
    assert_eq!(
        copy(&pair, 2, 0, 0, DATA, 1),
        error(ObjectError::OutOfRange)
    );
    let pair = lent(DATA, 20, WRITE);
    assert_eq!(
        copy(&pair, 1, 0, 0, DATA, 1),
        error(ObjectError::OutOfRange)
    );
}

#[test]
fn faults_blame_the_right_side() {
    // The client lent what it does not have.
    let pair = lent(DATA + 4000, 200, READ | WRITE);
    assert_eq!(copy(&pair, 1, 0, 0, DATA, 200), refused(Cause::LeaseFault));
    assert_eq!(copy(&pair, 1, 0, 0, DATA, 96), MESSAGE);
    // The server names memory of its own that it does not have.
    let pair = lent(DATA, 200, READ | WRITE);
    assert_eq!(
        copy(&pair, 1, 0, 0, 0x5000, 8),
        error(ObjectError::BadAddress)
    );
    assert_eq!(
        copy(&pair, 2, 0, 0, 0x5000, 8),
        error(ObjectError::BadAddress)
    );
}

#[test]
fn a_client_cannot_lend_read_only_memory_to_be_written() {
    let pair = Pair::new();
    let m = &pair.machine;
    m.map(pair.client_task, 0x30_0000, 1, crate::arch::Access::READ);
    for (field, value) in [0x30_0000, 8, WRITE].into_iter().enumerate() {
        m.set_buffer(pair.client, word::LEASE + field, value);
    }
    m.receive(pair.server, pair.serve);
    m.call(pair.client, pair.use_, LABEL, &[]);
    assert_eq!(copy(&pair, 2, 0, 0, DATA, 8), refused(Cause::LeaseFault));
}

#[test]
fn impossible_leases_are_refused_before_delivery() {
    for (address, length, access, cause) in [
        (u64::MAX, 2, READ, Cause::LeaseFault),
        ((1 << 38) - 1, 2, READ, Cause::LeaseFault),
        (DATA, u64::MAX, READ, Cause::LeaseFault),
        (DATA, 1, 0, Cause::Malformed),
        (DATA, 1, 4, Cause::Malformed),
    ] {
        let pair = Pair::new();
        let m = &pair.machine;
        for (field, value) in [address, length, access].into_iter().enumerate() {
            m.set_buffer(pair.client, word::LEASE + field, value);
        }
        let out = m.call(pair.client, pair.use_, LABEL, &[]).unwrap();
        assert_eq!(out.status, refused(cause));
    }
}

#[test]
fn a_lease_ends_with_its_call() {
    let pair = lent(DATA, 20, READ);
    let m = &pair.machine;
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    assert_eq!(copy(&pair, 1, 0, 0, DATA, 1), refused(Cause::Cancelled));
    // The next call of the same client lends nothing.
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(
        m.call(pair.client, pair.use_, Label::call(0, HASH), &[]),
        None
    );
    assert_eq!(
        copy(&pair, 1, 0, 0, DATA, 1),
        error(ObjectError::OutOfRange)
    );
}

#[test]
fn a_call_that_was_refused_lends_nothing_later() {
    let pair = Pair::new();
    let m = &pair.machine;
    for (field, value) in [DATA, 20, READ].into_iter().enumerate() {
        m.set_buffer(pair.client, word::LEASE + field, value);
    }
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let out = m.enter(pair.client, call_in(pair.use_, LABEL, &[], 0));
    assert_eq!(out.unwrap().status, refused(Cause::TimedOut));
    let plain = Label::call(0, HASH);
    assert_eq!(m.call(pair.client, pair.use_, plain, &[]), None);
    let status = copy(&pair, 1, 0, 0, DATA, 1);
    assert_eq!(status, error(ObjectError::OutOfRange));
}

#[test]
fn an_interrupted_copy_goes_on_where_it_stopped() {
    let pair = Pair::new();
    let m = &pair.machine;
    let all = crate::arch::Access::READ | crate::arch::Access::WRITE;
    m.map(pair.client_task, 0x40_0000, 4, all);
    m.map(pair.server_task, 0x40_0000, 4, all);
    let bytes: std::vec::Vec<u8> = (0..3 * 4096).map(|index| (index % 251) as u8).collect();
    m.poke(pair.client_task, 0x40_0064, &bytes);
    for (field, value) in [0x40_0064, bytes.len() as u64, READ]
        .into_iter()
        .enumerate()
    {
        m.set_buffer(pair.client, word::LEASE + field, value);
    }
    m.receive(pair.server, pair.serve);
    m.call(pair.client, pair.use_, LABEL, &[]);
    for pieces in 0..6 {
        m.poke(pair.server_task, 0x40_0000, &[0; 3 * 4096]);
        crate::arch::host::interrupt_after(pieces);
        assert_eq!(copy(&pair, 1, 0, 0, 0x40_0000, bytes.len() as u64), MESSAGE);
        let mut got = std::vec![0; bytes.len()];
        m.peek(pair.server_task, 0x40_0000, &mut got);
        assert!(got == bytes, "interrupted after {pieces} pieces");
    }
}

#[test]
fn each_lease_is_as_it_was_lent() {
    let pair = Pair::new();
    let m = &pair.machine;
    let lent = [[DATA, 8, READ], [DATA + 100, 20, WRITE]];
    for (index, value) in lent.as_flattened().iter().enumerate() {
        m.set_buffer(pair.client, word::LEASE + index, *value);
    }
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let label = LABEL.with_leases(2);
    assert_eq!(m.call(pair.client, pair.use_, label, &[]), None);
    let seen: Vec<u64> = (0..6)
        .map(|index| m.buffer(pair.server, word::LEASE + index))
        .collect();
    assert_eq!(seen, [0, 8, READ, 0, 20, WRITE]);
    m.poke(pair.server_task, DATA, b"second");
    assert_eq!(copy(&pair, 2, 1, 14, DATA, 6), MESSAGE);
    let mut got = [0; 6];
    m.peek(pair.client_task, DATA + 114, &mut got);
    assert_eq!(&got, b"second");
}

#[test]
fn what_is_refused_on_the_fast_path_lends_nothing() {
    let pair = Pair::new();
    let m = &pair.machine;
    for (field, value) in [DATA, 8, READ].into_iter().enumerate() {
        m.set_buffer(pair.client, word::LEASE + field, value);
    }
    assert_eq!(m.receive(pair.server, pair.serve), None);
    // The server opens no slot for the capability; before the slow path is asked, the
    // client's own may be taken back by another core, and it says no more.
    m.set_buffer(pair.client, word::CAPABILITIES, pair.use_.0);
    m.run(pair.client);
    let call = call_in(pair.use_, LABEL.with_capabilities(1), &[], FOREVER);
    assert!(!m.passes(m.k, pair.client, &call));
    assert!(pair.client.lease(0).is_none());
}

#[test]
fn an_answer_by_a_kept_reply_ends_the_leases() {
    let pair = lent(DATA, 8, READ);
    let m = &pair.machine;
    m.result(pair.server);
    m.open(pair.server, 1);
    m.object(pair.server, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
    let label = Label::control(Flags::REPLY, Label::OK);
    let answer = CallIn {
        request: Handle(m.buffer(pair.server, word::CAPABILITIES)),
        ..call_in(Handle::NULL, label, &[], FOREVER)
    };
    // Above the server: it runs at once, on the fast path.
    for priority in [&pair.client.priority, &pair.client.effective] {
        priority.set(priority.get() + 1);
    }
    m.run(pair.server);
    host::set_call(&pair.server.context, &answer);
    assert!(m.passes(m.k, pair.server, &answer));
    assert_eq!(m.result(pair.client).status, MESSAGE);
    assert!(pair.client.lease(0).is_none());
}
