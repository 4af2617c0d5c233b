//! With what priority a thread runs: its own, or more while somebody waits for it.
//!
//! Who is served hands his priority down: the server runs at no less, and so does
//! whoever that calls. Who waits in line presses: the endpoint's servers run at no
//! less than the rank of the first in line, so that he is not kept waiting by who
//! runs between them. A rank is the highest priority of those who wait for the
//! thread in line, and takes no account of who presses it: so pressing goes through
//! one line and then down the chain, and a circle of lines holds nobody up.
//!
//! Each step is bounded: a chain is at most [`DEPTH`] callers long, and an endpoint
//! presses [`PRESSED`] servers.

use super::ready;
use crate::{
    Entered,
    ipc::{call::DEPTH, waits},
    object::{
        endpoint::{Endpoint, State as EndpointState},
        thread::{State, Thread},
    },
};

/// Servers of an endpoint that callers in line press.
pub const PRESSED: usize = 4;

/// The thread's own priority has changed, or its client, or who presses it: with
/// what it runs, and those that it waits for.
pub fn settle(k: Entered<'_>, thread: &Thread) {
    pass_down(k, thread);
    let mut next = thread.server.get(k);
    let mut last = None;
    for _ in 0..DEPTH {
        let Some(server) = next else { break };
        pass_down(k, server);
        next = server.server.get(k);
        last = Some(server);
    }
    let last = last.unwrap_or(thread);
    if last.state.get() == State::Sending {
        line_up(k, last);
    }
}

fn pass_down(k: Entered<'_>, thread: &Thread) {
    let client = thread.client.get(k);
    let served = client.map_or(0, |client| client.effective.get());
    let priority = thread.priority.get().max(served).max(thread.press.get());
    ready::set_effective(k, thread, priority);
}

/// The highest priority of the thread and of those who wait for it.
pub fn rank(k: Entered<'_>, thread: &Thread) -> u8 {
    let mut rank = thread.priority.get();
    let mut next = thread.client.get(k);
    for _ in 0..DEPTH {
        let Some(client) = next else { break };
        rank = rank.max(client.priority.get());
        next = client.client.get(k);
    }
    rank
}

/// Finds a thread in line its new place there, if its rank has changed.
fn line_up(k: Entered<'_>, thread: &Thread) {
    let rank = rank(k, thread);
    let Some(endpoint) = thread.endpoint.get(k) else {
        return;
    };
    if rank == thread.rank.get() {
        return;
    }
    endpoint.senders.remove(k, thread);
    endpoint.senders.push(k, thread, rank);
    press(k, endpoint);
    // A look that has been where it is now has not seen it.
    waits::look_at(k, endpoint, thread);
}

/// The line at the endpoint, or whether it moves on, has changed: who is first may
/// press its servers more than before, or less.
pub fn press(k: Entered<'_>, endpoint: &Endpoint) {
    let rank = pressing(k, endpoint);
    for server in &endpoint.pressed {
        if let Some(server) = server.get(k)
            && server.press.get() != rank
        {
            server.press.set(rank);
            settle(k, server);
        }
    }
}

/// How much the line at the endpoint presses its servers.
pub fn pressing(k: Entered<'_>, endpoint: &Endpoint) -> u8 {
    match (endpoint.state.get(), endpoint.senders.first(k)) {
        (EndpointState::Open, Some(first)) => first.rank.get(),
        _ => 0,
    }
}

/// `thread` is a server of this endpoint now, and of no other any more.
pub fn serve(k: Entered<'_>, thread: &Thread, old: Option<&Endpoint>, new: Option<&Endpoint>) {
    let place = |endpoint: Option<&Endpoint>, free: bool| {
        let mut places = endpoint?.pressed.iter();
        places.position(|place| {
            if free {
                place.is_none()
            } else {
                place.is(thread)
            }
        })
    };
    let mut rank = 0;
    if let (Some(old), Some(place)) = (old, place(old, false)) {
        old.pressed[place].set(None);
    }
    if let (Some(new), Some(place)) = (new, place(new, true)) {
        new.pressed[place].set(Some(thread));
        rank = pressing(k, new);
    }
    if thread.press.replace(rank) != rank {
        settle(k, thread);
    }
}
