//! Objects in messages: capabilities here, names on the wire.

use crate::{fair::Behind, server::Server};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use libipc::{
    Capability,
    handle::{ObjectType, Rights as Held},
    operation::Class,
    status::Cause,
    task,
};
use tessera_softbus_protocol::{
    Millis,
    node::{Import, Object},
    suite::PublicKey,
    table::Local,
    wire::Rights,
};

/// How long what is handed on outlasts our silence.
pub(crate) const BOUND: Millis = 30_000;

/// Things of other devices that were handed on and are kept here.
const HANDED: usize = 64;

/// What is exported: the capabilities behind it.
#[derive(Debug, Default)]
pub struct Exports {
    held: BTreeMap<Local, Export>,
    next: u64,
}

/// Something that is exported.
#[derive(Debug)]
pub struct Export {
    /// What is behind it.
    pub server: Capability,
    /// The kernel's number of that object.
    pub behind: Behind,
    /// It is the page's directory of this name, which whoever holds the keys gives out.
    pub place: Option<String>,
    /// What it is published as; nothing goes when nobody has it any more.
    pub service: Option<String>,
    /// The service through which a device got it.
    pub through: Option<String>,
    /// The owner is asked about a device before it uses this.
    pub is_private: bool,
    /// Devices that may use it although it is published no longer.
    pub agreed: BTreeSet<PublicKey>,
    /// It came of something private: who has it may not hand it on.
    pub stays: bool,
    /// Only calls with these hashes reach it; all if there are none.
    pub hashes: Vec<u32>,
}

/// A call of another device's that is here.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// What is called.
    pub(crate) local: Local,
    pub(crate) peer: PublicKey,
    pub(crate) class: Class,
    /// Of something private, or of what came of that.
    pub(crate) is_private: bool,
    /// The service of which it is, or came.
    pub(crate) service: Option<String>,
}

impl Export {
    /// What whoever gets it may do with it.
    pub(crate) fn rights(&self) -> Rights {
        Rights {
            hand_on: !self.is_private && !self.stays,
            ..Rights::ALL
        }
    }

    /// Something that goes when nobody has it any more.
    pub fn of(server: Capability) -> Self {
        let held = task().capability(server.handle().index().into());
        Export {
            behind: held.map_or(0, |held| held.object),
            server,
            place: None,
            service: None,
            through: None,
            is_private: false,
            agreed: BTreeSet::new(),
            stays: false,
            hashes: Vec::new(),
        }
    }
}

impl Exports {
    /// Exports something.
    pub fn add(&mut self, export: Export) -> Local {
        self.next += 1;
        let local = Local(self.next);
        self.held.insert(local, export);
        local
    }

    /// What is behind an export.
    pub fn get(&self, local: Local) -> Option<&Export> {
        self.held.get(&local)
    }

    /// Lets a device use something that is published no longer; false if there is no such
    /// thing.
    pub(crate) fn agree(&mut self, local: Local, device: PublicKey) -> bool {
        let export = self.held.get_mut(&local);
        export.map(|export| export.agreed.insert(device)).is_some()
    }

    /// A device may not use what has such a name; false if it was not allowed to anyway.
    pub(crate) fn disagree(&mut self, named: impl Fn(&str) -> bool, device: &PublicKey) -> bool {
        let mut was_agreed = false;
        for export in self.held.values_mut() {
            if export.service.as_deref().is_some_and(&named) {
                was_agreed |= export.agreed.remove(device);
            }
        }
        was_agreed
    }

    /// An export is the page's directory of this name.
    pub(crate) fn set_place(&mut self, local: Local, name: &str) {
        if let Some(export) = self.held.get_mut(&local) {
            export.place = Some(name.into());
        }
    }

    /// The page's directory that an export is, if it is one.
    pub(crate) fn place(&self, local: Local) -> Option<String> {
        self.held.get(&local)?.place.clone()
    }

    /// Another capability is behind an export from now on.
    pub(crate) fn renew(&mut self, local: Local, server: Capability) {
        if let Some(export) = self.held.get_mut(&local) {
            let Export { server, behind, .. } = Export::of(server);
            (export.server, export.behind) = (server, behind);
        }
    }

    /// No longer exports it.
    pub fn remove(&mut self, local: Local) {
        self.held.remove(&local);
    }

    /// Those that go when nobody has them.
    pub fn transient(&self) -> Vec<Local> {
        let transient = self
            .held
            .iter()
            .filter(|(_, export)| export.service.is_none());
        transient.map(|(local, _)| *local).collect()
    }
}

/// What of other devices is held here, by the badges of the capabilities for it.
#[derive(Debug, Default)]
pub struct Imports(BTreeMap<u64, Import>);

impl Imports {
    /// What a badge stands for.
    pub fn get(&self, badge: u64) -> Option<Import> {
        self.0.get(&badge).copied()
    }

    /// A badge stands for it.
    pub fn add(&mut self, badge: u64, import: Import) {
        self.0.insert(badge, import);
    }

    /// The last capability with this badge is gone.
    pub fn remove(&mut self, badge: u64) -> Option<Import> {
        self.0.remove(&badge)
    }
}

impl Server<'_> {
    /// A capability for something of another device. Its reference goes with it.
    pub(crate) fn import(&mut self, import: Import) -> Result<Capability, Cause> {
        let badge = self.new_badge();
        match self.endpoint.mint_client::<Capability>(badge) {
            Ok(capability) => {
                self.imports.add(badge, import);
                Ok(capability)
            }
            Err(_) => {
                self.release(import);
                Err(Cause::QuotaExceeded)
            }
        }
    }

    /// A capability for an object that came: of what is published here, only for whoever
    /// `may_have` it.
    pub(crate) fn arrive_one(
        &mut self,
        object: Object,
        may_have: bool,
    ) -> Result<Capability, Cause> {
        match object {
            Object::Local(local, rights) => {
                let home = self.exports.get(local).ok_or(Cause::Revoked)?;
                // What comes home is the capability itself, which may do more than what was
                // lent of it.
                let is_lent_whole = rights == home.rights() && !home.is_private;
                if !is_lent_whole || home.service.is_some() && !may_have {
                    return Err(Cause::Denied);
                }
                // Where the owner is asked, this capability asks in the bus's name.
                if self.consents.owner.is_asked_at(home.behind) {
                    return Err(Cause::Denied);
                }
                home.server.copy().map_err(|_| Cause::QuotaExceeded)
            }
            Object::Import(import, ..) => self.import(import),
        }
    }

    /// The capabilities for objects that came. If one cannot be made, none is.
    pub(crate) fn arrive(&mut self, objects: Vec<Object>) -> Result<Vec<Capability>, Cause> {
        let mut arrived = Vec::new();
        let mut failed = None;
        for object in objects {
            match self.arrive_one(object, false) {
                Ok(capability) => arrived.push(capability),
                Err(cause) => failed = Some(cause),
            }
        }
        match failed {
            Some(cause) => Err(cause),
            None => Ok(arrived),
        }
    }

    /// What came with a call or an answer that nobody takes goes.
    pub(crate) fn let_go(&mut self, objects: Vec<Object>) {
        for object in objects {
            if let Object::Import(import, ..) = object {
                self.release(import);
            }
        }
    }

    /// What capabilities are called on the wire. Those of an argument must be allowed to
    /// leave; what a server answers a device with, it gave to that device.
    pub(crate) fn leave(
        &mut self,
        capabilities: Vec<Capability>,
        answered: Option<&Running>,
    ) -> Result<Vec<Object>, Cause> {
        let mut objects = Vec::new();
        let mut made = Vec::new();
        for capability in capabilities {
            match self.leave_one(capability, answered) {
                Ok(object) => {
                    made.extend(match object {
                        Object::Local(local, _) => Some(local),
                        Object::Import(..) => None,
                    });
                    objects.push(object);
                }
                Err(cause) => {
                    made.into_iter()
                        .for_each(|local| self.exports.remove(local));
                    return Err(cause);
                }
            }
        }
        Ok(objects)
    }

    fn leave_one(
        &mut self,
        capability: Capability,
        answered: Option<&Running>,
    ) -> Result<Object, Cause> {
        if capability.object_type() != Some(ObjectType::Endpoint) {
            // Kernel objects and replies never leave.
            return Err(Cause::Denied);
        }
        if let Some(import) = self.own(&capability)? {
            let object = Object::Import(import, Rights::ALL, BOUND);
            let owner = self.node.owner(import);
            match answered {
                // It comes home.
                Some(call) if owner == Some(call.peer) => {
                    self.keep(capability);
                    return Ok(object);
                }
                // What was reached through this device goes on to be, and ends with it.
                Some(_) => {}
                None => {
                    self.keep(capability);
                    return Ok(object);
                }
            }
        }
        let needed = match answered {
            Some(_) => Held::GRANT,
            None => Held::GRANT | Held::EXPORT,
        };
        if !capability.rights().contains(needed) {
            return Err(Cause::Denied);
        }
        let export = Export {
            stays: answered.is_some_and(|call| call.is_private),
            through: answered.and_then(|call| call.service.clone()),
            ..Export::of(capability)
        };
        let rights = export.rights();
        Ok(Object::Local(self.exports.add(export), rights))
    }

    /// Keeps what was handed on: it ends for the others when it ends here.
    fn keep(&mut self, capability: Capability) {
        if self.handed.len() == HANDED {
            self.handed.pop_front();
        }
        self.handed.push_back(capability);
    }

    /// What a capability for the bus's own endpoint stands for, if it is one: what was
    /// imported may go on, the bus itself may not.
    pub(crate) fn own(&self, capability: &Capability) -> Result<Option<Import>, Cause> {
        let held = task().capability(capability.handle().index().into());
        let (Ok(held), Ok(own)) = (held, self.endpoint.info()) else {
            return Err(Cause::Denied);
        };
        if held.object != own.id {
            return Ok(None);
        }
        self.imports.get(held.badge).map(Some).ok_or(Cause::Denied)
    }
}
