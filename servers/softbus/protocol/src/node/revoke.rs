//! What is taken back, and when that is done.
//!
//! At the owner a revocation has ended when no call runs any more through what was taken;
//! none begins from the first moment on. Who handed an object on asks the owner, and
//! waits for its word or for the bound, whichever is first. The owner measures the bound
//! from the last moment at which it knows us to have lived; and while it has not said
//! that it has taken something back, our beats say nothing of that kind.

use alloc::{collections::BTreeMap, vec::Vec};

use libipc_abi::status::{Cause, TransportError};

use super::calls::Why;
use super::{Event, GrantId, Node, Revocation, RevocationId};
use crate::Millis;
use crate::limits::{GRANTS, SKEW};
use crate::suite::PublicKey;
use crate::table::{Local, Taken};
use crate::wire::{ObjectId, ObjectRef, Outcome, Payload, Rights};

/// What we handed on.
#[derive(Clone, Copy)]
struct Grant {
    owner: PublicKey,
    third: PublicKey,
    object: ObjectId,
    bound: Millis,
}

/// Who waits until nothing runs.
enum Waits {
    Host(RevocationId),
    Peer(PublicKey, u64),
}

/// A hand-over that its owner has to take back.
struct Owed {
    grant: Grant,
    until: Millis,
    /// The host knows.
    told: bool,
    /// The owner was asked, and the stream lives.
    asked: bool,
}

/// All that is under way.
#[derive(Default)]
pub(super) struct Revocations {
    next: u64,
    next_grant: u64,
    grants: BTreeMap<GrantId, Grant>,
    waiting: Vec<(Waits, Vec<Taken>)>,
    owed: BTreeMap<RevocationId, Owed>,
}

impl Revocations {
    pub(super) fn deadline(&self) -> Millis {
        let open = self.owed.values().filter(|owed| !owed.told);
        open.map(|owed| owed.until).min().unwrap_or(Millis::MAX)
    }

    fn new_id(&mut self) -> RevocationId {
        self.next += 1;
        RevocationId(self.next)
    }
}

impl Node {
    /// Takes an object of this device back, from everybody or from one peer, with all
    /// that came of it. Nothing begins through it from now on; when nothing runs any
    /// more, there is an [`Event::Revoked`].
    pub fn revoke(&mut self, local: Local, from: Option<&PublicKey>, now: Millis) -> RevocationId {
        let id = self.revocations.new_id();
        let taken = self.table.revoke(local, from);
        self.stop(&taken);
        self.revocations.waiting.push((Waits::Host(id), taken));
        self.settle_revocations(now);
        self.pump(now);
        id
    }

    /// Takes back what was handed on to a third device: an [`Event::Revoked`] when the
    /// owner has said so, or when the bound has passed. `None` if there is no such grant.
    pub fn take_back(&mut self, grant: GrantId, now: Millis) -> Option<RevocationId> {
        let grant = self.revocations.grants.remove(&grant)?;
        let id = self.revocations.new_id();
        let owed = Owed {
            grant,
            // Our clock may be the faster one.
            until: now + grant.bound + 2 * grant.bound / SKEW + 1,
            told: false,
            asked: false,
        };
        self.revocations.owed.insert(id, owed);
        self.withhold(&grant.owner);
        self.owe_revocations(&grant.owner, now);
        self.pump(now);
        Some(id)
    }

    /// Asks an owner to take back what is still to be taken back.
    pub(super) fn owe_revocations(&mut self, owner: &PublicKey, now: Millis) {
        let owed = self.revocations.owed.iter();
        let owed = owed.filter(|(_, owed)| owed.grant.owner == *owner && !owed.asked);
        for (id, grant) in owed.map(|(id, owed)| (*id, owed.grant)).collect::<Vec<_>>() {
            let why = Why::TakeBack(id);
            let asked = self.ask_take_back(owner, grant.object, &grant.third, why, now);
            if let Some(owed) = self.revocations.owed.get_mut(&id) {
                owed.asked = asked.is_ok();
            }
        }
    }

    /// Our beats renew nothing at an owner that has something to take back.
    fn withhold(&mut self, owner: &PublicKey) {
        let withholds = self
            .revocations
            .owed
            .values()
            .any(|owed| owed.grant.owner == *owner);
        if let Some(contact) = self.contacts.get_mut(owner) {
            contact.peer.withhold(withholds);
        }
    }

    /// The owner has taken it back.
    pub(super) fn taken_back(&mut self, id: RevocationId, _: Millis) {
        if let Some(owed) = self.revocations.owed.remove(&id) {
            self.withhold(&owed.grant.owner);
            if !owed.told {
                self.event(Event::Revoked(id, Revocation::Confirmed));
            }
        }
    }

    /// The owner did not answer, or does not know the object any more.
    pub(super) fn take_back_failed(&mut self, id: RevocationId, error: TransportError) {
        match error.cause {
            // It began anew: what was handed on is gone with the rest.
            Cause::EpochChanged if !error.delivered => self.taken_back(id, 0),
            _ => {
                if let Some(owed) = self.revocations.owed.get_mut(&id) {
                    owed.asked = false;
                }
            }
        }
    }

    /// Bounds that have passed.
    pub(super) fn expire_revocations(&mut self, now: Millis) {
        let mut expired = Vec::new();
        for (id, owed) in &mut self.revocations.owed {
            if !owed.told && owed.until <= now {
                owed.told = true;
                expired.push(*id);
            }
        }
        for id in expired {
            self.event(Event::Revoked(id, Revocation::Expired));
        }
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
        parked: u64,
        slot: usize,
        number: u64,
        rights: Rights,
        now: Millis,
    ) {
        let Some(waiting) = self.calls.parked(parked) else {
            return;
        };
        let to = waiting.to;
        let Some(&(_, import, _, bound)) = waiting.wanted.get(slot) else {
            return;
        };
        let Some(imported) = self.imports.get(import) else {
            return self.fail_parked_one(parked, Cause::Denied);
        };
        let owner = imported.owner;
        let object = ObjectId {
            number,
            epoch: imported.object.epoch,
        };
        let Some(address) = self.address(&owner) else {
            return self.fail_parked_one(parked, Cause::Unreachable);
        };
        if self.revocations.grants.len() >= GRANTS {
            return self.fail_parked_one(parked, Cause::QuotaExceeded);
        }
        self.revocations.next_grant += 1;
        let grant = GrantId(self.revocations.next_grant);
        self.revocations.grants.insert(
            grant,
            Grant {
                owner,
                third: to,
                object,
                bound,
            },
        );
        self.event(Event::HandedOn(grant, import, to));
        let ticket = ObjectRef::Ticket {
            owner,
            address,
            object,
            rights,
        };
        self.fill_parked(parked, slot, ticket, now);
    }
}
