//! What this device exports, and to whom. The owner's checks are here and nowhere else:
//! every call of every object passes [`Table::check`].

mod guests;
mod revoke;

use alloc::{collections::BTreeMap, collections::BTreeSet, string::String, vec::Vec};

use libipc_abi::status::Cause;

use crate::Millis;
use crate::limits::{EXPORTS, HOPS, SERVICES};
use crate::suite::PublicKey;
use crate::wire::{ObjectId, Rights};

/// An object as the host of the crate knows it: what it means is the host's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Local(pub u64);

/// An object of another device that this one may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Import(pub u64);

/// An object in a message, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// One of this device. Going out it is exported with these rights, coming in it has
    /// come home.
    Local(Local, Rights),
    /// One of another device. Going out to a third one it is handed on with at most
    /// these rights, and outlasts this device's silence by the time given.
    Import(Import, Rights, Millis),
}

/// A service that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What openers get. Another device's object is handed on to them: they reach it
    /// without this device.
    pub object: Object,
    /// What it is, for people who browse: the name of its interface.
    pub interface: String,
    /// Who may open it; `None`: every device that is trusted.
    pub only: Option<Vec<PublicKey>>,
}

/// Who handed an object on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grantor {
    /// The device, which holds the object itself.
    pub peer: PublicKey,
    /// Under which number.
    pub number: u64,
    /// How long the object outlasts its silence.
    pub bound: Millis,
}

/// An object as one peer holds it.
#[derive(Clone, Debug)]
struct Export {
    local: Local,
    rights: Rights,
    /// References that the peer was sent.
    references: u32,
    /// Calls through it that are with the host.
    running: u32,
    revoked: bool,
    grantor: Option<Grantor>,
    /// The peer's number of the object through which it got this one. It is there as long
    /// as this is, though the peer may have dropped it.
    came_of: Option<u64>,
    /// How often it was handed on until it got there.
    hops: u8,
    /// The peer has called it.
    used: bool,
}

/// One export: who holds it, under which number.
type Held = (PublicKey, u64);

impl Export {
    /// A first reference.
    fn new(local: Local, rights: Rights) -> Export {
        Export {
            local,
            rights,
            references: 1,
            running: 0,
            revoked: false,
            grantor: None,
            came_of: None,
            hops: 0,
            used: false,
        }
    }

    /// Whether its holder has it still, and may have it.
    fn is_held(&self) -> bool {
        self.references > 0 && !self.revoked
    }

    /// What it ends with: what its holder got it through, or what it was handed on of.
    fn above(&self, holder: &PublicKey) -> Option<Held> {
        let through = self.came_of.map(|number| (*holder, number));
        through.or(self.grantor.map(|by| (by.peer, by.number)))
    }
}

/// A revocation, for those who have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Who held it.
    pub peer: PublicKey,
    /// Under which name.
    pub object: ObjectId,
}

/// What is exported.
#[derive(Debug)]
pub struct Table {
    epoch: u64,
    next: u64,
    services: BTreeMap<String, Service>,
    exports: BTreeMap<Held, Export>,
    /// What was handed on of which export, and what came of it for its holder.
    below: BTreeSet<(Held, Held)>,
    /// What was handed on and is no more, and who did: see [`Table::gone`].
    gone: Vec<Taken>,
}

impl Table {
    /// An empty table of this epoch.
    pub fn new(epoch: u64) -> Table {
        Table {
            epoch,
            next: 1,
            services: BTreeMap::new(),
            exports: BTreeMap::new(),
            below: BTreeSet::new(),
            gone: Vec::new(),
        }
    }

    /// Publishes a service, or changes it for those who open it from now on. False if
    /// the table is full.
    #[must_use]
    pub fn publish(&mut self, name: &str, service: Service) -> bool {
        if self.services.len() >= SERVICES && !self.services.contains_key(name) {
            return false;
        }
        self.services.insert(name.into(), service);
        true
    }

    /// Publishes it no longer. Who opened it keeps it until that is revoked.
    pub fn withdraw(&mut self, name: &str) -> Option<Service> {
        self.services.remove(name)
    }

    /// What this peer may open, by name.
    pub fn services(&self, peer: &PublicKey) -> impl Iterator<Item = (&str, &Service)> {
        let may = |service: &Service| service.only.as_ref().is_none_or(|only| only.contains(peer));
        let services = self.services.iter();
        services
            .filter(move |(_, service)| may(service))
            .map(|(name, service)| (&**name, service))
    }

    /// What a peer gets that opens a service. `Denied` also if there is none of that name:
    /// who may not open it does not learn whether it is there.
    pub fn open(&self, peer: &PublicKey, name: &str) -> Result<Object, Cause> {
        let found = self.services(peer).find(|(there, _)| *there == name);
        found
            .map(|(_, service)| service.object)
            .ok_or(Cause::Denied)
    }

    /// Gives a peer a reference to an object. What it holds already with the same rights
    /// gets another reference. What answers a call through another object of the peer, of
    /// this number, lives no longer than the peer may have that.
    pub fn export(
        &mut self,
        peer: &PublicKey,
        local: Local,
        rights: Rights,
        through: Option<u64>,
    ) -> Result<ObjectId, Cause> {
        let (came_of, hops) = match through {
            None => (None, 0),
            Some(number) => {
                let through = self.exports.get(&(*peer, number));
                let through = through.filter(|through| !through.revoked);
                let through = through.ok_or(Cause::Revoked)?;
                // All of it is directly below what was opened or given: nothing is deep.
                (Some(through.came_of.unwrap_or(number)), through.hops)
            }
        };
        let held = self.of_mut(peer).find(|(_, export)| {
            export.local == local
                && export.rights == rights
                && export.came_of == came_of
                && export.is_held()
                && export.grantor.is_none()
        });
        if let Some((number, export)) = held {
            export.references = export.references.saturating_add(1);
            let object = ObjectId {
                number,
                epoch: self.epoch,
            };
            return Ok(object);
        }
        // What others handed on to it is on their account.
        let is_own = |export: &Export| export.grantor.is_none();
        let own = self.of(peer).filter(|(_, export)| is_own(export)).count();
        if own >= EXPORTS && !self.drop_taken(peer, is_own) {
            return Err(Cause::QuotaExceeded);
        }
        let export = Export {
            came_of,
            hops,
            ..Export::new(local, rights)
        };
        Ok(self.insert(peer, export))
    }

    fn insert(&mut self, peer: &PublicKey, export: Export) -> ObjectId {
        let number = self.next;
        self.next += 1;
        if let Some(above) = export.above(peer) {
            self.below.insert((above, (*peer, number)));
        }
        self.exports.insert((*peer, number), export);
        ObjectId {
            number,
            epoch: self.epoch,
        }
    }

    /// Whether a peer may hand on what it holds.
    pub fn may_hand_on(
        &self,
        grantor: &Grantor,
        epoch: u64,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<(), Cause> {
        let object = ObjectId {
            number: grantor.number,
            epoch,
        };
        let held = self.live(&grantor.peer, object, alive, now)?;
        match (held.rights.hand_on, held.hops < HOPS) {
            (true, true) => Ok(()),
            (false, _) => Err(Cause::Denied),
            (true, false) => Err(Cause::QuotaExceeded),
        }
    }

    /// A peer hands what it holds on to another device. It is on the peer's account: so
    /// nobody fills the account of somebody else.
    pub fn hand_on(
        &mut self,
        grantor: Grantor,
        epoch: u64,
        third: &PublicKey,
        rights: Rights,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<(ObjectId, Rights), Cause> {
        self.may_hand_on(&grantor, epoch, alive, now)?;
        let held = self.exports.get(&(grantor.peer, grantor.number));
        let held = held.ok_or(Cause::Denied)?;
        let (local, rights, hops) = (held.local, held.rights.and(rights), held.hops + 1);
        if self.handed_by(&grantor.peer).count() >= EXPORTS && !self.drop_handed(&grantor.peer) {
            return Err(Cause::QuotaExceeded);
        }
        let export = Export {
            grantor: Some(grantor),
            hops,
            ..Export::new(local, rights)
        };
        Ok((self.insert(third, export), rights))
    }

    /// The object that a peer wants to call, if it may. `alive` says until when a peer
    /// is known to have lived.
    pub fn check(
        &self,
        peer: &PublicKey,
        object: ObjectId,
        operation: u8,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<Local, Cause> {
        let export = self.live(peer, object, alive, now)?;
        if !export.rights.allows(operation) {
            return Err(Cause::Denied);
        }
        Ok(export.local)
    }

    /// The object behind a reference that comes home, with the rights that the peer had.
    pub fn home(
        &self,
        peer: &PublicKey,
        object: ObjectId,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<(Local, Rights), Cause> {
        let export = self.live(peer, object, alive, now)?;
        Ok((export.local, export.rights))
    }

    fn live(
        &self,
        peer: &PublicKey,
        object: ObjectId,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<&Export, Cause> {
        if object.epoch != self.epoch {
            return Err(Cause::EpochChanged);
        }
        let Some(export) = self.exports.get(&(*peer, object.number)) else {
            return Err(Cause::Denied);
        };
        if export.revoked {
            return Err(Cause::Revoked);
        }
        if export.references == 0 {
            return Err(Cause::Denied);
        }
        let (mut holder, mut at) = (*peer, Some(export));
        while let Some(export) = at {
            if let Some(grantor) = export.grantor {
                // Whoever handed it on may want it back and not be heard: then it is as if.
                let heard = alive(&grantor.peer).unwrap_or(0);
                if heard.saturating_add(grantor.bound) < now {
                    return Err(Cause::Revoked);
                }
            }
            let above = export.above(&holder);
            at = above.and_then(|above| self.exports.get(&above));
            holder = above.map_or(holder, |(peer, _)| peer);
        }
        Ok(export)
    }

    /// A call goes to the host.
    pub fn began(&mut self, peer: &PublicKey, number: u64) {
        if let Some(export) = self.exports.get_mut(&(*peer, number)) {
            export.running += 1;
            export.used = true;
        }
    }

    /// The host has answered it.
    pub fn ended(&mut self, peer: &PublicKey, number: u64) {
        if let Some(export) = self.exports.get_mut(&(*peer, number)) {
            export.running = export.running.saturating_sub(1);
            self.remove_unheld(peer, number);
        }
    }

    /// Whether any peer may call this object, or a call of one runs.
    pub fn is_exported(&self, local: Local) -> bool {
        let is_used = |export: &Export| export.is_held() || export.running > 0;
        let mut all = self.exports.values();
        all.any(|export| export.local == local && is_used(export))
    }

    /// Objects that a peer holds.
    pub fn held(&self, peer: &PublicKey) -> usize {
        self.of(peer).count()
    }

    /// All that hold something, for whoever looks after them.
    pub fn holders(&self) -> Vec<PublicKey> {
        let mut holders: Vec<PublicKey> = self.exports.keys().map(|(peer, _)| *peer).collect();
        holders.dedup();
        holders
    }

    /// What was handed on by a peer: to whom, under which numbers.
    pub fn handed_by(&self, peer: &PublicKey) -> impl Iterator<Item = (PublicKey, u64)> {
        let first = ((*peer, 0), (PublicKey([0; 32]), 0));
        let last = ((*peer, u64::MAX), (PublicKey([u8::MAX; 32]), u64::MAX));
        let below = self.below.range(first..=last).map(|(_, held)| *held);
        below.filter(move |(holder, _)| holder != peer)
    }

    fn of(&self, peer: &PublicKey) -> impl Iterator<Item = (u64, &Export)> {
        let range = self.exports.range((*peer, 0)..=(*peer, u64::MAX));
        range.map(|((_, number), export)| (*number, export))
    }

    fn of_mut(&mut self, peer: &PublicKey) -> impl Iterator<Item = (u64, &mut Export)> {
        let range = self.exports.range_mut((*peer, 0)..=(*peer, u64::MAX));
        range.map(|((_, number), export)| (*number, export))
    }
}
