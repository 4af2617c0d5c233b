//! Calls, in both directions: here what the host asks for.
//!
//! ```text
//! park       messages on their way out, which may have to wait for their objects
//! serve      what peers say: their calls, and the ends of ours
//! ```

mod park;
mod serve;

use alloc::{collections::BTreeMap, collections::VecDeque, string::String, vec::Vec};

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};

use super::contact::error;
use super::revoke::OwedId;
use super::{Answer, Call, CallId, Event, Import, Listed, Node, Token};
use crate::Millis;
use crate::limits::LENT_BYTES;
use crate::suite::PublicKey;
use crate::table::Local;
use crate::wire::{ObjectId, ObjectRef, Outcome, Payload};

/// Recorded calls that ended without an answer, and that can be asked for again.
const ENDED: usize = 64;

/// Calls under way.
#[derive(Default)]
pub(super) struct Calls {
    next_call: u64,
    next_number: u64,
    next_token: u64,
    next_parked: u64,
    /// Where the host's calls are.
    places: BTreeMap<CallId, Place>,
    /// What was asked of peers, by the number on the wire.
    made: BTreeMap<u64, Made>,
    /// Messages that wait for objects to be handed on.
    parked: BTreeMap<u64, Parked>,
    /// Calls that the host has to answer.
    tokens: BTreeMap<Token, Running>,
    ended: VecDeque<(CallId, PublicKey, ObjectId, u64)>,
}

#[derive(Clone, Copy)]
enum Place {
    Sent(PublicKey, u64),
    Parked(u64),
}

/// A request to a peer.
struct Made {
    peer: PublicKey,
    object: ObjectId,
    class: Class,
    why: Why,
    /// What was exported for it.
    objects: Vec<ObjectRef>,
}

/// Whom its answer is for.
#[derive(Clone)]
pub(super) enum Why {
    Host(CallId),
    Browse(CallId, Vec<Listed>, Option<Millis>),
    Open(CallId),
    /// An object of a message that waits is handed on.
    Hand(Handing),
    TakeBack(OwedId),
}

/// One object of a message that waits.
#[derive(Clone, Copy)]
pub(super) struct Handing {
    pub(super) parked: u64,
    pub(super) slot: usize,
    /// Whom it is handed on to.
    pub(super) third: PublicKey,
    /// Epoch of its owner.
    pub(super) epoch: u64,
}

/// A call with the host.
#[derive(Clone, Copy)]
struct Running {
    peer: PublicKey,
    serial: u64,
    number: u64,
    local: Local,
}

/// A message that waits until its objects are handed on.
pub(super) struct Parked {
    pub(super) to: PublicKey,
    pub(super) objects: Vec<Option<ObjectRef>>,
    /// What is handed on, to be asked of its owner.
    pub(super) wanted: Vec<(usize, Import, crate::wire::Rights, Millis)>,
    missing: usize,
    what: What,
}

pub(super) enum What {
    Call(CallId, ObjectId, Call),
    Answer(u64, Outcome, Payload, Vec<Vec<u8>>),
    /// The answer to who opened a service.
    Opened(u64, String),
}

impl Calls {
    pub(super) fn new_call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    /// A message that waits.
    pub(super) fn parked(&mut self, id: u64) -> Option<&mut Parked> {
        self.parked.get_mut(&id)
    }

    /// Tokens of calls through an object.
    pub(super) fn running(&self, peer: &PublicKey, number: u64) -> Vec<Token> {
        let through = |running: &Running| running.peer == *peer && running.number == number;
        let tokens = self.tokens.iter().filter(|(_, running)| through(running));
        tokens.map(|(token, _)| *token).collect()
    }
}

impl Node {
    /// Calls an object of another device. How it ends is an [`Event::Answered`]; an
    /// error here means that it was not made.
    pub fn call(&mut self, import: Import, call: Call, now: Millis) -> Result<CallId, Cause> {
        let imported = self.imports.live(import)?;
        let (owner, object, rights) = (imported.owner, imported.object, imported.rights);
        // The owner decides; this only spares the way.
        if !rights.allows(call.operation) {
            return Err(Cause::Denied);
        }
        self.reach(&owner)?;
        if lent(&call.leases) > self.may_lend() {
            return Err(Cause::QuotaExceeded);
        }
        let id = self.calls.new_call();
        let mut call = call;
        let objects = core::mem::take(&mut call.objects);
        let made = self.send(&owner, objects, None, What::Call(id, object, call), now);
        self.pump(now);
        made.map(|()| id)
    }

    /// Bytes that another call may lend.
    pub fn may_lend(&self) -> u64 {
        let sent = self.contacts.values().map(|contact| contact.peer.lent());
        let waits = self.calls.parked.values().map(Parked::lent);
        LENT_BYTES.saturating_sub(sent.chain(waits).sum())
    }

    /// The caller of this call no longer waits: it ends as `Cancelled`.
    pub fn cancel(&mut self, id: CallId, now: Millis) {
        match self.calls.places.get(&id).copied() {
            Some(Place::Sent(peer, number)) => {
                let contact = self.contacts.get_mut(&peer);
                if let Some(delivered) = contact.and_then(|contact| contact.peer.end(number)) {
                    self.end_calls(&[(number, delivered)], Cause::Cancelled);
                }
                self.busy.insert(peer);
            }
            Some(Place::Parked(parked)) => self.fail_parked_one(parked, Cause::Cancelled),
            None => {}
        }
        self.pump(now);
    }

    /// Waits again for a recorded call that ended without an answer. The answer is that
    /// of its one run, from the record.
    pub fn again(
        &mut self,
        id: CallId,
        deadline: Option<Millis>,
        now: Millis,
    ) -> Result<(), TransportError> {
        let ended = self.calls.ended.iter().position(|(ended, ..)| *ended == id);
        let ended = ended.and_then(|index| self.calls.ended.remove(index));
        let (_, peer, object, number) = ended.ok_or(error(Cause::EpochChanged, true))?;
        let contact = self.contacts.get_mut(&peer);
        let contact = contact.ok_or(error(Cause::EpochChanged, true))?;
        let late = contact
            .peer
            .again(number, deadline)
            .map_err(|cause| error(cause, true))?;
        self.calls.places.insert(id, Place::Sent(peer, number));
        let made = Made {
            peer,
            object,
            class: Class::Recorded,
            why: Why::Host(id),
            objects: Vec::new(),
        };
        self.calls.made.insert(number, made);
        if let Some((reply, leases)) = late {
            self.answered(number, reply, leases, now);
        }
        self.busy.insert(peer);
        self.pump(now);
        Ok(())
    }

    /// Answers a call. False if its caller is gone.
    pub fn answer(&mut self, token: Token, answer: Answer, now: Millis) -> bool {
        let Some(running) = self.calls.tokens.remove(&token) else {
            return false;
        };
        let what = What::Answer(
            running.serial,
            answer.outcome,
            answer.payload,
            answer.written,
        );
        let through = Some(running.number);
        let sent = self.send(&running.peer, answer.objects, through, what, now);
        self.table.ended(&running.peer, running.number);
        if let Err(cause) = sent {
            self.fail(&running.peer, running.serial, error(cause, true));
        }
        self.settle_revocations(now);
        self.pump(now);
        sent.is_ok()
    }

    /// Calls of ours ended without an answer.
    pub(super) fn end_calls(&mut self, ended: &[(u64, bool)], cause: Cause) {
        for &(number, delivered) in ended {
            let Some(made) = self.calls.made.remove(&number) else {
                continue;
            };
            if delivered {
                self.imports.was_used(&made.peer, made.object);
            } else {
                self.take_in(&made.peer, &made.objects);
            }
            if let (Why::Host(id), Class::Recorded, true) = (&made.why, made.class, delivered) {
                if self.calls.ended.len() >= ENDED {
                    self.calls.ended.pop_front();
                }
                self.calls
                    .ended
                    .push_back((*id, made.peer, made.object, number));
            }
            self.end(made.why, error(cause, delivered));
        }
    }

    fn end(&mut self, why: Why, error: TransportError) {
        match why {
            Why::Host(id) => {
                self.calls.places.remove(&id);
                self.event(Event::Answered(id, Err(error)));
            }
            Why::Browse(id, ..) => {
                self.calls.places.remove(&id);
                self.event(Event::Browsed(id, Err(error)));
            }
            Why::Open(id) => {
                self.calls.places.remove(&id);
                self.event(Event::Opened(id, Err(error)));
            }
            Why::Hand(handing) => self.fail_parked_one(handing.parked, error.cause),
            Why::TakeBack(owed) => self.take_back_failed(owed, error),
        }
    }

    /// Remembers where a call of the host is.
    pub(super) fn place(&mut self, id: CallId, peer: PublicKey, number: u64) {
        self.calls.places.insert(id, Place::Sent(peer, number));
    }
}

impl Parked {
    /// When nobody waits for it any longer.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match &self.what {
            What::Call(_, _, call) => call.deadline,
            What::Answer(..) | What::Opened(..) => None,
        }
    }

    /// Bytes of its leases.
    fn lent(&self) -> u64 {
        match &self.what {
            What::Call(_, _, call) => lent(&call.leases),
            What::Answer(..) | What::Opened(..) => 0,
        }
    }

    /// The service of which an opener waits for the object.
    pub(super) fn service(&self) -> Option<&str> {
        self.what.service()
    }
}

impl What {
    fn call(&self) -> Option<CallId> {
        match self {
            What::Call(call, ..) => Some(*call),
            What::Answer(..) | What::Opened(..) => None,
        }
    }

    fn serial(&self) -> Option<u64> {
        match self {
            What::Call(..) => None,
            What::Answer(serial, ..) | What::Opened(serial, _) => Some(*serial),
        }
    }

    fn service(&self) -> Option<&str> {
        match self {
            What::Opened(_, service) => Some(service),
            What::Call(..) | What::Answer(..) => None,
        }
    }
}

/// Bytes of these leases.
fn lent(leases: &[super::Lent]) -> u64 {
    leases.iter().map(|lease| lease.bytes.len() as u64).sum()
}
