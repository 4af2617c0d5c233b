//! Reservations: time that is kept to, lent and kept for its owner. The machine's
//! clock counts instructions, so what is measured here is the same on any host.

mod hogs;
mod inversion;
mod latency;

use crate::{
    check::{Failure, Verdict},
    echo::{EchoClient, Server},
    raw,
    run::{Case, PRIORITY, World, cases},
    wait,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use inversion::*;
use latency::*;
use libipc::{
    CallError, FOREVER,
    handle::Rights,
    objects::{ObjectError, ReservationClient, ThreadClient, ThreadState},
    server::{Event, Receiver},
    status::TransportError,
    thread::{self, JoinHandle},
    time::{self, Instant},
};
use work::{Work, WorkClient};

pub(crate) const CASES: &[Case] = cases![
    a_budget_bounds_its_thread,
    a_victim_keeps_its_time_beside_hogs,
    a_server_runs_on_its_clients_time,
    a_server_of_a_server_runs_on_the_clients_time,
    a_server_finishes_on_its_own_time,
    a_passive_server_waits_with_its_client,
    a_spent_client_delays_no_other,
    who_watches_is_told_of_an_overrun,
    a_reservation_ends_with_its_thread,
    every_call_has_one_outcome,
    equal_priorities_take_turns_without_yielding,
    callers_take_turns_with_their_equals,
    who_is_in_line_is_not_held_up_by_those_between,
    a_raised_priority_travels_down_the_chain,
    revoking_a_wide_tree_delays_nobody,
    revoking_a_deep_tree_delays_nobody,
    taking_a_full_task_apart_delays_nobody,
];

const SMALL: usize = 16 * 1024;
const PERIOD: Duration = Duration::from_millis(10);
const BUDGET: Duration = Duration::from_millis(3);
/// Above the hogs, below the case.
const HIGH: u64 = PRIORITY - 10;

fn reserve(
    world: &World,
    budget: Duration,
    thread: Option<&ThreadClient>,
) -> Result<ReservationClient, Failure> {
    let thread = thread.ok_or_else(|| Failure::new("the thread has ended"))?;
    let (budget, period) = (time::to_ticks(budget), time::to_ticks(PERIOD));
    let made = world.time()?.create_reservation(budget, period)?;
    made.bind(thread)?;
    Ok(made)
}

/// A thread that spins until it is told to stop.
struct Spinner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spinner {
    fn new(priority: u64) -> Result<Spinner, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn_with(priority, SMALL, move || {
            while !told.load(Relaxed) {
                core::hint::spin_loop();
            }
        })?;
        Ok(Spinner {
            stop,
            thread: Some(thread),
        })
    }

    fn thread(&self) -> Option<&ThreadClient> {
        self.thread.as_ref().and_then(JoinHandle::thread)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

/// What a reservation gave while this thread slept for so many periods, in
/// hundredths of so many budgets.
fn share(time: &ReservationClient, periods: u32) -> Result<u64, Failure> {
    let before = time.info()?.spent;
    time::sleep(PERIOD * periods);
    let info = time.info()?;
    Ok((info.spent - before) * 100 / (info.budget * u64::from(periods)))
}

fn a_budget_bounds_its_thread(world: &mut World) -> Verdict {
    let spinner = Spinner::new(HIGH)?;
    let time = reserve(world, BUDGET, spinner.thread())?;
    let share = share(&time, 20)?;
    check!((99..=106).contains(&share));
    check!(time.info()?.overruns >= 19);
    // It is seen waiting, and runs on without a reservation.
    wait::for_state(spinner.thread(), ThreadState::Throttled)?;
    time.unbind()?;
    let own = |thread: Option<&ThreadClient>| thread.map(ThreadClient::info);
    let before = own(spinner.thread()).transpose()?.map_or(0, |i| i.time);
    time::sleep(PERIOD);
    let after = own(spinner.thread()).transpose()?.map_or(0, |i| i.time);
    check!(after - before > time::to_ticks(PERIOD) * 9 / 10);
    Ok(())
}

fn a_victim_keeps_its_time_beside_hogs(world: &mut World) -> Verdict {
    let used = || Ok::<u64, Failure>(libipc::task().info()?.used);
    let victim = Spinner::new(HIGH)?;
    let time = reserve(world, BUDGET, victim.thread())?;
    for (name, hog) in hogs::ALL {
        let before = used()?;
        let hogs = hogs::start(world, *hog)?;
        // They are at it.
        time::sleep(PERIOD);
        let kept = share(&time, 10)?;
        hogs.iter().try_for_each(|hog| hog.kill())?;
        drop(hogs);
        if kept < 95 {
            return Err(Failure::new(format_args!("beside {name} it kept {kept} %")));
        }
        wait::until(|| Ok(used()? == before))
            .map_err(|_| Failure::new(format_args!("{name} left frames behind")))?;
    }
    Ok(())
}

/// A server that uses time.
mod work {
    use libipc::objects::ObjectError;

    /// Uses time.
    #[libipc::interface]
    pub(super) trait Work {
        /// Spins for so many microseconds of processor time, itself or by who is
        /// behind it, and answers how often it was called.
        #[op(0)]
        fn spin(&mut self, microseconds: u64) -> Result<u64, ObjectError>;
    }
}

struct Worker {
    behind: Option<WorkClient>,
    calls: u64,
}

impl Work for Worker {
    fn spin(&mut self, microseconds: u64) -> Result<u64, ObjectError> {
        self.calls += 1;
        match &self.behind {
            Some(behind) => _ = behind.spin(microseconds).map_err(|_| ObjectError::Died)?,
            None => spin(Duration::from_micros(microseconds)),
        }
        Ok(self.calls)
    }
}

/// A thread that serves [`Work`], and how it is called.
struct Serving {
    server: Server<TransportError>,
}

impl Serving {
    fn new(priority: u64, behind: Option<WorkClient>) -> Result<Serving, Failure> {
        let server = Server::new(move |endpoint| {
            let mut worker = Worker { behind, calls: 0 };
            libipc::serve::<dyn Work>(endpoint, &mut worker)
        })?;
        let serving = Serving { server };
        let thread = serving.thread()?;
        thread.set_priority(priority)?;
        wait::for_state(Some(thread), ThreadState::Receiving)?;
        Ok(serving)
    }

    fn thread(&self) -> Result<&ThreadClient, Failure> {
        let thread = self.server.thread();
        thread.ok_or_else(|| Failure::new("the server has ended"))
    }

    fn client(&self) -> Result<WorkClient, Failure> {
        let derived = self.server.endpoint.as_ref().derive(Rights::CALL)?;
        Ok(WorkClient::from(derived))
    }

    /// Processor time of the server's thread.
    fn used(&self) -> Result<u64, Failure> {
        Ok(self.thread()?.info()?.time)
    }
}

/// A call's answer, and how long it took.
type Called = JoinHandle<(Result<u64, CallError<ObjectError>>, Duration)>;

/// A thread with a reservation of this budget that calls once.
fn call(
    world: &World,
    budget: Duration,
    client: WorkClient,
    microseconds: u64,
) -> Result<(ReservationClient, Called), Failure> {
    let go = libipc::task().create_endpoint()?;
    let handle = go.as_ref().handle();
    let caller = thread::spawn_with(HIGH, SMALL, move || {
        raw::receive(handle, FOREVER);
        let begun = Instant::now();
        (client.spin(microseconds), begun.elapsed())
    })?;
    wait::for_state(caller.thread(), ThreadState::Receiving)?;
    let time = reserve(world, budget, caller.thread())?;
    go.signal(1)?;
    // The endpoint must outlive the caller's wait only.
    wait::until(|| {
        Ok(
            !matches!(caller.thread().map(ThreadClient::info), Some(Ok(info)) if info.state == ThreadState::Receiving),
        )
    })?;
    Ok((time, caller))
}

/// Uses so much processor time, however often the thread is interrupted.
fn spin(duration: Duration) {
    let thread = thread::current();
    let spent = || thread.info().map_or(u64::MAX, |info| info.time);
    let end = spent().saturating_add(time::to_ticks(duration));
    while spent() < end {
        for _ in 0..50 {
            core::hint::spin_loop();
        }
    }
}

const MICROSECONDS: u64 = 1_000_000;

fn microseconds(ticks: u64) -> u64 {
    ticks * MICROSECONDS / time::to_ticks(Duration::from_secs(1))
}

fn a_server_runs_on_its_clients_time(world: &mut World) -> Verdict {
    let server = Serving::new(HIGH, None)?;
    let before = server.used()?;
    let (time, caller) = call(world, BUDGET, server.client()?, 2000)?;
    check_eq!(caller.join().and_then(|(answer, _)| answer.ok()), Some(1));
    check!(microseconds(server.used()? - before) >= 2000);
    check!((2000..3000).contains(&microseconds(time.info()?.spent)));
    Ok(())
}

fn a_server_of_a_server_runs_on_the_clients_time(world: &mut World) -> Verdict {
    let last = Serving::new(HIGH, None)?;
    let first = Serving::new(HIGH, Some(last.client()?))?;
    let (time, caller) = call(world, PERIOD, first.client()?, 5000)?;
    check_eq!(caller.join().and_then(|(answer, _)| answer.ok()), Some(1));
    check!((5000..6500).contains(&microseconds(time.info()?.spent)));
    Ok(())
}

fn a_server_finishes_on_its_own_time(world: &mut World) -> Verdict {
    let server = Serving::new(HIGH, None)?;
    let own = reserve(world, PERIOD, Some(server.thread()?))?;
    let (time, caller) = call(world, BUDGET, server.client()?, 8000)?;
    let (answer, took) = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(answer, Ok(1));
    // The client's budget is gone, and the rest was not waited for; the client
    // itself waited for its next period to see the answer.
    let lent = microseconds(time.info()?.spent);
    check!((3000..4000).contains(&lent));
    check!(microseconds(own.info()?.spent) >= 4500);
    check!(took < PERIOD * 3 / 2);
    Ok(())
}

fn a_passive_server_waits_with_its_client(world: &mut World) -> Verdict {
    let server = Serving::new(HIGH, None)?;
    server.thread()?.set_passive(true)?;
    let (time, caller) = call(world, BUDGET, server.client()?, 8000)?;
    wait::for_state(Some(server.thread()?), ThreadState::Throttled)?;
    let (answer, took) = caller.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(answer, Ok(1));
    // All of it is the client's: three budgets.
    check!(took >= PERIOD * 2);
    check!((8000..9000).contains(&microseconds(time.info()?.spent)));
    Ok(())
}

fn a_spent_client_delays_no_other(world: &mut World) -> Verdict {
    let server = Serving::new(PRIORITY - 5, None)?;
    let tiny = Duration::from_micros(200);
    let mut tinies = alloc::vec::Vec::new();
    for _ in 0..8 {
        tinies.push(call(world, tiny, server.client()?, 500)?);
    }
    // Theirs take 4 ms in all, most of it on the server's own time.
    let other = server.client()?;
    let begun = Instant::now();
    check!(other.spin(100).is_ok());
    check!(begun.elapsed() < Duration::from_millis(6));
    for (_, caller) in tinies {
        check!(caller.join().is_some_and(|(answer, _)| answer.is_ok()));
    }
    Ok(())
}

fn who_watches_is_told_of_an_overrun(world: &mut World) -> Verdict {
    let spinner = Spinner::new(HIGH)?;
    let told = libipc::task().create_endpoint()?;
    let time = reserve(world, BUDGET, spinner.thread())?;
    time.watch(&told, 0b101)?;
    let mut receiver = Receiver::new(&told);
    for _ in 0..3 {
        match receiver.wait(crate::child::patience())? {
            Event::Signals(bits) => check_eq!(bits, 0b101),
            other => return Err(Failure::new(format_args!("{other:?}"))),
        }
    }
    check!(time.info()?.overruns >= 3);
    Ok(())
}

fn a_reservation_ends_with_its_thread(world: &mut World) -> Verdict {
    let used = || Ok::<u64, Failure>(libipc::task().info()?.used);
    let before = used()?;
    for _ in 0..100 {
        let spinner = Spinner::new(HIGH)?;
        let time = reserve(world, BUDGET, spinner.thread())?;
        check!(time.info()?.thread != 0);
        drop(spinner);
        wait::until(|| Ok(time.info()?.thread == 0))?;
    }
    wait::until(|| Ok(used()? <= before + 2))?;
    Ok(())
}

/// The short version of `cargo xtask fuzz calls`.
fn every_call_has_one_outcome(world: &mut World) -> Verdict {
    crate::outcomes::run(world, 10_000, 1)
}

fn equal_priorities_take_turns_without_yielding(_: &mut World) -> Verdict {
    const LENGTH: Duration = Duration::from_millis(150);
    let end = Instant::after(LENGTH);
    let spinner = move || {
        let mut turns = 0;
        let mut last = Instant::now();
        while !end.passed() {
            let now = Instant::now();
            if now.since(last) > Duration::from_millis(2) {
                turns += 1;
            }
            last = now;
        }
        turns
    };
    let mut threads = Vec::new();
    for _ in 0..3 {
        let thread = thread::spawn_with(50, SMALL, spinner)?;
        // Before it ends: nobody can ask for it afterwards.
        let client = thread.thread().ok_or_else(|| Failure::new("no thread"))?;
        let client = ThreadClient::from(client.as_ref().copy()?);
        threads.push((thread, client));
    }
    let mut times = Vec::new();
    let mut turns = 0;
    for (thread, client) in threads {
        turns += thread.join().ok_or_else(|| Failure::new("no result"))?;
        times.push(time::from_ticks(client.info()?.time));
    }
    // Each lost the processor a few times, and each had a fair share of it.
    check!(turns >= 6);
    let (least, most) = (times.iter().min().copied(), times.iter().max().copied());
    check!(least > Some(LENGTH / 6));
    check!(most < Some(LENGTH * 2 / 3));
    Ok(())
}

/// Who is called goes on with its caller's slice, so that two who call each other
/// keep nobody of their priority waiting.
fn callers_take_turns_with_their_equals(_: &mut World) -> Verdict {
    const LENGTH: Duration = Duration::from_millis(150);
    let server = Server::echo()?;
    let echo: EchoClient = server.endpoint.mint_client(1)?;
    let end = Instant::after(LENGTH);
    let caller = thread::spawn_with(PRIORITY, SMALL, move || {
        let mut calls = 0;
        while !end.passed() && echo.add(1, 2).is_ok() {
            calls += 1;
        }
        calls
    })?;
    let spinner = thread::spawn_with(PRIORITY, SMALL, move || {
        while !end.passed() {}
        thread::current().info()
    })?;
    let calls = caller.join().ok_or_else(|| Failure::new("no caller"))?;
    let info = spinner.join().ok_or_else(|| Failure::new("no spinner"))?;
    let spun = time::from_ticks(info?.time);
    check!(calls > 100);
    check!(spun > LENGTH / 4);
    check!(spun < LENGTH * 3 / 4);
    Ok(())
}
