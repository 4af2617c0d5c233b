//! The interface: what programs here ask of the bus.

use crate::{
    events::{number, pairing, transport},
    objects::{BOUND, Export},
    server::{Asked, Published, Server},
    users::User,
};
use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;
use libipc::{
    Capability, Lease, LeaseMut,
    handle::{ObjectType, Rights as Held},
    interfaces::{
        Bus, BusClient, BusError,
        bus::{BusAllowed, BusName, BusStats, Device, Listed, Standing, Used},
    },
    objects::EndpointClient,
    server::{LeaseId, Reply},
    status::{Cause, TransportError},
    time::Instant,
};
use tessera_softbus_protocol::{
    address::Address,
    node::{Import, Object},
    suite::PublicKey,
    table::Service,
    wire::Rights,
};

/// How long another device may take to say what it publishes, or to open it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a device may take until it is heard.
const REACH: Duration = Duration::from_secs(6);

/// Requests to devices that cannot be reached yet.
const UNREACHED: usize = 32;

/// Bytes of a table of operations: two for each.
const TABLE: usize = 512;

/// Endpoints that are told of changes.
const WATCHERS: usize = 32;

/// One call's view of the server: who calls.
pub(crate) struct Session<'s, 'e> {
    pub(crate) server: &'s mut Server<'e>,
    pub(crate) badge: u64,
}

impl Session<'_, '_> {
    fn user(&self, needed: BusAllowed) -> Result<User, BusError> {
        let user = self.server.users.find(self.badge)?;
        user.may(needed)?;
        Ok(user)
    }

    /// The key of a device that is trusted, if the caller may speak to it.
    fn key(&self, device: u64, needed: BusAllowed) -> Result<PublicKey, BusError> {
        let user = self.user(needed)?;
        let mut trusted = self.server.node.trusted();
        let found = trusted.find(|(key, ..)| number(key) == device);
        let (key, ..) = found.ok_or(BusError::NoDevice)?;
        user.may_reach(key)?;
        Ok(*key)
    }

    /// All devices that the caller may see.
    fn devices(&self, user: &User) -> Vec<Device> {
        let node = &self.server.node;
        let trusted = node.trusted().map(|(key, trusted, present)| {
            let device = Device {
                id: number(key),
                standing: Standing::Trusted,
                present,
                connected: node.is_connected(key),
                name: plain(&trusted.name),
            };
            (Some(*key), device)
        });
        let strangers = node.strangers().map(|stranger| {
            let device = Device {
                id: stranger.instance,
                standing: match stranger.open {
                    Some(_) => Standing::Open,
                    None => Standing::Stranger,
                },
                present: true,
                connected: false,
                name: stranger
                    .open
                    .as_ref()
                    .map_or_else(BusName::default, |(name, _)| plain(name)),
            };
            (None, device)
        });
        let seen = |(key, _): &(Option<PublicKey>, Device)| match (key, &user.device) {
            (_, None) => true,
            (Some(key), Some(only)) => key == only,
            (None, Some(_)) => false,
        };
        trusted
            .chain(strangers)
            .filter(seen)
            .map(|(_, device)| device)
            .collect()
    }

    fn try_browse(&self, device: u64) -> Result<(PublicKey, String), BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        Ok((key, self.user(BusAllowed::USE)?.interface))
    }

    fn try_open(
        &mut self,
        device: u64,
        hash: u32,
        table: &Lease<'_>,
    ) -> Result<PublicKey, BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        let mut classes = vec![0; table.len()];
        if classes.len() > TABLE || table.read_at(0, &mut classes).is_err() {
            return Err(BusError::BadMemory);
        }
        match self.server.registry.learn(hash, &classes) {
            true => Ok(key),
            false => Err(BusError::TooMany),
        }
    }

    fn try_pair(&mut self, device: u64, pin: u32) -> Result<(), BusError> {
        self.user(BusAllowed::MANAGE)?;
        if !self.server.keeper.is_durable() {
            return Err(BusError::NotDurable);
        }
        if self.server.waiting.pair.is_some() {
            return Err(BusError::Busy);
        }
        let mut strangers = self.server.node.strangers();
        let stranger = strangers.find(|stranger| stranger.instance == device);
        let stranger = stranger.ok_or(BusError::NoDevice)?;
        if stranger.open.is_none() {
            return Err(BusError::NotOpen);
        }
        let address: Address = stranger.address;
        drop(strangers);
        let mut digits = pin;
        let mut pin = [0; 6];
        for digit in pin.iter_mut().rev() {
            *digit = b'0' + (digits % 10) as u8;
            digits /= 10;
        }
        if digits > 0 {
            return Err(BusError::WrongPin);
        }
        let now = self.server.now();
        self.server.node.pair(address, pin, now).map_err(pairing)
    }
}

impl Bus for Session<'_, '_> {
    fn myself(&mut self) -> Result<Device, BusError> {
        self.server.users.find(self.badge)?;
        let doubled = self.server.now() < self.server.doubled_until;
        Ok(Device {
            id: number(&self.server.node.key()),
            standing: match doubled {
                true => Standing::Doubled,
                false => Standing::Trusted,
            },
            present: true,
            connected: true,
            name: plain(self.server.node.name()),
        })
    }

    fn device(&mut self, index: u64) -> Result<Device, BusError> {
        let user = self.user(BusAllowed::USE)?;
        let devices = self.devices(&user);
        let device = usize::try_from(index)
            .ok()
            .and_then(|index| devices.get(index));
        device.copied().ok_or(BusError::NoDevice)
    }

    fn browse(&mut self, device: u64, into: LeaseId, reply: Reply<u64, BusError>) {
        let (key, interface) = match self.try_browse(device) {
            Ok(found) => found,
            Err(error) => {
                reply.answer(Err(error));
                return;
            }
        };
        self.ask(key, Asked::Browse(into, reply, interface));
    }

    fn open(
        &mut self,
        device: u64,
        service: BusName,
        hash: u32,
        table: LeaseId,
        reply: Reply<Capability, BusError>,
    ) {
        let key = match self.try_open(device, hash, &reply.lease(table)) {
            Ok(key) => key,
            Err(error) => {
                reply.answer(Err(error));
                return;
            }
        };
        self.ask(key, Asked::Open(service, reply));
    }

    fn publish(
        &mut self,
        service: BusName,
        interface: BusName,
        hash: u32,
        private: bool,
        server: Capability,
    ) -> Result<(), BusError> {
        let user = self.user(BusAllowed::PUBLISH)?;
        if !user.may_use(interface.as_str()) {
            return Err(BusError::NotPermitted);
        }
        let interface = (interface.as_str(), hash);
        self.server
            .publish(service.as_str(), interface, private, server)
    }

    fn withdraw(&mut self, service: BusName) -> Result<(), BusError> {
        self.user(BusAllowed::PUBLISH)?;
        let withdrawn = self.server.published.remove(service.as_str());
        let withdrawn = withdrawn.ok_or(BusError::NoService)?;
        self.server.node.withdraw(service.as_str());
        if withdrawn.is_handed_on {
            // With what is ours of it ends what others have through us.
            self.server.exports.remove(withdrawn.local);
        }
        Ok(())
    }

    fn revoke(&mut self, service: BusName, reply: Reply<(), BusError>) {
        let local = self.user(BusAllowed::PUBLISH).and_then(|_| {
            let withdrawn = self.server.published.remove(service.as_str());
            withdrawn
                .map(|service| service.local)
                .ok_or(BusError::NoService)
        });
        match local {
            Ok(local) => {
                let now = self.server.now();
                match self.server.node.revoke_service(service.as_str(), now) {
                    Some(id) => {
                        self.server.waiting.revoke.insert(id, (local, reply));
                    }
                    None => {
                        reply.answer(Err(BusError::NoService));
                    }
                }
            }
            Err(error) => {
                reply.answer(Err(error));
            }
        }
    }

    fn published(&mut self, into: LeaseMut) -> Result<u64, BusError> {
        let user = self.user(BusAllowed::USE)?;
        let mut list = Vec::new();
        for (name, service) in &self.server.published {
            let before = list.len();
            if user.may_use(&service.interface) {
                let one = Listed {
                    name: name.clone(),
                    interface: service.interface.clone(),
                };
                one.emit(&mut list);
            }
            if list.len() > into.len() {
                list.truncate(before);
            }
        }
        into.write_at(0, &list).map_err(|_| BusError::BadMemory)?;
        Ok(list.len() as u64)
    }

    fn open_pairing(&mut self) -> Result<u32, BusError> {
        self.user(BusAllowed::MANAGE)?;
        if !self.server.keeper.is_durable() {
            return Err(BusError::NotDurable);
        }
        let now = self.server.now();
        let pin = self.server.node.open_pairing(now);
        let digits = pin.iter().map(|digit| u32::from(digit - b'0'));
        Ok(digits.fold(0, |number, digit| number * 10 + digit))
    }

    fn close_pairing(&mut self) -> Result<(), BusError> {
        self.user(BusAllowed::MANAGE)?;
        let now = self.server.now();
        self.server.node.close_pairing(now);
        Ok(())
    }

    fn pair(&mut self, device: u64, pin: u32, reply: Reply<u64, BusError>) {
        match self.try_pair(device, pin) {
            Ok(()) => self.server.waiting.pair = Some(reply),
            Err(error) => {
                reply.answer(Err(error));
            }
        }
    }

    fn distrust(&mut self, device: u64, reply: Reply<(), BusError>) {
        let key = match self.key(device, BusAllowed::MANAGE) {
            Ok(key) => key,
            Err(error) => {
                reply.answer(Err(error));
                return;
            }
        };
        let now = self.server.now();
        match self.server.node.distrust(&key, now) {
            true => self.server.waiting.distrust.push((key, reply)),
            false => {
                reply.answer(Err(BusError::NoDevice));
            }
        }
    }

    fn watch(&mut self, device: u64, watch: bool) -> Result<(), BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        let now = self.server.now();
        self.server.node.watch(&key, watch, now);
        Ok(())
    }

    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), BusError> {
        self.user(BusAllowed::USE)?;
        let badge = self.badge;
        let watchers = &mut self.server.watchers;
        watchers.retain(|(of, ..)| *of != badge);
        if watchers.len() >= WATCHERS {
            return Err(BusError::TooMany);
        }
        watchers.push((badge, endpoint, signals));
        Ok(())
    }

    fn stats(&mut self, device: u64) -> Result<BusStats, BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        Ok(BusStats {
            held: self.server.node.held(&key),
            ..self.server.stats.get(&key).copied().unwrap_or_default()
        })
    }

    fn restrict(
        &mut self,
        allowed: u64,
        device: u64,
        interface: BusName,
    ) -> Result<BusClient, BusError> {
        let user = self.user(BusAllowed::empty())?;
        let device = match device {
            0 => None,
            device => Some(self.key(device, BusAllowed::empty())?),
        };
        let user = user.and(User {
            allowed: BusAllowed::from_bits_truncate(allowed),
            device,
            interface: interface.as_str().into(),
        })?;
        let badge = self.server.new_badge();
        self.server.users.add(badge, user)?;
        self.server.endpoint.mint_client(badge).map_err(|_| {
            self.server.users.closed(badge);
            BusError::NoResources
        })
    }

    fn used(&mut self, index: u64) -> Result<Used, BusError> {
        self.user(BusAllowed::MANAGE)?;
        self.server.used(index).ok_or(BusError::NoService)
    }
}

impl Session<'_, '_> {
    /// Asks a device, now or when it can be reached.
    fn ask(&mut self, key: PublicKey, asked: Asked) {
        if self.server.waiting.unreached.len() >= UNREACHED {
            return asked.fail(BusError::Busy);
        }
        let until = Instant::now() + REACH;
        self.server.waiting.unreached.push((until, key, asked));
        self.server.ask_unreached();
    }
}

impl Asked {
    fn fail(self, error: BusError) {
        match self {
            Asked::Browse(_, reply, _) => reply.answer(Err(error)),
            Asked::Open(_, reply) => reply.answer(Err(error)),
        };
    }

    /// When it ends at the latest.
    fn deadline(&self) -> Instant {
        let caller = match self {
            Asked::Browse(_, reply, _) => reply.deadline(),
            Asked::Open(_, reply) => reply.deadline(),
        };
        caller.min(Instant::now() + PATIENCE)
    }
}

impl Server<'_> {
    /// Asks devices that can be reached now. A device that was just paired, or that has
    /// just started, is heard a little later.
    pub(crate) fn ask_unreached(&mut self) {
        let waiting = core::mem::take(&mut self.waiting.unreached);
        for (until, key, asked) in waiting {
            let (deadline, now) = (self.millis(asked.deadline()), self.now());
            let made = match &asked {
                Asked::Browse(..) => self.node.browse(&key, deadline, now),
                Asked::Open(service, _) => self.node.open(&key, service.as_str(), deadline, now),
            };
            match (made, asked) {
                (Ok(id), Asked::Browse(into, reply, interface)) => {
                    let waiting = (into, reply, interface);
                    self.waiting.browse.insert(id, waiting);
                }
                (Ok(id), Asked::Open(_, reply)) => {
                    self.waiting.open.insert(id, reply);
                }
                (Err(Cause::Unreachable), asked) if until > Instant::now() => {
                    self.waiting.unreached.push((until, key, asked));
                }
                (Err(cause), asked) => asked.fail(refused(cause)),
            }
        }
    }

    /// Publishes a service.
    pub fn publish(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        server: Capability,
    ) -> Result<(), BusError> {
        let import = self.own(&server).map_err(|_| BusError::NotExported)?;
        let may_leave = server.object_type() == Some(ObjectType::Endpoint)
            && server.rights().contains(Held::EXPORT);
        if import.is_none() && !may_leave {
            return Err(BusError::NotExported);
        }
        // Another device's is handed on to who opens it, who then calls it there; unless
        // the owner here has a say about each use.
        let handed_on = import.filter(|_| !is_private);
        self.publish_as(name, interface, is_private, server, handed_on)
    }

    /// Publishes what is this device's own to lend, whatever the capability allows.
    pub fn publish_own(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        server: Capability,
    ) -> Result<(), BusError> {
        self.publish_as(name, interface, is_private, server, None)
    }

    fn publish_as(
        &mut self,
        name: &str,
        interface: (&str, u32),
        is_private: bool,
        server: Capability,
        handed_on: Option<Import>,
    ) -> Result<(), BusError> {
        let is_plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (interface, hash) = interface;
        if !is_plain(name) || !is_plain(interface) {
            return Err(BusError::BadName);
        }
        if self.published.contains_key(name) {
            return Err(BusError::Exists);
        }
        let hashes = match hash {
            0 => self.registry.hashes(interface).map(Vec::from),
            hash => Some(Vec::from([hash])),
        };
        let local = self.exports.add(Export {
            server,
            service: Some(name.into()),
            is_private,
            hashes: hashes.ok_or(BusError::BadName)?,
        });
        let object = match handed_on {
            Some(import) => Object::Import(import, Rights::ALL, BOUND),
            None => Object::Local(local, Rights::ALL),
        };
        let service = Service {
            object,
            interface: interface.into(),
            only: None,
        };
        if !self.node.publish(name, service) {
            self.exports.remove(local);
            return Err(BusError::TooMany);
        }
        let published = Published {
            local,
            is_handed_on: handed_on.is_some(),
            interface: interface.into(),
        };
        self.published.insert(name.into(), published);
        Ok(())
    }
}

/// A name that came from elsewhere, as it is shown: what is no plain text is left out.
pub(crate) fn plain(name: &str) -> BusName {
    let shown: String = name
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(32)
        .collect();
    BusName::new(&shown).unwrap_or_default()
}

fn refused(cause: Cause) -> BusError {
    transport(TransportError::refused(cause))
}
