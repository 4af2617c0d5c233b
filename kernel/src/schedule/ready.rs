//! What happens to a thread at the core that it belongs to, whichever core asks.
//!
//! A core that is to look again, since what should run there has changed, is
//! interrupted ([`Core::kick`]); it reads what was written when it enters the
//! kernel.

use super::{
    budget,
    core::{Core, slice},
};
use crate::{
    Entered,
    arch::{Arch, Port},
    memory::space::Progress,
    object::thread::{State, Thread},
};
use libipc_abi::FOREVER;

fn is_own(k: Entered<'_>, core: &Core) -> bool {
    core::ptr::eq(core, k.core)
}

/// Makes a thread ready that was not.
pub fn wake(k: Entered<'_>, thread: &Thread) {
    if let Some(core) = begin(k, thread) {
        core.queue.push(k, thread);
        core.tell(k, thread);
    }
}

/// As `wake`, before others of its priority and with what is left of the calling
/// thread's slice: the thread that a message goes to whose sender waits now.
pub fn hand_over(k: Entered<'_>, thread: &Thread) {
    if let Some(core) = begin(k, thread) {
        core.queue.push_front(k, thread);
        if is_own(k, core) {
            core.bequeath(thread);
        }
        core.tell(k, thread);
    }
}

/// The core in whose queue a thread belongs that is ready now.
fn begin<'k>(k: Entered<'k>, thread: &Thread) -> Option<&'k Core> {
    if thread.suspended.get() {
        thread.state.set(State::Stopped);
        return None;
    }
    thread.state.set(State::Ready);
    let core = thread.core(k);
    if core.current.is(thread) {
        // Its core looks whether it has time when it leaves the kernel next.
        return None;
    }
    if !budget::has_time(k, thread) {
        budget::wait(k, thread);
        return None;
    }
    Some(core)
}

/// Takes a ready thread out of the run queue.
pub fn unready(k: Entered<'_>, thread: &Thread) {
    let core = thread.core(k);
    if thread.state.get() == State::Ready && !core.current.is(thread) {
        core.queue.remove(k, thread);
    }
}

/// Changes the priority that a thread runs with.
pub fn set_effective(k: Entered<'_>, thread: &Thread, priority: u8) {
    let old = thread.effective.get();
    if old == priority {
        return;
    }
    let core = thread.core(k);
    if thread.state.get() != State::Ready {
        thread.effective.set(priority);
    } else if !core.current.is(thread) {
        core.queue.remove(k, thread);
        thread.effective.set(priority);
        core.queue.push(k, thread);
        core.tell(k, thread);
    } else {
        thread.effective.set(priority);
        // Somebody else may come first now.
        core.kick(k);
    }
}

/// Notes when the thread's wait ends; `FOREVER` sets no alarm.
pub fn set_alarm(k: Entered<'_>, thread: &Thread, deadline: u64) {
    let core = thread.core(k);
    core.alarms.set(k, thread, deadline);
    match is_own(k, core) {
        true => core.heed_alarm(deadline),
        false if deadline != FOREVER => core.look_at_alarms(k),
        false => {}
    }
}

/// Forgets the thread's alarm, if it has one.
pub fn clear_alarm(k: Entered<'_>, thread: &Thread) {
    thread.core(k).alarms.clear(k, thread);
}

/// The thread is being ended: it is nobody's current one any more.
pub fn forget(k: Entered<'_>, thread: &Thread) {
    if k.core.current.is(thread) {
        // Whoever comes next finds the registers empty.
        Port::fp_drop(&thread.context);
        k.core.current.set(None);
    }
    debug_assert!(!runs_elsewhere(k, thread), "it was stopped first");
}

/// Whether another core runs the thread in user mode.
pub fn runs_elsewhere(k: Entered<'_>, thread: &Thread) -> bool {
    let core = thread.core(k);
    !is_own(k, core) && core.current.is(thread)
}

/// Sees to it that no other core runs the thread, so that it can be ended and
/// its registers be read: `Again` until its core has entered the kernel. Until
/// then and for a moment longer it is held; it goes on by itself after a slice,
/// in case that who asked for it never comes back.
pub fn stop(k: Entered<'_>, thread: &Thread) -> Progress {
    if !runs_elsewhere(k, thread) {
        return Progress::Done;
    }
    if thread.state.get() == State::Ready {
        thread.held.set(true);
        thread.state.set(State::Stopped);
        set_alarm(k, thread, Port::now().saturating_add(slice()));
    }
    thread.core(k).kick(k);
    Progress::Again
}

/// Lets a thread go on that was held by `stop`.
pub fn go_on(k: Entered<'_>, thread: &Thread) {
    if thread.held.replace(false) {
        clear_alarm(k, thread);
        if thread.state.get() == State::Stopped {
            wake(k, thread);
        }
    }
}

/// Moves the thread to another core: now, or if a core runs it when that leaves
/// the kernel next.
pub fn set_core(k: Entered<'_>, thread: &Thread, number: usize) {
    thread.next_core.set(number);
    let core = thread.core(k);
    if core.current.is(thread) {
        core.kick(k);
    } else if core.number != number {
        unready(k, thread);
        migrate(k, thread);
    }
}

/// Gives a thread that no core runs, and that is in no run queue, to its next
/// core.
pub(super) fn migrate(k: Entered<'_>, thread: &Thread) {
    let alarm = thread.core(k).alarms.clear(k, thread);
    if thread.state.get() == State::Receiving
        && let Some(endpoint) = thread.endpoint.get(k)
    {
        endpoint.scatter();
    }
    if let Some(core) = k.kernel.cores().get(thread.next_core.get()) {
        thread.set_home(core);
    }
    if let Some(deadline) = alarm {
        set_alarm(k, thread, deadline);
    }
    if thread.state.get() == State::Ready {
        let core = thread.core(k);
        core.queue.push(k, thread);
        core.tell(k, thread);
    }
}
