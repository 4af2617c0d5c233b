//! Objects in messages: exported, imported, come home, handed on.

use alloc::{collections::BTreeMap, vec::Vec};

use libipc_abi::status::Cause;

use super::contact::alive;
use super::{Event, Import, Node, Object};
use crate::Millis;
use crate::limits::{BOUND_LONGEST, BOUND_SHORTEST, GUESTS, IMPORTS};
use crate::suite::PublicKey;
use crate::table::Taken;
use crate::wire::{Body, ObjectId, ObjectRef, Rights};

/// An object of another device.
#[derive(Clone, Debug)]
pub(super) struct Imported {
    pub(super) owner: PublicKey,
    pub(super) object: ObjectId,
    pub(super) rights: Rights,
    /// References that the owner counts, and those that the host has not yet dropped.
    counted: u32,
    held: u32,
    /// Why it can be called no more.
    pub(super) dead: Option<Cause>,
    /// A call of it ran, as far as we know: the owner knows that we know it.
    used: bool,
}

/// All of them.
#[derive(Default)]
pub(super) struct Imports {
    all: BTreeMap<Import, Imported>,
    /// Those that live, by owner and name.
    names: BTreeMap<(PublicKey, ObjectId), Import>,
    next: u64,
}

impl Imports {
    pub(super) fn get(&self, import: Import) -> Option<&Imported> {
        self.all.get(&import)
    }

    /// One that can be called, or why it cannot.
    pub(super) fn live(&self, import: Import) -> Result<&Imported, Cause> {
        let imported = self.all.get(&import).ok_or(Cause::Denied)?;
        match imported.dead {
            Some(cause) => Err(cause),
            None => Ok(imported),
        }
    }

    /// Whether an object lives on when its owner begins anew with us: if it has not
    /// heard of it from us, it may be of the new time.
    pub(super) fn outlasts(&self, owner: &PublicKey, object: ObjectId) -> bool {
        let import = self.names.get(&(*owner, object));
        let imported = import.and_then(|import| self.all.get(import));
        imported.is_some_and(|imported| !imported.used)
    }

    /// A call of it ran, or may have.
    pub(super) fn was_used(&mut self, owner: &PublicKey, object: ObjectId) {
        if let Some(import) = self.names.get(&(*owner, object))
            && let Some(imported) = self.all.get_mut(import)
        {
            imported.used = true;
        }
    }

    /// Those of an owner that live.
    pub(super) fn of(&self, owner: &PublicKey) -> impl Iterator<Item = Import> {
        let first = ObjectId::ROOT;
        let last = ObjectId {
            number: u64::MAX,
            epoch: u64::MAX,
        };
        let range = self.names.range((*owner, first)..=(*owner, last));
        range.map(|(_, import)| *import)
    }
}

/// How an object travels.
pub(super) enum Travels {
    /// At once.
    As(ObjectRef),
    /// When its owner knows of it.
    HandedOn(Import, Rights, Millis),
}

impl Node {
    /// How an object of the host gets to a peer, which called one of its own for it.
    pub(super) fn travels(
        &mut self,
        to: &PublicKey,
        object: Object,
        through: Option<u64>,
    ) -> Result<Travels, Cause> {
        match object {
            Object::Local(local, rights) => {
                let name = self.table.export(to, local, rights, through)?;
                Ok(Travels::As(ObjectRef::Export(name, rights)))
            }
            Object::Import(import, rights, bound) => {
                let imported = self.imports.live(import)?;
                if imported.owner == *to {
                    return Ok(Travels::As(ObjectRef::Home(imported.object)));
                }
                if !imported.rights.hand_on {
                    return Err(Cause::Denied);
                }
                let bound = bound.clamp(BOUND_SHORTEST, BOUND_LONGEST);
                Ok(Travels::HandedOn(import, rights, bound))
            }
        }
    }

    /// What did not get to a peer is not exported, nor handed on.
    pub(super) fn take_in(&mut self, peer: &PublicKey, objects: &[ObjectRef]) {
        for object in objects {
            match object {
                ObjectRef::Export(name, _) => {
                    let taken = self.table.release(peer, *name, 1);
                    self.tell_taken(&taken);
                }
                ObjectRef::Ticket { owner, object, .. } => {
                    self.not_handed_on(*owner, *peer, *object);
                }
                ObjectRef::Home(_) => {}
            }
        }
    }

    /// The objects that came in a message: all of them or none.
    pub(super) fn arrive(
        &mut self,
        from: &PublicKey,
        objects: &[ObjectRef],
        now: Millis,
    ) -> Result<Vec<Object>, Cause> {
        let mut arrived = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            match self.arrives(from, object, now) {
                Ok(object) => arrived.push(object),
                Err(cause) => {
                    self.drop_objects(&arrived);
                    // What could not be taken is given back all the same.
                    for object in &objects[index..] {
                        if let ObjectRef::Export(name, _) = object {
                            self.tell(from, &Body::Release(*name, 1));
                        }
                    }
                    return Err(cause);
                }
            }
        }
        Ok(arrived)
    }

    fn arrives(
        &mut self,
        from: &PublicKey,
        object: &ObjectRef,
        now: Millis,
    ) -> Result<Object, Cause> {
        match object {
            ObjectRef::Export(name, rights) => {
                let import = self.import(from, *name, *rights, false)?;
                Ok(Object::Import(import, *rights, BOUND_SHORTEST))
            }
            ObjectRef::Home(name) => {
                let alive = alive(&self.contacts);
                let (local, rights) = self.table.home(from, *name, alive, now)?;
                Ok(Object::Local(local, rights))
            }
            ObjectRef::Ticket {
                owner,
                address,
                object,
                rights,
            } => {
                let strangers = self.contacts.keys().filter(|key| !self.trust.holds(key));
                let is_known = self.contacts.contains_key(owner);
                if *owner == self.key || *owner == *from || *object == ObjectId::ROOT {
                    return Err(Cause::Denied);
                }
                if !is_known && strangers.count() >= GUESTS {
                    return Err(Cause::QuotaExceeded);
                }
                self.know(*owner, now);
                if let Some(contact) = self.contacts.get_mut(owner) {
                    contact.hint = Some(*address);
                }
                let import = self.import(owner, *object, *rights, true);
                if import.is_err() {
                    self.forget_unless_known(owner);
                }
                Ok(Object::Import(import?, *rights, BOUND_SHORTEST))
            }
        }
    }

    fn import(
        &mut self,
        owner: &PublicKey,
        object: ObjectId,
        rights: Rights,
        is_ticket: bool,
    ) -> Result<Import, Cause> {
        if object == ObjectId::ROOT {
            return Err(Cause::Malformed);
        }
        if let Some(import) = self.imports.names.get(&(*owner, object)).copied()
            && let Some(imported) = self.imports.all.get_mut(&import)
        {
            imported.counted = imported.counted.saturating_add(1);
            imported.held = imported.held.saturating_add(1);
            return Ok(import);
        }
        if self.imports.of(owner).count() >= IMPORTS {
            return Err(Cause::QuotaExceeded);
        }
        self.imports.next += 1;
        let import = Import(self.imports.next);
        let imported = Imported {
            owner: *owner,
            object,
            rights,
            counted: 1,
            held: 1,
            dead: None,
            used: !is_ticket,
        };
        self.imports.all.insert(import, imported);
        self.imports.names.insert((*owner, object), import);
        if let Some(contact) = self.contacts.get_mut(owner) {
            contact.holds = true;
        }
        self.busy.insert(*owner);
        Ok(import)
    }

    /// Whose object this is.
    pub fn owner(&self, import: Import) -> Option<PublicKey> {
        self.imports.all.get(&import).map(|imported| imported.owner)
    }

    /// The host drops one reference to an object of another device: as many as it was
    /// given, it has to drop.
    pub fn release(&mut self, import: Import, now: Millis) {
        self.drop_import(import);
        self.pump(now);
    }

    pub(super) fn drop_import(&mut self, import: Import) {
        let Some(imported) = self.imports.all.get_mut(&import) else {
            return;
        };
        imported.held = imported.held.saturating_sub(1);
        if imported.held > 0 {
            return;
        }
        let imported = imported.clone();
        self.imports.all.remove(&import);
        if imported.dead.is_none() {
            // What was handed on of it ends with it, at its owner.
            self.revocations.ends(import);
        }
        if imported.dead != Some(Cause::EpochChanged) && imported.dead != Some(Cause::Unreachable) {
            self.tell(
                &imported.owner,
                &Body::Release(imported.object, imported.counted),
            );
        }
        if imported.dead.is_none() {
            self.imports
                .names
                .remove(&(imported.owner, imported.object));
        }
        self.holds_less(&imported.owner);
    }

    /// Objects of an owner have become less.
    fn holds_less(&mut self, owner: &PublicKey) {
        let holds = self.imports.of(owner).next().is_some();
        if let Some(contact) = self.contacts.get_mut(owner) {
            contact.holds = holds;
        }
        // Our word that we drop them has to get there first.
        let contact = self.contacts.get(owner);
        if !holds && contact.is_none_or(|contact| contact.current.is_none()) {
            self.forget_unless_known(owner);
        }
    }

    pub(super) fn drop_objects(&mut self, objects: &[Object]) {
        for object in objects {
            if let Object::Import(import, ..) = object {
                self.drop_import(*import);
            }
        }
    }

    /// Objects came that nobody wants.
    pub(super) fn unwanted(&mut self, from: &PublicKey, objects: &[ObjectRef], now: Millis) {
        if let Ok(objects) = self.arrive(from, objects, now) {
            self.drop_objects(&objects);
        }
    }

    /// The owner took an object back.
    pub(super) fn object_revoked(&mut self, owner: &PublicKey, object: ObjectId) {
        if let Some(import) = self.imports.names.remove(&(*owner, object)) {
            self.kill(import, Cause::Revoked);
            self.revocations.ends(import);
        }
    }

    /// Objects of a peer that began anew, or that is no longer trusted. Those that it
    /// has not heard of from us stay: they may be of the new time.
    pub(super) fn kill_imports(&mut self, owner: &PublicKey, cause: Cause, now: Millis) {
        for import in self.imports.of(owner).collect::<Vec<_>>() {
            let Some(imported) = self.imports.get(import) else {
                continue;
            };
            if imported.used {
                let name = (imported.owner, imported.object);
                self.imports.names.remove(&name);
                self.kill(import, cause);
                match cause {
                    Cause::EpochChanged => self.revocations.ends(import),
                    _ => self.revocations.is_left(import, now),
                }
            }
        }
        let holds = self.imports.of(owner).next().is_some();
        if let Some(contact) = self.contacts.get_mut(owner) {
            contact.holds = holds;
        }
    }

    /// All objects of a peer that is no longer trusted.
    pub(super) fn kill_all_imports(&mut self, owner: &PublicKey, cause: Cause, now: Millis) {
        for import in self.imports.of(owner).collect::<Vec<_>>() {
            if let Some(imported) = self.imports.all.get_mut(&import) {
                imported.used = true;
            }
        }
        self.kill_imports(owner, cause, now);
    }

    fn kill(&mut self, import: Import, cause: Cause) {
        if let Some(imported) = self.imports.all.get_mut(&import)
            && imported.dead.is_none()
        {
            imported.dead = Some(cause);
            let owner = imported.owner;
            self.event(Event::Dead(import, cause));
            let holds = self.imports.of(&owner).next().is_some();
            if let Some(contact) = self.contacts.get_mut(&owner) {
                contact.holds = holds;
            }
        }
    }

    /// Tells a peer something that is no call, if there is anything between us.
    pub(super) fn tell(&mut self, peer: &PublicKey, body: &Body) {
        if let Some(contact) = self.contacts.get_mut(peer)
            && contact.peer.remote().is_some()
        {
            contact.peer.tell(body);
            self.busy.insert(*peer);
        }
    }

    /// Tells those who held it that it was taken back.
    pub(super) fn tell_taken(&mut self, taken: &[Taken]) {
        for taken in taken {
            self.tell(&taken.peer, &Body::Revoked(taken.object));
            self.busy.insert(taken.peer);
        }
    }
}
