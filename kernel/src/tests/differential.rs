//! The fast path means what the slow one does: two machines, one without it, are
//! driven through the same random steps and must look the same after each.

use super::machine::*;
use crate::{
    arch::{Access, Arch, Entry, Port, host},
    capability::{derivation, object::Target, slot::Slot},
    fault,
    ipc::{end, session},
    memory::{
        frames,
        space::{self, Progress},
    },
    object::{
        binding::Binding,
        endpoint::{Endpoint, State as EndpointState},
        reservation::Reservation,
        task::Task,
        thread::{State, Thread},
    },
    schedule::inherit,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    FOREVER, PAGE,
    buffer::{CAPABILITIES, LEASES, word},
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects::{FaultKind, reply},
    registers::CallIn,
    status::Cause,
};
use std::{boxed::Box, env, format, string::String, vec::Vec};

/// Steps of a sequence, each of which begins with a new pair of machines.
const STEPS: u64 = 48;

/// One of the two machines, with all that a step can name.
struct Side {
    m: Machine,
    tasks: Vec<&'static Task>,
    threads: Vec<&'static Thread>,
    endpoints: Vec<&'static Endpoint>,
    /// By task and endpoint: to call with a badge, to call without, to receive.
    handles: Vec<[Handle; 3]>,
    bindings: Vec<&'static Binding>,
    passed: u64,
}

/// See [`host::fp`].
const SAVED: u8 = 1;
const KEPT: u8 = 3;

/// What is lent and copied lies around the end of a page.
const AROUND: u64 = DATA + PAGE as u64 - 64;

const TASKS: usize = 3;
const ENDPOINTS: usize = 2;

impl Side {
    /// Three tasks with two threads each, all of which can call and receive at two
    /// endpoints; one thread has a reservation. All of it is on the first of the cores.
    fn new(fast: bool, cores: usize, priorities: &[u8; 2 * TASKS]) -> Side {
        let m = Machine::with_cores(220, cores);
        m.k.kernel.set_fast(fast);
        let tasks: Vec<_> = (0..TASKS).map(|_| m.task(60)).collect();
        for task in &tasks {
            m.map(task, DATA + PAGE as u64, 1, Access::READ | Access::WRITE);
        }
        let endpoints: Vec<_> = (0..ENDPOINTS)
            .map(|index| Endpoint::create(m.k, tasks[index]).unwrap())
            .collect();
        let mut handles = Vec::new();
        for (number, task) in tasks.iter().enumerate() {
            for endpoint in &endpoints {
                let limit = 1 + number as u64;
                let session = session::create(m.k, endpoint, 0xb0 + number as u64, limit).unwrap();
                let badged = Target::Endpoint(endpoint, Some(session), 0);
                let plain = Target::Endpoint(endpoint, None, 0);
                handles.push([
                    m.give(task, badged, Rights::CALL | Rights::GRANT),
                    m.give(task, plain, Rights::CALL),
                    m.give(task, plain, Rights::RECEIVE | Rights::SIGNAL),
                ]);
            }
        }
        let threads: Vec<_> = priorities
            .iter()
            .enumerate()
            .map(|(index, priority)| m.thread_of(tasks[index / 2], *priority))
            .collect();
        for (index, task) in tasks.iter().enumerate().skip(1) {
            let handle = handles[index * ENDPOINTS][index - 1];
            m.handle_faults(task, task, handle);
        }
        // So that a lease has something to be copied, before anybody has said more.
        for (thread, address) in threads.iter().zip(AROUND..) {
            let buffer = thread.buffer(m.k);
            for (field, value) in [address, 300, 3].into_iter().enumerate() {
                buffer[word::LEASE + field].store(value, Relaxed);
            }
        }
        for (task, number) in tasks.iter().zip(1..).skip(1) {
            m.poke(task, AROUND, &[number; 512]);
        }
        let bind = |endpoint: usize| {
            let binding: &'static Binding = Box::leak(Box::default());
            let slot = tasks[0].table.find(m.k, handles[endpoint][2]).unwrap();
            binding.bind(m.k, slot, endpoints[endpoint], None, 4 * endpoint as u64);
            binding
        };
        let bindings = (0..ENDPOINTS).map(bind).collect();
        let time = Reservation::create(m.k, tasks[0], 300, 1000).unwrap();
        threads[0].set_reservation(m.k, Some(time));
        m.leave();
        Side {
            m,
            tasks,
            threads,
            endpoints,
            handles,
            bindings,
            passed: 0,
        }
    }

    fn enter(&mut self, thread: &'static Thread, call: CallIn) {
        let k = self.m.k;
        host::set_call(&thread.context, &call);
        if self.m.passes(k, thread, &call) {
            self.passed += 1;
        } else {
            crate::syscall::syscall(k, thread);
            self.m.leave();
        }
    }

    /// All that anybody can observe: of which object, what, and the value.
    fn facts(&self, fact: &mut dyn FnMut(u64, &'static str, u64)) {
        let k = self.m.k;
        let id = |thread: Option<&Thread>| thread.map_or(0, |thread| thread.id.get());
        let place = |endpoint: Option<&Endpoint>| endpoint.map_or(0, |endpoint| endpoint.id.get());
        let core = k.core;
        fact(0, "current", id(core.current.get(k)));
        fact(0, "calls", core.counts().0);
        fact(0, "switches", core.counts().1);
        fact(0, "top", core.queue.top());
        for priority in 98..=102 {
            for thread in core.queue.with(k, priority) {
                fact(0, "ready", thread.id.get());
            }
        }
        for thread in &self.threads {
            let of = thread.id.get();
            fact(of, "state", thread.state.bits());
            if thread.state.get() == State::Ready {
                let out = host::results(&thread.context);
                fact(of, "status", out.status);
                fact(of, "label out", out.label.0);
                fact(of, "badge", out.badge);
                fact(of, "request out", out.request_id);
                out.words.iter().for_each(|word| fact(of, "word", *word));
            }
            fact(of, "pc", Port::registers(&thread.context).pc);
            fact(of, "effective", thread.effective.bits());
            fact(of, "server", id(thread.server.get(k)));
            fact(of, "client", id(thread.client.get(k)));
            fact(
                of,
                "depth",
                thread.client.get(k).map_or(0, |_| thread.depth.get()),
            );
            fact(
                of,
                "runs on",
                thread.runs_on.get(k).map_or(0, |time| time.id.get()),
            );
            fact(of, "serves", place(thread.serves.get(k)));
            fact(of, "endpoint", place(thread.endpoint.get(k)));
            fact(of, "label", thread.label().0);
            fact(of, "via", thread.via.get());
            fact(of, "request", thread.request_id());
            fact(of, "alarm", thread.alarm.deadline());
            fact(of, "last", thread.remembered(0));
            fact(of, "time", thread.time.get());
            let badge = thread
                .session
                .get(k)
                .map_or(0, |session| session.badge.get());
            fact(of, "session", badge);
            // Who makes a call asks for no more than what a call preserves, and may
            // find all of it.
            let fp = match host::fp(&thread.context) {
                KEPT => SAVED,
                fp => fp,
            };
            fact(of, "fp", fp.into());
            fact(of, "fault", thread.fault.kind.get());
            for lease in (0..LEASES).map_while(|index| thread.lease(index)) {
                fact(
                    of,
                    "lease",
                    lease.address ^ lease.length << 32 ^ lease.access,
                );
            }
            if thread.buffer.get() != 0 {
                for word in &thread.buffer(k)[..word::BYTES + 4] {
                    fact(of, "buffer", word.load(Relaxed));
                }
            }
        }
        for endpoint in &self.endpoints {
            let of = endpoint.id.get();
            fact(of, "state", endpoint.state.bits());
            for thread in endpoint.senders.iter(k) {
                fact(of, "sender", thread.id.get());
            }
            for thread in endpoint.receivers.iter(k) {
                fact(of, "receiver", thread.id.get());
            }
            fact(of, "servers", endpoint.servers.get());
            fact(of, "signals", endpoint.signals.get());
            fact(of, "uses", endpoint.uses.get());
            fact(of, "receive uses", endpoint.receive_uses.get());
            fact(of, "closed", endpoint.closed.iter(k).count() as u64);
            for session in endpoint.sessions.iter(k) {
                fact(of, "badge", session.badge.get());
                fact(of, "copies", session.copies.get());
                fact(of, "in flight", session.in_flight());
                fact(of, "session calls", session.calls.get());
                fact(of, "bytes", session.bytes.get());
            }
        }
        for task in &self.tasks {
            let of = task.id.get();
            fact(of, "used", task.used.get());
            fact(of, "dying", task.dying.bits());
            fact(of, "capabilities", task.table.count.get());
            for index in 1..task.table.slots.get().min(32) {
                let slot = task.table.slot(k, index).unwrap();
                fact(of, "slot", slot.handle().0);
                let from = derivation::child(k, slot).map_or(0, |child| child.handle().0);
                fact(of, "first derived", from);
                let id = slot.target(k).map_or(0, |target| target.id());
                fact(of, "object", id);
                let session = slot.session(k).filter(|_| id != 0);
                fact(
                    of,
                    "slot's badge",
                    session.map_or(0, |session| session.badge.get()),
                );
            }
            let threads = self.threads.iter().filter(|thread| thread.task.is(task));
            let untold: u64 = threads.map(|thread| thread.received.get()).sum();
            fact(of, "received", task.received.get() + untold);
            let pages = match task.dying.get() {
                true => &[][..],
                false => &[DATA, DATA + PAGE as u64],
            };
            for page in pages {
                let entry = space::leaf(k, task, *page).map_or(0, |entry| entry.load(Relaxed));
                if let Entry::Page(frame, _) = Port::entry(entry, 0) {
                    let words = frames::words(k, frame);
                    let seen = words[..64].iter().chain(&words[504..]);
                    seen.for_each(|word| fact(of, "memory", word.load(Relaxed)));
                }
            }
        }
    }

    fn digest(&self) -> u64 {
        let mut digest = 0_u64;
        self.facts(&mut |of, _, value| {
            for word in [of, value] {
                digest = (digest.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
            }
        });
        digest
    }

    fn list(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.facts(&mut |of, what, value| list.push(format!("{of} {what} {value:#x}")));
        list
    }
}

/// What happens to both machines.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// By the thread that runs; so is the next one.
    Enter(Way, usize, u64),
    /// Writes its message buffer: what it names, and how it passes that.
    Fill(usize, u64),
    Fault(FaultKind),
    /// Something signals by itself.
    Interrupt(usize),
    Touch,
    Yield,
    Later(u64),
    Cancel(usize),
    Priority(usize, u8),
    Pause(usize),
    Resume(usize),
    Expel(usize),
    Close(usize),
    Delete(usize, usize),
    Kill(usize),
}

/// A system call.
#[derive(Clone, Copy, Debug)]
enum Way {
    Call,
    CallUnbadged,
    CallUntil(u64),
    CallWithBytes,
    CallWithCapability,
    CallWithLease,
    ReplyReceive,
    ReplyWithBytes,
    ReplyWithCapability,
    ReplyReceiveUntil(u64),
    Refuse,
    Receive,
    Reply,
    Keep,
    /// Which operation.
    CopyLease(u8),
    ReplyKept,
    ReplyKeptReceive,
    Signal,
    Repeat,
}

impl Way {
    /// The call, of which handle.
    fn call(self, handles: &[Handle; 3], kept: Handle, word: u64, now: u64) -> CallIn {
        let [badged, plain, receive] = *handles;
        let label = Label::call(3, HASH);
        let answer = |flags: Flags, operation| Label::control(flags, operation);
        let both = Flags::REPLY | Flags::RECEIVE;
        let some = |end: u64| (word % end) as usize;
        let one = |end: u64| match word >> 16 & 1 {
            0 => 1,
            _ => some(end),
        };
        let (handle, label, deadline) = match self {
            Way::Call => (badged, label, FOREVER),
            Way::CallUnbadged => (plain, label, FOREVER),
            Way::CallUntil(later) => (badged, label, now + later),
            Way::CallWithBytes => (badged, label.with_bytes(some(4200)), FOREVER),
            Way::CallWithCapability => (badged, label.with_capabilities(one(5)), FOREVER),
            Way::CallWithLease => {
                let label = label.with_leases(some(4)).with_bytes(some(64));
                (badged, label, FOREVER)
            }
            Way::Repeat => (badged, label.with_flags(Flags::REPEAT), FOREVER),
            Way::ReplyReceive => (receive, answer(both, Label::OK), FOREVER),
            Way::ReplyWithBytes => {
                let label = answer(both, Label::OK).with_bytes(some(4200));
                (receive, label, FOREVER)
            }
            Way::ReplyWithCapability => {
                let label = answer(both, Label::OK).with_capabilities(one(3));
                let label = label.with_leases((word >> 8 & 1) as usize);
                (receive, label, FOREVER)
            }
            Way::Keep => (
                Handle::REQUEST,
                Label::call(0, reply::INTERFACE.hash),
                FOREVER,
            ),
            Way::CopyLease(operation) => (
                Handle::REQUEST,
                Label::call(operation, reply::INTERFACE.hash),
                FOREVER,
            ),
            Way::ReplyKept => {
                let label = answer(Flags::REPLY, (word >> 8) as u8 % 3);
                let label = label.with_bytes(some(32)).with_capabilities(some(2));
                (Handle::NULL, label, FOREVER)
            }
            Way::ReplyKeptReceive => (receive, answer(both, (word >> 8) as u8 % 3), FOREVER),
            Way::ReplyReceiveUntil(later) => (receive, answer(both, Label::OK), now + later),
            Way::Refuse => (receive, answer(both, Label::SERVER_ERROR), FOREVER),
            Way::Receive => (receive, answer(Flags::RECEIVE, 0), FOREVER),
            Way::Reply => (receive, answer(Flags::REPLY, Label::OK), FOREVER),
            Way::Signal => (receive, answer(Flags::SIGNAL, 0), FOREVER),
        };
        let words = match self {
            Way::CopyLease(_) => {
                let (offset, own) = (word >> 1 & 7, AROUND + (word >> 4 & 0x3f));
                [word & 1, offset, own, word >> 12 & 0x7f, 0, 0, 0, 0]
            }
            _ => [word, word ^ 0x55, 3, 4, 5, 6, 7, 8],
        };
        CallIn {
            request: match self {
                Way::ReplyKept | Way::ReplyKeptReceive => kept,
                _ => Handle::NULL,
            },
            ..call_in(handle, label, &words, deadline)
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % end
    }

    fn step(&mut self) -> Step {
        let thread = self.below(2 * TASKS);
        let endpoint = self.below(ENDPOINTS);
        match self.below(100) {
            0..=1 => Step::Cancel(thread),
            2..=4 => Step::Priority(thread, self.below(4) as u8 + 98),
            5..=8 => Step::Later(self.below(400) as u64),
            9 => Step::Pause(endpoint),
            10..=11 => Step::Resume(endpoint),
            12 => Step::Expel(endpoint),
            13 if self.below(4) == 0 => Step::Close(endpoint),
            14 => Step::Delete(self.below(TASKS), self.below(3 * ENDPOINTS)),
            15 if self.below(4) == 0 => Step::Kill(self.below(TASKS)),
            16..=17 => Step::Touch,
            18..=22 => Step::Yield,
            23..=24 => Step::Interrupt(endpoint),
            25..=30 => Step::Fill(endpoint, self.below(1 << 30) as u64),
            31..=34 => Step::Fault(match self.below(8) {
                0..=2 => FaultKind::Exit,
                3 => FaultKind::Illegal,
                _ => FaultKind::Read,
            }),
            _ => {
                let way = match self.below(76) {
                    0..=10 => Way::Call,
                    11..=12 => Way::CallUnbadged,
                    13 => Way::CallUntil(self.below(300) as u64),
                    14 => Way::CallWithBytes,
                    15..=27 => Way::ReplyReceive,
                    28 => Way::ReplyReceiveUntil(self.below(300) as u64),
                    29..=30 => Way::Refuse,
                    31..=35 => Way::Receive,
                    36..=37 => Way::Reply,
                    38 => Way::Repeat,
                    40..=41 => Way::CallWithCapability,
                    42..=43 | 60..=69 => Way::CallWithLease,
                    70..=73 => Way::ReplyKeptReceive,
                    74..=75 => Way::Keep,
                    44..=45 => Way::ReplyWithBytes,
                    46..=47 => Way::ReplyWithCapability,
                    48..=50 => Way::Keep,
                    51..=53 => Way::ReplyKept,
                    54..=58 => Way::CopyLease(1 + self.below(2) as u8),
                    _ => Way::Signal,
                };
                Step::Enter(way, endpoint, self.below(1 << 20) as u64)
            }
        }
    }
}

impl Side {
    /// Does the step, if it is possible.
    fn take(&mut self, step: Step, now: u64) {
        let k = self.m.k;
        match step {
            Step::Enter(way, endpoint, word) => {
                if let Some(thread) = k.core.current.get(k) {
                    let own = |task: &&'static Task| thread.task.is(task);
                    let task = self.tasks.iter().position(own).unwrap();
                    let handles = self.handles[task * ENDPOINTS + endpoint];
                    let kept = self.kept(task);
                    self.enter(thread, way.call(&handles, kept, word, now));
                }
            }
            Step::Fill(endpoint, choice) => self.fill(endpoint, choice),
            Step::Fault(kind) => {
                if let Some(thread) = k.core.current.get(k) {
                    match kind {
                        FaultKind::Exit => fault::exit(k, thread, 7),
                        _ => fault::fault(k, thread, kind, 0x7000, 5),
                    }
                }
            }
            Step::Interrupt(endpoint) => self.bindings[endpoint].signal(k),
            Step::Touch => {
                if let Some(thread) = k.core.current.get(k) {
                    Port::fp_load(&thread.context);
                }
            }
            // Nobody else does: it is a call on the thread that makes it.
            Step::Yield if !k.core.current.is_none() => k.core.yield_now(),
            Step::Cancel(thread) => end::interrupt(k, self.threads[thread], Cause::Cancelled),
            Step::Priority(thread, priority) if self.threads[thread].state.get() != State::Dead => {
                let thread = self.threads[thread];
                thread.priority.set(priority);
                inherit::settle(k, thread);
            }
            Step::Pause(endpoint) if self.is(endpoint, EndpointState::Open) => {
                self.endpoints[endpoint].set_state(k, EndpointState::Paused);
            }
            Step::Resume(endpoint) if self.is(endpoint, EndpointState::Paused) => {
                end::resume(k, self.endpoints[endpoint]);
            }
            Step::Expel(endpoint) if !self.is(endpoint, EndpointState::Closed) => {
                let done = end::expel(k, self.endpoints[endpoint], &mut 0);
                assert_eq!(done, Progress::Done);
            }
            Step::Close(endpoint) => end::close(k, self.endpoints[endpoint]),
            Step::Delete(task, index) => {
                let handle = self.handles[task * ENDPOINTS + index / 3][index % 3];
                let table = &self.tasks[task].table;
                if let Some(slot) = table.find(k, handle) {
                    table.delete(k, slot);
                }
            }
            Step::Kill(task) if !self.tasks[task].dying.get() => self.m.kill(self.tasks[task]),
            _ => {}
        }
        if !matches!(step, Step::Enter(..)) {
            self.m.leave();
        }
    }

    /// The first reply that a task keeps.
    fn kept(&self, task: usize) -> Handle {
        let table = &self.tasks[task].table;
        let slots = (1..table.slots.get().min(32)).filter_map(|index| table.slot(self.m.k, index));
        let mut handles = slots.map(Slot::handle);
        let reply = handles.find(|handle| handle.object_type() == Some(ObjectType::Reply));
        reply.unwrap_or(Handle::NULL)
    }

    /// The thread that runs names capabilities and memory in its message buffer, and
    /// opens slots.
    fn fill(&self, endpoint: usize, choice: u64) {
        let k = self.m.k;
        let Some(thread) = k.core.current.get(k) else {
            return;
        };
        let own = |task: &&'static Task| thread.task.is(task);
        let task = self.tasks.iter().position(own).unwrap();
        let buffer = thread.buffer(k);
        let count = self.tasks[task].table.slots.get().min(16);
        for index in 0..CAPABILITIES {
            // Whatever is there now: its own, or what it was passed.
            let slot = 1 + (choice >> (3 * index)) as u32 % count.max(1);
            let found = self.tasks[task].table.slot(k, slot);
            let handle = match index {
                0 => self.handles[task * ENDPOINTS + endpoint][0],
                _ => found.map_or(Handle::NULL, |slot| slot.handle()),
            };
            buffer[word::CAPABILITIES + index].store(handle.0, Relaxed);
        }
        // Mostly nothing is lost.
        let lost = (choice >> 16 & 0x87) * u64::from(choice >> 27 & 3 == 0);
        let how = choice >> 12 & 0xf | lost << 8;
        buffer[word::PASSING].store(how, Relaxed);
        buffer[word::OPEN].store(choice >> 24 & 7, Relaxed);
        for lease in 0..LEASES {
            let field = |field: usize| &buffer[word::LEASE + 3 * lease + field];
            field(0).store(AROUND + (choice & 0x3f), Relaxed);
            field(1).store(choice >> 8 & 0xff, Relaxed);
            field(2).store(choice >> (4 + lease) & 3, Relaxed);
        }
        for index in 0..4 {
            buffer[word::BYTES + index].store(choice ^ index as u64, Relaxed);
        }
        // Most pages come in so.
        let place = AROUND + (choice >> 7 & 0x78);
        self.m.poke(self.tasks[task], place, &choice.to_ne_bytes());
    }

    fn is(&self, endpoint: usize, state: EndpointState) -> bool {
        self.endpoints[endpoint].state.get() == state
    }
}

/// Plays one sequence on both; how often it took the fast path.
fn play(seed: u64) -> u64 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let priorities = core::array::from_fn(|_| random.below(3) as u8 + 99);
    // A core that is alone has passes of its own.
    let cores = 1 + (seed % 2) as usize;
    let side = |fast| Side::new(fast, cores, &priorities);
    let (mut fast, mut slow) = (side(true), side(false));
    let mut now = 1000;
    let mut done = Vec::new();
    for _ in 0..STEPS {
        let step = random.step();
        done.push(step);
        if let Step::Later(ticks) = step {
            now += ticks;
            host::set_now(now);
        }
        fast.take(step, now);
        slow.take(step, now);
        if fast.digest() != slow.digest() {
            let (fast, slow) = (fast.list(), slow.list());
            let differing = fast.iter().zip(&slow).filter(|(fast, slow)| fast != slow);
            let shown: Vec<_> = differing
                .map(|(fast, slow)| format!("fast {fast}, slow {slow}"))
                .collect();
            panic!("seed {seed}, after {done:?}:\n{}", shown.join("\n"));
        }
    }
    assert_eq!(slow.passed, 0);
    fast.passed
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn the_fast_path_means_what_the_slow_one_does() {
    let count = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = count("TESSERA_FUZZ_SEED").unwrap_or(1);
    let sequences = count("TESSERA_FUZZ_SEQUENCES").unwrap_or(2000);
    let passed: u64 = (seed..seed + sequences).map(play).sum();
    assert!(
        sequences < 100 || passed > sequences,
        "{passed} messages took the fast path in {sequences} sequences"
    );
    if sequences > 2000 {
        std::println!("{sequences} sequences, {passed} messages on the fast path");
    }
}
