//! The interface: what programs here ask of the bus.

use crate::{
    asked::Asked,
    events::{number, pairing},
    names::plain,
    server::{Published, Server},
    users::User,
};
use alloc::{vec, vec::Vec};
use libipc::{
    Capability, Lease, LeaseMut,
    interfaces::{
        Bus, BusClient, BusError,
        bus::{Agreed, BusAllowed, BusName, BusStats, Device, Listed, Standing, Used},
    },
    objects::EndpointClient,
    server::{LeaseId, Reply},
};
use tessera_softbus_protocol::{address::Address, suite::PublicKey};

/// Bytes of a table of operations: two for each.
const TABLE: usize = 512;

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

    /// Whether the caller may pair, and see what all devices do.
    fn manages(&self) -> Result<(), BusError> {
        self.user(BusAllowed::MANAGE)?.may_reach_all()
    }

    /// The devices that the caller may speak to, unless it may speak to all.
    fn reached(&self, user: &User) -> Option<Vec<PublicKey>> {
        user.may_reach_all().is_err().then(|| {
            let called = self.server.names().into_iter();
            let reached = called.filter(|(key, name)| user.reach.contains(key, name.as_str()));
            reached.map(|(key, _)| key).collect()
        })
    }

    /// What is published under a name is published no longer, if the caller may use it.
    fn unpublish(&mut self, service: &str) -> Result<Published, BusError> {
        let user = self.user(BusAllowed::PUBLISH)?;
        let published = self.server.published.get(service);
        if !published.is_some_and(|published| user.may_use(&published.interface)) {
            return Err(BusError::NoService);
        }
        let withdrawn = self.server.published.remove(service);
        withdrawn.ok_or(BusError::NoService)
    }

    /// The key of a device that is trusted, if the caller may speak to it.
    fn key(&self, device: u64, needed: BusAllowed) -> Result<PublicKey, BusError> {
        let user = self.user(needed)?;
        let mut called = self.server.names().into_iter();
        let found = called.find(|(key, _)| number(key) == device);
        let (key, name) = found.ok_or(BusError::NoDevice)?;
        user.may_reach(&key, name.as_str())?;
        Ok(key)
    }

    /// All devices that the caller may see.
    fn devices(&self, user: &User) -> Vec<Device> {
        let node = &self.server.node;
        let called = self.server.names();
        let trusted = node.trusted().zip(called);
        let trusted = trusted.map(|((key, _, present), (_, name))| (key, present, name));
        let trusted = trusted.filter(|(key, _, name)| user.reach.contains(key, name.as_str()));
        let trusted = trusted.map(|(key, present, name)| Device {
            id: number(key),
            standing: Standing::Trusted,
            present,
            connected: node.is_connected(key),
            name,
        });
        let strangers = node.strangers().map(|stranger| Device {
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
        });
        let strangers = strangers.filter(|_| user.may_reach_all().is_ok());
        trusted.chain(strangers).collect()
    }

    /// A device that the caller may speak to, and what else it may.
    fn try_browse(&self, device: u64) -> Result<(PublicKey, User), BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        Ok((key, self.user(BusAllowed::USE)?))
    }

    fn try_open(
        &mut self,
        device: u64,
        hash: u32,
        table: &Lease<'_>,
    ) -> Result<(PublicKey, User), BusError> {
        let (key, user) = self.try_browse(device)?;
        if table.len() > TABLE {
            return Err(BusError::BadMemory);
        }
        let mut classes = vec![0; table.len()];
        let read = table.read_at(0, &mut classes);
        read.map_err(|_| BusError::BadMemory)?;
        match self.server.registry.learn(user.client, hash, &classes) {
            true => Ok((key, user)),
            false => Err(BusError::TooMany),
        }
    }

    fn try_pair(&mut self, device: u64, pin: u32) -> Result<(), BusError> {
        self.manages()?;
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
        match self.try_browse(device) {
            Ok((key, user)) => {
                let asked = Asked::Browse(into, reply, user.interface);
                self.server.ask(key, asked);
            }
            Err(error) => {
                reply.answer(Err(error));
            }
        }
    }

    fn open(
        &mut self,
        device: u64,
        service: BusName,
        hash: u32,
        table: LeaseId,
        reply: Reply<Capability, BusError>,
    ) {
        match self.try_open(device, hash, &reply.lease(table)) {
            Ok((key, user)) if user.interface.is_empty() => {
                let all = user.may_reach_all().is_ok();
                self.server.ask(key, Asked::Open(service, reply, all));
            }
            Ok((key, user)) => {
                let asked = Asked::OpenOf(user.interface, service, reply);
                self.server.ask(key, asked);
            }
            Err(error) => {
                reply.answer(Err(error));
            }
        }
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
        let only = self.reached(&user);
        self.server
            .publish(service.as_str(), interface, private, only, server)
    }

    fn withdraw(&mut self, service: BusName) -> Result<(), BusError> {
        let withdrawn = self.unpublish(service.as_str())?;
        self.server.node.withdraw(service.as_str());
        if withdrawn.is_handed_on {
            // With what is ours of it ends what others have through us.
            self.server.exports.remove(withdrawn.local);
        }
        let name = service.as_str();
        match self.server.forget_service(name, withdrawn.local) {
            true => Ok(()),
            false => Err(BusError::NotDurable),
        }
    }

    fn revoke(&mut self, service: BusName, reply: Reply<(), BusError>) {
        match self.unpublish(service.as_str()) {
            Ok(Published { local, .. }) => {
                let now = self.server.now();
                match self.server.node.revoke_service(service.as_str(), now) {
                    Some(id) => {
                        let is_durable = self.server.forget_service(service.as_str(), local);
                        let waiting = (local, is_durable, reply);
                        self.server.waiting.revoke.insert(id, waiting);
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
        self.manages()?;
        if !self.server.keeper.is_durable() {
            return Err(BusError::NotDurable);
        }
        let now = self.server.now();
        let pin = self.server.node.open_pairing(now);
        let digits = pin.iter().map(|digit| u32::from(digit - b'0'));
        Ok(digits.fold(0, |number, digit| number * 10 + digit))
    }

    fn close_pairing(&mut self) -> Result<(), BusError> {
        self.manages()?;
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
        // Its consents first: a crash in between leaves a device that has to be asked about.
        let is_durable = self.server.forget_device(&key);
        let now = self.server.now();
        match self.server.node.distrust(&key, now) {
            true if is_durable => self.server.waiting.distrust.push((key, reply)),
            true => {
                reply.answer(Err(BusError::NotDurable));
            }
            false => {
                reply.answer(Err(BusError::NoDevice));
            }
        }
    }

    fn watch(&mut self, device: u64, watch: bool) -> Result<(), BusError> {
        let key = self.key(device, BusAllowed::USE)?;
        let (badge, now) = (self.badge, self.server.now());
        match watch {
            true => {
                self.server.watched.insert((key, badge));
                self.server.node.watch(&key, true, now);
            }
            false => self.server.unwatch(|one| *one == (key, badge)),
        }
        Ok(())
    }

    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), BusError> {
        self.user(BusAllowed::USE)?;
        let badge = self.badge;
        // One for each badge, of which each client has a share.
        self.server.watchers.insert(badge, (endpoint, signals));
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
        let allowed = BusAllowed::from_bits_truncate(allowed);
        let user = user.narrowed(allowed, device, interface.as_str())?;
        let badge = self.server.new_badge();
        self.server.users.add(badge, user)?;
        self.server.endpoint.mint_client(badge).map_err(|_| {
            self.server.users.closed(badge);
            BusError::NoResources
        })
    }

    fn used(&mut self, index: u64) -> Result<Used, BusError> {
        self.manages()?;
        self.server.used(index).ok_or(BusError::NoService)
    }

    fn consent(&mut self, index: u64) -> Result<Agreed, BusError> {
        self.manages()?;
        self.server.agreed(index).ok_or(BusError::NoService)
    }

    fn forget_consent(&mut self, device: u64, service: BusName) -> Result<(), BusError> {
        self.manages()?;
        let key = self.key(device, BusAllowed::MANAGE)?;
        self.server.forget_consent(&key, service.as_str())
    }
}
