//! Messages and signals between cores.

use super::{count, on, other, result};
use crate::{
    check::{Failure, Verdict},
    child::{Given, Plan, given, patience},
    echo::{Echo, EchoClient, Echoing},
    raw::{self, PlaceAt, ReadTo},
    run::World,
    wait,
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};
use libipc::{
    CallError, Capability, FOREVER, Start,
    client::Borrowed,
    handle::{Handle, Rights},
    label::{Flags, Label},
    objects::{EndpointClient, ThreadState},
    status::{Cause, Status},
    thread::JoinHandle,
    time::Instant,
};

/// An endpoint with a thread behind it on that core.
struct Server {
    endpoint: EndpointClient,
    thread: Option<JoinHandle<libipc::status::TransportError>>,
}

impl Server {
    fn on(core: u64) -> Result<Server, Failure> {
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let thread = on(core, move || {
            libipc::serve::<dyn Echo>(&Borrowed::new(handle), &mut Echoing)
        })?;
        Ok(Server {
            endpoint,
            thread: Some(thread),
        })
    }

    fn client(&self) -> Result<EchoClient, Failure> {
        Ok(EchoClient::from(self.endpoint.as_ref().copy()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.endpoint.close();
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

pub(super) fn calls_go_to_other_cores_and_back(world: &mut World) -> Verdict {
    for core in 0..count(world)? {
        let server = Server::on(core)?;
        let echo = server.client()?;
        for round in 0..50 {
            check_eq!(echo.add(round, 7)?, round + 7);
            let words = core::array::from_fn(|index| index as u64 + round);
            let mut back = echo.reverse(words)?;
            back.reverse();
            check_eq!(back, words);
            let bytes = vec![3; 9000];
            check_eq!(echo.sum(&bytes)?, 27_000);
            let mut filled = vec![0; 5000];
            echo.fill(&mut filled, 9)?;
            check!((0..5000).all(|index| filled[index] == (9 + index) as u8));
            let passed = echo.pass(libipc::task().create_endpoint()?.into())?;
            check!(passed.handle() != Handle::NULL);
        }
    }
    Ok(())
}

pub(super) fn ten_thousand_calls_between_cores_lose_none(world: &mut World) -> Verdict {
    const CALLS: u64 = 10_000;
    let cores = count(world)?;
    let server = Server::on(cores - 1)?;
    let each = CALLS / cores;
    let callers: Vec<_> = (0..cores)
        .map(|core| {
            let echo = server.client()?;
            on(core, move || {
                (0..each)
                    .filter(|&call| echo.add(call, core).is_ok_and(|sum| sum == call + core))
                    .count() as u64
            })
        })
        .collect::<Result<_, _>>()?;
    for caller in callers {
        check_eq!(result(caller)?, each);
    }
    Ok(())
}

pub(super) fn callers_and_servers_move_while_they_call(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let server = Server::on(0)?;
    let callers: Vec<_> = (0..3)
        .map(|index| {
            let echo = server.client()?;
            on(index % cores, move || {
                let bytes = [1; 3000];
                (0..150)
                    .filter(|&call| {
                        echo.add(call, 1).is_ok_and(|sum| sum == call + 1)
                            && echo.sum(&bytes).is_ok_and(|sum| sum == 3000)
                    })
                    .count()
            })
        })
        .collect::<Result<_, _>>()?;
    let running = || {
        let threads = callers.iter().filter_map(JoinHandle::thread);
        threads
            .filter(|thread| {
                thread
                    .info()
                    .is_ok_and(|info| info.state != ThreadState::Dead)
            })
            .count()
    };
    let mut round = 0;
    let end = patience();
    while running() > 0 && !end.passed() {
        let all = callers.iter().filter_map(JoinHandle::thread);
        for (index, thread) in all.enumerate() {
            let _ = thread.set_core((round + index as u64) % cores);
        }
        if let Some(thread) = server.thread.as_ref().and_then(JoinHandle::thread) {
            thread.set_core((round * 3 + 1) % cores)?;
        }
        round += 1;
    }
    for caller in callers {
        check_eq!(result(caller)?, 150);
    }
    Ok(())
}

pub(super) fn a_storm_of_signals_loses_none(world: &mut World) -> Verdict {
    const EACH: u64 = 3000;
    let cores = count(world)?;
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let posted: Arc<Vec<AtomicU64>> = Arc::new((0..cores).map(|_| AtomicU64::new(0)).collect());
    let there = Arc::clone(&posted);
    // Signals may add up, but the last of each sender is never missed.
    let receiver = on(cores - 1, move || {
        let mut seen = vec![0; there.len()];
        while seen.iter().any(|count| *count < EACH) {
            let out = raw::receive(handle, patience().ticks());
            if raw::status(&out) != Some(Status::Signals) {
                return None;
            }
            for (index, count) in seen.iter_mut().enumerate() {
                if out.words[0] >> index & 1 != 0 {
                    *count = there[index].load(SeqCst);
                }
            }
        }
        Some(seen)
    })?;
    let senders: Vec<_> = (0..cores)
        .map(|core| {
            let posted = Arc::clone(&posted);
            on(core, move || {
                for number in 1..=EACH {
                    posted[core as usize].store(number, SeqCst);
                    let signal = Label::control(Flags::SIGNAL, 0);
                    raw::call(handle, signal, &[1 << core]);
                }
            })
        })
        .collect::<Result<_, _>>()?;
    for sender in senders {
        result(sender)?;
    }
    check_eq!(result(receiver)?, Some(vec![EACH; cores as usize]));
    Ok(())
}

const CALL: Label = Label::call(1, 1);
/// Bytes of a lease that is copied for long.
const LONG: u64 = 1 << 20;

/// Receives a call on that core and copies its first lease over and over until
/// that fails; then the number of copies that went well.
fn copying(core: u64, endpoint: Handle) -> Result<JoinHandle<u64>, Failure> {
    on(core, move || {
        let mut room = vec![0_u8; LONG as usize / 4];
        let mut copies = 0;
        if raw::status(&raw::receive(endpoint, FOREVER)) == Some(Status::Message) {
            let request = Borrowed::<libipc::objects::ReplyClient>::new(Handle::REQUEST);
            let into = room.as_mut_ptr() as u64;
            while request.read_to([0, 0], into, room.len() as u64).is_ok() {
                copies += 1;
            }
        }
        core::hint::black_box(&room);
        copies
    })
}

pub(super) fn a_lender_times_out_while_its_lease_is_copied(world: &mut World) -> Verdict {
    let core = other(world)?;
    let memory = vec![5_u8; LONG as usize / 4];
    for round in 0..10 {
        let endpoint = libipc::task().create_endpoint()?;
        let server = copying(core, endpoint.as_ref().handle())?;
        wait::for_state(server.thread(), ThreadState::Receiving)?;
        raw::lend(0, memory.as_ptr() as u64, memory.len() as u64, 1);
        let deadline = Instant::after(Duration::from_micros(4000 + 700 * round));
        let out = raw::call_until(
            endpoint.as_ref().handle(),
            CALL.with_leases(1),
            &[],
            deadline.ticks(),
        );
        let error = raw::error(&out).ok_or_else(|| Failure::new("no error"))?;
        check_eq!(error.cause, Cause::TimedOut);
        check!(error.delivered);
        result(server)?;
    }
    Ok(())
}

fn lend_for_ever(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    let memory = vec![5_u8; 64 << 10];
    raw::lend(0, memory.as_ptr() as u64, memory.len() as u64, 1);
    raw::call(endpoint.as_ref().handle(), CALL.with_leases(1), &[]);
    Ok(())
}

pub(super) fn a_lender_dies_while_its_lease_is_copied(world: &mut World) -> Verdict {
    let core = other(world)?;
    for round in 0..10 {
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let server = on(core, move || {
            let mut room = vec![0_u8; 64 << 10];
            raw::receive(handle, FOREVER);
            let request = Borrowed::<libipc::objects::ReplyClient>::new(Handle::REQUEST);
            let mut copies = 0_u64;
            while request
                .read_to([0, 0], room.as_mut_ptr() as u64, room.len() as u64)
                .is_ok()
            {
                copies += 1;
            }
            copies
        })?;
        let child = Plan::new(lend_for_ever)
            .give(&[given("endpoint", &endpoint)])
            .on((core + round) % count(world)?)
            .start(&world.image)?;
        wait::until(|| Ok(child.task.info()?.calls > 0 || child.task.info()?.time > 0))?;
        libipc::time::sleep(Duration::from_micros(500 * round));
        child.kill()?;
        // Had it not been received yet, nobody is left to be.
        endpoint.close()?;
        result(server)?;
    }
    Ok(())
}

fn call_for_ever(mut start: Start) -> Verdict {
    let echo: EchoClient = start.take("echo")?;
    let mut calls = 0;
    loop {
        match echo.add(calls, 1) {
            Ok(sum) => check_eq!(sum, calls + 1),
            Err(CallError::Transport(error)) => {
                check!(matches!(error.cause, Cause::Revoked | Cause::Denied));
                return Ok(());
            }
            Err(_) => return Err(Failure::new("the server refuses")),
        }
        calls += 1;
    }
}

pub(super) fn revoking_ends_what_other_cores_use(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let server = Server::on(cores - 1)?;
    let rights = (Rights::CALL | Rights::GRANT).bits().into();
    for _ in 0..5 {
        let shared = libipc::task().derive(server.endpoint.as_ref().handle().0, rights)?;
        let shared = Capability::from_handle(Handle(shared));
        let children: Vec<_> = (0..cores)
            .map(|core| {
                Plan::new(call_for_ever)
                    .give(&[Given {
                        name: "echo",
                        capability: &shared,
                        rights: Rights::CALL,
                    }])
                    .on(core)
                    .start(&world.image)
            })
            .collect::<Result<_, _>>()?;
        libipc::time::sleep(Duration::from_millis(5));
        libipc::task().revoke(shared.handle().0)?;
        for child in children {
            child.finish()?;
        }
    }
    Ok(())
}

/// Does nothing but get in the way, in each way that it can.
fn spin_for_ever(start: Start) -> Verdict {
    match crate::child::number(&start, 0)? {
        0 => loop {
            core::hint::spin_loop();
        },
        1 => loop {
            libipc::thread::yield_now();
        },
        _ => loop {
            let memory = libipc::task().create_memory(8)?;
            libipc::task().map_at(&memory, 1 << 30, 0, 8, 3)?;
            raw::store(1 << 30, 1);
            libipc::task().unmap_at(1 << 30, 8)?;
        },
    }
}

pub(super) fn a_spinner_on_one_core_stops_no_other(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let done = Arc::new(AtomicU64::new(0));
    for how in 0..3 {
        let spinners: Vec<_> = (0..cores)
            .map(|core| {
                Plan::new(spin_for_ever)
                    .tell(&[how])
                    .on(core)
                    .start(&world.image)
            })
            .collect::<Result<_, _>>()?;
        // Behind spinners of its own priority, and before them all the same.
        let server = Server::on(cores - 1)?;
        let echo = server.client()?;
        for call in 0..30 {
            check_eq!(echo.add(call, how)?, call + how);
        }
        done.fetch_add(1, Relaxed);
        for spinner in spinners {
            spinner.kill()?;
        }
    }
    check_eq!(done.load(Relaxed), 3);
    Ok(())
}
