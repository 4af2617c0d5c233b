//! What must hold whenever the kernel is left: every count is recomputed from
//! all the objects that there are.
//!
//! Objects are found through the records of frames, so nothing that lives can
//! hide from the census.

use super::machine::Machine;
use crate::{
    Entered,
    arch::{Arch, ENTRIES, Entry, Port},
    capability::{derivation, object::Target, slot::Slot},
    cell::Link,
    memory::{
        frames,
        slab::{Object, SLOTS},
    },
    object::{
        binding::Binding,
        dma::Dma,
        endpoint::{Endpoint, State as EndpointState},
        interrupt::Interrupt,
        memory::Memory,
        region::Region,
        reservation::Reservation,
        session::Session,
        task::Task,
        thread::{Special, State, Thread},
    },
    schedule::inherit,
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::handle::Rights;
use std::{collections::HashMap, vec::Vec};

/// Everything that lives.
#[derive(Default)]
pub(super) struct Census {
    pub(super) tasks: Vec<&'static Task>,
    pub(super) threads: Vec<&'static Thread>,
    pub(super) endpoints: Vec<&'static Endpoint>,
    pub(super) sessions: Vec<&'static Session>,
    pub(super) memories: Vec<&'static Memory>,
    pub(super) interrupts: Vec<&'static Interrupt>,
    regions: Vec<&'static Region>,
    pub(super) reservations: Vec<&'static Reservation>,
    pub(super) dmas: Vec<&'static Dma>,
    /// Frames of objects, by payer.
    slabs: HashMap<usize, u64>,
}

/// Counts by object address.
#[derive(Default)]
struct Counts(HashMap<usize, u64>);

fn address<T>(object: &T) -> usize {
    core::ptr::from_ref(object).addr()
}

impl Counts {
    fn add<T>(&mut self, object: &T) {
        *self.0.entry(address(object)).or_default() += 1;
    }
    fn link<T>(&mut self, k: Entered<'static>, link: &Link<T>) {
        if let Some(object) = link.get(k) {
            self.add::<T>(object);
        }
    }
    fn of<T>(&self, object: &T) -> u64 {
        self.0.get(&address(object)).copied().unwrap_or_default()
    }
}

impl Census {
    /// Finds all objects.
    pub(super) fn take(k: Entered<'static>) -> Census {
        let mut census = Census::default();
        for number in 1..=k.kernel.frames.total() as u32 {
            let (record, physical) = k.kernel.frames.numbered(number).unwrap();
            let Some(payer) = record.payer.get(k) else {
                continue;
            };
            if record.class.get() as usize == SLOTS {
                continue;
            }
            assert_eq!(record.retired.get(), 0, "retired objects were freed");
            *census.slabs.entry(address::<Task>(payer)).or_default() += 1;
            let used = record.used.get();
            match record.class.get() as usize {
                Task::CLASS => live(used, physical, &mut census.tasks),
                Thread::CLASS => live(used, physical, &mut census.threads),
                Endpoint::CLASS => live(used, physical, &mut census.endpoints),
                Session::CLASS => live(used, physical, &mut census.sessions),
                Memory::CLASS => live(used, physical, &mut census.memories),
                Interrupt::CLASS => live(used, physical, &mut census.interrupts),
                Region::CLASS => live(used, physical, &mut census.regions),
                Reservation::CLASS => live(used, physical, &mut census.reservations),
                Dma::CLASS => live(used, physical, &mut census.dmas),
                class => panic!("no such class: {class}"),
            }
        }
        census
    }

    /// Bindings that lead somewhere.
    fn bindings(&self, k: Entered<'static>) -> impl Iterator<Item = &'static Binding> {
        let of_tasks = self.tasks.iter().map(|task| &task.fault_handler);
        let of_lines = self.interrupts.iter().map(|line| &line.binding);
        let of_time = self.reservations.iter().map(|time| &time.watcher);
        let of_threads = self.threads.iter().map(|thread| &thread.watcher);
        let all = of_tasks.chain(of_lines).chain(of_time).chain(of_threads);
        all.chain([&k.kernel.log.reader])
            .filter(move |binding| binding.endpoint(k).is_some())
    }

    fn slots(&self, k: Entered<'static>) -> Vec<(&'static Task, &'static Slot)> {
        let slots = |task: &'static Task| {
            (0..task.table.slots.get())
                .map(move |index| (task, task.table.slot(k, index).unwrap()))
                .filter(|(_, slot)| slot.handle().object_type().is_some())
        };
        self.tasks.iter().flat_map(|task| slots(task)).collect()
    }
}

fn live<T: Object + 'static>(used: u64, frame: u64, into: &mut Vec<&'static T>) {
    for index in 0..T::CAPACITY {
        if used >> index & 1 != 0 {
            let pointer = Port::physical(frame).cast::<T>().wrapping_add(index);
            // SAFETY: the record says that a `T` lives there; nothing is freed
            // before the kernel is entered again.
            #[allow(unsafe_code, reason = "the census looks where the slabs are")]
            into.push(unsafe { &*pointer });
        }
    }
}

/// Checks everything. `held` is how many uses the test itself has of a task.
pub(super) fn check(m: &Machine, held: impl Fn(&Task) -> u64) -> Census {
    let k = m.k;
    let census = Census::take(k);
    uses(k, &census, held);
    for endpoint in &census.endpoints {
        check_endpoint(k, &census, endpoint);
    }
    for thread in &census.threads {
        check_thread(k, &census, thread);
    }
    check_queue(k, &census);
    check_derivations(k, &census);
    check_frames(k, &census);
    census
}

fn uses(k: Entered<'static>, census: &Census, held: impl Fn(&Task) -> u64) {
    let (mut uses, mut receivers, mut copies) =
        (Counts::default(), Counts::default(), Counts::default());
    let mut in_flight = Counts::default();
    let slots = census.slots(k);
    for (_, slot) in &slots {
        match slot.target(k).unwrap() {
            Target::Task(task) => uses.add(task),
            Target::Thread(thread) | Target::Reply(thread, _) => uses.add(thread),
            Target::Memory(memory) => uses.add(memory),
            Target::Interrupt(interrupt) => uses.add(interrupt),
            Target::Reservation(reservation) => uses.add(reservation),
            Target::Dma(dma) => uses.add(dma),
            Target::System => {}
            Target::Endpoint(endpoint, session, _) => {
                uses.add(endpoint);
                if slot.handle().rights().contains(Rights::RECEIVE) {
                    receivers.add(endpoint);
                }
                if let Some(session) = session {
                    copies.add(session);
                }
            }
        }
    }
    for task in &census.tasks {
        let held_slots = slots.iter().filter(|(of, _)| core::ptr::eq(*of, *task));
        assert_eq!(task.table.count.get(), held_slots.count() as u64);
        assert_eq!(task.region_count.get(), task.regions.iter(k).count() as u64);
        let found = task.found.get(k);
        let mut regions = task.regions.iter(k);
        assert!(found.is_none_or(|found| regions.any(|region| core::ptr::eq(found, region))));
        for region in task.regions.iter(k) {
            uses.link(k, &region.memory);
        }
    }
    for thread in &census.threads {
        uses.link(k, &thread.endpoint);
        uses.link(k, &thread.serves);
        uses.link(k, &thread.reservation);
        in_flight.link(k, &thread.session);
        if !thread.task.is_none() {
            uses.add(*thread);
        }
    }
    for session in &census.sessions {
        uses.link(k, &session.endpoint);
    }
    for binding in census.bindings(k) {
        uses.add(binding.endpoint(k).unwrap());
        if let Some(session) = binding.session(k) {
            copies.add(session);
        }
    }
    for dma in &census.dmas {
        let pins = (0..64).filter_map(|pin| dma.pinned(k, pin));
        let pins = pins.map(|memory| uses.add(memory)).count() as u64;
        assert_eq!(dma.count.get(), pins, "pins");
    }
    for endpoint in k.kernel.unsettled.iter(k) {
        uses.add(endpoint);
    }
    let untidy = k.kernel.has_put_off() || k.kernel.retired.get() != 0;
    assert!(k.kernel.untidy.get() || !untidy, "nobody will tidy up");

    for task in &census.tasks {
        let expected = uses.of(*task) + held(task);
        assert_eq!(task.uses.get(), expected, "uses of task {}", task.id.get());
    }
    for thread in &census.threads {
        assert_eq!(thread.uses.get(), uses.of(*thread), "uses of a thread");
        assert_ne!(thread.uses.get(), 0, "an unused thread ends");
    }
    for endpoint in &census.endpoints {
        assert_eq!(endpoint.uses.get(), uses.of(*endpoint), "endpoint's uses");
        assert_ne!(endpoint.uses.get(), 0, "an unused endpoint ends");
        let receive_uses = receivers.of(*endpoint);
        assert_eq!(endpoint.receive_uses.get(), receive_uses, "receive uses");
        assert!(receive_uses > 0 || endpoint.state.get() == EndpointState::Closed);
    }
    for session in &census.sessions {
        assert_eq!(
            session.copies.get(),
            copies.of(*session),
            "session's copies"
        );
        assert_eq!(session.in_flight(), in_flight.of(*session), "in flight");
        assert!(session.in_flight() <= session.limit.get());
    }
    for memory in &census.memories {
        assert_eq!(memory.uses.get(), uses.of(*memory), "uses of memory");
        let dying = k.kernel.dying_memory.iter(k);
        let dying = dying.into_iter().any(|other| core::ptr::eq(other, *memory));
        assert_eq!(memory.uses.get() == 0, dying, "unused memory is dying");
    }
    for reservation in &census.reservations {
        let expected = uses.of(*reservation);
        assert_eq!(reservation.uses.get(), expected, "reservation's uses");
        assert_ne!(expected, 0, "an unused reservation ends");
        if let Some(thread) = reservation.thread.get(k) {
            assert!(thread.reservation.is(reservation), "it is its thread's");
        }
    }
    for dma in &census.dmas {
        assert_eq!(dma.uses.get(), uses.of(*dma), "uses of DMA");
        assert!(
            dma.uses.get() > 0 || dma.count.get() > 0,
            "an unused one ends"
        );
    }
    for interrupt in &census.interrupts {
        assert_eq!(
            interrupt.uses.get(),
            uses.of(*interrupt),
            "interrupt's uses"
        );
    }
}

fn check_endpoint(k: Entered<'static>, census: &Census, endpoint: &'static Endpoint) {
    let waits = |state| {
        let there =
            move |thread: &&&Thread| thread.state.get() == state && thread.endpoint.is(endpoint);
        census.threads.iter().filter(there).count()
    };
    let senders = endpoint.senders.iter(k).count();
    assert_eq!(senders, waits(State::Sending), "queue of senders");
    assert_eq!(endpoint.senders.length(), senders as u64, "queued");
    let receivers = endpoint.receivers.iter(k).count();
    let line: Vec<_> = endpoint.senders.iter(k).collect();
    assert!(line.is_sorted_by_key(|thread| core::cmp::Reverse(thread.rank.get())));
    let mut firsts: Vec<_> = line.clone();
    firsts.dedup_by_key(|thread| thread.rank.get());
    let known: Vec<_> = endpoint.senders.firsts(k).map(address::<Thread>).collect();
    let firsts: Vec<_> = firsts.into_iter().map(address::<Thread>).collect();
    assert_eq!(known, firsts, "first of each rank");
    let mut pressed = endpoint.pressed.iter().filter_map(|one| one.get(k));
    assert!(
        pressed.all(|one| one.serves.is(endpoint)),
        "it presses its servers"
    );
    let serve = |thread: &&&Thread| thread.serves.is(endpoint);
    let servers = census.threads.iter().filter(serve).count();
    assert_eq!(endpoint.servers.get(), servers as u64, "servers");
    assert_eq!(receivers, waits(State::Receiving), "queue of receivers");
    let sessions = endpoint.sessions.iter(k).count();
    assert_eq!(endpoint.session_count.get(), sessions as u64, "sessions");
    let mut unsettled = k.kernel.unsettled.iter(k);
    let unsettled = unsettled.any(|other| core::ptr::eq(other, endpoint));
    assert_eq!(endpoint.unsettled.get(), unsettled, "unsettled");
    assert!(unsettled || !endpoint.is_looked_at(), "a look goes on");
    match endpoint.state.get() {
        EndpointState::Open => {
            assert!(
                unsettled || senders == 0 || receivers == 0,
                "a message was not delivered"
            );
        }
        EndpointState::Paused => {}
        EndpointState::Closed => {
            assert_eq!(endpoint.signals.get(), 0);
            assert!(
                unsettled || (senders, receivers) == (0, 0),
                "somebody hangs"
            );
        }
    }
    if endpoint.state.get() != EndpointState::Closed && receivers > 0 {
        assert_eq!(endpoint.signals.get(), 0, "signals were not delivered");
        assert!(endpoint.closed.is_empty(), "an end was not delivered");
    }
    let quiet = endpoint.home.get(k).filter(|_| !endpoint.has_more());
    assert_eq!(
        endpoint.quiet.get(k).map(|core| core.number),
        quiet.map(|core| core.number),
        "quiet"
    );
    if let Some(home) = endpoint.home.get(k) {
        assert_eq!(endpoint.state.get(), EndpointState::Open);
        assert!(
            !endpoint.is_looked_at(),
            "a look goes on beside the fast path"
        );
        let mut receivers = endpoint.receivers.iter(k);
        assert!(receivers.all(|thread| thread.is_at(home)), "at home");
    }
}

fn check_thread(k: Entered<'static>, census: &Census, thread: &'static Thread) {
    if let Some(server) = thread.server.get(k) {
        assert!(server.client.is(thread), "a server serves its client");
        assert_eq!(thread.state.get(), State::Waiting);
    }
    if let Some(client) = thread.client.get(k) {
        assert!(client.server.is(thread), "a client is served by its server");
    }
    let client = thread
        .client
        .get(k)
        .map_or(0, |client| client.effective.get());
    let priority = thread.priority.get().max(client).max(thread.press.get());
    assert_eq!(thread.effective.get(), priority, "priority");
    let serves = thread.serves.get(k);
    let pressed = serves.filter(|endpoint| endpoint.pressed.iter().any(|one| one.is(thread)));
    let press = pressed.map_or(0, |endpoint| inherit::pressing(k, endpoint));
    assert_eq!(thread.press.get(), press, "pressed");
    if thread.state.get() == State::Sending {
        assert_eq!(thread.rank.get(), inherit::rank(k, thread), "rank");
    }
    let state = thread.state.get();
    let task = thread.task.get(k);
    assert_eq!(
        task.is_none(),
        state == State::Dead,
        "the dead are detached"
    );
    if !thread.session.is_none() {
        assert!(matches!(state, State::Sending | State::Waiting));
    }
    match state {
        State::Waiting => {
            // Exactly one can answer: a server, or who holds the kept reply.
            let kept = census.slots(k).into_iter().filter(|(_, slot)| {
                matches!(slot.target(k), Some(Target::Reply(of, number))
                    if core::ptr::eq(of, thread) && number == thread.call_number.get())
            });
            let answers = kept.count() + usize::from(!thread.server.is_none());
            assert_eq!(answers, 1, "a call is answered by exactly one");
        }
        State::Sending => assert!(!thread.endpoint.is_none()),
        // Who only sleeps goes on serving its request.
        State::Receiving => assert!(thread.endpoint.is_none() || thread.client.is_none()),
        State::Stopped | State::Ready | State::Throttled | State::Dead => {
            assert!(thread.endpoint.is_none() && thread.label().0 == 0);
        }
    }
    check_time(k, thread);
    let stopped = matches!(state, State::Stopped | State::Dead);
    assert!(!thread.suspended.get() || stopped || thread.pending_fault().is_some());
}

/// A thread runs on its own time or its client's.
fn check_time(k: Entered<'static>, thread: &'static Thread) {
    let same = |one: Option<&Reservation>, other: Option<&Reservation>| {
        one.map(address::<Reservation>) == other.map(address::<Reservation>)
    };
    let (runs_on, own) = (thread.runs_on.get(k), thread.reservation.get(k));
    let serves = thread.client.get(k).is_some();
    assert_eq!(thread.depth.get() != 0, serves, "who serves is deep");
    let special = thread.special();
    let timed = runs_on.is_some() || own.is_some();
    assert_eq!(special.contains(Special::TIME), timed);
    assert_eq!(special.contains(Special::ALARM), thread.alarm.is_set());
    assert_eq!(special.contains(Special::FAULT), thread.has_fault());
    assert!(special.contains(Special::FLOAT) || Port::fp_rests(&thread.context));
    let lent = thread
        .client
        .get(k)
        .and_then(|client| client.runs_on.get(k));
    assert!(
        same(runs_on, own) || runs_on.is_some() && same(runs_on, lent),
        "time that is neither its own nor its client's"
    );
    if let Some(own) = own {
        assert!(own.thread.is(thread), "a thread is its reservation's");
    }
    assert!(thread.state.get() != State::Throttled || runs_on.is_some());
}

/// The tree of derivations holds only what lives, each once.
fn check_derivations(k: Entered<'static>, census: &Census) {
    let slots = census.slots(k).into_iter().map(|(_, slot)| slot);
    let live: Vec<&Slot> = slots
        .chain(census.regions.iter().map(|region| &region.slot))
        .chain(census.bindings(k).map(Binding::slot))
        .collect();
    let mut parents: HashMap<usize, u64> =
        live.iter().map(|slot| (address::<Slot>(slot), 0)).collect();
    for slot in &live {
        for child in derivation::children(k, slot) {
            let parents = parents.get_mut(&address::<Slot>(child));
            *parents.expect("what came from it lives") += 1;
        }
    }
    assert!(parents.values().all(|count| *count <= 1), "one parent");
}

fn check_queue(k: Entered<'static>, census: &Census) {
    let mut queued = Counts::default();
    for core in k.kernel.cores() {
        let mut highest = None;
        for priority in 0..=255 {
            if core.queue.with(k, priority).next().is_some() {
                highest = Some(priority);
            }
            for thread in core.queue.with(k, priority) {
                assert_eq!(thread.effective.get(), priority, "in the right list");
                assert_eq!(thread.state.get(), State::Ready);
                assert_eq!(thread.core(k).number, core.number, "on its own core");
                queued.add::<Thread>(thread);
            }
        }
        assert_eq!(core.queue.highest(), highest, "the highest that is ready");
        if let Some(current) = core.current.get(k) {
            assert_eq!(current.core(k).number, core.number, "on its own core");
            assert!(census.threads.iter().any(|t| core::ptr::eq(*t, current)));
        }
    }
    for thread in &census.threads {
        let current = thread.core(k).current.is(thread);
        let moves = thread.next_core.get() != thread.core(k).number;
        assert!(current || !moves, "only who runs moves later");
        assert!(!thread.held.get() || thread.state.get() == State::Stopped);
        let ready = thread.state.get() == State::Ready && !current;
        assert_eq!(
            queued.of(*thread),
            u64::from(ready),
            "in the run queue once"
        );
    }
    assert_eq!(
        queued.0.len(),
        queued
            .0
            .keys()
            .filter(|of| census.threads.iter().any(|t| address::<Thread>(t) == **of))
            .count(),
        "only threads that live run"
    );
}

/// Every frame is free or in use by what its payer was charged for.
fn check_frames(k: Entered<'static>, census: &Census) {
    let kernel = k.kernel;
    let mut in_use = 0;
    for task in &census.tasks {
        let own = tables(k, task)
            + table_frames(task)
            + buffers(k, census, task)
            + census
                .slabs
                .get(&address::<Task>(task))
                .copied()
                .unwrap_or_default();
        let memories = census
            .memories
            .iter()
            .filter(|memory| payer(k, memory).is_some_and(|payer| core::ptr::eq(payer, *task)));
        let charged: u64 = memories.map(|memory| memory.charged.get()).sum();
        let children = census.tasks.iter().filter(|child| child.parent.is(task));
        let children: u64 = children.map(|child| child.limit.get()).sum();
        assert_eq!(
            task.used.get(),
            own + charged + children,
            "charged to task {}",
            task.id.get()
        );
        assert!(task.used.get() <= task.limit.get());
        in_use += own;
    }
    // What pays for the first task has an address space of its own.
    let boot = &kernel.boot_task;
    let slabs = census.slabs.get(&address(boot)).copied();
    let boot = slabs.unwrap_or_default() + tables(k, boot);
    let filled: u64 = census.memories.iter().map(|memory| filled(k, memory)).sum();
    let numbers = 1..=kernel.frames.total() as u32;
    let noted = numbers.filter_map(|number| kernel.frames.numbered(number));
    let noted: Vec<_> = noted.filter(|(record, _)| record.is_free()).collect();
    assert_eq!(kernel.frames.free(), noted.len() as u64, "noted as free");
    for (_, frame) in noted
        .iter()
        .filter(|(record, _)| record.class.get() == frames::ZEROED)
    {
        let mut words = frames::words(k, *frame).iter();
        assert!(words.all(|word| word.load(Relaxed) == 0), "noted as zeros");
    }
    let records = (kernel.frames.total() * size_of::<frames::Record>() as u64).div_ceil(4096);
    assert_eq!(
        kernel.frames.free() + in_use + boot + filled + records,
        kernel.frames.total(),
        "every frame is somewhere"
    );
}

fn payer(k: Entered<'static>, memory: &Memory) -> Option<&'static Task> {
    let frame = k.kernel.physical(memory) & !0xfff;
    k.kernel.frames.record(frame).payer.get(k)
}

fn buffers(k: Entered<'static>, census: &Census, task: &Task) -> u64 {
    let alive = census
        .threads
        .iter()
        .filter(|thread| thread.task.is(task))
        .count() as u64;
    assert_eq!(task.alive.get(), alive, "threads alive");
    assert_eq!(task.threads.iter(k).count() as u64, alive);
    alive + u64::from(task.spare_buffer.get() != 0)
}

/// Page tables.
fn tables(k: Entered<'static>, task: &Task) -> u64 {
    fn below(k: Entered<'static>, table: u64, level: usize) -> u64 {
        if level == 0 {
            return 1;
        }
        let entries = frames::words(k, table).iter();
        1 + entries
            .filter_map(|entry| match Port::entry(entry.load(Relaxed), level) {
                Entry::Table(next) => Some(below(k, next, level - 1)),
                _ => None,
            })
            .sum::<u64>()
    }
    match task.root.get() {
        0 => 0,
        root => below(k, root, 2),
    }
}

/// Directories and pages of the capability table.
pub(super) fn table_frames(task: &Task) -> u64 {
    let directories = task.table.directories().filter(|frame| *frame != 0);
    directories.count() as u64 + u64::from(task.table.slots.get()) / 64
}

/// Frames that a memory object has.
fn filled(k: Entered<'static>, memory: &Memory) -> u64 {
    fn below(k: Entered<'static>, frame: u64, depth: u64) -> u64 {
        match (frame, depth) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => {
                let entries = frames::words(k, frame);
                1 + (0..ENTRIES)
                    .map(|index| below(k, entries[index].load(Relaxed), depth - 1))
                    .sum::<u64>()
            }
        }
    }
    let depth = memory.depth.get();
    memory
        .direct
        .iter()
        .map(|frame| below(k, frame.get(), depth))
        .sum()
}
