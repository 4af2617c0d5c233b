//! What an endpoint does about those who wait there, step by step: brings callers
//! and receivers together, and ends waits through capabilities that are gone.

use super::{end, receive};
use crate::{
    Entered,
    memory::space::Progress,
    object::{
        endpoint::{Endpoint, State},
        thread::Thread,
    },
};
use libipc_abi::{handle::Handle, status::Cause};

/// Sees to it that nobody waits at the endpoint who need not: soon, when the kernel
/// is left.
pub fn settle_later(k: Entered<'_>, endpoint: &Endpoint) {
    if !endpoint.unsettled.get() {
        endpoint.set_unsettled(k, true);
        endpoint.uses.add(1);
        k.kernel.unsettled.push(k, endpoint);
        k.kernel.put_off(k);
    }
}

/// Does what [`settle_later`] put off, until something else waits.
pub fn settle(k: Entered<'_>, endpoint: &Endpoint) -> Progress {
    let met = match endpoint.state.get() {
        State::Closed => end::disperse(k, endpoint),
        State::Open | State::Paused => deliver(k, endpoint),
    };
    if met == Progress::Again || look(k, endpoint) == Progress::Again {
        return Progress::Again;
    }
    endpoint.set_unsettled(k, false);
    k.kernel.unsettled.remove(k, endpoint);
    endpoint.release(k);
    Progress::Done
}

/// Delivers messages that wait to receivers that wait.
fn deliver(k: Entered<'_>, endpoint: &Endpoint) -> Progress {
    while let Some(receiver) = endpoint.receivers.first(k) {
        match receive::take_message(k, endpoint, receiver) {
            None => return Progress::Again,
            Some(false) => break,
            Some(true) if k.wanted() => return Progress::Again,
            Some(true) => {}
        }
    }
    Progress::Done
}

/// Ends the wait of whoever waits at the endpoint through a capability that is
/// gone. All looks of one endpoint are one: `look` is 0 at first, and then the
/// number of the one that begins after the call and must have ended.
pub fn revoke(k: Entered<'_>, endpoint: &Endpoint, look: &mut u64) -> Progress {
    let next = endpoint.looks_begun.get() + 1;
    if *look == 0 || *look > next {
        *look = next;
    }
    while endpoint.looks_ended.get() < *look {
        endpoint.begin_look(k);
        // Who asked for it may end before it does.
        settle_later(k, endpoint);
        if self::look(k, endpoint) == Progress::Again {
            return Progress::Again;
        }
    }
    Progress::Done
}

/// Goes on with the look that is going on, if there is one.
fn look(k: Entered<'_>, endpoint: &Endpoint) -> Progress {
    while endpoint.is_looked_at()
        && let Some(thread) = endpoint.look(k)
    {
        look_at(k, endpoint, thread);
        if k.wanted() {
            return Progress::Again;
        }
    }
    Progress::Done
}

/// Ends the thread's wait at the endpoint if a look is going on there and what it
/// waits through is gone.
pub fn look_at(k: Entered<'_>, endpoint: &Endpoint, thread: &Thread) {
    if endpoint.is_looked_at() && !may_wait(k, thread, endpoint) {
        end::interrupt(k, thread, Cause::Revoked);
    }
}

/// Whether what the thread waits through is still there.
fn may_wait(k: Entered<'_>, thread: &Thread, endpoint: &Endpoint) -> bool {
    let Some(task) = thread.task.get(k) else {
        return true;
    };
    match thread.pending_fault() {
        Some(_) => task.fault_handler.leads_to(endpoint),
        None => task.table.find_any(k, Handle(thread.via.get())).is_some(),
    }
}
