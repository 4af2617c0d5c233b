//! What is taken back, and when that is done.
//!
//! At the owner a revocation has ended when no call runs any more through what was taken;
//! none begins from the first moment on. Who handed an object on asks the owner, and
//! waits for its word or for the bound, whichever is first. The owner measures the bound
//! from the last moment at which it knows us to have lived; and while it has not said
//! that it has taken something back, our beats say nothing of that kind.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec,
    vec::Vec,
};

use libipc_abi::status::{Cause, TransportError};

use super::calls::{Handing, Why};
use super::{Event, GrantId, Import, Node, Object, Revocation, RevocationId};
use crate::Millis;
use crate::limits::{GRANTS, GRANTS_EACH, REVISIT, SKEW};
use crate::suite::PublicKey;
use crate::table::{Local, Taken};
use crate::wire::{ObjectId, ObjectRef, Outcome, Payload, Rights};

/// What we handed on.
#[derive(Clone)]
struct Grant {
    owner: PublicKey,
    third: PublicKey,
    object: ObjectId,
    bound: Millis,
    /// What it was handed on of, and the service that was opened, if one was.
    of: Import,
    service: Option<String>,
    /// Until when the owner may honour it, once there is no word from us to it any more.
    until: Option<Millis>,
}

impl Grant {
    /// When the owner will have ended it by itself, if it hears nothing of us from now on.
    fn expires(&self, now: Millis) -> Millis {
        // Our clock may be the faster one.
        now + self.bound + 2 * self.bound / SKEW + 1
    }
}

/// Who waits until nothing runs.
enum Waits {
    Host(RevocationId),
    Peer(PublicKey, u64),
}

/// A hand-over that its owner has to take back.
struct Owed {
    owner: PublicKey,
    third: PublicKey,
    object: ObjectId,
    until: Millis,
    /// Whom the host waits for, if it still does.
    waits: Option<RevocationId>,
    /// The owner was asked, and the stream lives.
    asked: bool,
    /// If it was not: when it is.
    again: Millis,
}

/// Hand-overs that the host takes back at one time.
struct Together {
    missing: usize,
    how: Revocation,
}

/// Names what an owner has to take back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OwedId(u64);

/// All that is under way.
#[derive(Default)]
pub(super) struct Revocations {
    next: u64,
    next_grant: u64,
    grants: BTreeMap<GrantId, Grant>,
    waiting: Vec<(Waits, Vec<Taken>)>,
    owed: BTreeMap<OwedId, Owed>,
    together: BTreeMap<RevocationId, Together>,
    /// Owners that are to be asked.
    unasked: BTreeSet<PublicKey>,
}

impl Revocations {
    pub(super) fn deadline(&self) -> Millis {
        let due = self.owed.values().map(|owed| {
            let until = if owed.waits.is_some() {
                owed.until
            } else {
                Millis::MAX
            };
            let again = if owed.asked { Millis::MAX } else { owed.again };
            until.min(again)
        });
        due.min().unwrap_or(Millis::MAX)
    }

    fn new_id(&mut self) -> RevocationId {
        self.next += 1;
        RevocationId(self.next)
    }

    /// Whether an owner has so much to take back that nothing more of it is handed on.
    pub(super) fn is_owed_enough(&self, owner: &PublicKey) -> bool {
        let owed = self.owed.values().filter(|owed| owed.owner == *owner);
        owed.count() >= GRANTS_EACH
    }

    /// The owner says that what was handed on is no more: the third device dropped it.
    pub(super) fn is_gone(&mut self, owner: &PublicKey, object: ObjectId) {
        self.grants
            .retain(|_, grant| grant.owner != *owner || grant.object != object);
    }

    /// Its owner has ended an object, and with it what was handed on of it.
    pub(super) fn ends(&mut self, of: Import) {
        self.grants.retain(|_, grant| grant.of != of);
    }

    /// We have nothing more to do with an object's owner, which knows nothing of that: it
    /// honours what was handed on until the bound has passed.
    pub(super) fn is_left(&mut self, of: Import, now: Millis) {
        for grant in self.grants.values_mut().filter(|grant| grant.of == of) {
            grant.until = Some(grant.expires(now));
        }
    }
}

impl Node {
    /// Takes an object of this device back, from everybody or from one peer, with all
    /// that came of it. Nothing begins through it from now on; when nothing runs any
    /// more, there is an [`Event::Revoked`].
    pub fn revoke(&mut self, local: Local, from: Option<&PublicKey>, now: Millis) -> RevocationId {
        let id = self.revocations.new_id();
        let (taken, all) = self.table.revoke(local, from);
        self.stop(&taken);
        self.revocations.waiting.push((Waits::Host(id), all));
        self.settle_revocations(now);
        self.pump(now);
        id
    }

    /// Takes back what was handed on to a third device: an [`Event::Revoked`] when the
    /// owner has said so, or when the bound has passed. `None` if there is no such grant.
    pub fn take_back(&mut self, grant: GrantId, now: Millis) -> Option<RevocationId> {
        let grant = self.revocations.grants.remove(&grant)?;
        Some(self.take_back_all(vec![grant], now))
    }

    /// Publishes a service no longer, and takes back what was opened of it, from
    /// everybody: an [`Event::Revoked`] as for [`Node::revoke`] and [`Node::take_back`].
    /// `None` if there is no such service.
    pub fn revoke_service(&mut self, name: &str, now: Millis) -> Option<RevocationId> {
        let service = self.table.withdraw(name)?;
        if let Object::Local(local, _) = service.object {
            return Some(self.revoke(local, None, now));
        }
        self.fail_openings(name);
        let is_of = |_: &GrantId, grant: &mut Grant| grant.service.as_deref() == Some(name);
        let grants = self.revocations.grants.extract_if(.., is_of);
        let grants = grants.map(|(_, grant)| grant).collect();
        Some(self.take_back_all(grants, now))
    }

    fn take_back_all(&mut self, grants: Vec<Grant>, now: Millis) -> RevocationId {
        let id = self.revocations.new_id();
        let together = Together {
            missing: grants.len(),
            how: Revocation::Confirmed,
        };
        if grants.is_empty() {
            self.event(Event::Revoked(id, together.how));
        } else {
            self.revocations.together.insert(id, together);
        }
        for grant in grants {
            let until = grant.until.unwrap_or(grant.expires(now));
            self.owe(grant.owner, grant.third, grant.object, Some(id), until);
        }
        self.pump(now);
        id
    }

    /// What was handed on did not get to the third device.
    pub(super) fn not_handed_on(&mut self, owner: PublicKey, third: PublicKey, object: ObjectId) {
        self.revocations.is_gone(&owner, object);
        self.owe(owner, third, object, None, Millis::MAX);
    }

    fn owe(
        &mut self,
        owner: PublicKey,
        third: PublicKey,
        object: ObjectId,
        waits: Option<RevocationId>,
        until: Millis,
    ) {
        let owed = Owed {
            owner,
            third,
            object,
            until,
            waits,
            asked: false,
            again: 0,
        };
        self.revocations.next += 1;
        let id = OwedId(self.revocations.next);
        self.revocations.owed.insert(id, owed);
        self.revocations.unasked.insert(owner);
        self.withhold(&owner);
    }

    /// Asks those owners that have something to take back since.
    pub(super) fn ask_unasked(&mut self, now: Millis) {
        while let Some(owner) = self.revocations.unasked.pop_first() {
            self.owe_revocations(&owner, now);
        }
    }

    /// Asks an owner to take back what is still to be taken back.
    pub(super) fn owe_revocations(&mut self, owner: &PublicKey, now: Millis) {
        let owed = self.revocations.owed.iter();
        let owed = owed.filter(|(_, owed)| owed.owner == *owner && !owed.asked);
        let owed = owed.map(|(id, owed)| (*id, owed.object, owed.third));
        for (id, object, third) in owed.collect::<Vec<_>>() {
            let asked = self.ask_take_back(owner, object, &third, Why::TakeBack(id), now);
            if let Some(owed) = self.revocations.owed.get_mut(&id) {
                owed.asked = asked.is_ok();
                owed.again = now + REVISIT;
            }
        }
    }

    /// Our beats renew nothing at an owner that has something to take back.
    fn withhold(&mut self, owner: &PublicKey) {
        let mut owed = self.revocations.owed.values();
        let withholds = owed.any(|owed| owed.owner == *owner);
        if let Some(contact) = self.contacts.get_mut(owner) {
            contact.peer.withhold(withholds);
        }
    }

    /// The owner has taken it back.
    pub(super) fn taken_back(&mut self, id: OwedId) {
        if let Some(owed) = self.revocations.owed.remove(&id) {
            self.withhold(&owed.owner);
            if let Some(waits) = owed.waits {
                self.one_ended(waits, Revocation::Confirmed);
            }
        }
    }

    /// The owner did not answer, or does not know the object any more.
    pub(super) fn take_back_failed(&mut self, id: OwedId, error: TransportError) {
        match error.cause {
            // It began anew: what was handed on is gone with the rest.
            Cause::EpochChanged if !error.delivered => self.taken_back(id),
            _ => {
                if let Some(owed) = self.revocations.owed.get_mut(&id) {
                    owed.asked = false;
                }
            }
        }
    }

    /// One of those that the host takes back at one time is.
    fn one_ended(&mut self, id: RevocationId, how: Revocation) {
        let Some(together) = self.revocations.together.get_mut(&id) else {
            return;
        };
        together.missing -= 1;
        if how == Revocation::Expired {
            together.how = how;
        }
        let (missing, how) = (together.missing, together.how);
        if missing == 0 {
            self.revocations.together.remove(&id);
            self.event(Event::Revoked(id, how));
        }
    }

    /// Bounds that have passed.
    pub(super) fn expire_revocations(&mut self, now: Millis) {
        // Who refused, or could not be asked, is asked again.
        let open = self.revocations.owed.values();
        let again = open.filter(|owed| !owed.asked && owed.again <= now);
        let again: Vec<_> = again.map(|owed| owed.owner).collect();
        self.revocations.unasked.extend(again);
        let owed = self.revocations.owed.values_mut();
        let expired = owed.filter(|owed| owed.until <= now);
        let waits: Vec<_> = expired.filter_map(|owed| owed.waits.take()).collect();
        for id in waits {
            self.one_ended(id, Revocation::Expired);
        }
        // Whom we have nothing to do with is not asked again.
        let contacts = &self.contacts;
        let owed = &mut self.revocations.owed;
        owed.retain(|_, owed| owed.until > now || contacts.contains_key(&owed.owner));
    }

    /// A peer took something back: it is answered when nothing runs there.
    pub(super) fn answer_when_done(
        &mut self,
        key: PublicKey,
        serial: u64,
        taken: Vec<Taken>,
        now: Millis,
    ) {
        self.revocations
            .waiting
            .push((Waits::Peer(key, serial), taken));
        self.settle_revocations(now);
    }

    /// Revocations whose last call has ended.
    pub(super) fn settle_revocations(&mut self, _: Millis) {
        let table = &self.table;
        let waiting = core::mem::take(&mut self.revocations.waiting);
        let (waiting, done) = waiting
            .into_iter()
            .partition(|(_, taken)| table.running(taken) > 0);
        self.revocations.waiting = waiting;
        for (waits, _) in done {
            match waits {
                Waits::Host(id) => self.event(Event::Revoked(id, Revocation::Confirmed)),
                Waits::Peer(key, serial) => {
                    self.reply(&key, serial, Outcome::Ok, Payload::default(), Vec::new());
                }
            }
        }
    }

    /// The owner knows the third device: a message that waited for that has its object.
    pub(super) fn handed_on(
        &mut self,
        owner: PublicKey,
        handing: Handing,
        object: ObjectId,
        rights: Rights,
        now: Millis,
    ) {
        let (parked, slot, third) = (handing.parked, handing.slot, handing.third);
        let wanted = self.calls.parked(parked).and_then(|waiting| {
            let (_, import, _, bound) = waiting.wanted.get(slot)?;
            Some((*import, *bound, waiting.service().map(String::from)))
        });
        // Nobody waits any longer, or it was dropped here: the owner need not know.
        let Some((of, bound, service)) = wanted else {
            return self.not_handed_on(owner, third, object);
        };
        let address = self.address(&owner).ok_or(Cause::Unreachable);
        let is_open = |grant: &Grant| grant.until.is_none_or(|until| until > now);
        self.revocations.grants.retain(|_, grant| is_open(grant));
        let grants = self.revocations.grants.values();
        let to_it = grants.filter(|grant| grant.third == third).count();
        let is_full = self.revocations.grants.len() >= GRANTS || to_it >= GRANTS_EACH;
        let address = match address {
            _ if self.imports.live(of).is_err() => Err(Cause::Revoked),
            Ok(_) if is_full => Err(Cause::QuotaExceeded),
            address => address,
        };
        let address = match address {
            Ok(address) => address,
            Err(cause) => {
                self.not_handed_on(owner, third, object);
                return self.fail_parked_one(parked, cause);
            }
        };
        self.revocations.next_grant += 1;
        let grant = GrantId(self.revocations.next_grant);
        self.revocations.grants.insert(
            grant,
            Grant {
                owner,
                third,
                object,
                bound,
                of,
                service,
                until: None,
            },
        );
        self.event(Event::HandedOn(grant, of, third));
        let ticket = ObjectRef::Ticket {
            owner,
            address,
            object,
            rights,
        };
        self.fill_parked(parked, slot, ticket, now);
    }
}
