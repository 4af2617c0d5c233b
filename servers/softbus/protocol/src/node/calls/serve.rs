//! What peers say: their calls, and the ends of ours.

use alloc::vec::Vec;

use libipc_abi::status::TransportError;

use super::{Running, Why};
use crate::Millis;
use crate::node::contact::{alive, error};
use crate::node::{Answered, Event, Incoming, Lent, Node, Token};
use crate::peer::Heard;
use crate::suite::PublicKey;
use crate::wire::{Body, ObjectId, ObjectRef, Outcome, Payload, Reply};

impl Node {
    /// A peer said something.
    pub(in crate::node) fn said(&mut self, key: PublicKey, heard: Heard, now: Millis) {
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
        let alive = alive(&self.contacts);
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
    pub(in crate::node) fn fail(&mut self, key: &PublicKey, serial: u64, error: TransportError) {
        self.reply(
            key,
            serial,
            Outcome::Failed(error),
            Payload::default(),
            Vec::new(),
        );
    }

    /// Answers a call of a peer.
    pub(in crate::node) fn reply(
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
    pub(super) fn answered(&mut self, number: u64, reply: Reply, leases: Vec<Lent>, now: Millis) {
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
    pub(in crate::node) fn stop(&mut self, taken: &[crate::table::Taken]) {
        for taken in taken {
            self.tell(&taken.peer, &Body::Revoked(taken.object));
            self.busy.insert(taken.peer);
            for token in self.calls.running(&taken.peer, taken.object.number) {
                self.event(Event::Stopped(token));
            }
        }
    }
}
