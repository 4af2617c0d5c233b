//! Measures calls between cores: to a server on another core, and of up to four pairs
//! of client and server at the same time, each pair on a core of its own.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec::Vec};
use core::{hint::black_box, time::Duration};
use libipc::{
    CallError, Start,
    client::Borrowed,
    objects::{EndpointClient, Shutdown, SystemClient},
    server::{Event, Receiver},
    start::AnyError,
    thread,
    time::Instant,
};
use tessera_bench::{TIMES, TargetClient, TargetError};

libipc::program!(run);

/// Servers, each on the core of its number.
const SERVERS: [&str; 4] = ["target-0", "target-1", "target-2", "target-3"];

fn run(mut start: Start) -> Result<(), AnyError> {
    let log: SystemClient = start.take("kernel-log")?;
    let shutdown: SystemClient = start.take("shutdown")?;
    let report = |name: &str, times: u64, taken: Duration| {
        log.log(&format!("[bench] {name} {times} {}\n", taken.as_nanos()))
    };
    let mut targets = Vec::new();
    for name in SERVERS {
        targets.push(start.take::<TargetClient>(name)?);
    }
    // All others have come to rest.
    libipc::time::sleep(Duration::from_millis(100));
    // This task is on core 0.
    for (name, target) in ["same_core", "other_core"].into_iter().zip(&targets) {
        calls(target, 16)?;
        let begin = Instant::now();
        calls(target, TIMES)?;
        report(name, TIMES, begin.elapsed())?;
    }

    let done = libipc::task().create_endpoint()?;
    let mut workers = Vec::new();
    for (core, target) in targets.into_iter().enumerate() {
        workers.push(Worker::start(core, target, &done)?);
    }
    let mut receiver = Receiver::new(&done);
    for pairs in 1..=workers.len() {
        // Once more than is measured, so that nothing is the first time.
        let mut taken = Duration::ZERO;
        for _ in 0..2 {
            let begin = Instant::now();
            for worker in &workers[..pairs] {
                worker.go.signal(1)?;
            }
            let mut missing = (1_u64 << pairs) - 1;
            while missing > 0 {
                if let Event::Signals(finished) = receiver.next()? {
                    missing &= !finished;
                }
            }
            taken = begin.elapsed();
        }
        report(&format!("pairs_{pairs}"), pairs as u64 * TIMES, taken)?;
    }
    log.log("[bench] done\n")?;
    Ok(shutdown.shutdown(Shutdown::PowerOff)?)
}

/// Two words there, one back.
fn calls(target: &TargetClient, times: u64) -> Result<(), CallError<TargetError>> {
    for _ in 0..times {
        black_box(target.add(black_box(1), black_box(2))?);
    }
    Ok(())
}

/// A client on a core of its own, which makes its calls when it is told to.
struct Worker {
    go: EndpointClient,
}

impl Worker {
    /// It says by the bit of its number that it has made them.
    fn start(core: usize, target: TargetClient, done: &EndpointClient) -> Result<Self, AnyError> {
        let go = libipc::task().create_endpoint()?;
        let (go_handle, done) = (go.as_ref().handle(), done.as_ref().handle());
        let thread = thread::spawn(move || {
            let go = Borrowed::<EndpointClient>::new(go_handle);
            let done = Borrowed::<EndpointClient>::new(done);
            let mut receiver = Receiver::new(&go);
            // If a call fails the machine says nothing more, and that is seen.
            while let Ok(Event::Signals(_)) = receiver.next() {
                if calls(&target, TIMES).is_err() || done.signal(1 << core).is_err() {
                    return;
                }
            }
        })?;
        set_core(&thread, core as u64)?;
        thread.detach();
        Ok(Self { go })
    }
}

/// Moves a thread to a core.
#[cfg(target_os = "none")]
fn set_core(thread: &thread::JoinHandle<()>, core: u64) -> Result<(), AnyError> {
    let thread = thread.thread();
    let thread = thread.ok_or_else(|| AnyError::new("it has ended"))?;
    Ok(thread.set_core(core)?)
}

/// The host, on which nothing of this runs, has no name for its threads.
#[cfg(not(target_os = "none"))]
fn set_core(_: &thread::JoinHandle<()>, _: u64) -> Result<(), AnyError> {
    Ok(())
}
