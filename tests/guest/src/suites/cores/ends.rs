//! What is stopped or ended while another core runs it.

use super::{count, on, other, result};
use crate::{
    check::{Failure, Verdict},
    child::{Plan, given, number},
    raw,
    run::World,
    wait,
};
use alloc::sync::Arc;
use core::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};
use libipc::{
    FOREVER, Start,
    label::Label,
    objects::{EndpointClient, RegistersInfo, ThreadState},
    status::Status,
    thread,
    time::{self, Instant},
};

/// Spins with several threads without a call, or making calls.
fn busy(start: Start) -> Verdict {
    let how = number(&start, 0)?;
    let work = move || loop {
        match how {
            0 => core::hint::spin_loop(),
            1 => _ = libipc::task().info(),
            _ => {
                if let Ok(endpoint) = libipc::task().create_endpoint() {
                    let _ = raw::receive(endpoint.as_ref().handle(), 0);
                }
            }
        }
    };
    let _second = thread::spawn(work)?;
    work()
}

/// Ends children on all cores and checks that all they had comes back.
fn kill_some(world: &World, how: u64) -> Verdict {
    let cores = count(world)?;
    let used = || Ok::<_, Failure>(libipc::task().info()?.used);
    let mut before = 0;
    for round in 0..30 {
        if round == 1 {
            // The first one also made what this task keeps.
            before = used()?;
        }
        let child = Plan::new(busy)
            .tell(&[how])
            .on(round % cores)
            .start(&world.image)?;
        if round % 3 > 0 {
            wait::until(|| {
                Ok(time::from_ticks(child.task.info()?.time) > Duration::from_micros(300 * round))
            })?;
        }
        child.kill()?;
        check_eq!(child.task.info()?.threads, 0);
        drop(child);
        if round > 0 {
            wait::until(|| Ok(used()? <= before))?;
        }
    }
    Ok(())
}

pub(super) fn a_task_is_killed_while_another_core_runs_it(world: &mut World) -> Verdict {
    kill_some(world, 0)
}

pub(super) fn a_task_is_killed_while_it_makes_calls(world: &mut World) -> Verdict {
    kill_some(world, 1)?;
    kill_some(world, 2)
}

fn wait_for_ever(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    raw::call(endpoint.as_ref().handle(), Label::call(1, 1), &[]);
    Ok(())
}

pub(super) fn a_task_is_killed_while_it_waits_elsewhere(world: &mut World) -> Verdict {
    let core = other(world)?;
    let endpoint = libipc::task().create_endpoint()?;
    let mut before = 0;
    for round in 0..20 {
        if round == 1 {
            before = libipc::task().info()?.used;
        }
        let child = Plan::new(wait_for_ever)
            .give(&[given("endpoint", &endpoint)])
            .on(core)
            .start(&world.image)?;
        if round % 2 == 0 {
            wait::for_state(Some(&child.thread), ThreadState::Sending)?;
        } else {
            // Half of them are being served.
            let out = raw::receive(endpoint.as_ref().handle(), FOREVER);
            check_eq!(raw::status(&out), Some(Status::Message));
        }
        child.kill()?;
        check_eq!(endpoint.info()?.queued, 0);
        drop(child);
        if round > 0 {
            wait::until(|| Ok(libipc::task().info()?.used <= before))?;
        }
    }
    Ok(())
}

pub(super) fn a_thread_is_ended_while_another_core_runs_it(world: &mut World) -> Verdict {
    let core = other(world)?;
    let before = libipc::task().info()?.threads;
    for round in 0..15 {
        let turns = Arc::new(AtomicU64::new(0));
        let there = Arc::clone(&turns);
        let spinning = on(core, move || {
            loop {
                there.fetch_add(1, Relaxed);
            }
        })?;
        wait::until(|| Ok(turns.load(Relaxed) > 50 * round))?;
        let client = spinning.thread().ok_or_else(|| Failure::new("no thread"))?;
        client.exit(0)?;
        let then = turns.load(Relaxed);
        check_eq!(client.info()?.state, ThreadState::Dead);
        check_eq!(libipc::task().info()?.threads, before);
        time::sleep(Duration::from_micros(300));
        check_eq!(turns.load(Relaxed), then);
        let ended: Option<()> = spinning.join();
        check!(ended.is_none());
    }
    Ok(())
}

pub(super) fn a_suspended_thread_stands_still_on_any_core(world: &mut World) -> Verdict {
    let cores = count(world)?;
    let (turns, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (there, end) = (Arc::clone(&turns), Arc::clone(&stop));
    let spinning = thread::spawn(move || {
        while end.load(Relaxed) == 0 {
            there.fetch_add(1, Relaxed);
        }
    })?;
    let client = spinning.thread().ok_or_else(|| Failure::new("no thread"))?;
    for round in 0..100 {
        client.set_core(round % cores)?;
        let before = turns.load(SeqCst);
        wait::until(|| Ok(turns.load(SeqCst) > before))?;
        client.suspend()?;
        let then = turns.load(SeqCst);
        check_eq!(client.info()?.state, ThreadState::Stopped);
        if round % 8 == 0 {
            time::sleep(Duration::from_micros(500));
        }
        check_eq!(turns.load(SeqCst), then);
        client.resume()?;
    }
    stop.store(1, Relaxed);
    result(spinning)
}

pub(super) fn suspending_loses_and_repeats_no_call(world: &mut World) -> Verdict {
    let core = other(world)?;
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let (made, turn) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (there, now) = (Arc::clone(&made), Arc::clone(&turn));
    let minting = on(core, move || {
        while now.load(Relaxed) == 0 {
            thread::yield_now();
        }
        // Each call that runs makes one capability: it can be told how often.
        let before = libipc::task().info().map_or(0, |info| info.capabilities);
        let mut handles = alloc::vec::Vec::new();
        let rights = u64::from(libipc::handle::Rights::CALL.bits());
        while now.load(Relaxed) == 1 {
            if let Ok(derived) = libipc::task().derive(handle.0, rights) {
                handles.push(derived);
            }
            there.fetch_add(1, Relaxed);
            if handles.len() == 2000 {
                handles.retain(|derived| libipc::task().delete(*derived).is_err());
            }
        }
        let after = libipc::task().info().map_or(0, |info| info.capabilities);
        let made = handles.len() as u64;
        for derived in handles {
            let _ = libipc::task().delete(derived);
        }
        (made, after - before)
    })?;
    let client = minting.thread().ok_or_else(|| Failure::new("no thread"))?;
    // Asking for it made a capability, which is not to be counted.
    turn.store(1, Relaxed);
    wait::until(|| Ok(made.load(Relaxed) > 10))?;
    for round in 0..400 {
        client.suspend()?;
        if round % 16 == 0 {
            time::sleep(Duration::from_micros(100));
        }
        client.resume()?;
    }
    turn.store(2, Relaxed);
    let (held, there) = result(minting)?;
    check_eq!(held, there);
    Ok(())
}

/// Registers of the thread of this task with that number.
fn registers(id: u64) -> Result<RegistersInfo, Failure> {
    let task = libipc::task();
    let mut cursor = 0;
    loop {
        let info = task.thread(cursor)?;
        if info.id == id {
            return Ok(task.registers(cursor)?);
        }
        cursor = info.next;
        if cursor == 0 {
            return Err(Failure::new("there is no such thread"));
        }
    }
}

pub(super) fn registers_of_a_running_thread_are_whole(world: &mut World) -> Verdict {
    let core = other(world)?;
    let stop = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&stop);
    let counting = on(core, move || raw::lockstep(&there))?;
    let client = counting.thread().ok_or_else(|| Failure::new("no thread"))?;
    let id = client.info()?.id;
    wait::until(|| Ok(registers(id)?.general[raw::MARKER] == raw::MARK))?;
    let mut last = 0;
    let mut grown = 0;
    for _ in 0..500 {
        let general = registers(id)?.general;
        check_eq!(general[raw::MARKER], raw::MARK);
        let counts = raw::LOCKSTEP.map(|place| general[place]);
        // The first is added to first, so none is ahead of one before it.
        check!(counts.is_sorted_by(|before, after| before >= after));
        check!(counts[0] - counts[5] <= 1);
        check!(counts[0] >= last);
        grown += u64::from(counts[0] > last);
        last = counts[0];
    }
    // It goes on in between.
    let goes_on = grown > 0;
    wait::until(|| Ok(registers(id)?.general[raw::LOCKSTEP[0]] > last))?;
    stop.store(1, Relaxed);
    result(counting)?;
    check!(goes_on || count(world)? == 1);
    Ok(())
}

pub(super) fn a_priority_counts_on_any_core(world: &mut World) -> Verdict {
    let core = other(world)?;
    let stop = Arc::new(AtomicU64::new(0));
    let turns = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let spinner = |index: usize, priority| {
        let (stop, turns) = (Arc::clone(&stop), Arc::clone(&turns));
        let handle = thread::spawn_with(priority, 16 << 10, move || {
            while stop.load(Relaxed) == 0 {
                turns[index].fetch_add(1, Relaxed);
            }
        })?;
        let client = handle.thread().ok_or_else(|| Failure::new("no thread"))?;
        client.set_core(core)?;
        Ok::<_, Failure>(handle)
    };
    let high = spinner(0, 60)?;
    wait::until(|| Ok(turns[0].load(Relaxed) > 0))?;
    let low = spinner(1, 40)?;
    let clients = [high.thread(), low.thread()];
    let [Some(first), Some(second)] = clients else {
        return Err(Failure::new("no thread"));
    };
    for round in 0..50 {
        let runs = round % 2;
        let (raised, lowered) = if runs == 0 {
            (first, second)
        } else {
            (second, first)
        };
        raised.set_priority(60)?;
        lowered.set_priority(40)?;
        let before = turns[runs].load(Relaxed);
        wait::until(|| Ok(turns[runs].load(Relaxed) > before))?;
        // The other stands still: it was put aside before this one ran.
        let other = turns[1 - runs].load(SeqCst);
        let end = Instant::after(Duration::from_micros(200));
        while !end.passed() {}
        check_eq!(turns[1 - runs].load(SeqCst), other);
    }
    stop.store(1, Relaxed);
    result(high)?;
    result(low)
}
