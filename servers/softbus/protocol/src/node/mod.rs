//! One device: all parts of the protocol put together.
//!
//! The host gives time, bytes and answers, takes [`Output`]s until there are none, and
//! calls [`Node::tick`] at [`Node::deadline`]. Nothing blocks and nothing is done behind
//! the host's back.
//!
//! ```text
//! api        what node and host say to each other
//! streams    streams: dialled, accepted, opened
//! sessions   what is said over them, and which of a peer's counts
//! contact    one peer: is it there, is a session needed, is it lost
//! calls      calls in both directions
//! objects    objects in messages: exported, imported, come home, handed on
//! root       the device itself as an object: browse, open, hand on, take back
//! revoke     what is taken back, and when that is done
//! pair       pairing and trust
//! ```

mod api;
mod calls;
mod contact;
mod objects;
mod pair;
mod revoke;
mod root;
mod sessions;
mod streams;

pub use api::*;

use alloc::{
    boxed::Box, collections::BTreeMap, collections::BTreeSet, collections::VecDeque, vec::Vec,
};

use libipc_abi::status::Cause;

use crate::Millis;
use crate::address::Address;
use crate::announce::{Announcer, Heard, Me, Stranger};
use crate::keys::Keys;
use crate::parser::Parser;
use crate::random::{self, Source};
use crate::suite::PublicKey;
use crate::table::{Service, Table};
use crate::trust::{Trust, Trusted};
use crate::wire::Body;
use calls::Calls;
use contact::Contact;
use objects::Imports;
use pair::Pairing;
use revoke::Revocations;
use streams::Streams;

/// What a device leaves to others, who may be in tasks of their own.
pub struct Parts {
    /// Who holds its keys.
    pub keys: Box<dyn Keys>,
    /// Who reads what others say.
    pub parser: Box<dyn Parser>,
    /// Where its random numbers come from. It must be seeded.
    pub random: Source,
}

/// One device.
pub struct Node {
    keys: Box<dyn Keys>,
    parser: Box<dyn Parser>,
    key: PublicKey,
    me: Trusted,
    /// Random, of this boot and of this run of the server.
    boot: u64,
    epoch: u64,
    random: Source,
    announcer: Announcer,
    table: Table,
    /// What is trusted.
    trust: Trust,
    /// Every device that may speak to us in a session: those trusted, those that an
    /// object was handed on to, and the owners of what was handed on to us.
    contacts: BTreeMap<PublicKey, Contact>,
    streams: Streams,
    imports: Imports,
    calls: Calls,
    revocations: Revocations,
    pairing: Pairing,
    /// Peers with which something is to be said.
    busy: BTreeSet<PublicKey>,
    out: VecDeque<Output>,
}

impl Node {
    /// A device that starts. `boot` is random and made anew at each boot of the device.
    pub fn new(config: Config, boot: u64, parts: Parts, now: Millis) -> Self {
        let Parts {
            keys,
            parser,
            mut random,
        } = parts;
        let me = Me {
            name: config.me.name.clone(),
            kind: config.me.kind,
            port: config.port,
        };
        let epoch = random::nonce(&mut *random);
        let mut node = Node {
            key: keys.public(),
            announcer: Announcer::new(keys.public(), me, &mut *random, now),
            keys,
            parser,
            me: config.me,
            boot: boot.max(1),
            epoch,
            table: Table::new(epoch),
            contacts: BTreeMap::new(),
            streams: Streams::new(&mut *random),
            imports: Imports::default(),
            calls: Calls::default(),
            revocations: Revocations::default(),
            pairing: Pairing::new(config.trust.clone()),
            trust: config.trust,
            busy: BTreeSet::new(),
            random,
            out: VecDeque::new(),
        };
        let trusted: Vec<_> = node.trust.iter().map(|(key, _)| *key).collect();
        for key in trusted {
            node.know(key, now);
        }
        node
    }

    /// This device's key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.me.name
    }

    /// Whether another device has this object.
    pub fn is_exported(&self, local: crate::table::Local) -> bool {
        self.table.is_exported(local)
    }

    /// Its epoch: which run of the server this is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The next thing that the host has to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Node::tick`] has something to do.
    pub fn deadline(&self) -> Millis {
        let contacts = self.contacts.values().map(Contact::deadline);
        let contacts = contacts.min().unwrap_or(Millis::MAX);
        let others = [
            self.announcer.deadline(),
            self.streams.deadline(),
            self.pairing.deadline(),
            self.revocations.deadline(),
        ];
        others.into_iter().fold(contacts, Millis::min)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis) {
        if self.announcer.deadline() <= now {
            self.announcer.tick(&mut *self.keys, &mut *self.random, now);
        }
        self.expire_streams(now);
        self.expire_pairing(now);
        self.expire_revocations(now);
        let due = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.deadline() <= now);
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.look_after(key, now);
        }
        self.pump(now);
    }

    /// A datagram came.
    pub fn datagram(&mut self, from: Address, bytes: &[u8], now: Millis) {
        if let Some(datagram) = self.parser.datagram(bytes) {
            let (keys, random) = (&mut *self.keys, &mut *self.random);
            self.announcer
                .receive(from, &datagram, bytes, keys, random, now);
        }
        self.pump(now);
    }

    /// This device goes: say so. Peers see it go at once, not after some time.
    pub fn leave(&mut self, now: Millis) {
        self.announcer
            .leave(&mut *self.keys, &mut *self.random, now);
        self.pump(now);
    }

    /// The devices that are trusted, and whether each is there.
    pub fn trusted(&self) -> impl Iterator<Item = (&PublicKey, &Trusted, bool)> {
        let all = self.trust.iter();
        all.map(|(key, trusted)| (key, trusted, self.announcer.is_there(key)))
    }

    /// Whether a device is trusted.
    pub fn is_trusted(&self, key: &PublicKey) -> bool {
        self.trust.holds(key)
    }

    /// Strangers that were heard; those with a name can be paired with.
    pub fn strangers(&self) -> impl Iterator<Item = &Stranger> {
        self.announcer.strangers()
    }

    /// About how many other devices there are.
    pub fn population(&mut self, now: Millis) -> u64 {
        self.announcer.population(now)
    }

    /// Publishes a service; false if there is no room or the name is too long.
    #[must_use]
    pub fn publish(&mut self, name: &str, service: Service) -> bool {
        let fits = !name.is_empty() && name.len() <= crate::limits::NAME;
        fits && self.table.publish(name, service)
    }

    /// Publishes it no longer: nobody opens it from now on. Who has it keeps it; see
    /// [`Node::revoke_service`].
    pub fn withdraw(&mut self, name: &str) -> bool {
        self.table.withdraw(name).is_some()
    }

    /// Keeps a session with a peer, whether or not there is something to say, so that
    /// its loss is noticed.
    pub fn watch(&mut self, peer: &PublicKey, watch: bool, now: Millis) {
        if let Some(contact) = self.contacts.get_mut(peer) {
            contact.watch = watch;
            self.look_after(*peer, now);
            self.pump(now);
        }
    }

    /// Bytes that a peer makes us hold.
    pub fn held(&self, peer: &PublicKey) -> u64 {
        self.contacts
            .get(peer)
            .map_or(0, |contact| contact.peer.held())
    }

    /// The same of all peers, when all of their calls is here.
    pub fn held_by_all(&self) -> u64 {
        let contacts = self.contacts.values();
        contacts.map(|contact| contact.peer.reserved()).sum()
    }

    /// Devices that may speak to us.
    pub fn peers(&self) -> usize {
        self.contacts.len()
    }

    /// Whether there is a session with this peer.
    pub fn is_connected(&self, peer: &PublicKey) -> bool {
        self.contacts
            .get(peer)
            .is_some_and(|contact| contact.current.is_some())
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// From now on this device may speak to us.
    fn know(&mut self, key: PublicKey, now: Millis) {
        if !self.contacts.contains_key(&key) {
            self.announcer.add(key);
            let contact = Contact::new((self.boot, self.epoch), now);
            self.contacts.insert(key, contact);
        }
    }

    /// Forgets a device that nothing connects us with any more.
    fn forget_unless_known(&mut self, key: &PublicKey) {
        let known = self.trust.holds(key)
            || self.table.is_guest(key)
            || self.imports.of(key).next().is_some();
        if !known && let Some(contact) = self.contacts.get_mut(key) {
            // Whoever still waits for it is told.
            let ended = contact.peer.lose();
            self.end_calls(&ended, Cause::Unreachable);
            self.fail_parked(key);
            self.drop_streams(key);
            self.contacts.remove(key);
            self.announcer.remove(key);
            self.parser.forget(key);
        }
    }

    /// Passes on what the parts have to say.
    fn pump(&mut self, now: Millis) {
        while let Some(heard) = self.announcer.event() {
            self.heard(heard, now);
        }
        for gone in self.table.gone() {
            self.tell(&gone.peer, &Body::Revoked(gone.object));
        }
        self.ask_unasked(now);
        while let Some(key) = self.busy.pop_first() {
            self.flush(&key, now);
        }
        while let Some((to, bytes)) = self.announcer.poll() {
            self.out.push_back(Output::Datagram(to, bytes));
        }
    }

    fn heard(&mut self, heard: Heard, now: Millis) {
        match heard {
            Heard::Appeared(key, restarted) => {
                self.event(Event::Appeared(key));
                self.appeared(key, restarted, now);
            }
            Heard::Alive(key) => self.answers(key, now),
            Heard::Gone(key) => {
                self.event(Event::Gone(key));
                self.look_after(key, now);
            }
            Heard::Stranger(_) => self.event(Event::Strangers),
            Heard::Twin(address) => self.event(Event::Twin(address)),
        }
    }
}
