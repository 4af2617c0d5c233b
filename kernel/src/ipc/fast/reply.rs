//! Answers after which the server goes on, to the request that it serves or by a reply that
//! was kept, and answers by a kept reply after which it waits.

use super::{
    Next, PLAIN, PLAIN_ANSWER, message,
    signal::{self, may_wake, wake},
};
use crate::{
    Entered,
    arch::{Arch, Heard, Port},
    capability::{derivation, object::Target, slot::Slot},
    ipc::{plain, reply::waits_for},
    object::{
        endpoint::Endpoint,
        session::Session,
        task::Task,
        thread::{Special, State, Thread},
    },
};
use libipc_abi::{
    handle::{Handle, ObjectType, Rights},
    label::{Flags, Label},
    registers::{CallIn, CallOut},
    status::Status,
};

/// An answer, to a caller that runs when its priority lets it.
#[inline(always)]
pub(super) fn reply<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    call: &CallIn,
) -> Option<Next<'k>> {
    // Look.
    let label = call.label;
    if !k.core.fast.get() || !message::answerable(label) || label.operation() > Label::SERVER_ERROR
    {
        return None;
    }
    let task = server.own_task(k);
    let (slot, client) = match call.request {
        Handle::NULL => (None, server.client.get(k)?),
        request => kept::<ALONE>(k, task, request).map(|(slot, client)| (Some(slot), client))?,
    };

    // Refuse.
    let answered = Answered::find(k, client)?;
    // Who has answered what it served goes on with its own time and priority, and may
    // have to make way.
    let effective = match slot {
        Some(_) => server.effective.bits(),
        None => server.priority.bits().max(server.press.bits()),
    };
    if slot.is_none() && !(server.reservation.is_none() && k.core.comes_first(effective)) {
        return None;
    }
    let preempts = may_wake::<ALONE, false>(k, server, effective, client)?;
    if !message::pass::<ALONE>(k, server, client, label) {
        return None;
    }

    // Hand over.
    match slot {
        Some(slot) if slot.handle() == call.request => take(task, slot, client),
        // It has gone with the answer.
        Some(_) => {}
        None => {
            client.server.set(None);
            server.client.set(None);
            server.depth.set(0);
            server.effective.set_bits(effective);
        }
    }
    answered.finish();
    let out = CallOut {
        label: label.with_flags(Flags::empty()),
        words: call.words,
        request_id: client.request_id(),
        ..plain(Status::Message)
    };
    Port::call_out(&client.context, &out);
    Some(wake::<ALONE>(k, server, client, preempts))
}

/// An answer that nothing is attached to, by a kept reply, to a caller that runs at once,
/// as its server waits again.
#[inline(always)]
pub(super) fn reply_receive<'k, const ALONE: bool>(
    k: Entered<'k>,
    server: &'k Thread,
    handle: Handle,
    label: Label,
    request: Handle,
) -> Option<Next<'k>> {
    // Look.
    if label.0 & PLAIN != PLAIN_ANSWER {
        return None;
    }
    let endpoint = signal::quiet(k, server, handle)?;
    let task = server.own_task(k);
    let (slot, client) = kept::<ALONE>(k, task, request)?;

    // Refuse.
    let answered = Answered::find(k, client)?;
    let counted = client.special_with(server).contains(Special::TIME);
    if counted || !k.core.comes_next(client) {
        return None;
    }

    // Hand over.
    k.core.spend(server, None);
    take(task, slot, client);
    answered.finish();
    signal::wait(k, server, handle, endpoint);
    let float = signal::look_at_float(server, client);
    k.core.pass_to::<ALONE>(client);
    let heard = Heard {
        label: Label(label.0 ^ PLAIN_ANSWER),
        badge: 0,
        request_id: client.first_id.get(),
    };
    Some(Next::Hears(client, heard, float))
}

/// A caller whose call is being answered, and what that ends.
struct Answered<'k> {
    client: &'k Thread,
    session: Option<&'k Session>,
    endpoint: &'k Endpoint,
}

impl<'k> Answered<'k> {
    /// `None` if more than a call ends, or it is no call.
    #[inline(always)]
    fn find(k: Entered<'k>, client: &'k Thread) -> Option<Self> {
        if client.special().intersects(Special::FAULT | Special::ALARM) {
            return None;
        }
        let session = client.session.get(k);
        let endpoint = client.endpoint.get(k)?;
        let abandoned = |session: &Session| session.room.get() & Session::ABANDONED != 0;
        let ends = session.is_some_and(abandoned);
        (!ends && endpoint.uses.get() >= 2).then_some(Answered {
            client,
            session,
            endpoint,
        })
    }

    #[inline(always)]
    fn finish(&self) {
        let client = self.client;
        if let Some(session) = self.session {
            session.room.add(1);
        }
        self.endpoint.uses.take(1);
        client.session.set(None);
        client.endpoint.set(None);
        client.state.set(State::Ready);
    }
}

/// Where a kept reply is, and whose call it answers. Tables of capabilities are other
/// cores' too.
#[inline(always)]
fn kept<'k, const ALONE: bool>(
    k: Entered<'k>,
    task: &Task,
    request: Handle,
) -> Option<(&'k Slot, &'k Thread)> {
    let allowed = request.rights().contains(Rights::ANSWER);
    if !ALONE || request.object_type() != Some(ObjectType::Reply) || !allowed {
        return None;
    }
    let slot = task.table.find(k, request)?;
    match slot.target(k)? {
        Target::Reply(client, number)
            if waits_for(client, number) && derivation::is_alone(slot) =>
        {
            Some((slot, client))
        }
        _ => None,
    }
}

/// Takes the kept reply to this call away. Not deleted: deleting would answer `Dropped`.
#[inline(always)]
fn take(task: &Task, slot: &Slot, client: &Thread) {
    task.table.take_alone(slot);
    // Not the last, as its task has one.
    client.uses.take(1);
}
