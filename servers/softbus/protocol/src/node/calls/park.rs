//! Messages on their way out: they wait until their objects are handed on.

use alloc::vec::Vec;

use libipc_abi::status::Cause;

use super::{Made, Parked, Place, What, Why};
use crate::Millis;
use crate::node::contact::error;
use crate::node::objects::Travels;
use crate::node::{Call, Event, Node, Object};
use crate::peer::Request;
use crate::suite::PublicKey;
use crate::wire::{ObjectId, ObjectRef, Outcome, Payload};

impl Node {
    /// Sends a message with its objects, or parks it until they are handed on. An answer's
    /// objects came of the one that was called, of this number.
    pub(in crate::node) fn send(
        &mut self,
        to: &PublicKey,
        objects: Vec<Object>,
        through: Option<u64>,
        what: What,
        now: Millis,
    ) -> Result<(), Cause> {
        if objects.len() > crate::limits::OBJECTS {
            return Err(Cause::QuotaExceeded);
        }
        let mut refs = Vec::new();
        let mut wanted = Vec::new();
        for (index, object) in objects.into_iter().enumerate() {
            match self.travels(to, object, through) {
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
    pub(in crate::node) fn fill_parked(
        &mut self,
        id: u64,
        slot: usize,
        object: ObjectRef,
        now: Millis,
    ) {
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
    pub(in crate::node) fn make(
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

    /// A message cannot go, for one of its objects is not to be had.
    pub(in crate::node) fn fail_parked_one(&mut self, id: u64, cause: Cause) {
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
    pub(in crate::node) fn fail_openings(&mut self, service: &str) {
        let opens = |parked: &Parked| parked.what.service() == Some(service);
        let parked = self.calls.parked.iter();
        let opening = parked.filter(|(_, parked)| opens(parked));
        for id in opening.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail_parked_one(id, Cause::Revoked);
        }
    }

    /// A peer is lost: what waits to be sent to it need not wait.
    pub(in crate::node) fn fail_parked(&mut self, peer: &PublicKey) {
        let to = self
            .calls
            .parked
            .iter()
            .filter(|(_, parked)| parked.to == *peer);
        for id in to.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail_parked_one(id, Cause::Unreachable);
        }
    }
}
