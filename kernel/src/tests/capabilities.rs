//! Capabilities: the table, the rights, and how they travel.

use super::{invariants, machine::*};
use crate::{
    capability::object::Target,
    cell::Word,
    ipc::session,
    object::{memory::Memory, task::Task},
};
use libipc_abi::{
    buffer::word,
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects::{ObjectError, endpoint, system, task},
    status::{Cause, Status, TransportError},
};
use std::{collections::HashSet, vec::Vec};

const LABEL: Label = Label::call(0, HASH);
const DENIED: Answer = Answer::Status(16);

/// The client's handle of its own task.
fn own(pair: &Pair) -> Handle {
    let target = Target::Task(pair.client_task);
    pair.machine.give(pair.client_task, target, Rights::all())
}

fn check(pair: &Pair) {
    invariants::check(&pair.machine, |_| 1);
}

fn derive(pair: &Pair, own: Handle, handle: Handle, rights: Rights) -> Answer {
    let words = [handle.0, u64::from(rights.bits())];
    pair.machine
        .task_call(pair.client, own, on_task::DERIVE, &[], &words)
}

fn delete(pair: &Pair, own: Handle, handle: Handle) -> Answer {
    let words = [handle.0];
    pair.machine
        .task_call(pair.client, own, on_task::DELETE, &[], &words)
}

#[test]
fn a_table_grows_across_pages_and_directories() {
    // A directory names 512 pages of 64 slots. Under Miri pages suffice.
    let count = if cfg!(miri) { 200 } else { 512 * 64 + 100 };
    let m = Machine::new(1024);
    let task = m.task(800);
    let handles: Vec<Handle> = (0..count)
        .map(|_| m.give(task, Target::System, Rights::LOG))
        .collect();
    let different: HashSet<u32> = handles.iter().map(|handle| handle.index()).collect();
    assert_eq!(different.len(), count);
    assert!(!different.contains(&0), "slot 0 is never used");
    for handle in &handles {
        assert!(task.table.find(m.k, *handle).is_some());
    }
    assert_eq!(task.table.count.get(), count as u64);
    invariants::check(&m, |_| 1);
    for handle in &handles {
        task.table
            .delete(m.k, task.table.find(m.k, *handle).unwrap());
    }
    // No slot is new now.
    let slots = task.table.slots.get();
    for _ in 0..count {
        m.give(task, Target::System, Rights::LOG);
    }
    assert_eq!(task.table.slots.get(), slots);
    let free = m.k.kernel.frames.free();
    m.kill(task);
    assert!(m.k.kernel.frames.free() > free);
    assert_eq!(task.used.get(), 0);
}

#[test]
fn a_table_is_full_at_last() {
    let m = Machine::new(64);
    let task = m.task(20);
    let mut given = 0;
    while task
        .table
        .insert(m.k, task, &Target::System, Rights::LOG)
        .is_ok()
    {
        given += 1;
    }
    assert_eq!(task.used.get(), task.limit.get());
    assert_eq!(given, u64::from(task.table.slots.get()) - 1);
    invariants::check(&m, |_| 1);
    m.kill(task);
    assert_eq!(task.used.get(), 0);
}

#[test]
fn a_page_without_a_directory_is_given_back() {
    let m = Machine::new(64);
    for frames in 1..8 {
        let used = m.root.used.get();
        let task = Task::create(m.k, m.root, frames).unwrap();
        task.uses.add(1);
        let insert = || {
            let target = &Target::System;
            task.table.insert(m.k, task, target, Rights::LOG).is_ok()
        };
        let given = (0..100).take_while(|_| insert()).count();
        let fits = match frames {
            // The root alone.
            1 => 0,
            // A page as well, or two without their directory.
            2 | 3 => 63,
            _ => 100,
        };
        assert_eq!(given, fits, "of {frames} frames");
        m.kill(task);
        assert_eq!(task.used.get(), 0);
        task.release(m.k);
        m.leave();
        assert_eq!(m.root.used.get(), used);
    }
}

#[test]
fn a_slot_s_next_capability_has_another_handle() {
    let pair = Pair::new();
    let own = own(&pair);
    let first = Handle(derive(&pair, own, pair.use_, Rights::all()).word());
    assert!(delete(&pair, own, first).is_ok());
    let second = Handle(derive(&pair, own, pair.use_, Rights::all()).word());
    assert_eq!(first.index(), second.index());
    assert_eq!(first.generation() + 1, second.generation());
    let m = &pair.machine;
    let out = m.call(pair.client, first, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Denied));
    assert_eq!(delete(&pair, own, first), DENIED);
    assert_eq!(derive(&pair, own, first, Rights::all()), DENIED);
    assert_eq!(m.signal(pair.client, second, 1).status, MESSAGE);
    check(&pair);
}

#[test]
fn handles_cannot_be_made_up() {
    let pair = Pair::new();
    let m = &pair.machine;
    let real = pair.use_;
    for bit in 0..64 {
        let forged = Handle(real.0 ^ 1 << bit);
        let out = m.signal(pair.client, forged, 1);
        assert_eq!(out.status, refused(Cause::Denied), "bit {bit}");
        let out = m.call(pair.client, forged, LABEL, &[]).unwrap();
        assert_eq!(out.status, refused(Cause::Denied), "bit {bit}");
    }
    // Neither is another task's handle one's own, nor a pseudo handle a slot's.
    for handle in [Handle::THREAD, Handle::REQUEST, Handle::NULL] {
        m.set_buffer(pair.client, word::CAPABILITIES, handle.0);
        let label = LABEL.with_capabilities(1);
        m.receive(pair.server, pair.serve);
        let out = m.call(pair.client, real, label, &[]).unwrap();
        assert_eq!(out.status, refused(Cause::Denied));
        m.signal(pair.client, real, 1);
    }
    check(&pair);
}

#[test]
fn a_slot_whose_generations_are_used_up_is_retired() {
    let pair = Pair::new();
    let own = own(&pair);
    let handle = Handle(derive(&pair, own, pair.use_, Rights::all()).word());
    let m = &pair.machine;
    let table = &pair.client_task.table;
    let slot = table.find(m.k, handle).unwrap();
    let (target, rights) = table.take(m.k, slot).unwrap();
    // As if it had been used before as often as possible.
    slot.set_generation(u32::MAX);
    let last = m.give(pair.client_task, target, rights);
    target.release(m.k, rights);
    assert_eq!(
        (last.index(), last.generation()),
        (handle.index(), u32::MAX)
    );
    assert_eq!(m.signal(pair.client, last, 1).status, MESSAGE);
    assert!(delete(&pair, own, last).is_ok());
    for _ in 0..200 {
        let next = Handle(derive(&pair, own, pair.use_, Rights::all()).word());
        assert_ne!(next.index(), last.index(), "its handles would come again");
    }
    for old in [handle, last] {
        let out = m.signal(pair.client, old, 1);
        assert_eq!(out.status, refused(Cause::Denied));
    }
    check(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn deriving_never_adds_rights_but_the_mark() {
    let pair = Pair::new();
    let own = own(&pair);
    let held = pair.use_.rights();
    let mut from = pair.use_;
    for marked in [false, true] {
        for bits in 0..=255 {
            let wanted = Rights::from_bits_retain(bits);
            let derived = Handle(derive(&pair, own, from, wanted).word());
            let mark = if marked {
                Rights::FAR_ONLY
            } else {
                wanted & Rights::FAR_ONLY
            };
            assert_eq!(derived.rights(), held & wanted | mark, "wanted {wanted:?}");
            assert!(delete(&pair, own, derived).is_ok());
        }
        from = Handle(derive(&pair, own, from, held | Rights::FAR_ONLY).word());
    }
    let words = [pair.use_.0, 256];
    let m = &pair.machine;
    let answer = m.task_call(pair.client, own, on_task::DERIVE, &[], &words);
    assert_eq!(answer, Answer::error(ObjectError::BadArgument));
    // The same bit is no mark elsewhere.
    let derived = Handle(derive(&pair, own, own, Rights::INSPECT | Rights::FAR_ONLY).word());
    assert_eq!(derived.rights(), Rights::INSPECT | Rights::FAR_ONLY);
    let derived = Handle(derive(&pair, own, derived, Rights::INSPECT).word());
    assert_eq!(derived.rights(), Rights::INSPECT);
    check(&pair);
}

#[test]
fn minting_keeps_the_mark_and_adds_nothing() {
    let pair = Pair::new();
    let m = &pair.machine;
    let target = Target::Endpoint(pair.endpoint, None, 0);
    for held in [Rights::RECEIVE, Rights::RECEIVE | Rights::FAR_ONLY] {
        let serve = m.give(pair.server_task, target, held | Rights::GRANT);
        for wanted in [Rights::all(), Rights::empty(), Rights::FAR_ONLY] {
            m.open(pair.server, 1);
            let words = [1, u64::from(wanted.bits()), 1];
            let out = m.object(pair.server, serve, 0, endpoint::INTERFACE.hash, &words);
            assert!(Answer::of(&out).is_ok());
            let mark = (held | wanted) & Rights::FAR_ONLY;
            let rights = (held | Rights::GRANT) & wanted | mark;
            assert_eq!(m.received(pair.server).rights(), rights);
        }
    }
    check(&pair);
}

#[test]
fn installing_needs_grant_and_loses_what_it_should() {
    let pair = Pair::new();
    let m = &pair.machine;
    let server = m.give(
        pair.client_task,
        Target::Task(pair.server_task),
        Rights::INSTALL,
    );
    let own = own(&pair);
    let install = |handle: Handle, rights: Rights| {
        let words = [u64::from(rights.bits())];
        m.task_call(pair.client, server, on_task::INSTALL, &[handle], &words)
    };
    let there = Handle(install(pair.use_, Rights::CALL | Rights::CONTROL).word());
    assert_eq!(there.rights(), Rights::CALL);
    assert!(pair.server_task.table.find(m.k, there).is_some());
    let bound = Handle(derive(&pair, own, pair.use_, Rights::CALL).word());
    assert_eq!(install(bound, Rights::CALL), DENIED);
    assert_eq!(install(Handle(99), Rights::CALL), DENIED);
    let marked = Rights::all();
    let marked = Handle(derive(&pair, own, pair.use_, marked).word());
    let there = Handle(install(marked, Rights::CALL).word());
    assert_eq!(there.rights(), Rights::CALL | Rights::FAR_ONLY);
    // Without the right INSTALL nothing is put, taken or derived.
    let all = Rights::all() - Rights::INSTALL;
    let weak = m.give(pair.client_task, Target::Task(pair.server_task), all);
    for operation in [on_task::INSTALL, on_task::DERIVE, on_task::DELETE] {
        let words = [pair.serve.0, 255];
        let answer = m.task_call(pair.client, weak, operation, &[pair.use_], &words);
        assert_eq!(answer, DENIED);
    }
    check(&pair);
}

/// The client sends `handles` with this word on how they pass; the server has
/// so many slots open. What the client sees, `None` while it waits.
fn send(pair: &Pair, handles: &[Handle], passing: u64, open: u64) -> Option<u64> {
    let m = &pair.machine;
    m.open(pair.server, open);
    for (index, handle) in handles.iter().enumerate() {
        m.set_buffer(pair.client, word::CAPABILITIES + index, handle.0);
    }
    m.set_buffer(pair.client, word::PASSING, passing);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    let label = LABEL.with_capabilities(handles.len());
    let out = m.call(pair.client, pair.use_, label, &[]);
    if out.is_some() {
        assert!(pair.server.client.is_none());
        m.signal(pair.server_helper(), pair.serve, 1);
    }
    out.map(|out| out.status)
}

impl Pair {
    /// Another thread of the server's task, which is not waiting.
    fn server_helper(&self) -> &'static crate::object::thread::Thread {
        let mut threads = self.server_task.threads.iter(self.machine.k);
        match threads.find(|thread| !core::ptr::eq(*thread, self.server)) {
            Some(thread) => thread,
            None => self.machine.thread(self.server_task),
        }
    }
}

/// Four capabilities of the client's, of different types.
fn goods(pair: &Pair) -> [Handle; 4] {
    let (m, task) = (&pair.machine, pair.client_task);
    let (_, endpoint) = m.endpoint(task);
    let own = own(pair);
    [
        endpoint,
        own,
        m.give(task, Target::Thread(pair.client), Rights::all()),
        m.make(pair.client, own, on_task::CREATE_MEMORY, &[1]),
    ]
}

#[test]
fn capabilities_move_or_are_copied() {
    let pair = Pair::new();
    let m = &pair.machine;
    let goods = goods(&pair);
    // The first and third move, the second and fourth are copied.
    assert_eq!(send(&pair, &goods, 0b1010, 4), None);
    for (index, good) in goods.into_iter().enumerate() {
        let got = Handle(m.buffer(pair.server, word::CAPABILITIES + index));
        assert_eq!(got.object_type(), good.object_type());
        assert_eq!(got.rights(), good.rights());
        assert!(pair.server_task.table.find(m.k, got).is_some());
        let still = pair.client_task.table.find(m.k, good).is_some();
        assert_eq!(still, index % 2 == 1);
    }
    check(&pair);
}

#[test]
fn a_capability_that_moves_alone_keeps_its_badge() {
    let pair = Pair::new();
    let m = &pair.machine;
    let (endpoint, _) = m.endpoint(pair.client_task);
    let session = session::create(m.k, endpoint, 7, 1).unwrap();
    let badged = Target::Endpoint(endpoint, Some(session), 0);
    let handle = m.give(pair.client_task, badged, Rights::CALL | Rights::GRANT);
    assert_eq!(send(&pair, &[handle], 0, 1), None);
    let got = Handle(m.buffer(pair.server, word::CAPABILITIES));
    let slot = pair.server_task.table.find(m.k, got).unwrap();
    assert!(core::ptr::eq(slot.session(m.k).unwrap(), session));
    assert_eq!(session.copies.get(), 1);
    check(&pair);
}

#[test]
fn rights_are_lost_on_the_way_but_no_mark() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = own(&pair);
    let marked = Handle(derive(&pair, own, pair.use_, Rights::all()).word());
    let lost = Rights::SIGNAL | Rights::FAR_ONLY | Rights::GRANT;
    let passing = 0b10 | u64::from(lost.bits()) << 8 | u64::from(Rights::MAP.bits()) << 16;
    assert_eq!(send(&pair, &[marked, own], passing, 2), None);
    let got = |index| Handle(m.buffer(pair.server, word::CAPABILITIES + index)).rights();
    assert_eq!(got(0), Rights::CALL | Rights::FAR_ONLY);
    assert_eq!(got(1), Rights::all() - Rights::MAP);
    check(&pair);
}

#[test]
fn one_bad_handle_keeps_all_back() {
    let pair = Pair::new();
    let m = &pair.machine;
    let goods = goods(&pair);
    let own = goods[1];
    let bound = Handle(derive(&pair, own, pair.use_, Rights::CALL).word());
    let counts = (
        pair.client_task.table.count.get(),
        pair.server_task.table.count.get(),
    );
    for bad in [Handle::NULL, Handle(goods[0].0 ^ 1 << 32), bound] {
        for place in 0..4 {
            let mut handles = goods;
            handles[place] = bad;
            assert_eq!(send(&pair, &handles, 0, 4), Some(refused(Cause::Denied)));
        }
    }
    // The same twice, moved: there is only one.
    for (passing, refusal) in [(0, true), (0b01, true), (0b10, true), (0b11, false)] {
        let status = send(&pair, &[goods[0], goods[0]], passing, 4);
        assert_eq!(status, refusal.then_some(refused(Cause::Malformed)));
    }
    m.reply(pair.server, &[]);
    assert_eq!(pair.client_task.table.count.get(), counts.0);
    assert_eq!(pair.server_task.table.count.get(), counts.1 + 2);
    check(&pair);
}

#[test]
fn a_receiver_opens_the_slots_that_it_wants_filled() {
    let pair = Pair::new();
    let goods = goods(&pair);
    let quota = Some(refused(Cause::QuotaExceeded));
    for open in 0..3 {
        assert_eq!(send(&pair, &goods[..3], 0, open), quota);
    }
    for good in goods {
        assert!(pair.client_task.table.find(pair.machine.k, good).is_some());
    }
    assert_eq!(send(&pair, &goods[..3], 0, 3), None);
    check(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_receiver_without_quota_leaves_everything_with_the_sender() {
    let pair = Pair::new();
    let m = &pair.machine;
    let goods = goods(&pair);
    let task = pair.server_task;
    pair.server_helper();
    // The table is full but for one slot, and the quota is used up.
    while task.used.get() < task.limit.get() || task.table.count.get() % 64 != 62 {
        m.give(task, Target::System, Rights::LOG);
    }
    let count = task.table.count.get();
    assert_eq!(
        send(&pair, &goods, 0, 4),
        Some(refused(Cause::QuotaExceeded))
    );
    assert_eq!(task.table.count.get(), count);
    for good in goods {
        assert!(pair.client_task.table.find(m.k, good).is_some());
    }
    check(&pair);
    assert_eq!(send(&pair, &goods[..1], 0, 4), None);
    check(&pair);
}

#[test]
fn answers_carry_capabilities_too() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    m.open(pair.client, 1);
    m.set_buffer(pair.server, word::CAPABILITIES, pair.serve.0);
    m.set_buffer(pair.server, word::PASSING, 1);
    let label = Label::control(Flags::REPLY, Label::OK).with_capabilities(1);
    let out = m.call(pair.server, Handle::NULL, label, &[]).unwrap();
    assert_eq!(out.status, MESSAGE);
    assert_eq!(m.result(pair.client).label.capabilities(), 1);
    assert_eq!(m.received(pair.client).rights(), pair.serve.rights());
    check(&pair);
}

#[test]
fn an_answer_with_a_bad_handle_leaves_the_request() {
    let pair = Pair::called(LABEL, &[]);
    let m = &pair.machine;
    m.open(pair.client, 1);
    m.set_buffer(pair.server, word::CAPABILITIES, 77);
    let label = Label::control(Flags::REPLY, Label::OK).with_capabilities(1);
    let out = m.call(pair.server, Handle::NULL, label, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Denied));
    assert_eq!(m.reply(pair.server, &[5]).status, MESSAGE);
    assert_eq!(m.result(pair.client).words[0], 5);
    check(&pair);
}

#[test]
fn an_answer_without_room_leaves_its_capability_and_ends_the_call() {
    for flags in [Flags::REPLY, Flags::REPLY | Flags::RECEIVE] {
        let pair = Pair::called(LABEL, &[]);
        let m = &pair.machine;
        m.open(pair.client, 0);
        let good = m.give(pair.server_task, Target::System, Rights::GRANT);
        m.set_buffer(pair.server, word::CAPABILITIES, good.0);
        let label = Label::control(flags, Label::OK).with_capabilities(1);
        let out = m.call(pair.server, pair.serve, label, &[]).unwrap();
        assert_eq!(out.status, refused(Cause::Cancelled));
        let full = TransportError::delivered(Cause::QuotaExceeded);
        assert_eq!(m.result(pair.client).status, Status::Error(full).to_word());
        assert!(pair.server_task.table.find(m.k, good).is_some());
        // The request is answered.
        assert_eq!(m.reply(pair.server, &[]).status, refused(Cause::Cancelled));
        check(&pair);
    }
}

#[test]
fn the_last_right_to_receive_can_be_lost_in_a_message() {
    // Through the very endpoint that it closes.
    let pair = Pair::new();
    let m = &pair.machine;
    let task = pair.server_task;
    let caller = pair.server_helper();
    assert_eq!(m.receive(pair.server, pair.serve), None);
    m.open(pair.server, 1);
    m.set_buffer(caller, word::CAPABILITIES, pair.serve.0);
    m.set_buffer(
        caller,
        word::PASSING,
        u64::from(Rights::RECEIVE.bits()) << 8,
    );
    let queued = m.call(pair.client, pair.use_, LABEL, &[]);
    assert_eq!(queued, None, "the receiver takes this one");
    assert_eq!(m.reply(pair.server, &[]).status, MESSAGE);
    assert_eq!(m.receive(pair.server, pair.serve), None);
    assert_eq!(
        m.call(caller, pair.serve, LABEL.with_capabilities(1), &[]),
        None
    );
    assert_eq!(m.result(pair.server).status, MESSAGE);
    let got = m.received(pair.server);
    assert!(task.table.find(m.k, got).is_some());
    assert!(!got.rights().contains(Rights::RECEIVE));
    let out = m.call(pair.client, pair.use_, LABEL, &[]).unwrap();
    assert_eq!(out.status, refused(Cause::Died));
    // What was delivered is still answered.
    assert_eq!(m.reply(pair.server, &[9]).status, MESSAGE);
    assert_eq!(m.result(caller).words[0], 9);
    check(&pair);
}

#[test]
fn a_capability_s_type_is_checked() {
    let pair = Pair::new();
    let m = &pair.machine;
    let own = own(&pair);
    for wrong in [own, pair.use_] {
        let words = [0x40_0000, 0, 1, 1];
        let answer = m.task_call(pair.client, own, on_task::MAP, &[wrong], &words);
        assert_eq!(answer, DENIED);
    }
    let memory = m.make(pair.client, own, on_task::CREATE_MEMORY, &[1]);
    assert_eq!(memory.object_type(), Some(ObjectType::Memory));
    let answer = m.task_call(pair.client, own, on_task::SET_FAULT_HANDLER, &[memory], &[]);
    assert_eq!(answer, DENIED);
    assert_eq!(
        m.receive(pair.client, memory).unwrap().status,
        refused(Cause::Denied)
    );
    assert_eq!(
        m.signal(pair.client, memory, 1).status,
        refused(Cause::Denied)
    );
    check(&pair);
}

#[test]
fn a_listing_names_what_each_capability_leads_to() {
    let m = Machine::new(256);
    let task = m.task(100);
    let thread = m.thread(task);
    let (endpoint, first) = m.endpoint(task);
    let all = Rights::all();
    let memory = Memory::create(m.k, task, 1).unwrap();
    m.give(task, Target::Thread(thread), all);
    m.give(task, Target::Memory(memory), all);
    let own = m.give(task, Target::Task(task), all);
    let mut objects = Vec::new();
    let mut next = u64::from(first.index());
    while let Answer::Ok(words) = m.task_call(thread, own, task::number::CAPABILITY, &[], &[next]) {
        objects.push(words[1]);
        next = words[3];
    }
    let ids = [&endpoint.id, &thread.id, &memory.id, &task.id].map(Word::get);
    assert_eq!(objects, ids);
    assert!(ids.iter().all(|id| *id != 0));
}

#[test]
fn an_interrupt_is_the_line_that_was_asked_for() {
    let m = Machine::new(256);
    let thread = m.thread(m.root);
    let machine = m.give(m.root, Target::System, Rights::DEVICES);
    m.open(thread, 1);
    let (number, hash) = (system::number::INTERRUPT, system::INTERFACE.hash);
    let out = m.object(thread, machine, number, hash, &[5]);
    assert!(Answer::of(&out).is_ok());
    let line =
        m.k.kernel
            .line(m.k, 5)
            .expect("it is noted under its number");
    assert_eq!(line.line.get(), 5);
    assert_ne!(line.id.get(), 0);
}
