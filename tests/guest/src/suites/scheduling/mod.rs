//! When threads run, all on one core, however many there are.

mod threads;

use crate::{
    check::{Failure, Verdict},
    child::patience,
    raw,
    run::{Case, PRIORITY, World, cases},
    wait,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use libipc::{
    FOREVER,
    handle::Handle,
    label::Label,
    objects::ThreadState,
    status::Cause,
    sync::Mutex,
    thread::{self, JoinHandle},
    time::{self, Instant},
};
use threads::*;

pub(crate) const CASES: &[Case] = cases![
    the_highest_priority_runs_first,
    a_woken_thread_of_higher_priority_runs_at_once,
    a_lower_priority_waits_for_a_higher,
    yielding_goes_round,
    yielding_does_not_let_lower_priorities_run,
    deadlines_come_in_their_order,
    many_sleepers_all_wake,
    many_threads_all_end,
    ended_threads_leave_nothing_on_the_heap,
    the_next_thread_has_the_stack_of_the_last,
    no_more_than_two_stacks_are_kept,
    a_thread_that_another_ends_is_joined,
    a_stack_is_not_used_again_before_its_thread_has_ended,
    a_priority_can_be_changed,
    a_server_runs_at_its_callers_priority,
    a_suspended_thread_stands_still,
    suspending_ends_a_wait,
    a_thread_that_suspends_itself_goes_on_as_it_was,
    time_is_accounted_to_who_spends_it,
    an_idle_machine_idles,
];

/// Stack of a thread that does little.
const SMALL: usize = 16 * 1024;

type Log = Arc<Mutex<Vec<u64>>>;

/// A thread with this priority that notes a number; it waits for `go`.
fn noting(log: &Log, go: &Arc<AtomicBool>, priority: u64) -> Result<JoinHandle<()>, Failure> {
    let (log, go) = (Arc::clone(log), Arc::clone(go));
    Ok(thread::spawn_with(priority, SMALL, move || {
        while !go.load(Relaxed) {
            time::sleep(Duration::from_micros(100));
        }
        log.lock().push(priority);
    })?)
}

/// Spins without a call.
fn spin(duration: Duration) {
    let end = Instant::after(duration);
    while !end.passed() {
        core::hint::spin_loop();
    }
}

fn the_highest_priority_runs_first(_: &mut World) -> Verdict {
    let (log, go) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let threads = [20, 60, 40, 90, 80].map(|priority| noting(&log, &go, priority));
    time::sleep(Duration::from_millis(2));
    go.store(true, Relaxed);
    // All of them are due while this thread, which outranks them, spins.
    spin(Duration::from_millis(3));
    check!(log.lock().is_empty());
    for thread in threads {
        thread?.join();
    }
    check_eq!(*log.lock(), [90, 80, 60, 40, 20]);
    Ok(())
}

fn a_woken_thread_of_higher_priority_runs_at_once(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let seen = Arc::new(AtomicU64::new(0));
    let low = {
        let seen = Arc::clone(&seen);
        thread::spawn_with(PRIORITY - 20, SMALL, move || {
            let signal = Label::control(libipc::label::Flags::SIGNAL, 0);
            raw::call(handle, signal, &[1]);
            // The other has run by now.
            seen.load(Relaxed)
        })?
    };
    let high = {
        let seen = Arc::clone(&seen);
        thread::spawn_with(PRIORITY - 10, SMALL, move || {
            raw::receive(handle, FOREVER);
            seen.store(5, Relaxed);
        })?
    };
    check_eq!(low.join(), Some(5));
    high.join();
    Ok(())
}

fn a_lower_priority_waits_for_a_higher(_: &mut World) -> Verdict {
    let count = Arc::new(AtomicU64::new(0));
    let low = {
        let count = Arc::clone(&count);
        thread::spawn_with(10, SMALL, move || count.store(1, Relaxed))?
    };
    spin(Duration::from_millis(40));
    check_eq!(count.load(Relaxed), 0);
    low.join();
    check_eq!(count.load(Relaxed), 1);
    Ok(())
}

fn yielding_goes_round(_: &mut World) -> Verdict {
    let (log, go) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let threads: [_; 3] = core::array::from_fn(|index| {
        let (log, go) = (Arc::clone(&log), Arc::clone(&go));
        thread::spawn_with(50, SMALL, move || {
            while !go.load(Relaxed) {
                thread::yield_now();
            }
            for _ in 0..5 {
                log.lock().push(index as u64);
                thread::yield_now();
            }
        })
    });
    go.store(true, Relaxed);
    for thread in threads {
        thread?.join();
    }
    let log = log.lock();
    check_eq!(log.len(), 15);
    // Whoever begins, nobody comes twice before the others came once.
    check!(
        log.chunks_exact(3)
            .all(|round| (0..3).all(|index| round.contains(&index)))
    );
    Ok(())
}

fn yielding_does_not_let_lower_priorities_run(_: &mut World) -> Verdict {
    let ran = Arc::new(AtomicBool::new(false));
    let low = {
        let ran = Arc::clone(&ran);
        thread::spawn_with(50, SMALL, move || ran.store(true, Relaxed))?
    };
    for _ in 0..100 {
        thread::yield_now();
    }
    check!(!ran.load(Relaxed));
    low.join();
    check!(ran.load(Relaxed));
    Ok(())
}

fn deadlines_come_in_their_order(_: &mut World) -> Verdict {
    // A machine that is held up delivers late and at once what lies close
    // together; that does not happen time and again.
    for _ in 0..5 {
        let woken = wake_at_deadlines()?;
        check!(!woken.contains(&u64::MAX));
        if woken.is_sorted() {
            return Ok(());
        }
    }
    Err(Failure::new("five times in a wrong order"))
}

/// Deadlines in the order in which threads that slept until then woke.
fn wake_at_deadlines() -> Result<Vec<u64>, Failure> {
    let (log, base) = (Log::default(), Arc::new(AtomicU64::new(0)));
    // From far apart to close together.
    let delays = [
        9000, 100, 3, 1500, 1700, 20_000, 0, 640, 64, 300, 4096, 3500, 12_000, 2500,
    ];
    let threads = delays.map(|delay| {
        let (log, base) = (Arc::clone(&log), Arc::clone(&base));
        thread::spawn_with(90, SMALL, move || {
            while base.load(Relaxed) == 0 {
                time::sleep(Duration::from_micros(500));
            }
            let due = Instant::from_ticks(base.load(Relaxed)) + Duration::from_micros(delay);
            time::sleep_until(due);
            let early = !due.passed();
            log.lock().push(if early { u64::MAX } else { due.ticks() });
        })
    });
    // All of them run by now, and all will know before the first is due.
    time::sleep(Duration::from_millis(5));
    base.store(Instant::after(Duration::from_millis(30)).ticks(), Relaxed);
    for thread in threads {
        thread?.join();
    }
    let woken = log.lock().clone();
    check_eq!(woken.len(), delays.len());
    Ok(woken)
}

fn many_sleepers_all_wake(_: &mut World) -> Verdict {
    let woken = Arc::new(AtomicU64::new(0));
    let due = Instant::after(Duration::from_millis(30));
    let mut threads = Vec::new();
    for index in 0..80 {
        let woken = Arc::clone(&woken);
        // Many for the very same tick.
        let due = due + Duration::from_micros(index / 20);
        threads.push(thread::spawn_with(60, SMALL, move || {
            time::sleep_until(due);
            woken.fetch_add(1, Relaxed);
        })?);
    }
    for thread in threads {
        thread.join();
    }
    check_eq!(woken.load(Relaxed), 80);
    check!(due.elapsed() < Duration::from_secs(5));
    Ok(())
}

fn many_threads_all_end(_: &mut World) -> Verdict {
    let before = libipc::task().info()?;
    for _ in 0..3 {
        let count = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for _ in 0..150 {
            let count = Arc::clone(&count);
            threads.push(thread::spawn_with(70, SMALL, move || {
                thread::yield_now();
                count.fetch_add(1, Relaxed);
            })?);
        }
        check!(libipc::task().info()?.threads >= before.threads + 100);
        for thread in threads {
            thread.join();
        }
        check_eq!(count.load(Relaxed), 150);
        wait::until(|| Ok(libipc::task().info()?.threads == before.threads))?;
    }
    check_eq!(libipc::task().info()?.capabilities, before.capabilities);
    Ok(())
}

fn a_priority_can_be_changed(_: &mut World) -> Verdict {
    let (log, go) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let first = noting(&log, &go, 60)?;
    let second = noting(&log, &go, 40)?;
    time::sleep(Duration::from_millis(1));
    let lowered = first.thread().ok_or_else(|| Failure::new("no thread"))?;
    lowered.set_priority(20)?;
    check_eq!(lowered.info()?.priority, 20);
    go.store(true, Relaxed);
    spin(Duration::from_millis(2));
    first.join();
    second.join();
    check_eq!(*log.lock(), [40, 60]);
    Ok(())
}

fn a_server_runs_at_its_callers_priority(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let server = thread::spawn_with(5, SMALL, move || {
        let own = || thread::current().info().map(|info| info.priority);
        let before = own();
        raw::receive(handle, FOREVER);
        let during = own();
        raw::reply(&[]);
        (before, during, own())
    })?;
    wait::for_state(server.thread(), ThreadState::Receiving)?;
    // In between, who would hold the server up if it ran at its own.
    let stop = Arc::new(AtomicBool::new(false));
    let middle = {
        let stop = Arc::clone(&stop);
        thread::spawn_with(50, SMALL, move || {
            while !stop.load(Relaxed) {
                core::hint::spin_loop();
            }
        })?
    };
    let out = raw::call_until(handle, Label::call(1, 1), &[], patience().ticks());
    stop.store(true, Relaxed);
    check_eq!(raw::error(&out), None);
    middle.join();
    check_eq!(server.join(), Some((Ok(5), Ok(PRIORITY), Ok(5))));
    Ok(())
}

fn a_suspended_thread_stands_still(_: &mut World) -> Verdict {
    let (count, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let counting = {
        let (count, stop) = (Arc::clone(&count), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Relaxed) {
                count.fetch_add(1, Relaxed);
                thread::yield_now();
            }
        })?
    };
    let client = counting.thread().ok_or_else(|| Failure::new("no thread"))?;
    wait::until(|| Ok(count.load(Relaxed) > 10))?;
    client.suspend()?;
    client.suspend()?;
    check_eq!(client.info()?.state, ThreadState::Stopped);
    let then = count.load(Relaxed);
    time::sleep(Duration::from_millis(5));
    check_eq!(count.load(Relaxed), then);
    client.resume()?;
    wait::until(|| Ok(count.load(Relaxed) > then))?;
    stop.store(true, Relaxed);
    counting.join();
    Ok(())
}

fn suspending_ends_a_wait(_: &mut World) -> Verdict {
    let endpoint = libipc::task().create_endpoint()?;
    let handle = endpoint.as_ref().handle();
    let waiting = thread::spawn(move || raw::receive(handle, FOREVER))?;
    wait::for_state(waiting.thread(), ThreadState::Receiving)?;
    let client = waiting.thread().ok_or_else(|| Failure::new("no thread"))?;
    client.suspend()?;
    wait::for_state(waiting.thread(), ThreadState::Stopped)?;
    check_eq!(endpoint.info()?.receivers, 0);
    client.resume()?;
    let out = waiting.join().ok_or_else(|| Failure::new("no result"))?;
    check!(raw::refused(&out, Cause::Cancelled));
    Ok(())
}

fn a_thread_that_suspends_itself_goes_on_as_it_was(_: &mut World) -> Verdict {
    let told = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&told);
    let own = thread::spawn(move || {
        while there.load(Relaxed) == 0 {
            thread::yield_now();
        }
        let own = Handle(there.load(Relaxed));
        use libipc::objects::thread as object;
        raw::operation(own, &object::INTERFACE, object::number::SUSPEND, &[])
    })?;
    let client = own.thread().ok_or_else(|| Failure::new("no thread"))?;
    told.store(client.as_ref().handle().0, Relaxed);
    wait::for_state(own.thread(), ThreadState::Stopped)?;
    client.resume()?;
    let out = own.join().ok_or_else(|| Failure::new("no result"))?;
    check_eq!(raw::status(&out), Some(libipc::status::Status::Message));
    Ok(())
}

fn time_is_accounted_to_who_spends_it(_: &mut World) -> Verdict {
    let own = thread::current();
    let (thread, task) = (own.info()?.time, libipc::task().info()?.time);
    spin(Duration::from_millis(20));
    // What a thread has spent is added up when it leaves the processor or the kernel.
    thread::yield_now();
    let spent = time::from_ticks(own.info()?.time - thread);
    check!(spent >= Duration::from_millis(15) && spent < Duration::from_secs(5));
    check!(libipc::task().info()?.time - task >= time::to_ticks(Duration::from_millis(15)));
    let thread = own.info()?.time;
    time::sleep(Duration::from_millis(30));
    let spent = time::from_ticks(own.info()?.time - thread);
    check!(spent < Duration::from_millis(15));
    Ok(())
}

fn an_idle_machine_idles(world: &mut World) -> Verdict {
    let before = world.counters.counters()?;
    time::sleep(Duration::from_millis(50));
    let after = world.counters.counters()?;
    check!(time::from_ticks(after.idle - before.idle) > Duration::from_millis(25));
    check!(after.interrupts > before.interrupts);
    check!(after.switches > before.switches);
    check!(after.calls > before.calls);
    Ok(())
}
