//! The device itself as an object: it lists services, opens them, hands on what others
//! hold, and takes that back. All of it is calls like any other.

use alloc::{vec, vec::Vec};

use libipc_abi::operation::Class;
use libipc_abi::status::Cause;

use super::calls::{Handing, What, Why};
use super::contact::{alive, error};
use super::{Call, CallId, Event, Listed, Node};
use crate::Millis;
use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{BOUND_LONGEST, BOUND_SHORTEST, BYTES, GUESTS_EACH, HAND_OVER, NAME};
use crate::suite::PublicKey;
use crate::table::Grantor;
use crate::wire::{ObjectId, Outcome, Payload, Reply, Rights};

/// Operations of the device.
pub(super) mod operation {
    /// Word 0: how many to leave out. Answer: how many there are (word 0), and entries.
    pub(crate) const BROWSE: u8 = 0;
    /// Bytes: a name. Answer: the object.
    pub(crate) const OPEN: u8 = 1;
    /// Word 0: number of an object that the caller holds; word 1: the bound; word 2: the
    /// object's epoch. Bytes: the third device's key, rights. Answer: its number there (word 0), and rights.
    pub(crate) const HAND_ON: u8 = 2;
    /// Words 0 and 1: number and epoch of what was handed on. Bytes: the third device's
    /// key. Answered when nothing runs there any more.
    pub(crate) const TAKE_BACK: u8 = 3;
}

impl Node {
    /// Lists what a peer publishes: an [`Event::Browsed`].
    pub fn browse(
        &mut self,
        peer: &PublicKey,
        deadline: Option<Millis>,
        now: Millis,
    ) -> Result<CallId, Cause> {
        let id = self.calls.new_call();
        self.browse_from(peer, Vec::new(), id, deadline, now)?;
        self.pump(now);
        Ok(id)
    }

    fn browse_from(
        &mut self,
        peer: &PublicKey,
        listed: Vec<Listed>,
        id: CallId,
        deadline: Option<Millis>,
        now: Millis,
    ) -> Result<(), Cause> {
        let words = [listed.len() as u64, 0, 0];
        let call = ask(
            operation::BROWSE,
            Class::Idempotent,
            words,
            Vec::new(),
            deadline,
        );
        self.ask(peer, call, Why::Browse(id, listed, deadline), now)
            .map(|number| {
                self.place(id, *peer, number);
            })
    }

    /// Opens a service of a peer: an [`Event::Opened`].
    pub fn open(
        &mut self,
        peer: &PublicKey,
        name: &str,
        deadline: Option<Millis>,
        now: Millis,
    ) -> Result<CallId, Cause> {
        let id = self.calls.new_call();
        let call = ask(
            operation::OPEN,
            Class::Once,
            [0; 3],
            name.as_bytes().to_vec(),
            deadline,
        );
        let number = self.ask(peer, call, Why::Open(id), now)?;
        self.place(id, *peer, number);
        self.pump(now);
        Ok(id)
    }

    fn ask(&mut self, peer: &PublicKey, call: Call, why: Why, now: Millis) -> Result<u64, Cause> {
        self.reach(peer)?;
        self.make(peer, ObjectId::ROOT, call, Vec::new(), why, now)
    }

    /// Asks the owner of an object that a message waits for to know its receiver.
    pub(super) fn hand_on(&mut self, parked: u64, slot: usize, now: Millis) {
        let Some(waiting) = self.calls.parked(parked) else {
            return;
        };
        let (to, deadline) = (waiting.to, waiting.deadline());
        // Its owner may keep whoever waits waiting no longer than that.
        let deadline = Some(deadline.unwrap_or(Millis::MAX).min(now + HAND_OVER));
        let Some(&(_, import, rights, bound)) = waiting.wanted.get(slot) else {
            return;
        };
        let (owner, object) = match self.imports.live(import) {
            Ok(imported) => (imported.owner, imported.object),
            Err(cause) => return self.fail_parked_one(parked, cause),
        };
        if self.revocations.is_owed_enough(&owner) {
            return self.fail_parked_one(parked, Cause::QuotaExceeded);
        }
        let mut writer = Writer::default();
        rights.write(writer.bytes(&to.0));
        let words = [object.number, bound, object.epoch];
        let call = ask(operation::HAND_ON, Class::Once, words, writer.0, deadline);
        let handing = Handing {
            parked,
            slot,
            third: to,
            epoch: object.epoch,
        };
        if let Err(cause) = self.ask(&owner, call, Why::Hand(handing), now) {
            self.fail_parked_one(parked, cause);
        }
    }

    /// Asks the owner to take back what we handed on.
    pub(super) fn ask_take_back(
        &mut self,
        owner: &PublicKey,
        object: ObjectId,
        third: &PublicKey,
        why: Why,
        now: Millis,
    ) -> Result<u64, Cause> {
        let words = [object.number, object.epoch, 0];
        let bytes = third.0.to_vec();
        let call = ask(operation::TAKE_BACK, Class::Idempotent, words, bytes, None);
        self.ask(owner, call, why, now)
    }

    /// A peer calls this device.
    pub(super) fn root(&mut self, key: PublicKey, serial: u64, operation: u8, now: Millis) {
        let contact = self.contacts.get_mut(&key);
        let contents = contact.and_then(|contact| contact.peer.contents(serial));
        let Some((payload, ..)) = contents else {
            return;
        };
        // A guest knows no more of us than the object that it was given.
        let is_trusted = self.trust.holds(&key);
        let done = match operation {
            operation::BROWSE if is_trusted => Ok(self.list(&key, payload.words[0])),
            operation::OPEN if is_trusted => {
                return if let Err(cause) = self.opens(&key, serial, &payload, now) {
                    self.fail(&key, serial, error(cause, false));
                };
            }
            operation::HAND_ON => self.hands_on(&key, &payload, now),
            operation::TAKE_BACK => {
                return if let Err(cause) = self.takes_back(&key, serial, &payload, now) {
                    self.fail(&key, serial, error(cause, false));
                };
            }
            _ => Err(Cause::Denied),
        };
        match done {
            Ok(payload) => self.reply(&key, serial, Outcome::Ok, payload, Vec::new()),
            Err(cause) => self.fail(&key, serial, error(cause, false)),
        }
    }

    fn list(&self, key: &PublicKey, skip: u64) -> Payload {
        let mut payload = Payload::default();
        let mut writer = Writer::default();
        for (index, (name, service)) in self.table.services(key).enumerate() {
            payload.words[0] = index as u64 + 1;
            let fits = writer.0.len() + 2 * (NAME + 1) <= BYTES;
            if index as u64 >= skip && fits {
                writer.text(name, NAME).text(&service.interface, NAME);
            }
        }
        payload.bytes = writer.0;
        payload
    }

    /// A peer opens a service: it gets what any answer can carry.
    fn opens(
        &mut self,
        key: &PublicKey,
        serial: u64,
        payload: &Payload,
        now: Millis,
    ) -> Result<(), Cause> {
        let name = core::str::from_utf8(&payload.bytes).map_err(|_| Cause::Malformed)?;
        let object = self.table.open(key, name)?;
        let what = What::Opened(serial, name.into());
        self.send(key, vec![object], None, what, now)
    }

    fn hands_on(
        &mut self,
        key: &PublicKey,
        payload: &Payload,
        now: Millis,
    ) -> Result<Payload, Cause> {
        let mut reader = Reader::new(&payload.bytes);
        let mut read = || -> Result<_, Malformed> {
            Ok((PublicKey(reader.array()?), Rights::read(&mut reader)?))
        };
        let (third, rights) = read().map_err(|_| Cause::Malformed)?;
        let grantor = Grantor {
            peer: *key,
            number: payload.words[0],
            bound: payload.words[1].clamp(BOUND_SHORTEST, BOUND_LONGEST),
        };
        let epoch = payload.words[2];
        let known = &self.contacts;
        self.table.may_hand_on(&grantor, epoch, alive(known), now)?;
        if third == self.key || third == *key || !self.make_room_for(key, &third) {
            return Err(Cause::QuotaExceeded);
        }
        let alive = alive(&self.contacts);
        let handed = self
            .table
            .hand_on(grantor, epoch, &third, rights, alive, now);
        let (object, rights) = handed?;
        self.know(third, now);
        let mut writer = Writer::default();
        rights.write(&mut writer);
        let mut answer = Payload {
            bytes: writer.0,
            ..Payload::default()
        };
        answer.words[0] = object.number;
        Ok(answer)
    }

    /// Whether another device can be known for an object alone, because of one.
    fn make_room_for(&mut self, by: &PublicKey, third: &PublicKey) -> bool {
        let trust = &self.trust;
        let guests = self.table.guests_of(by, |key| trust.holds(key));
        if trust.holds(third) || guests.contains(third) {
            return true;
        }
        if guests.len() >= GUESTS_EACH {
            return false;
        }
        if self.table.has_room_for(third, |key| trust.holds(key)) {
            return true;
        }
        let gone = self.table.drop_guest(third, |key| trust.holds(key));
        if let Some(gone) = gone {
            self.forget_unless_known(&gone);
        }
        gone.is_some()
    }

    fn takes_back(
        &mut self,
        key: &PublicKey,
        serial: u64,
        payload: &Payload,
        now: Millis,
    ) -> Result<(), Cause> {
        let third = payload
            .bytes
            .as_slice()
            .try_into()
            .map_err(|_| Cause::Malformed)?;
        let object = ObjectId {
            number: payload.words[0],
            epoch: payload.words[1],
        };
        let (taken, all) = self.table.take_back(key, &PublicKey(third), object)?;
        self.stop(&taken);
        self.answer_when_done(*key, serial, all, now);
        Ok(())
    }

    /// A peer answered what we asked of it as a device.
    pub(super) fn root_answered(
        &mut self,
        peer: PublicKey,
        why: Why,
        is_error: bool,
        reply: Reply,
        now: Millis,
    ) {
        let malformed = error(Cause::Malformed, true);
        match why {
            Why::Browse(id, mut listed, deadline) => {
                let had = listed.len();
                let read = !is_error && read_list(&reply.payload.bytes, &mut listed).is_ok();
                let more = (listed.len() as u64) < reply.payload.words[0];
                if read && more && listed.len() > had && listed.len() < crate::limits::SERVICES {
                    if let Err(cause) = self.browse_from(&peer, listed, id, deadline, now) {
                        self.event(Event::Browsed(id, Err(error(cause, true))));
                    }
                } else {
                    let result = if read { Ok(listed) } else { Err(malformed) };
                    self.event(Event::Browsed(id, result));
                }
            }
            Why::Open(id) => {
                let arrived = self.arrive(&peer, &reply.objects, now);
                let result = match arrived.as_deref() {
                    Ok([object]) if !is_error => Ok(*object),
                    Ok(objects) => {
                        let objects = objects.to_vec();
                        self.drop_objects(&objects);
                        Err(malformed)
                    }
                    Err(cause) => Err(error(*cause, true)),
                };
                self.event(Event::Opened(id, result));
            }
            Why::Hand(handing) => {
                let rights = Rights::read(&mut Reader::new(&reply.payload.bytes));
                match rights {
                    Ok(rights) if !is_error => {
                        let object = ObjectId {
                            number: reply.payload.words[0],
                            epoch: handing.epoch,
                        };
                        self.handed_on(peer, handing, object, rights, now);
                    }
                    _ => self.fail_parked_one(handing.parked, Cause::Malformed),
                }
            }
            Why::TakeBack(owed) => self.taken_back(owed),
            Why::Host(_) => {}
        }
    }
}

fn ask(
    operation: u8,
    class: Class,
    words: [u64; 3],
    bytes: Vec<u8>,
    deadline: Option<Millis>,
) -> Call {
    let mut payload = Payload {
        bytes,
        ..Payload::default()
    };
    payload.words[..3].copy_from_slice(&words);
    Call {
        operation,
        class,
        hash: 0,
        payload,
        leases: vec![],
        objects: vec![],
        deadline,
    }
}

fn read_list(bytes: &[u8], listed: &mut Vec<Listed>) -> Result<(), Malformed> {
    let mut rest = bytes.len();
    let mut reader = Reader::new(bytes);
    while rest > 0 {
        let name = reader.text(NAME)?;
        let interface = reader.text(NAME)?;
        rest -= 2 + name.len() + interface.len();
        listed.push(Listed { name, interface });
    }
    reader.end()
}
