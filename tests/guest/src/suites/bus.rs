//! Two devices on the soft bus, of which each part is a task of its own: what these hold,
//! and what becomes of calls when one of them ends or does what it must not.

use crate::{
    check::{Failure, Verdict},
    faulty::{CRASH, DENY, HANG, LIE},
    run::{Case, World, cases},
    wait,
};
use alloc::{format, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use libipc::{
    CallError, Capability, Text,
    handle::ObjectType,
    handle::Rights,
    interface,
    interfaces::{
        BusClient,
        bus::{BusError, Device, Standing},
        supervisor::{CapsClient, Holding, InspectClient, KillAnyClient, Name, TaskState},
    },
    objects::{EndpointClient, ObjectError},
    operation::Interface,
    server::{self, Dispatch},
    status::Cause,
    task, thread,
    time::{self, Instant},
};

pub(crate) const CASES: &[Case] = cases![
    a_parser_holds_nothing_but_its_endpoint,
    the_bus_holds_neither_disk_nor_secret,
    a_call_outlives_parsers_that_are_killed,
    a_parser_that_crashes_costs_no_call,
    a_parser_that_hangs_costs_no_call,
    a_parser_that_lies_costs_no_call,
    a_parser_that_denies_costs_no_call,
    keys_come_back_with_the_same_device,
    a_server_that_hangs_holds_up_no_other,
    a_call_that_nobody_waits_for_ends_or_never_begins,
];

/// Calls at one time: as many as once kept all others waiting.
const CALLS: u64 = 8;

/// Those of them that are made at one time, if they are one device's and of one server: by
/// the device's own thread, and by three that it shares with others.
const AT_ONE: u64 = 4;

/// Programs that read what devices say.
const PARSERS: [&str; 2] = ["softbus-parser", "faulty-parser"];

/// Counts how often it was called.
#[interface]
pub trait Tally {
    /// One more; the words are of no matter to it.
    #[op(0)]
    fn count(&mut self, what: u64, until: u64) -> Result<u64, ObjectError>;

    /// The same, as soon as somebody lets it go on.
    #[op(1)]
    fn wait(&mut self) -> Result<u64, ObjectError>;
}

/// What the suite sees of it.
struct Shared {
    /// Where it serves; all its callers have one badge.
    endpoint: EndpointClient,
    count: AtomicU64,
    waits: AtomicBool,
    was_cancelled: AtomicBool,
    goes_on: AtomicBool,
}

struct Counter(Arc<Shared>);

impl Tally for Counter {
    fn count(&mut self, _: u64, _: u64) -> Result<u64, ObjectError> {
        Ok(self.0.count.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn wait(&mut self) -> Result<u64, ObjectError> {
        self.0.waits.store(true, Ordering::SeqCst);
        while !self.0.goes_on.load(Ordering::SeqCst) {
            if server::cancelled() {
                self.0.was_cancelled.store(true, Ordering::SeqCst);
            }
            time::sleep(Duration::from_millis(1));
        }
        self.count(0, 0)
    }
}

/// Both buses, which trust each other, and the right one's number at the left one.
fn both(world: &mut World) -> Result<(BusClient, BusClient, u64), Failure> {
    let buses: (BusClient, BusClient) = (world.power("left-bus")?, world.power("right-bus")?);
    let (left, right) = (&buses.0, &buses.1);
    // A bus is ready when its network is.
    wait::until(|| Ok(left.devices().is_ok() && right.devices().is_ok()))?;
    if let Some(device) = find(left, Standing::Trusted)? {
        return Ok((buses.0, buses.1, device.id));
    }
    let pin = right.open_pairing()?;
    let mut open = None;
    wait::until(|| {
        open = find(left, Standing::Open)?;
        Ok(open.is_some())
    })?;
    let open = open.ok_or_else(|| Failure::new("nobody is open"))?;
    let device = left.pair(open.id, pin)?;
    Ok((buses.0, buses.1, device))
}

fn find(bus: &BusClient, standing: Standing) -> Result<Option<Device>, Failure> {
    let all = bus.devices()?;
    Ok(all.into_iter().find(|device| device.standing == standing))
}

/// A counter of the right device as the left one has it, and what the suite sees of it.
fn counter(world: &mut World, name: &str) -> Result<(TallyClient, Arc<Shared>), Failure> {
    let (left, right, device) = both(world)?;
    let shared = Arc::new(Shared {
        endpoint: task().create_endpoint()?,
        count: AtomicU64::default(),
        waits: AtomicBool::default(),
        was_cancelled: AtomicBool::default(),
        goes_on: AtomicBool::default(),
    });
    let rights = Rights::CALL | Rights::GRANT | Rights::EXPORT;
    let lent: Capability = shared.endpoint.mint(7, rights.bits().into(), 16)?.into();
    let (at, mut served) = (shared.clone(), Counter(shared.clone()));
    thread::spawn(move || libipc::serve::<dyn Tally>(&at.endpoint, &mut served))?.detach();
    let Interface { hash, name: of, .. } = <dyn Tally>::INTERFACE;
    let text = |text| Text::new(text).unwrap_or_default();
    right.publish(text(name), text(of), hash, false, lent)?;
    let mut opened = None;
    wait::until(|| {
        match left.open_as::<dyn Tally, TallyClient>(device, text(name)) {
            Ok(client) => opened = Some(client),
            Err(CallError::Server(BusError::Unreachable | BusError::TimedOut)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(opened.is_some())
    })?;
    let client = opened.ok_or_else(|| Failure::new("it cannot be opened"))?;
    Ok((client, shared))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}

/// What the task of this name or number holds.
fn holdings(world: &mut World, of: &str) -> Result<Vec<Holding>, Failure> {
    let caps: CapsClient = world.power("caps")?;
    let (mut found, mut index) = (Vec::new(), 0);
    while let Ok(holding) = caps.capability(name(of), index) {
        found.push(holding);
        index = holding.next;
        if index == 0 {
            break;
        }
    }
    Ok(found)
}

/// Numbers of the tasks that read.
fn parsers(world: &mut World) -> Result<Vec<u64>, Failure> {
    let inspect: InspectClient = world.power("inspect")?;
    let (mut found, mut index) = (Vec::new(), 0);
    while let Ok(line) = inspect.task(index) {
        if line.state == TaskState::Running && PARSERS.contains(&line.name.as_str()) {
            found.push(line.info.id);
        }
        index += 1;
    }
    Ok(found)
}

fn a_parser_holds_nothing_but_its_endpoint(world: &mut World) -> Verdict {
    let (tally, _) = counter(world, "held")?;
    check_eq!(tally.count(0, 0)?, 1);
    let mut found = Vec::new();
    // Each device has one for the other and one for strangers. One that is slow is replaced,
    // and as they are listed one by one, it may be listed beside its successor.
    wait::until(|| {
        found = parsers(world)?;
        Ok(found.len() == 4)
    })?;
    for parser in found {
        let held = holdings(world, &format!("{parser}"))?;
        let (own, others): (Vec<_>, Vec<_>) = held
            .into_iter()
            .partition(|held| held.kind == ObjectType::Task as u8);
        check_eq!(
            own.iter().map(|held| held.object).collect::<Vec<_>>(),
            [parser]
        );
        let [endpoint] = &others[..] else {
            return Err(Failure::new(format_args!("it holds {others:?}")));
        };
        check_eq!(endpoint.kind, ObjectType::Endpoint as u8);
        let rights = Rights::from_bits_retain(endpoint.rights);
        check_eq!(rights, Rights::RECEIVE | Rights::GRANT);
    }
    Ok(())
}

fn the_bus_holds_neither_disk_nor_secret(world: &mut World) -> Verdict {
    let keys = holdings(world, "left-keys")?;
    let files = keys.iter().find(|held| held.name.as_str() == "files");
    let files = files.ok_or_else(|| Failure::new("nobody holds the disk"))?;
    for held in holdings(world, "left-bus")? {
        // Neither the files, nor a directory or a file of them, nor memory that another
        // task wrote: of the keys it has the endpoint at which it asks.
        let is_endpoint = held.kind == ObjectType::Endpoint as u8;
        check!(!is_endpoint || held.object != files.object);
        check!(held.kind != ObjectType::Memory as u8);
    }
    Ok(())
}

fn kill(world: &mut World, task: &str) -> Verdict {
    let kill: KillAnyClient = world.power("kill-any")?;
    Ok(kill.kill(name(task))?)
}

fn a_call_outlives_parsers_that_are_killed(world: &mut World) -> Verdict {
    let (tally, shared) = counter(world, "killed")?;
    let waits = thread::spawn(move || (tally.wait(), tally))?;
    wait::until(|| Ok(shared.waits.load(Ordering::SeqCst)))?;
    // The call runs there. Those who read its answer and what follows are not these.
    let before = parsers(world)?;
    check!(!before.is_empty());
    for parser in &before {
        kill(world, &format!("{parser}"))?;
    }
    shared.goes_on.store(true, Ordering::SeqCst);
    let joined = waits.join();
    let (answer, tally) = joined.ok_or_else(|| Failure::new("the caller ended"))?;
    check_eq!(answer?, 1);
    check_eq!(tally.count(0, 0)?, 2);
    let after = parsers(world)?;
    check!(!after.is_empty() && after.iter().all(|parser| !before.contains(parser)));
    Ok(())
}

fn a_server_that_hangs_holds_up_no_other(world: &mut World) -> Verdict {
    let (hangs, shared) = counter(world, "slow")?;
    let (free, _) = counter(world, "quick")?;
    let (_, right, _) = both(world)?;
    let caller = find(&right, Standing::Trusted)?;
    let caller = caller.ok_or_else(|| Failure::new("nobody is trusted"))?.id;
    let before = right.stats(caller)?.calls_in;
    let wait = |_| {
        let copy = TallyClient::from(hangs.as_ref().copy()?);
        Ok(thread::spawn(move || copy.wait())?)
    };
    let calls: Vec<_> = (0..CALLS).map(wait).collect::<Result<_, Failure>>()?;
    wait::until(|| Ok(right.stats(caller)?.calls_in == before + CALLS))?;
    check_eq!(free.count(0, 0)?, 1);
    shared.goes_on.store(true, Ordering::SeqCst);
    let mut answers = Vec::new();
    for call in calls {
        let joined = call.join();
        answers.push(joined.ok_or_else(|| Failure::new("the caller ended"))??);
    }
    // Each was made, and once.
    answers.sort_unstable();
    check_eq!(answers, (1..=CALLS).collect::<Vec<_>>());
    Ok(())
}

fn a_call_that_nobody_waits_for_ends_or_never_begins(world: &mut World) -> Verdict {
    let (waits, shared) = counter(world, "unwanted")?;
    let (free, _) = counter(world, "next")?;
    let (_, right, _) = both(world)?;
    let caller = find(&right, Standing::Trusted)?;
    let caller = caller.ok_or_else(|| Failure::new("nobody is trusted"))?.id;
    let before = right.stats(caller)?.calls_in;
    let made = shared.endpoint.session(0)?.calls;
    let wait = || {
        let copy = TallyClient::from(waits.as_ref().copy()?);
        Ok::<_, Failure>(thread::spawn(move || copy.wait())?)
    };
    // In this order one runs, others wait at its server, and others for a thread.
    let mut calls = Vec::new();
    for count in 1..=CALLS {
        calls.push(wait()?);
        wait::until(|| Ok(right.stats(caller)?.calls_in == before + count))?;
    }
    wait::until(|| Ok(shared.waits.load(Ordering::SeqCst)))?;
    wait::until(|| Ok(shared.endpoint.session(0)?.in_flight == AT_ONE))?;
    // The newest first, so that none gets the thread of one that ends. When the oldest has
    // ended there, all have.
    calls.iter().rev().for_each(thread::JoinHandle::cancel);
    wait::until(|| Ok(shared.was_cancelled.load(Ordering::SeqCst)))?;
    check_eq!(free.count(0, 0)?, 1);
    let session = shared.endpoint.session(0)?;
    check_eq!((session.calls - made, session.in_flight), (AT_ONE, 0));
    shared.goes_on.store(true, Ordering::SeqCst);
    for call in calls {
        let joined = call.join();
        let ended = joined.ok_or_else(|| Failure::new("the caller ended"))?;
        check!(
            matches!(ended, Err(CallError::Transport(error)) if error.cause == Cause::Cancelled)
        );
    }
    // Of those that were made, only the one that ran was served.
    check_eq!(waits.count(0, 0)?, 2);
    Ok(())
}

fn a_parser_that_crashes_costs_no_call(world: &mut World) -> Verdict {
    costs_no_call(world, "crashes", CRASH)
}

fn a_parser_that_hangs_costs_no_call(world: &mut World) -> Verdict {
    costs_no_call(world, "hangs", HANG)
}

fn a_parser_that_lies_costs_no_call(world: &mut World) -> Verdict {
    costs_no_call(world, "lies", LIE)
}

fn a_parser_that_denies_costs_no_call(world: &mut World) -> Verdict {
    costs_no_call(world, "denies", DENY)
}

/// A call that makes whoever reads it do that for some time runs once.
fn costs_no_call(world: &mut World, service: &str, what: u64) -> Verdict {
    // Who fails again and again is waited for longer and longer: a bus that starts anew
    // knows of no failure.
    kill(world, "right-bus")?;
    let (tally, shared) = counter(world, service)?;
    check_eq!(tally.count(0, 0)?, 1);
    // Those of the bus that was ended, end.
    wait::until(|| Ok(parsers(world)?.len() == 4))?;
    let before = parsers(world)?;
    let until = Instant::after(Duration::from_millis(400)).ticks();
    check_eq!(tally.count(what, until)?, 2);
    check_eq!(tally.count(0, 0)?, 3);
    check_eq!(shared.count.load(Ordering::SeqCst), 3);
    let after = parsers(world)?;
    // It did happen.
    check!(before.iter().any(|parser| !after.contains(parser)));
    Ok(())
}

fn keys_come_back_with_the_same_device(world: &mut World) -> Verdict {
    let (tally, _) = counter(world, "keys")?;
    check_eq!(tally.count(0, 0)?, 1);
    let (left, right, _) = both(world)?;
    let who = |bus: &BusClient| find(bus, Standing::Trusted).map(|found| found.map(|one| one.id));
    let before = [who(&left)?, who(&right)?];
    check!(before.iter().all(Option::is_some));
    for (count, task) in (2..).zip(["left-keys", "right-keys"]) {
        kill(world, task)?;
        // The stream's keys are gone with it; those of the device are on the disk.
        check_eq!(tally.count(0, 0)?, count);
    }
    check_eq!([who(&left)?, who(&right)?], before);
    // Also for a bus that starts anew.
    kill(world, "left-bus")?;
    wait::until(|| Ok(who(&left).is_ok_and(|who| who == before[0])))?;
    Ok(())
}
