//! Calls and answers. Both halves have the same shape: look, refuse, account, hand
//! over.

use super::{Next, PLAIN_ANSWER};
use crate::{
    Entered,
    arch::{Arch, Heard, Port},
    capability::slot::May,
    ipc::{
        call::{DEPTH, well_formed},
        deliver, lease, plain, transfer,
    },
    object::{
        endpoint::Endpoint,
        reservation::Reservation,
        session::Session,
        thread::{State, Thread},
    },
};
use core::hint;
use libipc_abi::{
    handle::Handle,
    label::{Flags, Label},
    objects::FaultKind,
    registers::CallOut,
    status::Status,
};

/// A call, to a server that waits for it. If `ATTACHED`, something may be attached to
/// it that does not fit in registers.
#[inline(always)]
pub(super) fn call<'k, const ATTACHED: bool>(
    k: Entered<'k>,
    caller: &'k Thread,
    handle: Handle,
    label: Label,
) -> Option<Next<'k>> {
    // Look.
    let slot = caller.task.get(k)?.table.named(k, handle)?;
    let (endpoint, _) = slot.endpoint(k, May::Call)?;

    // Refuse.
    let way = Way::find(k, caller, endpoint)?;
    let session = slot.session(k);
    let badge = match session {
        Some(session) => {
            let in_flight = session.in_flight.get();
            if in_flight >= session.limit.get() || !way.may_begin::<ATTACHED>(k, label) {
                return None;
            }
            session.in_flight.set(in_flight + 1);
            session.calls.add(1);
            if ATTACHED {
                session.bytes.add(label.bytes() as u64);
            }
            session.badge.get()
        }
        None if way.may_begin::<ATTACHED>(k, label) => 0,
        None => return None,
    };

    // Hand over.
    let id = caller.id_of(caller.remember(label.0));
    caller.first_id.set(id);
    caller.via.set(handle.0);
    way.hand_over(k, endpoint, session, label);
    k.core.pass_to(way.receiver);
    let heard = Heard {
        label,
        badge,
        request_id: id,
    };
    Some(Next::Hears(way.receiver, heard))
}

/// A fault of the current thread, told to a handler that waits for it. `false`, and
/// nothing done, if this is not that simple.
pub fn fault<'k>(
    k: Entered<'k>,
    thread: &'k Thread,
    endpoint: &'k Endpoint,
    session: Option<&'k Session>,
) -> bool {
    let full = |session: &Session| session.in_flight.get() >= session.limit.get();
    let label = deliver::fault_label();
    let Some(way) = Way::find(k, thread, endpoint) else {
        return false;
    };
    if session.is_some_and(full) || !way.may_begin::<false>(k, label) {
        return false;
    }
    if let Some(session) = session {
        session.in_flight.add(1);
        session.calls.add(1);
    }
    let request_id = thread.id_of(thread.remember(label.0));
    way.hand_over(k, endpoint, session, label);
    let out = CallOut {
        label,
        words: deliver::fault_words(k, thread),
        badge: session.map_or(0, |session| session.badge.get()),
        request_id,
        ..plain(Status::Message)
    };
    Port::call_out(&way.receiver.context, &out);
    Port::fp_save(&thread.context);
    k.core.switch_to(way.receiver);
    true
}

/// From the current thread, which calls, to a receiver that runs at once.
struct Way<'k> {
    caller: &'k Thread,
    receiver: &'k Thread,
    depth: u64,
    budget: Option<&'k Reservation>,
}

impl<'k> Way<'k> {
    #[inline(always)]
    fn find(k: Entered<'k>, caller: &'k Thread, endpoint: &'k Endpoint) -> Option<Self> {
        if !endpoint.home.is(k.core) {
            return None;
        }
        let receiver = endpoint.receivers.first(k)?;
        if receiver.alarm.is_set() {
            return None;
        }
        let mut depth = 0;
        if let Some(client) = caller.client.get(k) {
            depth = caller.depth.get();
            if depth >= DEPTH || client.alarm.is_set() {
                return None;
            }
        }
        let budget = caller.runs_on.get(k);
        if budget.is_none() && !receiver.reservation.is_none() {
            return None;
        }
        Some(Way {
            caller,
            receiver,
            depth,
            budget,
        })
    }

    /// Accounts the caller's time, and passes what is attached, as the last thing that
    /// may be refused.
    #[inline(always)]
    fn may_begin<const ATTACHED: bool>(&self, k: Entered<'_>, label: Label) -> bool {
        k.core.spend(self.caller, self.budget)
            && (!ATTACHED || attach(k, self.caller, self.receiver, label))
    }

    /// The endpoint loses a receiver and gets a caller, so its uses stay the same.
    #[inline(always)]
    fn hand_over(
        &self,
        k: Entered<'_>,
        endpoint: &Endpoint,
        session: Option<&Session>,
        label: Label,
    ) {
        let (caller, receiver) = (self.caller, self.receiver);
        caller.label.set(label.0);
        caller.endpoint.set(Some(endpoint));
        caller.session.set(session);
        caller.state.set(State::Waiting);
        caller.server.set(Some(receiver));

        endpoint.receivers.pop_first(k, receiver);
        receiver.endpoint.set(None);
        receiver.client.set(Some(caller));
        receiver.depth.set(self.depth + 1);
        receiver.received.add(1);
        receiver.runs_on.set(self.budget);
        let priority = receiver.priority.bits().max(caller.effective.bits());
        receiver.effective.set_bits(priority);
        receiver.state.set(State::Ready);
    }
}

/// Lends, passes and copies what is attached to a call. `false`, and nothing done, if
/// any of it is refused.
#[inline(always)]
fn attach(k: Entered<'_>, caller: &Thread, receiver: &Thread, label: Label) -> bool {
    let leases = label.leases();
    if !well_formed(label) || leases > 0 && lease::lend(k, caller, leases).is_err() {
        return false;
    }
    let passed = pass(k, caller, receiver, label);
    if passed && leases > 0 {
        lease::describe(k, caller, receiver, leases);
    }
    passed
}

/// Passes capabilities and bytes. Tables of capabilities are other cores' too.
#[inline(always)]
pub(super) fn pass(k: Entered<'_>, sender: &Thread, receiver: &Thread, label: Label) -> bool {
    let count = label.capabilities();
    let passed =
        count == 0 || k.is_alone() && transfer::capabilities(k, sender, receiver, count).is_ok();
    if passed {
        deliver::copy_bytes(sender, receiver, label.bytes());
    }
    passed
}

/// An answer, to a caller that runs at once, as its server waits again. If `ATTACHED`,
/// something may be attached to it.
#[inline(always)]
pub(super) fn reply_receive<'k, const ATTACHED: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    handle: Handle,
    label: Label,
    request: Handle,
) -> Option<Next<'k>> {
    // Look.
    if request != Handle::NULL || label.operation() > Label::SERVER_ERROR {
        return None;
    }
    let slot = server.task.get(k)?.table.named(k, handle)?;
    let (endpoint, epoch) = slot.endpoint(k, May::Receive)?;
    let client = server.client.get(k)?;

    // Refuse.
    if !endpoint.quiet.is(k.core) || !server.serves.is(endpoint) {
        return None;
    }
    if epoch != endpoint.epoch.get() {
        return None;
    }
    debug_assert!(client.endpoint.is(endpoint), "it is what its server serves");
    if !client.is_at(k.core) || client.alarm.is_set() {
        return None;
    }
    let back = Back {
        server,
        client,
        session: client.session.get(k),
        endpoint,
        handle,
    };
    if client.has_fault() {
        hint::cold_path();
        return back.resume(k, label);
    }
    if !back.may_begin(k) {
        return None;
    }
    if ATTACHED && !(answerable(label) && pass(k, server, client, label)) {
        return None;
    }

    // Hand over.
    back.hand_over(k);
    let heard = Heard {
        label: match ATTACHED {
            true => label.with_flags(Flags::empty()),
            false => Label(label.0 ^ PLAIN_ANSWER),
        },
        badge: 0,
        request_id: client.first_id.get(),
    };
    Some(Next::Hears(client, heard))
}

/// From a server, which answers and waits again by this handle, back to its client,
/// which runs at once.
struct Back<'k> {
    server: &'k Thread,
    client: &'k Thread,
    session: Option<&'k Session>,
    endpoint: &'k Endpoint,
    handle: Handle,
}

impl<'k> Back<'k> {
    /// Accounts the server's time.
    #[inline(always)]
    fn may_begin(&self, k: Entered<'_>) -> bool {
        let (server, client) = (self.server, self.client);
        let budget = client.runs_on.get(k);
        let same_budget = match budget {
            Some(budget) => server.runs_on.is(budget),
            None => server.runs_on.is_none(),
        };
        if !same_budget || !k.core.comes_next(client) || !k.core.spend(server, budget) {
            return false;
        }
        self.session.is_none_or(|session| session.copies.get() != 0)
    }

    /// The endpoint loses a caller and gets a receiver.
    #[inline(always)]
    fn hand_over(&self, k: Entered<'_>) {
        let (server, client) = (self.server, self.client);
        if let Some(session) = self.session {
            session.in_flight.take(1);
        }
        client.session.set(None);
        client.endpoint.set(None);
        client.server.set(None);
        client.label.set(0);
        client.state.set(State::Ready);

        server.client.set(None);
        server.depth.set(0);
        server.effective.set_bits(server.priority.bits());
        server.runs_on.copy(&server.reservation);
        server.via.set(self.handle.0);
        server.endpoint.set(Some(self.endpoint));
        server.state.set(State::Receiving);
        self.endpoint.receivers.push(k, server);

        k.core.pass_to(client);
    }

    /// The client goes on after its fault, if it may. What is attached to the answer
    /// gets nowhere.
    #[inline(always)]
    fn resume(&self, k: Entered<'_>, label: Label) -> Option<Next<'k>> {
        let client = self.client;
        let ended = matches!(
            client.pending_fault(),
            Some(FaultKind::Exit | FaultKind::Panic)
        );
        let goes_on = label.operation() == Label::OK && !ended && !client.suspended.get();
        if !goes_on || !answerable(label) || !self.may_begin(k) {
            return None;
        }
        self.hand_over(k);
        client.fault.kind.set(0);
        Some(Next::GoesOn(client))
    }
}

/// Whether this may be attached to an answer.
#[inline(always)]
pub(super) fn answerable(label: Label) -> bool {
    well_formed(label) && label.leases() == 0
}
