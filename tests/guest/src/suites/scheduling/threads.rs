//! Threads of one task, one after the other: what they leave behind.

use crate::{
    check::Verdict,
    child::Plan,
    run::{PRIORITY, World},
    wait,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use libipc::{
    FOREVER, Start,
    objects::ThreadState,
    thread::{self, STACK},
    time,
};

/// More threads than the heap has room for, one after the other.
fn make_threads(_: Start) -> Verdict {
    // All of it is taken but for some pieces, so that a little for each thread is
    // soon too much.
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(256);
    loop {
        let mut piece = Vec::new();
        if taken.len() == taken.capacity() || piece.try_reserve_exact(1 << 10).is_err() {
            break;
        }
        taken.push(piece);
    }
    check!(taken.len() > 64);
    taken.truncate(taken.len() - 4);
    for number in 0..400_u64 {
        let thread = thread::spawn_with(PRIORITY - 10, 4096, move || number)?;
        check_eq!(thread.join(), Some(number));
    }
    drop(taken);
    Ok(())
}

pub(super) fn ended_threads_leave_nothing_on_the_heap(world: &mut World) -> Verdict {
    Plan::new(make_threads).start(&world.image)?.finish()
}

/// An address in the calling thread's stack.
fn here() -> usize {
    let local = 0_u8;
    black_box(&raw const local).addr()
}

/// Who runs there is in the same stack.
fn together(one: usize, other: usize) -> bool {
    one.abs_diff(other) < STACK / 2
}

fn one_after_the_other(_: Start) -> Verdict {
    let first = thread::spawn(here)?.join().unwrap_or(0);
    let used = libipc::task().info()?.used;
    for _ in 0..20 {
        let next = thread::spawn(here)?.join().unwrap_or(0);
        check!(together(first, next));
    }
    check_eq!(libipc::task().info()?.used, used);
    // One that nobody joins leaves it as well.
    drop(thread::spawn(|| ())?);
    wait::until(|| Ok(libipc::task().info()?.threads == 1))?;
    check!(together(first, thread::spawn(here)?.join().unwrap_or(0)));
    Ok(())
}

pub(super) fn the_next_thread_has_the_stack_of_the_last(world: &mut World) -> Verdict {
    Plan::new(one_after_the_other).start(&world.image)?.finish()
}

fn many_at_once(_: Start) -> Verdict {
    let together = |count| -> Verdict {
        let sleep = || time::sleep(Duration::from_millis(1));
        let threads: Vec<_> = (0..count).map(|_| thread::spawn(sleep)).collect();
        for thread in threads {
            thread?.join();
        }
        Ok(())
    };
    together(2)?;
    let (used, held) = {
        let info = libipc::task().info()?;
        (info.used, info.capabilities)
    };
    together(6)?;
    let info = libipc::task().info()?;
    check_eq!(info.capabilities, held);
    // Objects may have taken frames that they share.
    check!(info.used < used + (STACK / libipc::PAGE) as u64);
    Ok(())
}

pub(super) fn no_more_than_two_stacks_are_kept(world: &mut World) -> Verdict {
    let plan = Plan {
        quota: 1000,
        ..Plan::new(many_at_once)
    };
    plan.start(&world.image)?.finish()
}

pub(super) fn a_thread_that_another_ends_is_joined(_: &mut World) -> Verdict {
    for _ in 0..3 {
        let sleeper = thread::spawn(|| time::sleep_until(time::Instant::from_ticks(FOREVER)))?;
        wait::for_state(sleeper.thread(), ThreadState::Receiving)?;
        let ender = sleeper.thread().map(|thread| thread.exit(1));
        check_eq!(ender, Some(Ok(())));
        check_eq!(sleeper.join(), None);
    }
    // Its stack is good for the next one.
    check_eq!(thread::spawn(|| 5)?.join(), Some(5));
    Ok(())
}

/// A thread that is cancelled while it joins waits on.
pub(super) fn a_stack_is_not_used_again_before_its_thread_has_ended(_: &mut World) -> Verdict {
    let awake = Arc::new(AtomicBool::new(false));
    let told = awake.clone();
    let sleep = move || {
        while !told.load(Ordering::Relaxed) {
            time::sleep(Duration::from_millis(1));
        }
        here()
    };
    let joiner = thread::spawn_with(PRIORITY, STACK, move || {
        let sleeper = thread::spawn(sleep).ok()?;
        sleeper.join()
    })?;
    for _ in 0..5 {
        wait::for_state(joiner.thread(), ThreadState::Receiving)?;
        if let Some(thread) = joiner.thread() {
            thread.cancel()?;
        }
        time::sleep(Duration::from_millis(1));
    }
    let others: Vec<_> = (0..3).map(|_| thread::spawn(here)).collect();
    let mut stacks = Vec::new();
    for other in others {
        stacks.push(other?.join().unwrap_or(0));
    }
    awake.store(true, Ordering::Relaxed);
    let sleeper = joiner.join().flatten().unwrap_or(0);
    check!(sleeper != 0);
    check!(!stacks.iter().any(|stack| together(*stack, sleeper)));
    Ok(())
}
