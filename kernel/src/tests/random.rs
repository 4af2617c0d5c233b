//! Random system calls of hostile tasks, with every invariant checked after
//! each.
//!
//! A run is replayed by its seed: `TESSERA_FUZZ_SEED`. `TESSERA_FUZZ_STEPS` sets
//! the number of calls of each run.

use super::{invariants, machine::*};
use crate::{
    arch::{Arch, Port, Trap, host},
    capability::object::Target,
    fault,
    memory::space::Progress,
    object::{
        dma::Dma,
        endpoint::Endpoint,
        reservation::Reservation,
        task::Task,
        thread::{State, Thread},
    },
    schedule::ready,
    syscall,
};
use libipc_abi::{
    FOREVER,
    buffer::{BYTES, word},
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    objects::{self, FaultKind},
    registers::{CallIn, WORDS},
    status::{Cause, Status},
};
use std::{collections::HashMap, env, vec::Vec};

/// A generator that needs no state but a word (G. Marsaglia, "Xorshift RNGs",
/// 2003; the multiplier is of S. Vigna's variant).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// One time in so many.
    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const TASKS: u64 = 3;
const FRAMES: usize = 700;

/// Addresses that are interesting: mapped, mappable, at edges, or nothing.
const ADDRESSES: [u64; 9] = [
    DATA,
    DATA + 4090,
    0x40_0000,
    0x40_1000,
    0x1000_0000,
    (1 << 38) - (1 << 30),
    1 << 38,
    0,
    u64::MAX - 7,
];

struct Fuzz {
    m: Machine,
    random: Random,
    now: u64,
    /// Number of the call that a thread waits for.
    waits: HashMap<usize, (u64, u64)>,
    /// Calls that got past their handle, and all.
    past: (u64, u64),
    /// Calls and answers on the fast path.
    passed: u64,
    /// Cores of the machine.
    cores: usize,
}

impl Fuzz {
    fn new(seed: u64, cores: usize) -> Fuzz {
        let m = Machine::with_cores(FRAMES, cores);
        let tasks: Vec<&'static Task> = (0..TASKS).map(|_| m.task(150)).collect();
        for task in &tasks {
            // The first task names it, as a supervisor would.
            m.give(m.root, Target::Task(task), Rights::all());
            task.uses.take(1);
            let endpoint = Endpoint::create(m.k, task).unwrap();
            for _ in 0..3 {
                let thread = m.thread(task);
                m.give(task, Target::Thread(thread), Rights::all());
                let time = Reservation::create(m.k, task, 200, 1000).unwrap();
                m.give(task, Target::Reservation(time), Rights::all());
                thread.set_reservation(m.k, Some(time));
            }
            for other in &tasks {
                m.give(
                    other,
                    Target::Endpoint(endpoint, None, 0),
                    Rights::all() - Rights::FAR_ONLY,
                );
            }
            m.give(task, Target::Task(task), Rights::all());
            let dma = Dma::create(m.k, task).unwrap();
            m.give(task, Target::Dma(dma), Rights::all());
            let system = Rights::all() - Rights::SHUTDOWN;
            m.give(task, Target::System, system);
        }
        Fuzz {
            m,
            random: Random(seed | 1),
            now: 1000,
            waits: HashMap::new(),
            past: (0, 0),
            passed: 0,
            cores,
        }
    }

    /// A handle of the task's, mostly; of this type, if it has one.
    fn handle(&mut self, task: &'static Task, kind: Option<ObjectType>) -> Handle {
        let k = self.m.k;
        if self.random.one_in(40) {
            return Handle(self.random.next());
        }
        let slots = (1..task.table.slots.get()).filter_map(|index| task.table.slot(k, index));
        let handles = slots.map(|slot| slot.handle());
        let all: Vec<Handle> = handles
            .filter(|handle| match kind {
                Some(kind) => handle.object_type() == Some(kind),
                None => handle.object_type().is_some(),
            })
            .collect();
        if all.is_empty() {
            return Handle::NULL;
        }
        let handle = self.random.pick(&all);
        if self.random.one_in(30) {
            return Handle(handle.0 ^ 1 << self.random.below(64));
        }
        handle
    }

    fn word(&mut self, task: &'static Task) -> u64 {
        match self.random.below(8) {
            0 => self.random.pick(&ADDRESSES),
            1 => self.random.next(),
            2 => self.handle(task, None).0,
            3 => u64::MAX,
            4 => u64::from(Rights::all().bits()),
            _ => self.random.below(8),
        }
    }

    /// Arguments that some operation may like.
    fn words(&mut self, task: &'static Task, kind: Option<ObjectType>, op: u8) -> [u64; WORDS] {
        let mut words = core::array::from_fn(|_| self.word(task));
        if self.random.one_in(4) {
            return words;
        }
        let address = self.random.pick(&ADDRESSES[..4]);
        let pages = 1 + self.random.below(4);
        match (kind, op) {
            (Some(ObjectType::Task), 0) => words[0] = 1 + self.random.below(30),
            (Some(ObjectType::Task), 1) => {
                words = [0x1000, 0, 0, 0, self.random.below(120), 0, 0, 0];
            }
            (Some(ObjectType::Task), 20) => {
                words = [0x1000, 0, 0, self.random.below(120), 1, 0, 0, 0];
            }
            (Some(ObjectType::Task), 3) => words[0] = 1 + self.random.below(20),
            (Some(ObjectType::Task), 4) => words[..4].copy_from_slice(&[address, 0, pages, 3]),
            (Some(ObjectType::Task), 5 | 6) => words[..3].copy_from_slice(&[address, pages, 1]),
            (Some(ObjectType::Task), 8 | 9 | 18) => {
                words[..2].copy_from_slice(&[self.handle(task, None).0, self.random.below(256)]);
            }
            (Some(ObjectType::Task), 13..=16) => words[0] = self.random.below(3),
            (Some(ObjectType::Task), 17) => words[..3].copy_from_slice(&[DATA, DATA + 64, 64]),
            (Some(ObjectType::Thread), 9) => words[0] = self.random.below(2),
            (Some(ObjectType::Endpoint), 0) => {
                words[..3].copy_from_slice(&[self.random.below(9), 0x83, 1 + self.random.below(3)]);
            }
            (Some(ObjectType::Memory), _) => words[..3].copy_from_slice(&[8, DATA, 100]),
            (Some(ObjectType::System), 6) => words[..2].copy_from_slice(&[0x1000_0000, pages]),
            (Some(ObjectType::System), 7) => words[0] = self.random.below(40),
            (Some(ObjectType::System), 8) | (Some(ObjectType::Reservation), 2) => {
                let period = 100 + self.random.below(2000);
                words[..2].copy_from_slice(&[1 + self.random.below(period), period]);
            }
            (Some(ObjectType::System), 2) => words[..3].copy_from_slice(&[0, DATA, 64]),
            (Some(ObjectType::System), 3) => words[..2].copy_from_slice(&[DATA, 20]),
            (Some(ObjectType::Dma), _) => {
                words[..2].copy_from_slice(&[self.random.below(10), self.random.below(3)]);
            }
            (Some(ObjectType::Reply), _) => words[..4].copy_from_slice(&[0, 0, DATA, 16]),
            _ => {}
        }
        words
    }

    /// The header of the thread's message buffer.
    fn fill_buffer(&mut self, task: &'static Task, thread: &Thread) {
        let open = self.random.below(6);
        self.m.open(thread, open);
        for index in 0..4 {
            let handle = self.handle(task, None);
            self.m
                .set_buffer(thread, word::CAPABILITIES + index, handle.0);
        }
        let passing = self.random.below(16)
            | if self.random.one_in(3) {
                self.random.next() << 8
            } else {
                0
            };
        self.m.set_buffer(thread, word::PASSING, passing);
        for lease in 0..4 {
            let (mut address, length) = (self.random.pick(&ADDRESSES), self.random.below(5000));
            let mut access = 1 + self.random.below(3);
            if self.random.one_in(3) {
                // Lent on: the first leases of a request, from near their begin.
                address = match self.random.one_in(2) {
                    true => self.handle(task, Some(ObjectType::Reply)).0,
                    false => Handle::REQUEST.0,
                };
                access |= 4 | self.random.below(2) << 8 | self.random.below(64) << 16;
            }
            for (field, value) in [address, length, access].into_iter().enumerate() {
                self.m
                    .set_buffer(thread, word::LEASE + 3 * lease + field, value);
            }
        }
    }

    fn deadline(&mut self) -> u64 {
        match self.random.below(4) {
            0 => FOREVER,
            1 => 0,
            _ => self.now + self.random.below(3000),
        }
    }

    /// A system call of this thread.
    fn call(&mut self, task: &'static Task, thread: &Thread) -> CallIn {
        self.fill_buffer(task, thread);
        let mut call = self.kind_of_call(task, thread);
        if self.random.one_in(50) {
            call.label.0 ^= 1 << self.random.below(64);
        }
        if self.random.one_in(100) {
            call.label = call.label.with_bytes(BYTES + 1);
        }
        call
    }

    fn kind_of_call(&mut self, task: &'static Task, thread: &Thread) -> CallIn {
        let deadline = self.deadline();
        let attached = |random: &mut Random, label: Label| {
            let capabilities = if random.one_in(3) { random.below(5) } else { 0 };
            let bytes = if random.one_in(4) {
                random.below(BYTES as u64)
            } else {
                0
            };
            label
                .with_capabilities(capabilities as usize)
                .with_bytes(bytes as usize)
        };
        let endpoint = Some(ObjectType::Endpoint);
        match self.random.below(10) {
            0 | 1 => {
                let leases = self.random.below(4) as usize;
                let label = attached(&mut self.random, Label::call(3, HASH)).with_leases(leases);
                let repeats = match self.random.one_in(9) {
                    true => Flags::REPEAT,
                    false => Flags::empty(),
                };
                let label = label.with_flags(repeats);
                let words = self.words(task, None, 0);
                call_in(self.handle(task, endpoint), label, &words, deadline)
            }
            2 | 3 => {
                let handle = match self.random.below(12) {
                    0 => Handle::NULL,
                    _ => self.handle(task, endpoint),
                };
                call_in(handle, Label::control(Flags::RECEIVE, 0), &[], deadline)
            }
            4 => {
                let outcome = self.random.pick(&[0, 0, 0, 1, 19, 29, 200]);
                let flags = self
                    .random
                    .pick(&[Flags::REPLY, Flags::REPLY | Flags::RECEIVE]);
                let label = attached(&mut self.random, Label::control(flags, outcome));
                let words = self.words(task, None, 0);
                let request = if self.random.one_in(2) {
                    self.handle(task, Some(ObjectType::Reply))
                } else {
                    Handle::NULL
                };
                CallIn {
                    request,
                    ..call_in(self.handle(task, endpoint), label, &words, deadline)
                }
            }
            5 => {
                let label = Label::control(Flags::SIGNAL, 0);
                let bits = self.random.below(16);
                call_in(self.handle(task, endpoint), label, &[bits], deadline)
            }
            _ => self.object_call(task, thread, deadline),
        }
    }

    fn object_call(&mut self, task: &'static Task, thread: &Thread, deadline: u64) -> CallIn {
        let kinds = [
            (ObjectType::Task, objects::task::INTERFACE.hash, 23),
            (ObjectType::Task, objects::task::INTERFACE.hash, 23),
            (ObjectType::Task, objects::task::INTERFACE.hash, 23),
            (ObjectType::Thread, objects::thread::INTERFACE.hash, 11),
            (ObjectType::Endpoint, objects::endpoint::INTERFACE.hash, 8),
            (ObjectType::Memory, objects::memory::INTERFACE.hash, 4),
            (ObjectType::Interrupt, objects::interrupt::INTERFACE.hash, 4),
            (ObjectType::System, objects::system::INTERFACE.hash, 11),
            (
                ObjectType::Reservation,
                objects::reservation::INTERFACE.hash,
                6,
            ),
            (ObjectType::Reply, objects::reply::INTERFACE.hash, 5),
            (ObjectType::Dma, objects::dma::INTERFACE.hash, 7),
        ];
        let (kind, hash, operations) = self.random.pick(&kinds);
        let operation = self.random.below(operations) as u8;
        let words = self.words(task, Some(kind), operation);
        let flags = if kind == ObjectType::Endpoint {
            Flags::OBJECT
        } else {
            Flags::empty()
        };
        let label = Label::call(operation, hash)
            .with_flags(flags)
            .with_capabilities(self.random.below(2) as usize);
        let handle = match (kind, self.random.below(3)) {
            (ObjectType::Reply, 0 | 1) => Handle::REQUEST,
            (ObjectType::Thread, 0) => Handle::THREAD,
            _ => self.handle(task, Some(kind)),
        };
        // Bindings, mappings and installing take a capability of some type.
        let wanted = match (kind, operation) {
            (ObjectType::Task, 4) | (ObjectType::Dma, 0) => Some(ObjectType::Memory),
            (ObjectType::Reservation, 0) => Some(ObjectType::Thread),
            (ObjectType::Task, 10 | 20)
            | (ObjectType::Interrupt | ObjectType::System | ObjectType::Reservation, _) => {
                Some(ObjectType::Endpoint)
            }
            _ => None,
        };
        let argument = self.handle(task, wanted);
        self.m.set_buffer(thread, word::CAPABILITIES, argument.0);
        call_in(handle, label, &words, deadline)
    }

    /// Lets one thread do something, or time pass.
    fn step(&mut self) {
        let Some(thread) = self.choose() else {
            return self.pass();
        };
        let core = self.m.core_of(thread);
        let k = self.m.on(core);
        let task = thread.task.get(k).unwrap();
        self.m.run(thread);
        k.core.attend(k);
        if self.random.one_in(30) {
            let kinds = [
                FaultKind::Read,
                FaultKind::Write,
                FaultKind::Execute,
                FaultKind::Illegal,
            ];
            let (kind, address) = (self.random.pick(&kinds), self.random.pick(&ADDRESSES));
            fault::fault(k, thread, kind, address, 0);
        } else {
            let call = self.call(task, thread);
            host::set_call(&thread.context, &call);
            if self.random.one_in(4) {
                host::interrupt_after(self.random.below(4) as u32);
            }
            let pc = Port::registers(&thread.context).pc;
            let mut tries = 0;
            loop {
                let number = thread.call_number.get();
                if tries == 0 && self.m.passes(k, thread, &call) {
                    self.passed += 1;
                    break;
                }
                syscall::syscall(k, thread);
                let again =
                    thread.state.get() == State::Ready && Port::registers(&thread.context).pc != pc;
                if !again {
                    self.note(thread, &call, number);
                    break;
                }
                host::advance(&thread.context);
                // It is outside for a moment.
                self.m.others(core);
                if thread.state.get() != State::Ready {
                    break;
                }
                tries += 1;
                assert!(tries < 1000, "the call makes no progress: {call:?}");
            }
            host::interrupt_after(u32::MAX);
        }
        self.leave(core, Trap::Call);
    }

    /// A thread is moved, whether it runs or waits.
    fn shuffle(&mut self) {
        let threads = invariants::Census::take(self.m.k).threads;
        let living = threads.iter().filter(|thread| !thread.task.is_none());
        let living: Vec<_> = living.copied().collect();
        if !living.is_empty() {
            let core = self.random.below(self.cores as u64) as usize;
            ready::set_core(self.m.k, self.random.pick(&living), core);
        }
    }

    /// The outcome is one that the ABI knows.
    fn note(&mut self, thread: &Thread, call: &CallIn, number: u64) {
        self.past.1 += 1;
        if thread.state.get() != State::Ready {
            self.past.0 += 1;
            let begun = thread.call_number.get() - number;
            // A call of a kernel object may end in a fault, which is one too.
            assert!(begun <= 2, "a call begins once");
            return;
        }
        let status = host::results(&thread.context).status;
        let Some(status) = Status::from_word(status) else {
            panic!("{call:?} ended in {status:#x}");
        };
        let denied = matches!(status, Status::Error(error) if error.cause == Cause::Denied);
        self.past.0 += u64::from(!denied);
    }

    fn pass(&mut self) {
        self.now += 1 + self.random.below(2000);
        host::set_now(self.now);
        let core = self.random.below(self.cores as u64) as usize;
        self.leave(core, Trap::Interrupt);
    }

    fn leave(&mut self, core: usize, trap: Trap) {
        let k = self.m.on(core);
        leave(k, trap);
        if self.cores > 1 {
            if self.random.one_in(8) {
                self.shuffle();
            }
            // Some cores stay in user mode for long.
            let other = self.random.below(self.cores as u64) as usize;
            self.m.trap(other, Trap::Interrupt);
        }
        if self.random.one_in(20) {
            self.now += self.random.below(500);
            host::set_now(self.now);
            leave(k, Trap::Interrupt);
        }
        let census = invariants::check(&self.m, |of| held(&self.m, of));
        // A call that ended, ended once: who waited for it has its outcome.
        let mut waits = HashMap::new();
        for thread in &census.threads {
            let place = (thread.id.get(), thread.call_number.get());
            let key = core::ptr::from_ref::<Thread>(thread).addr();
            if matches!(thread.state.get(), State::Sending | State::Waiting) {
                waits.insert(key, place);
            } else if self.waits.get(&key) == Some(&place)
                && thread.state.get() == State::Ready
                && thread.call_number.get() > 0
            {
                let status = host::results(&thread.context).status;
                let known = Status::from_word(status).is_some() || thread.pending_fault().is_some();
                assert!(
                    known || self.faulted(thread),
                    "an outcome that is none: {status:#x}"
                );
            }
        }
        self.waits = waits;
    }

    /// A fault's answer leaves the registers as they were.
    fn faulted(&self, thread: &Thread) -> bool {
        let last = thread.remembered(0);
        Label(last).hash() == objects::fault::INTERFACE.hash
    }

    /// A ready thread, if there is one.
    fn choose(&mut self) -> Option<&'static Thread> {
        let k = self.m.k;
        if self.random.one_in(15) {
            return None;
        }
        let census = invariants::Census::take(k);
        let ready = |thread: &&&Thread| thread.state.get() == State::Ready;
        let ready: Vec<&'static Thread> = census.threads.iter().filter(ready).copied().collect();
        if ready.is_empty() {
            return None;
        }
        Some(self.random.pick(&ready))
    }

    /// Brings life back: a new thread in a task that has none left, a new task
    /// for one that is gone.
    fn revive(&mut self) {
        let (m, k) = (&self.m, self.m.k);
        let census = invariants::Census::take(k);
        let living: Vec<&'static Task> = census
            .tasks
            .iter()
            .filter(|task| !task.dying.get() && !core::ptr::eq(**task, m.root))
            .copied()
            .collect();
        for task in &living {
            let idle = task
                .threads
                .iter(k)
                .all(|thread| thread.state.get() != State::Ready);
            if idle && task.alive.get() < 5 {
                let start = crate::object::thread::Start {
                    entry: 0x1000,
                    stack: 0,
                    arguments: [0; 2],
                    priority: 100,
                };
                if let Ok(thread) = Thread::create(k, task, &start) {
                    ready::wake(k, thread);
                }
            }
        }
        if living.len() < TASKS as usize
            && let Ok(task) = Task::create(k, m.root, 100)
        {
            m.give(m.root, Target::Task(task), Rights::all());
            m.give(task, Target::Task(task), Rights::all());
            m.give(task, Target::System, Rights::LOG | Rights::DEVICES);
            for other in &living {
                // One that has used up its quota does without.
                let _ = other
                    .table
                    .insert(k, other, &Target::Task(task), Rights::all());
            }
        }
    }

    /// Kills everything: every frame is back.
    fn end(self) {
        let (m, k) = (&self.m, self.m.k);
        let census = invariants::Census::take(k);
        for task in census
            .tasks
            .iter()
            .filter(|task| !core::ptr::eq(**task, m.root))
        {
            task.kill(k);
        }
        // The devices have been reset.
        for dma in &census.dmas {
            m.give(m.root, Target::Dma(dma), Rights::CONTROL);
            assert_eq!(dma.release_all(k), Progress::Done);
        }
        let index = 1..m.root.table.slots.get();
        for slot in index.filter_map(|index| m.root.table.slot(k, index)) {
            m.root.table.delete(k, slot);
        }
        for _ in 0..8 * self.cores {
            for core in 0..self.cores {
                m.trap(core, Trap::Interrupt);
            }
        }
        let census = invariants::check(m, |of| held(m, of));
        assert_eq!(census.tasks.len(), 1, "only the first task is left");
        assert!(census.threads.is_empty() && census.endpoints.is_empty());
        assert!(census.sessions.is_empty() && census.memories.is_empty());
        for core in k.kernel.cores() {
            assert_eq!(core.alarms.next(), FOREVER, "no alarm is left");
            assert!(core.queue.highest().is_none() && core.current.is_none());
        }
        assert_eq!(
            m.root.used.get(),
            1 + invariants::table_frames(m.root),
            "all but the first task's own is back"
        );
    }
}

/// Uses that the test has of a task: of the first.
fn held(m: &Machine, of: &Task) -> u64 {
    u64::from(core::ptr::eq(of, m.root))
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn hostile_tasks_break_nothing() {
    let steps = number("TESSERA_FUZZ_STEPS");
    let steps = steps.unwrap_or(600);
    let seeds = match number("TESSERA_FUZZ_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..9,
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let cores = [1, 2, 4][seed as usize % 3];
            let mut fuzz = Fuzz::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), cores);
            for step in 0..steps {
                fuzz.step();
                if step % 64 == 63 {
                    fuzz.revive();
                }
            }
            assert!(
                fuzz.past.0 * 10 >= fuzz.past.1 * 3,
                "most calls never began"
            );
            fuzz.end();
        });
        assert!(
            run.is_ok(),
            "replay with TESSERA_FUZZ_SEED={seed} TESSERA_FUZZ_STEPS={steps}"
        );
    }
}
