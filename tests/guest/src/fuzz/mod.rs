//! The syscall fuzzer: hostile tasks that hold real capabilities of each type
//! make random system calls; nothing may come of it but errors and their own end.
//!
//! 1. [`mod@table`]: which operations there are, which outcomes each can have.
//! 2. [`hostile`]: the task that makes the calls; [`arguments`] and [`pool`] are
//!    what they are made of, [`starving`] is what it does to its own quota. `System` and `Interrupt`, which no page lets its
//!    holder pass on, are called by the fuzzer itself.
//! 3. This file: makes generations of hostile tasks, watches a task that has
//!    nothing to do with them, counts, and looks whether every frame is back.
//!
//! A seed gives the same calls again: each task's random numbers begin with the
//! seed and the task's number. With several cores the tasks are spread over them.

mod arguments;
mod bystander;
mod hostile;
mod pool;
mod starving;
mod table;

use crate::{
    check::{Failure, Verdict},
    child::{Child, Plan, given},
    raw::PlaceAt,
    run::{World, say},
    wait,
};
use core::time::Duration;
use libipc::{
    Capability,
    handle::Rights,
    memory::Mapping,
    objects::MemoryClient,
    server::Receiver,
    time::{self, Instant},
};
pub(crate) use pool::Random;
use table::{Counts, PAGES};

/// Calls of each thread of a hostile task, if it lives that long.
const LIFE: u64 = 500;
/// Hostile tasks of a generation; they talk to each other.
const TASKS: usize = 2;
/// Calls on the machine's own objects for each generation.
const MACHINE: u64 = 150;
/// Bytes of the fuzzer's own heap and stack that it may come to use.
const HEAP: usize = 768 << 10;
const STACK: usize = 40 << 10;
/// Frames of a hostile task's quota.
const QUOTA: u64 = 512;
/// Priority of hostile tasks: the bystander's too, so that they share.
const PRIORITY: u64 = 50;
/// Rights of those that call a hostile task's server.
const CALLER: Rights = Rights::CALL.union(Rights::GRANT);
/// From so many calls on, an empty cell of the table is a failure.
const ENOUGH: u64 = 100_000;

/// How many times its count a campaign may make to see every outcome.
const MORE: u64 = 5;
/// Where hostile tasks find their table of counts.
const COUNTS: u64 = 1 << 35;

/// Runs at least `count` calls.
pub(crate) fn run(world: &World, count: u64, seed: u64) -> Verdict {
    let counts = libipc::task().create_memory(PAGES)?;
    let mapping = Mapping::new(&counts, Rights::READ | Rights::WRITE)?;
    let table = Counts::at(mapping.address());
    let bystander = bystander::start(world)?;
    let mut machine = hostile::Machine::new(world, table, seed)?;
    // Whatever of this task is filled in at first touch is touched first.
    drop(alloc::vec![1_u8; HEAP]);
    touch_stack();
    // Frames are counted once there was something on each core: what is touched
    // for the first time then, in any task, is no loss.
    let warm = 2 * world.counters.counters()?.cores;
    let (mut before, mut number) = ((0, 0), 0);
    // Some outcomes are rare: a long campaign goes on for them, within bounds.
    let wanted =
        |total| total < count || count >= ENOUGH && total < MORE * count && !table.is_full();
    while number <= warm || wanted(table.total()) {
        if number == warm {
            before = settled(world)?;
        }
        machine.steps(MACHINE);
        generation(world, &counts, table, seed, number)?;
        bystander.check()?;
        if number % 8 == 0 {
            say(world, format_args!("fuzz: {} calls", table.total()));
        }
        number += 1;
    }
    let after = settled(world)?;
    table.print(world);
    say(
        world,
        format_args!(
            "fuzz: {} calls by {} tasks, {} past the handle check ({} %); frames: {} used and {} \
             free before, {} and {} after; the bystander counted to {}",
            table.total(),
            number * TASKS as u64,
            table.past(),
            table.past() * 100 / table.total(),
            before.0,
            before.1,
            after.0,
            after.1,
            bystander.count(),
        ),
    );
    bystander.finish()?;
    check_eq!(after, before);
    check!(table.past() * 100 >= table.total() * 30);
    match table.empty_cells(world) {
        0 => Ok(()),
        empty if count >= ENOUGH => Err(Failure::new(format_args!(
            "{empty} outcomes were never seen"
        ))),
        _ => Ok(()),
    }
}

/// Below the caller's frame, where those of all that it calls will be.
#[inline(never)]
fn touch_stack() {
    core::hint::black_box([1_u8; STACK]);
}

/// Frames that this task uses, and that the machine has free, once all that
/// died has been taken apart.
fn settled(world: &World) -> Result<(u64, u64), Failure> {
    let mut last = (0, 0);
    wait::until(|| {
        let now = (libipc::task().info()?.used, world.counters.counters()?.free);
        Ok(core::mem::replace(&mut last, now) == now)
    })?;
    Ok(last)
}

/// Makes some hostile tasks, lets them do their worst, and ends them.
fn generation(
    world: &World,
    counts: &MemoryClient,
    table: &Counts,
    seed: u64,
    number: u64,
) -> Verdict {
    let used = libipc::task().info()?.used;
    {
        let mut shared = Shared::new(world)?;
        let children = shared.children(world, counts, seed, number)?;
        for child in &children {
            child.thread.resume()?;
        }
        watch(&children, table)?;
        shared.end();
    }
    wait::until(|| Ok(libipc::task().info()?.used == used))
        .map_err(|_| Failure::new(format_args!("generation {number} left frames behind")))
}

/// Waits until all have ended, or nothing moves any more.
fn watch(children: &[Child], table: &Counts) -> Verdict {
    const STEP: Duration = Duration::from_millis(2);
    const PATIENCE: u32 = 20;
    /// However little it is that still moves.
    const LONGEST: u32 = 2000;
    let (mut seen, mut quiet) = (table.total(), 0);
    let mut alive = [true; TASKS];
    for _ in 0..LONGEST {
        if quiet >= PATIENCE || !alive.contains(&true) {
            break;
        }
        time::sleep(STEP);
        for (child, alive) in children.iter().zip(&mut alive) {
            let mut faults = Receiver::new(&child.faults);
            // Any fault of a hostile task is its end: exits, panics, crashes.
            if *alive && faults.wait(Instant::PAST).is_ok() {
                *alive = false;
                child.task.kill()?;
            }
        }
        let now = table.total();
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
    }
    children.iter().try_for_each(|child| child.kill())
}

/// What the hostile tasks of a generation have in common.
struct Shared {
    endpoints: [libipc::objects::EndpointClient; TASKS],
    /// Where each one's server answers; the others can do no more than call.
    servers: [libipc::objects::EndpointClient; TASKS],
    peers: [Capability; TASKS],
    memory: MemoryClient,
    code: Capability,
    victim: libipc::objects::TaskClient,
    thread: libipc::objects::ThreadClient,
    /// Each hostile task's own.
    times: [libipc::objects::ReservationClient; TASKS],
    badged: [Capability; 2],
    /// No device has it.
    dma: libipc::objects::DmaClient,
    /// This neither: nearly all of its pins are taken.
    full: [libipc::objects::DmaClient; 2],
}

impl Shared {
    fn new(world: &World) -> Result<Shared, Failure> {
        let task = libipc::task();
        let endpoints = [task.create_endpoint()?, task.create_endpoint()?];
        let servers = [task.create_endpoint()?, task.create_endpoint()?];
        // One of the two with a session, which its callers soon fill.
        let peers = [
            servers[0].as_ref().derive(CALLER)?,
            servers[1].mint(9, CALLER.bits().into(), 2)?.into(),
        ];
        let memory = task.create_memory(12)?;
        let code = memory
            .as_ref()
            .derive(Rights::READ | Rights::EXECUTE | Rights::GRANT)?;
        let victim = task.create_task(64)?;
        let thread = victim.thread_at(0x1000, 0x2000, 0, 0, PRIORITY)?;
        let badged = [
            endpoints[0].mint_client(7)?,
            endpoints[1].mint(8, 255, 1)?.into(),
        ];
        let (budget, period) = (Duration::from_micros(300), Duration::from_millis(1));
        let (budget, period) = (time::to_ticks(budget), time::to_ticks(period));
        let reserve = || {
            world
                .time()?
                .create_reservation(budget, period)
                .map_err(Failure::from)
        };
        let times = [reserve()?, reserve()?];
        let full = world.devices()?.create_dma()?;
        for _ in 0..62 {
            full.pin(&memory)?;
        }
        let driver = full.as_ref().derive(Rights::PIN | Rights::GRANT)?.into();
        Ok(Shared {
            endpoints,
            servers,
            peers,
            memory,
            code,
            victim,
            thread,
            times,
            badged,
            dma: world.devices()?.create_dma()?,
            full: [full, driver],
        })
    }

    fn children(
        &mut self,
        world: &World,
        counts: &MemoryClient,
        seed: u64,
        number: u64,
    ) -> Result<alloc::vec::Vec<Child>, Failure> {
        let cores = world.counters.counters()?.cores;
        let mut children = alloc::vec::Vec::new();
        for index in 0..TASKS {
            let given = [
                given("endpoint", &self.endpoints[index]),
                given("other", &self.endpoints[1 - index]),
                given("badged", &self.badged[1 - index]),
                given("echo", &self.servers[index]),
                given("peer", &self.peers[1 - index]),
                given("memory", &self.memory),
                given("code", &self.code),
                given("victim", &self.victim),
                given("thread", &self.thread),
                given("time", &self.times[index]),
                given("dma", &self.dma),
                given("full", &self.full[1]),
            ];
            let child = Plan {
                quota: QUOTA,
                priority: PRIORITY,
                own: Rights::all(),
                ..Plan::new(hostile::program)
            }
            .give(&given)
            .tell(&[seed, number * TASKS as u64 + index as u64, LIFE])
            // On one core and on two, in turn.
            .on((number / 2 + index as u64 * (number % 2)) % cores)
            .make(&world.image)?;
            let access = Rights::READ | Rights::WRITE;
            child
                .task
                .map(counts, COUNTS, 0, PAGES, access.bits().into())?;
            children.push(child);
        }
        Ok(children)
    }

    fn end(&mut self) {
        // The hostile tasks may have ended it before.
        let _ = self.victim.kill();
        for endpoint in self.endpoints.iter().chain(&self.servers) {
            let _ = endpoint.close();
        }
        // The devices have been reset.
        let _ = self.dma.release_all();
        let _ = self.full[0].release_all();
    }
}
