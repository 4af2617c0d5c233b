//! How late a thread runs whose timer rings while the kernel is busy for another:
//! from its deadline to its next instruction, in instructions, which is what the
//! machine's clock counts.

use crate::{
    check::{Failure, Verdict},
    run::{PRIORITY, World},
};
use alloc::sync::Arc;
use core::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use libipc::{
    handle::Rights,
    objects::TaskClient,
    thread,
    time::{self, Instant},
};
use tessera_test_cases::MATRIX;

/// Capabilities in a tree.
const MANY: u64 = 100_000;

/// Frames of a task that holds them: 64 to a page, and what else it needs.
const QUOTA: u64 = MANY / 64 + 64;

/// The bound: instructions from a deadline to who waited for it. The switch to it
/// is part of that.
const BOUND: u128 = 10_000;

/// At least so often the work must have been interrupted, to have been measured.
const TIMES: u32 = 50;

const SMALL: usize = 16 * 1024;

/// Does `work` at a low priority while this thread, above it, wakes again and
/// again; fails if it ever wakes late.
fn measure(world: &World, name: &str, work: impl FnOnce() -> bool + Send + 'static) -> Verdict {
    let done = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&done);
    let worker = thread::spawn_with(PRIORITY - 20, SMALL, move || {
        let all_well = work();
        says.store(true, Relaxed);
        all_well
    })?;
    let (mut worst, mut times) = (Duration::ZERO, 0);
    // Each time a little later, so that all of a step is hit.
    let mut pause = Duration::from_micros(20);
    while !done.load(Relaxed) {
        let deadline = Instant::after(pause);
        time::sleep_until(deadline);
        worst = worst.max(deadline.elapsed());
        pause = Duration::from_nanos(20_000 + (pause.subsec_nanos() as u64 + 1_237) % 20_000);
        times += 1;
    }
    let worst = worst.as_nanos();
    crate::run::say(
        world,
        format_args!("{MATRIX}{name}: woken {times} times, at most {worst} instructions late"),
    );
    check!(worker.join() == Some(true));
    check!(times >= TIMES);
    if worst > BOUND {
        return Err(Failure::new(format_args!(
            "{worst} instructions from the deadline to running"
        )));
    }
    Ok(())
}

/// A task that runs nothing and holds an endpoint's capability, from which so many
/// others come: all of them directly, or each from the one before.
fn tree(deep: bool) -> Result<(TaskClient, u64), Failure> {
    let task = libipc::task().create_task(QUOTA)?;
    let endpoint = libipc::task().create_endpoint()?;
    let rights = u64::from(Rights::all().bits());
    let root = task.install(endpoint.as_ref(), rights)?;
    let mut last = root;
    for _ in 0..MANY {
        let next = task.derive(last, rights)?;
        if deep {
            last = next;
        }
    }
    check_count(&task, MANY + 1)?;
    Ok((task, root))
}

fn check_count(task: &TaskClient, count: u64) -> Verdict {
    check_eq!(task.info()?.capabilities, count);
    Ok(())
}

fn revoke(world: &World, name: &str, deep: bool) -> Verdict {
    let (task, root) = tree(deep)?;
    let revoked = task.as_ref().copy()?;
    measure(world, name, move || {
        TaskClient::from(revoked).revoke(root).is_ok()
    })?;
    check_count(&task, 1)?;
    Ok(task.kill()?)
}

pub(super) fn revoking_a_wide_tree_delays_nobody(world: &mut World) -> Verdict {
    revoke(world, "revoking a wide tree", false)
}

pub(super) fn revoking_a_deep_tree_delays_nobody(world: &mut World) -> Verdict {
    revoke(world, "revoking a deep tree", true)
}

pub(super) fn taking_a_full_task_apart_delays_nobody(world: &mut World) -> Verdict {
    let used = || Ok::<u64, Failure>(libipc::task().info()?.used);
    let before = used()?;
    let (task, _) = tree(false)?;
    measure(world, "taking a full task apart", move || {
        task.kill().is_ok()
    })?;
    crate::wait::until(|| Ok(used()? <= before + 2))
}
