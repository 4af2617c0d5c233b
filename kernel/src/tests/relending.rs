//! Leases that are lent on: what the last borrower reaches, and when it ends.

use super::machine::*;
use crate::{
    capability::object::Target,
    object::{
        task::Task,
        thread::{State, Thread},
    },
};
use libipc_abi::{
    buffer::{Access, LeaseDescriptor, Outer, word},
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{ObjectError, reply},
    registers::CallIn,
    status::Cause,
    wire::ErrorCode,
};
use std::vec::Vec;

const LABEL: Label = Label::call(0, HASH).with_leases(1);
const READ: Access = Access::READ;
const BOTH: Access = Access::READ.union(Access::WRITE);

/// Threads in tasks of their own; each can call the next one.
struct Chain {
    m: Machine,
    links: Vec<(&'static Task, &'static Thread)>,
    /// Handle to receive from, of each.
    serve: Vec<Handle>,
    /// Handle to call the next one, of each but the last.
    next: Vec<Handle>,
}

impl Chain {
    fn new(length: usize) -> Chain {
        let m = Machine::new(1024);
        let (mut links, mut serve, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..length {
            let task = m.task(64);
            links.push((task, m.thread(task)));
            let (endpoint, handle) = m.endpoint(task);
            serve.push(handle);
            if index > 0 {
                let target = Target::Endpoint(endpoint, None, 0);
                next.push(m.give(links[index - 1].0, target, Rights::CALL));
            }
        }
        Chain {
            m,
            links,
            serve,
            next,
        }
    }

    fn thread(&self, index: usize) -> &'static Thread {
        self.links[index].1
    }

    /// Thread `index` calls the next one with this lease, which receives it. The
    /// status, if the call was refused.
    fn lend(&self, index: usize, lease: LeaseDescriptor) -> Option<u64> {
        let (from, to) = (self.thread(index), self.thread(index + 1));
        for (field, value) in [lease.address, lease.length, lease.access]
            .into_iter()
            .enumerate()
        {
            self.m.set_buffer(from, word::LEASE + field, value);
        }
        if to.state.get() == State::Ready {
            assert_eq!(self.m.receive(to, self.serve[index + 1]), None);
        }
        let out = self.m.call(from, self.next[index], LABEL, &[]);
        out.map(|out| out.status)
    }

    /// Thread 0 lends 64 bytes of its memory to thread 1.
    fn begin(length: usize, access: Access) -> Chain {
        let chain = Chain::new(length);
        assert_eq!(chain.lend(0, own(DATA + 100, 64, access)), None);
        chain
    }

    /// Copies as the thread: operation 1 reads, 2 writes.
    fn copy(&self, index: usize, operation: u8, offset: u64, length: u64) -> u64 {
        let words = [0, offset, DATA, length];
        let hash = reply::INTERFACE.hash;
        let thread = self.thread(index);
        let out = self
            .m
            .object(thread, Handle::REQUEST, operation, hash, &words);
        match out.label.operation() {
            Label::OK => out.status,
            _ => 0x1000 + out.words[0],
        }
    }

    /// Thread `index` keeps the request that it serves.
    fn keep(&self, index: usize) -> Handle {
        let thread = self.thread(index);
        self.m.open(thread, 1);
        self.m
            .object(thread, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
        self.m.received(thread)
    }
}

fn own(address: u64, length: u64, access: Access) -> LeaseDescriptor {
    LeaseDescriptor {
        address,
        length,
        access: access.bits(),
    }
}

/// Part of the first lease of the request being served.
fn part(offset: u64, length: u64, access: Access) -> LeaseDescriptor {
    part_of(Handle::REQUEST, offset, length, access)
}

fn part_of(request: Handle, offset: u64, length: u64, access: Access) -> LeaseDescriptor {
    let outer = Outer {
        request,
        lease: 0,
        offset,
    };
    LeaseDescriptor::relend(outer, length, access)
}

fn outside() -> u64 {
    0x1000 + ObjectError::OutOfRange.to_code()
}

#[test]
fn the_last_borrower_copies_from_and_to_the_first_lender() {
    let chain = Chain::begin(3, BOTH);
    let m = &chain.m;
    m.poke(chain.links[0].0, DATA + 100, b"from the client");
    assert_eq!(chain.lend(1, part(5, 10, BOTH)), None);
    assert_eq!(chain.copy(2, 1, 4, 6), MESSAGE);
    let mut got = [0; 6];
    m.peek(chain.links[2].0, DATA, &mut got);
    assert_eq!(&got, b"client");
    m.poke(chain.links[2].0, DATA, b"SERVER");
    assert_eq!(chain.copy(2, 2, 4, 6), MESSAGE);
    let mut got = [0; 15];
    m.peek(chain.links[0].0, DATA + 100, &mut got);
    assert_eq!(&got, b"from the SERVER");
    // Nothing of it went through the memory of the one in between.
    let mut between = [0; 128];
    m.peek(chain.links[1].0, DATA, &mut between);
    assert_eq!(between, [0; 128]);
}

#[test]
fn the_last_borrower_sees_length_and_access_and_nothing_else() {
    let chain = Chain::begin(3, BOTH);
    assert_eq!(chain.lend(1, part(5, 10, READ)), None);
    let field = |index| chain.m.buffer(chain.thread(2), word::LEASE + index);
    assert_eq!([field(0), field(1), field(2)], [0, 10, READ.bits()]);
    assert_eq!(chain.copy(2, 1, 0, 10), MESSAGE);
    for (operation, offset, length) in [(1, 0, 11), (1, 10, 1), (1, u64::MAX, 1), (2, 0, 1)] {
        assert_eq!(chain.copy(2, operation, offset, length), outside());
    }
}

#[test]
fn no_more_is_lent_on_than_was_lent() {
    for (access, wanted, cause) in [
        (READ, part(0, 8, BOTH), Cause::Denied),
        (READ, part(0, 8, Access::WRITE), Cause::Denied),
        (Access::WRITE, part(0, 8, READ), Cause::Denied),
        (READ, part(0, 65, READ), Cause::LeaseFault),
        (READ, part(64, 1, READ), Cause::LeaseFault),
        (READ, part(1, u64::MAX, READ), Cause::LeaseFault),
        (READ, part((1 << 48) - 1, 1, READ), Cause::LeaseFault),
    ] {
        let chain = Chain::begin(3, access);
        assert_eq!(chain.lend(1, wanted), Some(refused(cause)), "{wanted:?}");
        // The request that was to be lent from is as before.
        assert_eq!(chain.m.reply(chain.thread(1), &[]).status, MESSAGE);
    }
}

#[test]
fn what_names_no_lease_is_refused() {
    let chain = Chain::begin(3, READ);
    let mut second = part(0, 8, READ);
    second.access |= 1 << 8;
    let mut flags = part(0, 8, READ);
    flags.access |= 1 << 3;
    let mut nothing = part(0, 8, READ);
    nothing.access &= !READ.bits();
    let forged = Handle::new(7, Rights::ANSWER, Handle::REQUEST.object_type().unwrap(), 3);
    for (wanted, cause) in [
        (second, Cause::LeaseFault),
        (flags, Cause::Malformed),
        (nothing, Cause::Malformed),
        (part_of(forged, 0, 8, READ), Cause::Denied),
        (part_of(chain.serve[1], 0, 8, READ), Cause::Denied),
        (part_of(Handle::NULL, 0, 8, READ), Cause::Denied),
    ] {
        assert_eq!(chain.lend(1, wanted), Some(refused(cause)), "{wanted:?}");
        assert_eq!(chain.thread(2).state.get(), State::Receiving, "{wanted:?}");
    }
    // Who serves nobody was lent nothing.
    let idle = Chain::new(2);
    let status = idle.lend(0, part(0, 8, READ));
    assert_eq!(status, Some(refused(Cause::Cancelled)));
}

#[test]
fn a_lease_is_lent_on_four_times_and_no_more() {
    let chain = Chain::begin(7, BOTH);
    chain.m.poke(chain.links[0].0, DATA + 100, b"abcdefghij");
    for index in 1..5 {
        let length = 64 - 2 * index as u64;
        assert_eq!(chain.lend(index, part(2, length, BOTH)), None, "{index}");
    }
    assert_eq!(chain.copy(5, 1, 0, 2), MESSAGE);
    let mut got = [0; 2];
    chain.m.peek(chain.links[5].0, DATA, &mut got);
    assert_eq!(&got, b"ij");
    let status = chain.lend(5, part(0, 1, BOTH));
    assert_eq!(status, Some(refused(Cause::QuotaExceeded)));
    // Its own memory it can lend.
    assert_eq!(chain.lend(5, own(DATA, 8, READ)), None);
}

/// A chain of three where the last has a part of what the first lent, and what
/// ends the first one's call.
fn ended(end: impl Fn(&Chain)) -> Chain {
    let chain = Chain::begin(3, BOTH);
    assert_eq!(chain.lend(1, part(0, 8, BOTH)), None);
    assert_eq!(chain.copy(2, 1, 0, 8), MESSAGE);
    end(&chain);
    chain
}

#[test]
fn the_outer_end_ends_the_inner_lease() {
    let cancel = |chain: &Chain| {
        crate::ipc::end::interrupt(chain.m.k, chain.thread(0), Cause::Cancelled);
    };
    let ends: [&dyn Fn(&Chain); 2] = [&cancel, &|chain| chain.m.kill(chain.links[0].0)];
    for end in ends {
        let chain = ended(end);
        for operation in [1, 2] {
            let status = chain.copy(2, operation, 0, 8);
            assert_eq!(status, refused(Cause::LeaseFault));
        }
        // The call that lent on goes on: it has its own end.
        assert_eq!(chain.m.reply(chain.thread(2), &[]).status, MESSAGE);
        assert_eq!(chain.m.result(chain.thread(1)).status, MESSAGE);
    }
}

#[test]
fn a_lease_that_ended_outside_is_not_lent_on() {
    let chain = Chain::begin(4, BOTH);
    assert_eq!(chain.lend(1, part(0, 8, BOTH)), None);
    chain.m.kill(chain.links[0].0);
    let status = chain.lend(2, part(0, 8, BOTH));
    assert_eq!(status, Some(refused(Cause::LeaseFault)));
}

#[test]
fn a_call_of_the_same_thread_later_lends_nothing_to_the_old_borrower() {
    for keeps in [false, true] {
        let chain = Chain::begin(3, BOTH);
        let m = &chain.m;
        let request = if keeps {
            chain.keep(1)
        } else {
            Handle::REQUEST
        };
        assert_eq!(chain.lend(1, part_of(request, 0, 8, BOTH)), None);
        assert_eq!(chain.copy(2, 1, 0, 8), MESSAGE);
        crate::ipc::end::interrupt(m.k, chain.thread(0), Cause::Cancelled);
        // The same thread lends the same to another server, which keeps it.
        let other = m.thread(chain.links[1].0);
        let (endpoint, serve) = m.endpoint(chain.links[1].0);
        let target = Target::Endpoint(endpoint, None, 0);
        let handle = m.give(chain.links[0].0, target, Rights::CALL);
        assert_eq!(m.receive(other, serve), None);
        assert_eq!(m.call(chain.thread(0), handle, LABEL, &[]), None);
        m.open(other, 1);
        m.object(other, Handle::REQUEST, 0, reply::INTERFACE.hash, &[]);
        assert_eq!(chain.copy(2, 1, 0, 8), refused(Cause::LeaseFault));
    }
}

#[test]
fn the_end_of_a_request_in_the_middle_ends_what_comes_after() {
    let chain = Chain::begin(4, BOTH);
    assert_eq!(chain.lend(1, part(0, 8, BOTH)), None);
    assert_eq!(chain.lend(2, part(0, 8, BOTH)), None);
    assert_eq!(chain.copy(3, 1, 0, 8), MESSAGE);
    crate::ipc::end::interrupt(chain.m.k, chain.thread(1), Cause::TimedOut);
    assert_eq!(chain.copy(3, 1, 0, 8), refused(Cause::LeaseFault));
}

#[test]
fn the_memory_of_the_first_lender_is_its_own_fault() {
    let chain = Chain::new(3);
    assert_eq!(chain.lend(0, own(DATA + 4000, 200, BOTH)), None);
    assert_eq!(chain.lend(1, part(90, 100, BOTH)), None);
    assert_eq!(chain.copy(2, 1, 0, 6), MESSAGE);
    assert_eq!(chain.copy(2, 1, 0, 7), refused(Cause::LeaseFault));
    assert_eq!(chain.copy(2, 2, 6, 1), refused(Cause::LeaseFault));
}

#[test]
fn a_kept_request_lends_on_until_it_is_answered_dropped_or_moved() {
    let answer = |kept| CallIn {
        request: kept,
        ..call_in(
            Handle::NULL,
            Label::control(Flags::REPLY, Label::OK),
            &[],
            libipc_abi::FOREVER,
        )
    };
    for end in 0..4 {
        let chain = Chain::begin(3, BOTH);
        let m = &chain.m;
        let (task, kept) = (chain.links[1].0, chain.keep(1));
        assert_eq!(chain.lend(1, part_of(kept, 3, 8, BOTH)), None);
        m.poke(chain.links[0].0, DATA + 103, b"kept");
        assert_eq!(chain.copy(2, 1, 0, 4), MESSAGE);
        let mut got = [0; 4];
        m.peek(chain.links[2].0, DATA, &mut got);
        assert_eq!(&got, b"kept");
        match end {
            // Another thread of the server answers.
            0 => assert_eq!(
                m.enter(m.thread(task), answer(kept)).unwrap().status,
                MESSAGE
            ),
            1 => task.table.delete(m.k, task.table.find(m.k, kept).unwrap()),
            2 => crate::ipc::end::interrupt(m.k, chain.thread(0), Cause::TimedOut),
            // It goes to another task.
            _ => {
                let other = m.thread(task);
                m.set_buffer(other, word::CAPABILITIES, kept.0);
                m.set_buffer(other, word::PASSING, 0);
                let (endpoint, serve) = m.endpoint(chain.links[0].0);
                let target = Target::Endpoint(endpoint, None, 0);
                let handle = m.give(task, target, Rights::CALL);
                let taker = m.thread(chain.links[0].0);
                m.open(taker, 1);
                assert_eq!(m.receive(taker, serve), None);
                let label = Label::call(0, HASH).with_capabilities(1);
                assert_eq!(m.call(other, handle, label, &[]), None);
            }
        }
        let status = chain.copy(2, 1, 0, 4);
        assert_eq!(status, refused(Cause::LeaseFault), "end {end}");
    }
}

#[test]
fn an_interrupted_copy_stops_when_the_outer_call_has_ended() {
    let chain = Chain::new(3);
    let m = &chain.m;
    let all = crate::arch::Access::READ | crate::arch::Access::WRITE;
    for (task, _) in &chain.links {
        m.map(task, 0x40_0000, 4, all);
    }
    assert_eq!(chain.lend(0, own(0x40_0000, 4 * 4096, BOTH)), None);
    assert_eq!(chain.lend(1, part(0, 4 * 4096, BOTH)), None);
    let borrower = chain.thread(2);
    m.run(borrower);
    let label = Label::call(1, reply::INTERFACE.hash);
    let call = call_in(
        Handle::REQUEST,
        label,
        &[0, 0, 0x40_0000, 4 * 4096],
        libipc_abi::FOREVER,
    );
    crate::arch::host::set_call(&borrower.context, &call);
    crate::arch::host::interrupt_after(1);
    crate::syscall::syscall(m.k, borrower);
    crate::arch::host::interrupt_after(u32::MAX);
    crate::arch::host::advance(&borrower.context);
    m.kill(chain.links[0].0);
    crate::syscall::syscall(m.k, borrower);
    let status = crate::arch::host::results(&borrower.context).status;
    assert_eq!(status, refused(Cause::LeaseFault));
}
