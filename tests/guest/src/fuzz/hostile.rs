//! A hostile task: it makes random calls with what it has.

use super::{
    COUNTS,
    arguments::{ARENA, ARENA_PAGES, READ_ONLY},
    pool::{Pool, Random},
    table::{Counts, ROWS, Row, system_call},
};
use crate::{
    check::{Failure, Verdict},
    child::number,
    raw::{self, PlaceAt},
    run::World,
};
use alloc::vec::Vec;
use core::time::Duration;
use libipc::{
    Capability, FOREVER, Start,
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    message_buffer::{Access, Outer, word},
    objects::{self, MemoryClient},
    operation::Interface,
    registers::{CallIn, CallOut},
    status::{Cause, Status},
    thread,
    time::Instant,
};

/// A thread's state of mind.
pub(super) struct Hostile {
    pub(super) random: Random,
    pub(super) pool: Pool,
    /// The capability for itself.
    pub(super) own: Handle,
    /// Mappings that it made: address and pages.
    pub(super) mapped: Vec<(u64, u64)>,
    /// Cursor of the thread that it started last.
    pub(super) started: u64,
    /// Where its neighbour calls.
    endpoint: Handle,
    /// Where the neighbour receives: plain and with a badge.
    neighbour: [Handle; 2],
    /// Where its own server answers.
    pub(super) echo: Handle,
    /// Where its neighbour's does.
    peer: Handle,
    /// Endpoints that it made, the latest ones.
    own_endpoints: [Handle; 8],
    pub(super) counts: &'static Counts,
}

/// Threads of a hostile task that make calls, besides its first.
const WORKERS: u64 = 2;
/// Threads that may call a hostile task's server.
const CALLERS: u64 = (WORKERS + 1) * super::TASKS as u64;
/// Bytes of their stacks.
const STACK: usize = 48 << 10;

/// What a hostile task runs: a server that answers, and some threads that do
/// their worst to it, to each other and to everybody else.
pub(super) fn program(mut start: Start) -> Verdict {
    let (seed, task, life) = (number(&start, 0)?, number(&start, 1)?, number(&start, 2)?);
    let mut given = alloc::vec![libipc::task().as_ref().handle()];
    let names: Vec<_> = start.names().collect();
    for name in names {
        given.push(start.take::<Capability>(name)?.into_handle());
    }
    let memory = make_arena()?;
    given.push(Capability::from(memory).into_handle());
    let mut number = task * (WORKERS + 2);
    for worker in 0..=WORKERS {
        let mut hostile = Hostile::new(seed, number, &given);
        let work = move || match worker {
            0 => hostile.serve(life * CALLERS),
            _ => hostile.live(life),
        };
        let thread = thread::spawn_with(super::PRIORITY, STACK, work)?;
        given.extend(thread.thread().map(|thread| thread.as_ref().handle()));
        thread.detach();
        number += 1;
    }
    Hostile::new(seed, number, &given).live(life);
    Ok(())
}

/// Maps memory to read from and write to, and the same again to read only.
fn make_arena() -> Result<MemoryClient, Failure> {
    let memory = libipc::task().create_memory(ARENA_PAGES)?;
    let read = u64::from(Rights::READ.bits());
    let read_write = u64::from((Rights::READ | Rights::WRITE).bits());
    libipc::task().map_at(&memory, ARENA, 0, ARENA_PAGES, read_write)?;
    libipc::task().map_at(&memory, READ_ONLY, 0, 1, read)?;
    Ok(memory)
}

/// The fuzzer itself, as it calls the objects that it cannot pass on.
pub(super) struct Machine(Hostile);

impl Machine {
    /// Makes an arena, and an endpoint that stays bound to the log.
    pub(super) fn new(
        world: &World,
        counts: &'static Counts,
        seed: u64,
    ) -> Result<Machine, Failure> {
        let memory = make_arena()?;
        // Its frames are there from now on, for they will be counted.
        memory.write_from(0, &[1; (ARENA_PAGES as usize) * libipc::PAGE])?;
        let endpoint = libipc::task().create_endpoint()?;
        let mute = endpoint.as_ref().derive(Rights::CALL)?;
        let given = [
            world.counters.as_ref().handle(),
            world.log.as_ref().handle(),
            world.uart_interrupt()?.as_ref().handle(),
            Capability::from(endpoint).into_handle(),
            mute.into_handle(),
        ];
        Ok(Machine(Hostile {
            random: Random::new(seed, u64::MAX),
            pool: Pool::new(given.to_vec()),
            own: Handle::NULL,
            endpoint: Handle::NULL,
            neighbour: [Handle::NULL; 2],
            echo: Handle::NULL,
            peer: Handle::NULL,
            own_endpoints: [Handle::NULL; 8],
            mapped: Vec::new(),
            started: 0,
            counts,
        }))
    }

    /// Makes so many calls.
    pub(super) fn steps(&mut self, calls: u64) {
        let machine = |row: &Row| {
            let kind = row.interface.map(kind);
            kind == Some(ObjectType::System) || kind == Some(ObjectType::Interrupt)
        };
        let rows: Vec<usize> = (0..ROWS.len())
            .filter(|index| machine(&ROWS[*index]))
            .collect();
        for _ in 0..calls {
            let row = self.0.random.one(&rows);
            self.0.call_row(row);
        }
    }
}

fn kind(interface: &Interface) -> ObjectType {
    let kinds = [
        (objects::task::INTERFACE.hash, ObjectType::Task),
        (objects::thread::INTERFACE.hash, ObjectType::Thread),
        (objects::endpoint::INTERFACE.hash, ObjectType::Endpoint),
        (objects::memory::INTERFACE.hash, ObjectType::Memory),
        (objects::interrupt::INTERFACE.hash, ObjectType::Interrupt),
        (objects::system::INTERFACE.hash, ObjectType::System),
        (
            objects::reservation::INTERFACE.hash,
            ObjectType::Reservation,
        ),
        (objects::dma::INTERFACE.hash, ObjectType::Dma),
    ];
    let found = kinds.iter().find(|(hash, _)| *hash == interface.hash);
    found.map_or(ObjectType::Reply, |(_, kind)| *kind)
}

/// The row of one of the system calls.
pub(super) fn system_call_row(number: u8) -> usize {
    ROWS.len() - system_call::NAMES.len() + usize::from(number)
}

impl Hostile {
    fn new(seed: u64, number: u64, given: &[Handle]) -> Hostile {
        Hostile {
            random: Random::new(seed, number),
            pool: Pool::new(given.to_vec()),
            own: given[0],
            endpoint: given[1],
            neighbour: [given[2], given[3]],
            echo: given[4],
            peer: given[5],
            own_endpoints: [Handle::NULL; 8],
            mapped: Vec::with_capacity(64),
            started: 0,
            counts: Counts::at(COUNTS as usize),
        }
    }

    fn live(&mut self, life: u64) {
        for _ in 0..life {
            self.step();
        }
    }

    /// Answers calls, mostly at once. Ends with its endpoint at the latest.
    fn serve(&mut self, calls: u64) {
        let row = system_call_row(system_call::REPLY_RECEIVE);
        let plain = Label::control(Flags::REPLY | Flags::RECEIVE, Label::OK);
        for _ in 0..calls {
            let label = match self.random.chance(40) {
                true => self.attach(plain),
                false => plain,
            };
            raw::open(4);
            let out = raw::call(self.echo, label, &[1]);
            self.counts.note(row, &out);
            match raw::status(&out) {
                Some(Status::Message) => {
                    self.take(&out);
                    self.before_answer();
                }
                Some(Status::Error(error)) if error.cause != Cause::Cancelled => return,
                _ => {}
            }
        }
    }

    fn before_answer(&mut self) {
        match self.random.below(100) {
            0..70 => {}
            70..80 => self.call_simply(),
            80..88 => self.use_request(3),
            88..96 => self.step(),
            // Its client may not wait so long.
            _ => _ = raw::receive(Handle::NULL, self.deadline()),
        }
    }

    /// A call to a server that answers; most fit into registers.
    fn call_simply(&mut self) {
        let handle = self.random.one(&[self.echo, self.peer, self.peer]);
        let mut label = Label::call(self.random.below(8) as u8, 0);
        if self.random.chance(25) {
            label = self.attach(label);
            label = self.lend_some(label);
        }
        let out = match self.random.below(10) {
            0..4 => raw::call_until(handle, label, &[], self.deadline()),
            _ => raw::call(handle, label, &[]),
        };
        self.counts.note(system_call_row(system_call::CALL), &out);
    }

    /// Does something with the request that it serves, or kept.
    fn use_request(&mut self, most: u64) {
        let reply = |row: &Row| row.interface.map(kind) == Some(ObjectType::Reply);
        let first = ROWS.iter().position(reply).unwrap_or(0);
        for _ in 0..self.random.below(most + 1) {
            let row = first + self.random.below(4) as usize;
            self.call_row(row);
        }
    }

    /// One call, or a few that belong together.
    fn step(&mut self) {
        if self.random.below(1000) == 0 {
            return self.starve();
        }
        let calls = ROWS.len() - system_call::NAMES.len();
        let row = if self.random.chance(35) {
            calls + self.random.below(system_call::NAMES.len() as u64) as usize
        } else {
            self.random.below(calls as u64) as usize
        };
        self.call_row(row);
    }

    pub(super) fn call_row(&mut self, index: usize) {
        let row = &ROWS[index];
        match (row.interface, row.number) {
            (Some(interface), _) => self.object(index, row, interface),
            (None, system_call::CALL) => self.call(index),
            (None, system_call::RECEIVE) => self.receive(index, Flags::RECEIVE),
            (None, system_call::REPLY) => self.reply(index),
            (None, system_call::REPLY_RECEIVE) => {
                self.receive(index, Flags::RECEIVE | Flags::REPLY);
            }
            (None, system_call::SIGNAL) => {
                let handle = self.handle(ObjectType::Endpoint);
                let bits = self.random.next();
                let out = raw::call(handle, Label::control(Flags::SIGNAL, 0), &[bits]);
                self.counts.note(index, &out);
            }
            (None, _) => {
                let handle = self.pool.any(&mut self.random);
                let handle = self.bend(handle);
                let hash = objects::memory::INTERFACE.hash;
                let mut label = Label::call(200, hash).with_flags(Flags::OBJECT);
                if self.random.chance(20) {
                    label = label.with_leases(1);
                }
                self.counts.note(index, &raw::call(handle, label, &[]));
            }
        }
    }

    /// Mostly the handle itself, else one that nobody gave.
    fn bend(&mut self, handle: Handle) -> Handle {
        match self.random.below(100) {
            0..90 => handle,
            90..95 => Handle(handle.0 ^ 1 << self.random.below(64)),
            _ => Handle(self.random.next() | 1 << 63),
        }
    }

    /// Mostly a handle of this type.
    fn handle(&mut self, kind: ObjectType) -> Handle {
        let handle = if self.random.chance(94) {
            self.pool.of(kind, &mut self.random)
        } else {
            self.pool.any(&mut self.random)
        };
        self.bend(handle)
    }

    /// Whom an operation of an object is called on.
    fn target(&mut self, row: &Row, kind: ObjectType) -> Handle {
        use objects::{endpoint, system, task, thread};
        let mut handle = self.handle(kind);
        match (kind, row.number) {
            (ObjectType::Task, task::number::KILL | task::number::SET_FAULT_HANDLER) => {
                for _ in 0..8 {
                    if handle != self.own && !self.pool.is_given(handle) {
                        break;
                    }
                    handle = self.pool.of(kind, &mut self.random);
                }
                if handle == self.own && !self.random.chance(2) {
                    handle = Handle::NULL;
                }
            }
            (ObjectType::Task, _) if self.random.chance(35) => handle = self.own,
            (ObjectType::Thread, thread::number::YIELD_NOW | thread::number::INFO)
                if self.random.chance(40) =>
            {
                handle = Handle::THREAD;
            }
            // Threads of its own go on, mostly.
            (
                ObjectType::Thread,
                thread::number::EXIT | thread::number::SUSPEND | thread::number::SET_PASSIVE,
            ) if self.pool.is_given(handle) && !self.random.chance(15) => handle = Handle::NULL,
            // Copies of those that all talk through are seldom ended.
            (ObjectType::Endpoint, endpoint::number::CLOSE | endpoint::number::EXPEL)
                if self.random.chance(90) =>
            {
                handle = self.random.one(&self.own_endpoints);
            }
            (ObjectType::Endpoint, endpoint::number::CLOSE | endpoint::number::EXPEL)
                if self.pool.is_given(handle) && !self.random.chance(5) =>
            {
                handle = Handle::NULL;
            }
            (ObjectType::System, system::number::RELEASE_CONSOLE)
                if handle.rights().contains(Rights::LOG) =>
            {
                // Not one with a bit changed: another change may have undone it.
                handle = Handle(u64::MAX);
            }
            (ObjectType::Reply, _) if self.random.chance(60) => handle = Handle::REQUEST,
            _ => {}
        }
        handle
    }

    /// A call on a kernel object.
    fn object(&mut self, index: usize, row: &Row, interface: &'static Interface) {
        let target = self.target(row, kind(interface));
        let words = self.words(row, target);
        // As clients call it, or as they call an endpoint's own object.
        let flags = match kind(interface) {
            ObjectType::Reply if self.random.chance(70) => Flags::empty(),
            _ => Flags::OBJECT,
        };
        let mut label = Label::call(row.number, interface.hash).with_flags(flags);
        let operation = interface.operation(row.number);
        let wanted = operation.map_or(0, |operation| usize::from(operation.request_capabilities));
        if wanted > 0 && self.random.chance(93) {
            let argument = match (kind(interface), row.number) {
                (ObjectType::Task, objects::task::number::MAP)
                | (ObjectType::Dma, objects::dma::number::PIN) => ObjectType::Memory,
                (ObjectType::Reservation, objects::reservation::number::BIND) => ObjectType::Thread,
                (ObjectType::Task, objects::task::number::INSTALL) => {
                    self.random.one(&ObjectType::ALL)
                }
                _ => ObjectType::Endpoint,
            };
            let argument = self.handle(argument);
            raw::attach(0, argument);
            raw::passing(1);
            label = label.with_capabilities(wanted);
        }
        match self.random.below(100) {
            0..4 => label = label.with_leases(1),
            4..6 => label = label.with_bytes(self.random.below(8192) as usize),
            _ => {}
        }
        raw::open(if self.random.chance(90) {
            4
        } else {
            self.random.below(4)
        });
        let out = raw::call(target, label, &words);
        self.counts.note(index, &out);
        if raw::status(&out) == Some(Status::Message) && out.label.operation() == Label::OK {
            let first = Handle(raw::get(word::CAPABILITIES));
            if out.label.capabilities() == 1 && first.object_type() == Some(ObjectType::Endpoint) {
                let place = self.random.below(8) as usize;
                self.own_endpoints[place] = first;
            }
            self.take(&out);
            self.learn(row, interface, target, &words, &out);
        }
    }

    /// Remembers capabilities that arrived.
    fn take(&mut self, out: &CallOut) {
        let arrived: [Handle; 4] =
            core::array::from_fn(|index| Handle(raw::get(word::CAPABILITIES + index)));
        for handle in &arrived[..out.label.capabilities().min(4)] {
            self.keep(*handle);
        }
    }

    fn keep(&mut self, handle: Handle) {
        if let Some(surplus) = self.pool.add(handle, &mut self.random) {
            drop(Capability::from_handle(surplus));
        }
    }

    /// Draws conclusions from an operation that succeeded.
    fn learn(
        &mut self,
        row: &Row,
        interface: &Interface,
        target: Handle,
        words: &[u64; 8],
        out: &CallOut,
    ) {
        use objects::task::number::*;
        if interface.hash != objects::task::INTERFACE.hash || target != self.own {
            return;
        }
        match row.number {
            INSTALL | DERIVE => self.keep(Handle(out.words[0])),
            DELETE => self.pool.forget(Handle(words[0])),
            START_THREAD => self.started = out.words[0],
            MAP if self.mapped.len() < 64 => self.mapped.push((words[0], words[2])),
            UNMAP => self.mapped.retain(|(address, _)| *address != words[0]),
            _ => {}
        }
    }

    pub(super) fn deadline(&mut self) -> u64 {
        match self.random.below(10) {
            0 => 0,
            _ => Instant::after(Duration::from_micros(30 + self.random.below(300))).ticks(),
        }
    }

    /// Capabilities and leases for a message.
    fn attach(&mut self, label: Label) -> Label {
        let mut label = label;
        if self.random.chance(25) {
            let count = 1 + self.random.below(2);
            for place in 0..count {
                raw::attach(place as usize, self.pool.any(&mut self.random));
            }
            // Copied, but for a few; half of the time with some rights lost.
            let moved = if self.random.chance(5) { 2 } else { 3 };
            let lost = match self.random.chance(50) {
                true => self.random.below(256),
                false => 0,
            };
            raw::passing(moved | lost << 8);
            label = label.with_capabilities(count as usize);
        }
        if self.random.chance(20) {
            label = label.with_bytes(self.random.below(512) as usize);
        }
        label
    }

    /// A call to a server: mostly the hostile task beside this one.
    fn call(&mut self, index: usize) {
        if self.random.chance(40) {
            return self.call_simply();
        }
        let mut handle = self.handle(ObjectType::Endpoint);
        match self.random.below(100) {
            0..50 => handle = self.random.one(&self.neighbour),
            50..65 => handle = self.random.one(&[self.echo, self.peer]),
            _ => {}
        }
        let mut label = Label::call(self.random.below(8) as u8, self.random.below(4) as u32);
        label = self.attach(label);
        label = self.lend_some(label);
        if self.random.chance(2) {
            label = label.with_capabilities(5 + self.random.below(3) as usize);
        }
        if self.random.chance(10) {
            label = label.with_flags(Flags::REPEAT);
        }
        raw::open(self.random.below(5));
        let words = [self.random.next(), 1, 2];
        let out = raw::call_until(handle, label, &words, self.deadline());
        self.counts.note(index, &out);
        if raw::status(&out) == Some(Status::Message) {
            self.take(&out);
        }
    }

    /// Leases for a call, half of the time.
    fn lend_some(&mut self, label: Label) -> Label {
        if self.random.chance(50) {
            return label;
        }
        let count = self.random.one(&[1, 2, 2, 4]);
        for lease in 0..count {
            self.lend(lease);
        }
        label.with_leases(count)
    }

    /// A lease of the next call: own memory, or part of what this one was lent.
    fn lend(&mut self, lease: usize) {
        if self.random.chance(30) {
            let request = match self.random.below(3) {
                0 => self.handle(ObjectType::Reply),
                _ => Handle::REQUEST,
            };
            let outer = Outer {
                request,
                lease: self.random.below(3) as usize,
                offset: self.random.below(48),
            };
            let access = Access::from_bits_truncate(1 + self.random.below(3));
            raw::relend(lease, outer, self.random.below(96), access);
            return;
        }
        let address = match self.random.below(10) {
            0..5 => ARENA + self.random.below(4096),
            5..9 => 1 << 37,
            _ => self.address(),
        };
        let access = match self.random.below(40) {
            0 => self.random.next(),
            _ => 1 + self.random.below(3),
        };
        raw::lend(lease, address, 32 + self.random.below(96), access);
    }

    /// Waits for a message; if one comes, does something with its request.
    fn receive(&mut self, index: usize, flags: Flags) {
        let mut handle = self.handle(ObjectType::Endpoint);
        match self.random.below(100) {
            0..4 => handle = Handle::NULL,
            4..70 => handle = self.endpoint,
            _ => {}
        }
        let label = self.answer().with_flags(flags);
        let deadline = self.deadline();
        raw::open(self.random.below(5));
        let out = raw::call_until(handle, label, &[1], deadline);
        self.counts.note(index, &out);
        if raw::status(&out) != Some(Status::Message) || handle.is_null() {
            return;
        }
        self.take(&out);
        self.use_request(8);
        if self.random.chance(25) {
            self.call(system_call_row(system_call::CALL));
        }
        if self.random.chance(80) {
            self.reply(system_call_row(system_call::REPLY));
        }
    }

    /// The label of an answer.
    fn answer(&mut self) -> Label {
        let outcome = match self.random.below(20) {
            0..10 => Label::OK,
            10..13 => Label::SERVER_ERROR,
            13..17 => self.random.one(&Cause::ALL) as u8,
            17..19 => Cause::Cancelled as u8,
            _ => 99,
        };
        let label = Label::control(Flags::REPLY, outcome);
        self.attach(label)
    }

    /// Answers a request: the one being served, or one that was kept.
    fn reply(&mut self, index: usize) {
        let request = match self.random.below(10) {
            0..7 => Handle::NULL,
            7..9 => self.pool.of(ObjectType::Reply, &mut self.random),
            _ => Handle(self.random.next()),
        };
        let handle = self.handle(ObjectType::Endpoint);
        let label = self.answer();
        let out = raw::trap(&CallIn {
            handle,
            label,
            words: [self.random.below(2); 8],
            deadline: FOREVER,
            request,
        });
        self.counts.note(index, &out);
        if raw::status(&out) == Some(Status::Message) {
            self.pool.forget(request);
        }
    }
}
