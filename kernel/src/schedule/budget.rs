//! On whose time a thread runs.
//!
//! A thread without a reservation runs whenever its priority lets it. One that
//! has a reservation runs on it alone, and waits for the next period when it is
//! used up. A server runs on its client's reservation, if that has one, and so
//! does whoever it calls; when that is used up, or the client is gone, it goes
//! on with its own.
//!
//! A thread is looked at when it becomes ready, when the time that it runs on is
//! another one, and as the current one whenever the kernel is left. So each of
//! these steps is about one thread; one that is found out when it is chosen costs
//! an interrupt.

use super::ready;
use crate::{
    Entered,
    arch::{Arch, Port},
    ipc::call::DEPTH,
    object::{
        reservation::Reservation,
        thread::{State, Thread},
    },
};

/// Whether `thread` may run now, on its client's time or its own.
pub fn has_time(k: Entered<'_>, thread: &Thread) -> bool {
    let Some(first) = thread.runs_on.get(k) else {
        return true;
    };
    if first.has_time(Port::now()) {
        return true;
    }
    // The client's time is used up.
    if !thread.reservation.is(first) && !thread.passive.get() {
        let own = thread.reservation.get(k);
        thread.run_on(own);
        return own.is_none_or(|own| own.has_time(Port::now()));
    }
    false
}

/// `thread`, which is ready and in no queue, has no time left: it waits until its
/// reservation is full again.
pub fn wait(k: Entered<'_>, thread: &Thread) {
    if let Some(reservation) = thread.runs_on.get(k) {
        thread.state.set(State::Throttled);
        ready::set_alarm(k, thread, reservation.refill.get());
    }
}

/// The current thread has run for `spent` ticks.
pub fn charge(k: Entered<'_>, thread: &Thread, spent: u64) {
    let Some(reservation) = thread.runs_on.get(k) else {
        return;
    };
    reservation.spent.add(spent);
    let left = reservation.left.get();
    reservation.left.set(left.saturating_sub(spent));
    if left > 0 && spent >= left {
        reservation.overruns.add(1);
        reservation.watcher.signal(k);
    }
}

/// `client`'s call has reached `server`, which runs on the client's time from now
/// on. On another core only a passive server does, and comes here.
pub fn donate(k: Entered<'_>, client: &Thread, server: &Thread) {
    if server.passive.get() {
        ready::set_core(k, server, client.next_core.get());
    }
    let same_core = server.next_core.get() == client.next_core.get();
    let lent = client.runs_on.get(k).filter(|_| same_core);
    server.run_on(lent.or_else(|| server.reservation.get(k)));
}

/// `server` serves nobody any more, or `thread` has another reservation: it runs
/// on its own from now on, and so do those that it waits for.
pub fn settle(k: Entered<'_>, thread: &Thread) {
    let mut time = thread.reservation.get(k);
    if let Some(client) = thread.client.get(k) {
        time = client.runs_on.get(k).or(time);
    }
    run_on(k, thread, time);
    let (mut above, mut next) = (thread, thread.server.get(k));
    for _ in 0..DEPTH {
        let Some(server) = next else { break };
        let lent = above.runs_on.get(k);
        run_on(k, server, lent.or_else(|| server.reservation.get(k)));
        (above, next) = (server, server.server.get(k));
    }
}

fn run_on(k: Entered<'_>, thread: &Thread, time: Option<&Reservation>) {
    let same = match time {
        Some(time) => thread.runs_on.is(time),
        None => thread.runs_on.is_none(),
    };
    thread.run_on(time);
    if same {
        return;
    }
    match thread.state.get() {
        State::Throttled => {
            ready::clear_alarm(k, thread);
            ready::wake(k, thread);
        }
        State::Ready if thread.core(k).current.is(thread) => thread.core(k).kick(k),
        State::Ready if !has_time(k, thread) => {
            ready::unready(k, thread);
            wait(k, thread);
        }
        _ => {}
    }
}
