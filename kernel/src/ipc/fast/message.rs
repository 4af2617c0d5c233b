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
        session::Session,
        thread::{Special, State, Thread},
    },
};
use core::hint;
use libipc_abi::{
    buffer, handle::Handle, label::Label, objects::FaultKind, registers::CallOut, status::Status,
};

/// What may be attached to a message: nothing, so that it fits in registers.
pub(super) const NOTHING: u8 = 0;
/// Some bytes, and nothing else.
pub(super) const BYTES: u8 = 1;
/// Anything.
pub(super) const ANYTHING: u8 = 2;

/// A call, to a server that waits for it, with what may be attached to it.
#[inline(always)]
pub(super) fn call<'k, const ALONE: bool, const ATTACHED: u8>(
    k: Entered<'k>,
    caller: &'k Thread,
    handle: Handle,
    label: Label,
) -> Option<Next<'k>> {
    // Look.
    let slot = caller.own_task(k).table.named(k, handle)?;
    let (endpoint, _) = slot.endpoint(k, May::Call)?;
    let way = Way::find(k, caller, endpoint, slot.session(k))?;
    if way.special().is_empty() {
        return way.call::<ALONE, true, ATTACHED>(k, handle, label);
    }
    hint::cold_path();
    way.call::<ALONE, false, ATTACHED>(k, handle, label)
}

/// A fault of the current thread, told to a handler that waits for it. `false`, and
/// nothing done, if this is not that simple.
pub fn fault<'k>(
    k: Entered<'k>,
    thread: &'k Thread,
    endpoint: &'k Endpoint,
    session: Option<&'k Session>,
) -> bool {
    let label = deliver::fault_label();
    let Some(way) = Way::find(k, thread, endpoint, session) else {
        return false;
    };
    let Some(badge) = way.may_begin::<false, false, NOTHING>(k, label) else {
        return false;
    };
    let request_id = thread.id_of(thread.remember(label.0));
    way.hand_over::<false>(k);
    let out = CallOut {
        label,
        words: deliver::fault_words(k, thread),
        badge,
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
    endpoint: &'k Endpoint,
    session: Option<&'k Session>,
}

impl<'k> Way<'k> {
    #[inline(always)]
    fn find(
        k: Entered<'k>,
        caller: &'k Thread,
        endpoint: &'k Endpoint,
        session: Option<&'k Session>,
    ) -> Option<Self> {
        if !endpoint.home.is(k.core) {
            return None;
        }
        Some(Way {
            caller,
            receiver: endpoint.receivers.first(k)?,
            endpoint,
            session,
        })
    }

    /// What is out of the ordinary.
    #[inline(always)]
    fn special(&self) -> Special {
        self.caller.special_with(self.receiver)
    }

    /// The call. `ORDINARY` if nothing is special.
    #[inline(always)]
    fn call<const ALONE: bool, const ORDINARY: bool, const ATTACHED: u8>(
        &self,
        k: Entered<'k>,
        handle: Handle,
        label: Label,
    ) -> Option<Next<'k>> {
        let (caller, receiver) = (self.caller, self.receiver);
        let badge = self.may_begin::<ALONE, ORDINARY, ATTACHED>(k, label)?;
        let id = caller.id_of(caller.remember(label.0));
        caller.first_id.set(id);
        caller.via.set(handle.0);
        self.hand_over::<ORDINARY>(k);
        k.core.pass_to::<ALONE>(receiver);
        if ATTACHED == BYTES {
            deliver::copy_some_bytes(caller, receiver, label.bytes());
        }
        let heard = Heard {
            label,
            badge,
            request_id: id,
        };
        Some(Next::Hears(receiver, heard, !ORDINARY))
    }

    /// Looks at all that may speak against it, accounts the caller's time, counts the
    /// call, and passes what is attached, as the last thing that may be refused. Returns
    /// what the server sees of the session.
    #[inline(always)]
    fn may_begin<const ALONE: bool, const ORDINARY: bool, const ATTACHED: u8>(
        &self,
        k: Entered<'_>,
        label: Label,
    ) -> Option<u64> {
        let (caller, receiver) = (self.caller, self.receiver);
        let depth = caller.depth.get();
        if depth != 0 {
            let hurries = |client: &Thread| client.alarm.is_set();
            if depth >= DEPTH || caller.client.get(k).is_some_and(hurries) {
                return None;
            }
        }
        let mut budget = None;
        if !ORDINARY {
            budget = caller.runs_on.get(k);
            if receiver.alarm.is_set() || budget.is_none() && !receiver.reservation.is_none() {
                return None;
            }
        }
        let room = self.session.map_or(1, |session| session.room.get());
        if room == 0
            || ATTACHED == BYTES && label.bytes() > buffer::BYTES
            || !k.core.spend(caller, budget)
            || ATTACHED == ANYTHING && !attach::<ALONE>(k, caller, receiver, label)
        {
            return None;
        }
        let Some(session) = self.session else {
            return Some(0);
        };
        session.room.set(room - 1);
        session.calls.add(1);
        if ATTACHED != NOTHING {
            session.bytes.add(label.bytes() as u64);
        }
        Some(session.badge.get())
    }

    /// The endpoint loses a receiver and gets a caller, so its uses stay the same.
    #[inline(always)]
    fn hand_over<const ORDINARY: bool>(&self, k: Entered<'_>) {
        let (caller, receiver, endpoint) = (self.caller, self.receiver, self.endpoint);
        caller.endpoint.set(Some(endpoint));
        caller.session.set(self.session);
        caller.state.set(State::Waiting);
        caller.server.set(Some(receiver));

        endpoint.receivers.pop_first(k, receiver);
        receiver.endpoint.set(None);
        receiver.client.set(Some(caller));
        receiver.depth.set(caller.depth.get() + 1);
        receiver.received.add(1);
        if !ORDINARY {
            if self.special().contains(Special::TIME) {
                receiver.run_on(caller.runs_on.get(k));
            }
            caller.look_at_float();
        }
        let priority = receiver.priority.bits().max(caller.effective.bits());
        receiver.effective.set_bits(priority);
        receiver.state.set(State::Ready);
    }
}

/// Lends, passes and copies what is attached to a call. `false`, and nothing done, if
/// any of it is refused.
#[inline(always)]
fn attach<const ALONE: bool>(
    k: Entered<'_>,
    caller: &Thread,
    receiver: &Thread,
    label: Label,
) -> bool {
    let leases = label.leases();
    if !well_formed(label) || leases > 0 && lease::lend(k, caller, leases).is_err() {
        return false;
    }
    let passed = pass::<ALONE>(k, caller, receiver, label);
    if passed && leases > 0 {
        lease::describe(k, caller, receiver, leases);
    }
    passed
}

/// Passes capabilities and bytes. Tables of capabilities are other cores' too.
#[inline(always)]
pub(super) fn pass<const ALONE: bool>(
    k: Entered<'_>,
    sender: &Thread,
    receiver: &Thread,
    label: Label,
) -> bool {
    let count = label.capabilities();
    let passed = count == 0 || ALONE && transfer::capabilities(k, sender, receiver, count).is_ok();
    if passed {
        deliver::copy_bytes(sender, receiver, label.bytes());
    }
    passed
}

/// An answer, to a caller that runs at once, as its server waits again, with what may be
/// attached to it.
#[inline(always)]
pub(super) fn reply_receive<'k, const ALONE: bool, const ATTACHED: u8>(
    k: Entered<'k>,
    server: &'k Thread,
    handle: Handle,
    label: Label,
) -> Option<Next<'k>> {
    // Look.
    let slot = server.own_task(k).table.named(k, handle)?;
    let (endpoint, epoch) = slot.endpoint(k, May::Receive)?;
    if ATTACHED == BYTES && label.bytes() > buffer::BYTES {
        return None;
    }
    let client = server.client.get(k)?;
    if !endpoint.quiet.is(k.core) || !server.serves.is(endpoint) {
        return None;
    }
    if epoch != endpoint.epoch.get() || !(ALONE || client.is_at(k.core)) {
        return None;
    }
    debug_assert!(client.endpoint.is(endpoint), "it is what its server serves");
    let back = Back {
        server,
        client,
        session: client.session.get(k),
        endpoint,
        handle,
    };
    if back.special().is_empty() {
        return back.answer::<ALONE, true, ATTACHED>(k, label);
    }
    hint::cold_path();
    match client.has_fault() {
        true => back.resume::<ALONE>(k, label),
        false => back.answer::<ALONE, false, ATTACHED>(k, label),
    }
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
    /// What is out of the ordinary.
    #[inline(always)]
    fn special(&self) -> Special {
        self.client.special_with(self.server)
    }

    /// The answer. `ORDINARY` if nothing is special.
    #[inline(always)]
    fn answer<const ALONE: bool, const ORDINARY: bool, const ATTACHED: u8>(
        &self,
        k: Entered<'k>,
        label: Label,
    ) -> Option<Next<'k>> {
        let (server, client) = (self.server, self.client);
        let room = self.may_begin::<ORDINARY>(k)?;
        if ATTACHED == ANYTHING && !(answerable(label) && pass::<ALONE>(k, server, client, label)) {
            return None;
        }
        self.hand_over::<ALONE, ORDINARY>(k, room);
        if ATTACHED == BYTES {
            deliver::copy_some_bytes(server, client, label.bytes());
        }
        let heard = Heard {
            // Its flags are these, which it has no more then.
            label: Label(label.0 ^ PLAIN_ANSWER),
            badge: 0,
            request_id: client.first_id.get(),
        };
        Some(Next::Hears(client, heard, !ORDINARY))
    }

    /// Looks at all that may speak against it, and accounts the server's time. Returns
    /// the session's room.
    #[inline(always)]
    fn may_begin<const ORDINARY: bool>(&self, k: Entered<'_>) -> Option<u64> {
        let (server, client) = (self.server, self.client);
        let mut budget = None;
        if !ORDINARY {
            budget = client.runs_on.get(k);
            let same_budget = match budget {
                Some(budget) => server.runs_on.is(budget),
                None => server.runs_on.is_none(),
            };
            if client.alarm.is_set() || !same_budget {
                return None;
            }
        }
        let room = self.session.map_or(0, |session| session.room.get());
        let goes = room & Session::ABANDONED == 0
            && k.core.comes_next(client)
            && k.core.spend(server, budget);
        goes.then_some(room)
    }

    /// The endpoint loses a caller and gets a receiver.
    #[inline(always)]
    fn hand_over<const ALONE: bool, const ORDINARY: bool>(&self, k: Entered<'_>, room: u64) {
        let (server, client) = (self.server, self.client);
        if let Some(session) = self.session {
            session.room.set(room + 1);
        }
        client.session.set(None);
        client.endpoint.set(None);
        client.server.set(None);
        client.state.set(State::Ready);

        server.client.set(None);
        server.depth.set(0);
        server.effective.set_bits(server.priority.bits());
        if !ORDINARY {
            if self.special().contains(Special::TIME) {
                server.run_on(server.reservation.get(k));
            }
            server.look_at_float();
        }
        server.via.set(self.handle.0);
        server.endpoint.set(Some(self.endpoint));
        server.state.set(State::Receiving);
        self.endpoint.receivers.push(k, server);

        k.core.pass_to::<ALONE>(client);
    }

    /// The client goes on after its fault, if it may. What is attached to the answer
    /// gets nowhere.
    #[inline(always)]
    fn resume<const ALONE: bool>(&self, k: Entered<'_>, label: Label) -> Option<Next<'k>> {
        let client = self.client;
        let ended = matches!(
            client.pending_fault(),
            Some(FaultKind::Exit | FaultKind::Panic)
        );
        let goes_on = label.operation() == Label::OK && !ended && !client.suspended.get();
        if !goes_on || !answerable(label) {
            return None;
        }
        let room = self.may_begin::<false>(k)?;
        self.hand_over::<ALONE, false>(k, room);
        client.set_fault(None);
        Some(Next::GoesOn(client, true))
    }
}

/// Whether this may be attached to an answer.
#[inline(always)]
pub(super) fn answerable(label: Label) -> bool {
    well_formed(label) && label.leases() == 0
}
