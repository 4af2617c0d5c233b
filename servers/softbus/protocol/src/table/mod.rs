//! What this device exports, and to whom. The owner's checks are here and nowhere else:
//! every call of every object passes [`Table::check`].

mod guests;
mod revoke;

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use libipc_abi::status::Cause;

use crate::Millis;
use crate::limits::{EXPORTS, SERVICES};
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
    /// The peer has called it.
    used: bool,
}

/// A revocation, for those who have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    exports: BTreeMap<(PublicKey, u64), Export>,
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
    /// gets another reference.
    pub fn export(
        &mut self,
        peer: &PublicKey,
        local: Local,
        rights: Rights,
    ) -> Result<ObjectId, Cause> {
        let held = self.of_mut(peer).find(|(_, export)| {
            export.local == local
                && export.rights == rights
                && !export.revoked
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
        self.insert(peer, local, rights, None)
    }

    fn insert(
        &mut self,
        peer: &PublicKey,
        local: Local,
        rights: Rights,
        grantor: Option<Grantor>,
    ) -> Result<ObjectId, Cause> {
        if self.of(peer).count() >= EXPORTS && !self.drop_taken(peer) {
            return Err(Cause::QuotaExceeded);
        }
        let number = self.next;
        self.next += 1;
        let export = Export {
            local,
            rights,
            references: 1,
            running: 0,
            revoked: false,
            grantor,
            used: false,
        };
        self.exports.insert((*peer, number), export);
        Ok(ObjectId {
            number,
            epoch: self.epoch,
        })
    }

    /// A peer hands what it holds on to another device. `guests` is how many of those
    /// there are that are not trusted.
    pub fn hand_on(
        &mut self,
        grantor: Grantor,
        epoch: u64,
        third: &PublicKey,
        rights: Rights,
        alive: impl Fn(&PublicKey) -> Option<Millis>,
        now: Millis,
    ) -> Result<(ObjectId, Rights), Cause> {
        let object = ObjectId {
            number: grantor.number,
            epoch,
        };
        let held = self.live(&grantor.peer, object, alive, now)?;
        if !held.rights.hand_on {
            return Err(Cause::Denied);
        }
        let (local, rights) = (held.local, held.rights.and(rights));
        Ok((self.insert(third, local, rights, Some(grantor))?, rights))
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

    /// The object behind a reference that comes home; any rights will do.
    pub fn home(&self, peer: &PublicKey, object: ObjectId) -> Result<(Local, Rights), Cause> {
        let export = self.live(peer, object, |_| Some(Millis::MAX), 0)?;
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
        // Whoever handed it on may want it back and not be heard: then it is as if.
        let mut above = export.grantor;
        while let Some(grantor) = above {
            let heard = alive(&grantor.peer).unwrap_or(0);
            if heard.saturating_add(grantor.bound) < now {
                return Err(Cause::Revoked);
            }
            let holder = self.exports.get(&(grantor.peer, grantor.number));
            above = holder.and_then(|holder| holder.grantor);
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
            if export.references == 0 && export.running == 0 {
                self.remove(peer, number);
            }
        }
    }

    /// Whether any peer holds this object.
    pub fn is_exported(&self, local: Local) -> bool {
        self.exports.values().any(|export| export.local == local)
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

    fn of(&self, peer: &PublicKey) -> impl Iterator<Item = (u64, &Export)> {
        let range = self.exports.range((*peer, 0)..=(*peer, u64::MAX));
        range.map(|((_, number), export)| (*number, export))
    }

    fn of_mut(&mut self, peer: &PublicKey) -> impl Iterator<Item = (u64, &mut Export)> {
        let range = self.exports.range_mut((*peer, 0)..=(*peer, u64::MAX));
        range.map(|((_, number), export)| (*number, export))
    }
}
