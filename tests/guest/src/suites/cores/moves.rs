//! Where threads run.

use super::{count, on, other, own, result};
use crate::{
    check::{Failure, Verdict},
    child::Plan,
    raw,
    run::World,
    wait,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Duration,
};
use libipc::{
    CallError, Start,
    objects::{ObjectError, ThreadState},
    status::Cause,
    thread,
    time::{self, Instant},
};

pub(super) fn only_who_controls_a_thread_moves_it(world: &mut World) -> Verdict {
    let cores = count(world)?;
    check!(cores >= 1);
    let spinning = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&spinning);
    let handle = thread::spawn(move || {
        while there.load(SeqCst) == 0 {
            thread::yield_now();
        }
        // The name that every thread has for itself does not allow it.
        thread::current().set_core(0)
    })?;
    let client = handle.thread().ok_or_else(|| Failure::new("no thread"))?;
    for core in [cores, cores + 1, 8, 1 << 32, u64::MAX] {
        let moved = client.set_core(core);
        check_eq!(moved, Err(CallError::Server(ObjectError::OutOfRange)));
    }
    for core in 0..cores {
        client.set_core(core)?;
        check_eq!(client.info()?.core, core);
    }
    spinning.store(1, SeqCst);
    let own = result(handle)?;
    check!(matches!(own, Err(CallError::Transport(error)) if error.cause == Cause::Denied));
    Ok(())
}

pub(super) fn threads_run_on_all_cores_at_once(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let arrived = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..cores)
        .map(|core| {
            let arrived = Arc::clone(&arrived);
            on(core, move || {
                arrived.fetch_add(1, SeqCst);
                // No call is made from here on, so each is on a core of its own
                // and counts what the others do in between.
                let mut seen = 0;
                let mut rounds = 0;
                while seen < cores || rounds < 20_000 {
                    rounds += 1;
                    seen = arrived.load(SeqCst);
                    if seen >= cores {
                        core::hint::spin_loop();
                    }
                }
                let end = Instant::after(Duration::from_millis(60));
                while !end.passed() {}
                thread::yield_now();
                thread::current().info().map(|info| (info.core, info.time))
            })
        })
        .collect();
    for (core, handle) in threads.into_iter().enumerate() {
        let (at, spent) = result(handle?)??;
        check_eq!(at, core as u64);
        // On this core it takes turns with this thread.
        if core as u64 != own()? {
            check!(time::from_ticks(spent) >= Duration::from_millis(55));
        }
    }
    Ok(())
}

pub(super) fn a_thread_goes_where_it_is_moved(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let (stop, turns) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (there, counted) = (Arc::clone(&stop), Arc::clone(&turns));
    // One without calls, which its core has to give away.
    let spinning = thread::spawn(move || {
        while there.load(SeqCst) == 0 {
            counted.fetch_add(1, SeqCst);
        }
    })?;
    let client = spinning.thread().ok_or_else(|| Failure::new("no thread"))?;
    for round in 0..100 {
        let core = round % cores;
        client.set_core(core)?;
        let before = turns.load(SeqCst);
        wait::until(|| Ok(turns.load(SeqCst) > before))?;
        check_eq!(client.info()?.core, core);
    }
    stop.store(1, SeqCst);
    result(spinning)
}

pub(super) fn a_sleeper_wakes_on_the_core_that_it_was_moved_to(world: &mut World) -> Verdict {
    let cores = count(world)?;
    for core in 0..cores {
        let due = Instant::after(Duration::from_millis(60));
        let sleeper = thread::spawn(move || {
            time::sleep_until(due);
            (due.passed(), thread::current().info().map(|info| info.core))
        })?;
        wait::for_state(sleeper.thread(), ThreadState::Receiving)?;
        let client = sleeper.thread().ok_or_else(|| Failure::new("no thread"))?;
        // Over all others to its place.
        for step in 1..=cores {
            client.set_core((core + step) % cores)?;
        }
        check_eq!(client.info()?.core, core);
        check_eq!(result(sleeper)?, (true, Ok(core)));
    }
    Ok(())
}

fn pattern(seed: u64) -> [u64; raw::FLOATING] {
    core::array::from_fn(|index| seed ^ 0x0101_0101_0101_0101u64.wrapping_mul(index as u64 + 1))
}

pub(super) fn floating_point_moves_with_its_thread(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let end = Instant::after(Duration::from_millis(100)).ticks();
    // One for each core and one more, so that they meet.
    let spinners: Vec<_> = (0..=cores)
        .map(|index| {
            let values = pattern(0x4000 + index);
            on(index % cores, move || {
                raw::floating_after_spin(values, end) == values
            })
        })
        .collect::<Result<_, _>>()?;
    let mut round = 0;
    while Instant::now().ticks() < end {
        for (index, spinner) in spinners.iter().enumerate() {
            let client = spinner.thread().ok_or_else(|| Failure::new("no thread"))?;
            round += 1;
            // It may have ended by now.
            let _ = client.set_core((index as u64 + round) % cores);
        }
        time::sleep(Duration::from_micros(500));
    }
    for spinner in spinners {
        check!(result(spinner)?);
    }
    check!(round > cores);
    Ok(())
}

fn hold_a_secret(_: Start) -> Verdict {
    loop {
        let end = Instant::after(Duration::from_secs(1)).ticks();
        raw::floating_after_spin(pattern(0x5ec2_e700), end);
    }
}

pub(super) fn floating_point_goes_with_who_is_ended(world: &mut World) -> Verdict {
    let core = other(world)?;
    for _ in 0..10 {
        let child = Plan::new(hold_a_secret).on(core).start(&world.image)?;
        wait::until(|| Ok(time::from_ticks(child.task.info()?.time) > Duration::from_millis(1)))?;
        child.kill()?;
        // A thread that never touched the registers loads them by itself: were
        // they still open, nobody would notice, and the call would keep them.
        let seen = result(on(core, || {
            let later = Instant::after(Duration::from_millis(20)).ticks();
            raw::floating_after_sleep(pattern(1), later)
        })?)?;
        let own = |(index, value): (usize, u64)| value * u64::from(raw::is_preserved(index));
        check!(
            seen.into_iter()
                .eq(pattern(1).into_iter().enumerate().map(own))
        );
    }
    Ok(())
}
