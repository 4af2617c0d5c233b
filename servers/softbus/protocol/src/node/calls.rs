//! Calls, in both directions.

use alloc::{collections::BTreeMap, collections::VecDeque, string::String, vec::Vec};

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};

use super::contact::error;
use super::objects::Travels;
use super::revoke::OwedId;
use super::{
    Answer, Answered, Call, CallId, Event, Import, Incoming, Lent, Listed, Node, Object, Token,
};
use crate::Millis;
use crate::peer::{Heard, Request};
use crate::suite::PublicKey;
use crate::table::Local;
use crate::wire::{Body, ObjectId, ObjectRef, Outcome, Payload, Reply};

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
    Browse(CallId, Vec<Listed>),
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
        let id = self.calls.new_call();
        let mut call = call;
        let objects = core::mem::take(&mut call.objects);
        let made = self.send(&owner, objects, What::Call(id, object, call), now);
        self.pump(now);
        made.map(|()| id)
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
        self.table.ended(&running.peer, running.number);
        let what = What::Answer(
            running.serial,
            answer.outcome,
            answer.payload,
            answer.written,
        );
        let sent = self.send(&running.peer, answer.objects, what, now);
        if let Err(cause) = sent {
            self.fail(&running.peer, running.serial, error(cause, true));
        }
        self.settle_revocations(now);
        self.pump(now);
        sent.is_ok()
    }

    /// Sends a message with its objects, or parks it until they are handed on.
    pub(super) fn send(
        &mut self,
        to: &PublicKey,
        objects: Vec<Object>,
        what: What,
        now: Millis,
    ) -> Result<(), Cause> {
        if objects.len() > crate::limits::OBJECTS {
            return Err(Cause::QuotaExceeded);
        }
        let mut refs = Vec::new();
        let mut wanted = Vec::new();
        for (index, object) in objects.into_iter().enumerate() {
            match self.travels(to, object) {
                Ok(Travels::As(object)) => refs.push(Some(object)),
                Ok(Travels::HandedOn(import, rights, bound)) => {
                    wanted.push((index, import, rights, bound));
                    refs.push(None);
                }
                Err(cause) => {
                    let sent: Vec<_> = refs.into_iter().flatten().collect();
                    self.take_in(to, &sent);
                    return Err(cause);
                }
            }
        }
        let parked = Parked {
            to: *to,
            missing: wanted.len(),
            objects: refs,
            wanted,
            what,
        };
        if parked.missing == 0 {
            return self.unpark(parked, now);
        }
        self.calls.next_parked += 1;
        let id = self.calls.next_parked;
        if let What::Call(call, ..) = &parked.what {
            self.calls.places.insert(*call, Place::Parked(id));
        }
        let count = parked.wanted.len();
        self.calls.parked.insert(id, parked);
        for slot in 0..count {
            self.hand_on(id, slot, now);
        }
        Ok(())
    }

    /// One of the objects that a message waits for is ready.
    pub(super) fn fill_parked(&mut self, id: u64, slot: usize, object: ObjectRef, now: Millis) {
        let Some(parked) = self.calls.parked.get_mut(&id) else {
            return;
        };
        let Some((index, ..)) = parked.wanted.get(slot) else {
            return;
        };
        parked.objects[*index] = Some(object);
        parked.missing -= 1;
        if parked.missing == 0
            && let Some(parked) = self.calls.parked.remove(&id)
        {
            let call = parked.what.call();
            let (to, serial) = (parked.to, parked.what.serial());
            if let Err(cause) = self.unpark(parked, now) {
                if let Some(call) = call {
                    self.calls.places.remove(&call);
                    self.event(Event::Answered(call, Err(error(cause, false))));
                } else if let Some(serial) = serial {
                    self.fail(&to, serial, error(cause, true));
                }
            }
        }
    }

    /// All objects are ready: the message goes.
    fn unpark(&mut self, parked: Parked, now: Millis) -> Result<(), Cause> {
        let to = parked.to;
        let objects: Vec<_> = parked.objects.into_iter().flatten().collect();
        match parked.what {
            What::Call(id, object, call) => {
                if let Err(cause) = self.reach(&to) {
                    self.take_in(&to, &objects);
                    return Err(cause);
                }
                let number = self.make(&to, object, call, objects, Why::Host(id), now)?;
                self.calls.places.insert(id, Place::Sent(to, number));
            }
            What::Answer(serial, outcome, payload, written) => {
                self.answer_with(&to, serial, outcome, payload, objects, &written);
            }
            What::Opened(serial, _) => {
                let payload = Payload::default();
                self.answer_with(&to, serial, Outcome::Ok, payload, objects, &[]);
            }
        }
        Ok(())
    }

    fn answer_with(
        &mut self,
        to: &PublicKey,
        serial: u64,
        outcome: Outcome,
        payload: Payload,
        objects: Vec<ObjectRef>,
        written: &[Vec<u8>],
    ) {
        let contact = self.contacts.get_mut(to);
        let there = contact.is_some_and(|contact| {
            contact
                .peer
                .answer(serial, outcome, payload, objects.clone(), written)
        });
        if !there {
            self.take_in(to, &objects);
        }
        self.busy.insert(*to);
    }

    /// Makes a request to a peer. `Err`: nothing was made.
    pub(super) fn make(
        &mut self,
        to: &PublicKey,
        object: ObjectId,
        call: Call,
        objects: Vec<ObjectRef>,
        why: Why,
        now: Millis,
    ) -> Result<u64, Cause> {
        self.calls.next_number += 1;
        let number = self.calls.next_number;
        let class = call.class;
        let request = Request {
            call: number,
            object,
            operation: call.operation,
            class,
            hash: call.hash,
            payload: call.payload,
            leases: call.leases,
            objects: objects.clone(),
            deadline: call.deadline,
        };
        let contact = self.contacts.get_mut(to).ok_or(Cause::Unreachable);
        if let Err(cause) = contact.and_then(|contact| contact.peer.request(request, now)) {
            self.take_in(to, &objects);
            return Err(cause);
        }
        let made = Made {
            peer: *to,
            object,
            class,
            why,
            objects,
        };
        self.calls.made.insert(number, made);
        self.look_after(*to, now);
        Ok(number)
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
            Why::Browse(id, _) => {
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

    /// A message cannot go, for one of its objects is not to be had.
    pub(super) fn fail_parked_one(&mut self, id: u64, cause: Cause) {
        let Some(parked) = self.calls.parked.remove(&id) else {
            return;
        };
        let objects: Vec<_> = parked.objects.into_iter().flatten().collect();
        self.take_in(&parked.to, &objects);
        match parked.what {
            What::Call(id, ..) => {
                self.calls.places.remove(&id);
                self.event(Event::Answered(id, Err(error(cause, false))));
            }
            What::Answer(serial, ..) | What::Opened(serial, _) => {
                self.fail(&parked.to, serial, error(cause, true));
            }
        }
    }

    /// A service is taken back: who is opening it does not get it.
    pub(super) fn fail_openings(&mut self, service: &str) {
        let opens = |parked: &Parked| parked.what.service() == Some(service);
        let parked = self.calls.parked.iter();
        let opening = parked.filter(|(_, parked)| opens(parked));
        for id in opening.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail_parked_one(id, Cause::Revoked);
        }
    }

    /// A peer is lost: what waits to be sent to it need not wait.
    pub(super) fn fail_parked(&mut self, peer: &PublicKey) {
        let to = self
            .calls
            .parked
            .iter()
            .filter(|(_, parked)| parked.to == *peer);
        for id in to.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail_parked_one(id, Cause::Unreachable);
        }
    }

    /// Remembers where a call of the host is.
    pub(super) fn place(&mut self, id: CallId, peer: PublicKey, number: u64) {
        self.calls.places.insert(id, Place::Sent(peer, number));
    }

    /// A peer said something.
    pub(super) fn said(&mut self, key: PublicKey, heard: Heard, now: Millis) {
        match heard {
            Heard::Nothing | Heard::Resume(_) => {}
            Heard::Call(serial) => self.came(key, serial, now),
            Heard::Answered(number, reply, leases) => self.answered(number, reply, leases, now),
            Heard::Unwanted(objects) => self.unwanted(&key, &objects, now),
            Heard::Cancelled(serial) => {
                let is = |running: &Running| running.peer == key && running.serial == serial;
                let mut tokens = self.calls.tokens.iter();
                if let Some((token, _)) = tokens.find(|(_, running)| is(running)) {
                    let token = *token;
                    self.event(Event::Cancelled(token));
                }
            }
            Heard::Released(object, count) => {
                let taken = self.table.release(&key, object, count);
                self.tell_taken(&taken);
                self.forget_guest(&key);
            }
            Heard::Revoked(object) => {
                self.object_revoked(&key, object);
                self.revocations.is_gone(&key, object);
            }
        }
    }

    /// A guest that holds nothing any more.
    fn forget_guest(&mut self, key: &PublicKey) {
        if !self.trust.holds(key) && self.table.held(key) == 0 {
            self.forget_unless_known(key);
        }
    }

    /// A call of a peer is whole: the owner's checks, then the host.
    fn came(&mut self, key: PublicKey, serial: u64, now: Millis) {
        let Some(contact) = self.contacts.get(&key) else {
            return;
        };
        let Some(call) = contact.peer.call(serial) else {
            return;
        };
        let (object, operation, class, hash) = (call.object, call.operation, call.class, call.hash);
        let objects = call.objects.clone();
        if object == ObjectId::ROOT {
            self.unwanted(&key, &objects, now);
            return self.root(key, serial, operation, now);
        }
        let contacts = &self.contacts;
        let alive = |peer: &PublicKey| contacts.get(peer).and_then(|contact| contact.peer.alive());
        let checked = self.table.check(&key, object, operation, alive, now);
        let local = match checked {
            Ok(local) => local,
            Err(cause) => {
                self.unwanted(&key, &objects, now);
                return self.fail(&key, serial, error(cause, false));
            }
        };
        let objects = match self.arrive(&key, &objects, now) {
            Ok(objects) => objects,
            Err(cause) => return self.fail(&key, serial, error(cause, false)),
        };
        let contact = self.contacts.get_mut(&key);
        let contents = contact.and_then(|contact| contact.peer.contents(serial));
        let Some((payload, leases, deadline)) = contents else {
            return;
        };
        self.table.began(&key, object.number);
        self.calls.next_token += 1;
        let token = Token(self.calls.next_token);
        let running = Running {
            peer: key,
            serial,
            number: object.number,
            local,
        };
        self.calls.tokens.insert(token, running);
        self.event(Event::Incoming(Incoming {
            token,
            peer: key,
            local: running.local,
            operation,
            class,
            hash,
            payload,
            leases,
            objects,
            deadline,
        }));
    }

    /// A call of a peer ends without the host's answer.
    pub(super) fn fail(&mut self, key: &PublicKey, serial: u64, error: TransportError) {
        self.reply(
            key,
            serial,
            Outcome::Failed(error),
            Payload::default(),
            Vec::new(),
        );
    }

    /// Answers a call of a peer.
    pub(super) fn reply(
        &mut self,
        key: &PublicKey,
        serial: u64,
        outcome: Outcome,
        payload: Payload,
        objects: Vec<ObjectRef>,
    ) {
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.peer.answer(serial, outcome, payload, objects, &[]);
            self.busy.insert(*key);
        }
    }

    /// A call of ours was answered.
    fn answered(&mut self, number: u64, reply: Reply, leases: Vec<Lent>, now: Millis) {
        let Some(made) = self.calls.made.remove(&number) else {
            return;
        };
        let peer = made.peer;
        let ran = !matches!(reply.outcome, Outcome::Failed(error) if !error.delivered);
        if ran {
            self.imports.was_used(&peer, made.object);
        }
        let is_error = match reply.outcome {
            Outcome::Failed(error) => {
                self.unwanted(&peer, &reply.objects, now);
                return self.end(made.why, error);
            }
            Outcome::Ok => false,
            Outcome::Error => true,
        };
        if let Why::Host(id) = made.why {
            self.calls.places.remove(&id);
            let answered = match self.arrive(&peer, &reply.objects, now) {
                Ok(objects) => Ok(Answered {
                    is_error,
                    payload: reply.payload,
                    leases,
                    objects,
                }),
                Err(cause) => Err(error(cause, true)),
            };
            return self.event(Event::Answered(id, answered));
        }
        self.root_answered(peer, made.why, is_error, reply, now);
    }

    /// Tells the holders of what was taken back, and the host about calls that run there.
    pub(super) fn stop(&mut self, taken: &[crate::table::Taken]) {
        for taken in taken {
            self.tell(&taken.peer, &Body::Revoked(taken.object));
            for token in self.calls.running(&taken.peer, taken.object.number) {
                self.event(Event::Cancelled(token));
            }
        }
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
