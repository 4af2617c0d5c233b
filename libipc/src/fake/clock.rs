//! Time: the host's, or one that passes only while everybody waits.

use super::world::{On, Wait, World};
use crate::FOREVER;
use std::{
    sync::{
        MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

pub(super) type Guard = MutexGuard<'static, World>;

/// The time of this process, if it is not the host's.
static OWN: AtomicU64 = AtomicU64::new(0);

/// Lets time of this process pass only while all its threads wait in calls of this kernel:
/// then it is at once the earliest moment that one of them waits for. So nothing comes too
/// late because the host is busy, and nobody waits for a moment to come. Whoever waits by
/// other means, or looks again and again without [`sleep`](crate::time::sleep), stops it.
pub fn own_time() {
    // It is never earlier than before, and never zero.
    let now = ticks() + 1;
    let _ = OWN.compare_exchange(0, now, SeqCst, SeqCst);
}

/// Nanoseconds since the first look.
pub(crate) fn ticks() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    match OWN.load(SeqCst) {
        0 => START.get_or_init(Instant::now).elapsed().as_nanos() as u64,
        now => now,
    }
}

/// A thread waits until it is woken. Whether the deadline has passed.
pub(super) fn wait(mut world: Guard, thread: u64, on: On, until: u64) -> (Guard, bool) {
    let now = ticks();
    if until <= now {
        return (world, true);
    }
    let Some(state) = world.threads.get_mut(&thread) else {
        return (world, true);
    };
    state.waits = Some(Wait { on, until });
    let bell = state.bell.clone();
    advance(&mut world);
    // The host cannot wait for centuries: wake up now and then.
    let span = Duration::from_nanos(until - now).min(Duration::from_secs(3600));
    while let Some(state) = world.threads.get_mut(&thread)
        && state.waits.is_some()
    {
        if OWN.load(SeqCst) == 0 {
            let waited = bell.wait_timeout(world, span);
            world = waited.unwrap_or_else(PoisonError::into_inner).0;
            break;
        }
        world = bell.wait(world).unwrap_or_else(PoisonError::into_inner);
    }
    if let Some(state) = world.threads.get_mut(&thread) {
        state.waits = None;
    }
    (world, until != FOREVER && until <= ticks())
}

/// If time is the process's own, and all wait, it is the earliest moment that one of them
/// waits for.
pub(super) fn advance(world: &mut World) {
    if OWN.load(SeqCst) == 0 {
        return;
    }
    let mut threads = world.threads.values();
    let earliest = threads.try_fold(FOREVER, |earliest, thread| {
        Some(thread.waits?.until.min(earliest))
    });
    if let Some(now) = earliest.filter(|earliest| *earliest != FOREVER) {
        OWN.store(now, SeqCst);
        world.wake_those(|_, wait| wait.until <= now);
    }
}
