//! The loop: what programs here want, what the network says, and when time is up.

use crate::{
    asked::Asked,
    consent::{Consents, Owner},
    crew::{Crew, CrewError, Workers},
    interface::Session,
    objects::{Exports, Imports, Running},
    registry::Registry,
    users::Users,
    wires::{Heard, Wires},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    vec::Vec,
};
use core::time::Duration;
use libipc::{
    CallError, Capability,
    forward::{Answer, Forwarded},
    interfaces::{
        Bus, NetClient, NetError,
        bus::{BusError, BusStats},
        clients::SERVER_BADGES,
    },
    objects::EndpointClient,
    server::{Event, Message, Receiver, Reply},
    status::{Cause, TransportError},
    time::{self, Instant},
};
use tessera_softbus_keys::{Keeper, Record};
use tessera_softbus_protocol::{
    Millis,
    node::{CallId, Import, Node, Output, RevocationId, Token},
    suite::PublicKey,
    table::Local,
};

/// A socket has become ready.
const NETWORK: u64 = 1 << 0;

/// The badge of the crew's threads.
const CREW_BADGE: u64 = SERVER_BADGES;

/// How soon a network server that does not answer is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// How often it is looked whether callers still wait.
const PATROL: Duration = Duration::from_secs(1);

/// A service that is published.
pub(crate) struct Published {
    /// Where its capability is kept.
    pub(crate) local: Local,
    /// It is another device's, and handed on to who opens it.
    pub(crate) is_handed_on: bool,
    pub(crate) interface: String,
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) calls: BTreeMap<CallId, Forwarded>,
    /// Recorded calls that ended without an answer, by badge and request.
    pub(crate) ended: VecDeque<((u64, u64), CallId)>,
    /// What devices were asked as a whole.
    pub(crate) asked: BTreeMap<CallId, (PublicKey, Asked)>,
    /// Requests to devices that could not be reached yet, and until when that is tried.
    pub(crate) unreached: Vec<(Instant, PublicKey, Asked)>,
    pub(crate) pair: Option<Reply<u64, BusError>>,
    pub(crate) distrust: Vec<(PublicKey, Reply<(), BusError>)>,
    /// What is taken back, and whether the owner's consents to it have ended durably.
    pub(crate) revoke: BTreeMap<RevocationId, (Local, bool, Reply<(), BusError>)>,
}

/// The soft bus.
pub struct Server<'e> {
    pub(crate) endpoint: &'e EndpointClient,
    pub(crate) node: Node,
    net: NetClient,
    wires: Option<Wires>,
    /// By which the network server signals: when that ends, this badge does.
    network_badge: u64,
    /// When the network server is asked again.
    retry: Instant,
    /// When it is looked whether callers still wait.
    patrol: Instant,
    pub(crate) keeper: Keeper,
    pub(crate) users: Users,
    pub(crate) registry: Registry,
    pub(crate) exports: Exports,
    pub(crate) imports: Imports,
    pub(crate) handed: VecDeque<Capability>,
    /// Whose calls are being made here, and what a repeat of them would do.
    pub(crate) running: BTreeMap<Token, Running>,
    pub(crate) published: BTreeMap<String, Published>,
    pub(crate) waiting: Waiting,
    pub(crate) workers: Workers<'e>,
    pub(crate) consents: Consents,
    /// Who is told of changes, by badge.
    pub(crate) watchers: BTreeMap<u64, (EndpointClient, u64)>,
    /// The devices that are watched, and by whom.
    pub(crate) watched: BTreeSet<(PublicKey, u64)>,
    /// What was counted of each device.
    pub(crate) stats: BTreeMap<PublicKey, BusStats>,
    /// Until when another device counts as having this one's key.
    pub(crate) doubled_until: Millis,
    next_badge: u64,
}

impl<'e> Server<'e> {
    /// Serves the bus at `endpoint`, which must have `RECEIVE` and `PROXY`. Badges are
    /// made from `first_badge` on.
    pub fn new(
        endpoint: &'e EndpointClient,
        node: Node,
        net: NetClient,
        keeper: Keeper,
        users: Users,
        first_badge: u64,
    ) -> Self {
        Server {
            endpoint,
            node,
            net,
            wires: None,
            network_badge: 0,
            retry: Instant::PAST,
            patrol: Instant::now() + PATROL,
            keeper,
            users,
            registry: Registry::new(),
            exports: Exports::default(),
            imports: Imports::default(),
            handed: VecDeque::new(),
            running: BTreeMap::new(),
            published: BTreeMap::new(),
            waiting: Waiting::default(),
            workers: Workers::new(endpoint, CREW_BADGE),
            consents: Consents::default(),
            watchers: BTreeMap::new(),
            watched: BTreeSet::new(),
            stats: BTreeMap::new(),
            doubled_until: 0,
            next_badge: first_badge.max(CREW_BADGE),
        }
    }

    /// Asks the owner here, before others use what is private.
    pub fn with_owner(mut self, owner: Owner) -> Self {
        self.consents.owner = owner.impatient();
        self
    }

    /// Serves until the endpoint ends, or the device is another one, and returns why.
    pub fn run(&mut self) -> TransportError {
        let endpoint = self.endpoint;
        self.remember();
        let mut receiver = Receiver::new(endpoint);
        loop {
            self.advance();
            if self.keeper.is_another() {
                // All that others know of this device is of one that is no more.
                return TransportError::refused(Cause::EpochChanged);
            }
            match receiver.wait(self.deadline()) {
                Ok(Event::Message(message)) => self.message(message),
                Ok(Event::Signals(bits)) if bits & NETWORK != 0 => self.hear(),
                Ok(Event::Signals(_)) => {}
                Ok(Event::Closed(badge)) => self.closed(badge),
                Err(error) if error.cause == Cause::TimedOut => {}
                Err(error) => return error,
            }
        }
    }

    fn message(&mut self, message: Message<'_, '_>) {
        let badge = message.badge();
        if let Some(import) = self.imports.get(badge) {
            // A request that cannot be kept ends as `Dropped`.
            if let Ok(request) = message.keep() {
                self.forward(import, request);
            }
        } else if badge == CREW_BADGE {
            message.dispatch::<dyn Crew>(self);
        } else if !self.users.holds(badge) {
            // What a predecessor had imported.
            if let Ok(request) = message.keep() {
                let changed = TransportError::refused(Cause::EpochChanged);
                request.answer(self.endpoint, Answer::Ended(changed));
            }
        } else if message.is::<dyn Bus>() {
            let mut session = Session {
                server: self,
                badge,
            };
            message.dispatch::<dyn Bus>(&mut session);
        } else {
            message.refuse();
        }
    }

    fn closed(&mut self, badge: u64) {
        if badge == self.network_badge {
            self.cut();
        } else if let Some(import) = self.imports.remove(badge) {
            self.release(import);
        } else {
            self.users.closed(badge);
            self.watchers.remove(&badge);
            self.unwatch(|(_, by)| *by == badge);
        }
    }

    /// Ends these watches; a device that nobody watches any longer may be lost unnoticed.
    pub(crate) fn unwatch(&mut self, is_over: impl Fn(&(PublicKey, u64)) -> bool) {
        let now = self.now();
        let over: Vec<_> = self.watched.iter().copied().filter(is_over).collect();
        for one in over {
            self.watched.remove(&one);
            if !self.watched.iter().any(|(device, _)| *device == one.0) {
                self.node.watch(&one.0, false, now);
            }
        }
    }

    /// Does what is due, and carries out what the protocol wants.
    fn advance(&mut self) {
        let now = Instant::now();
        if self.wires.is_none() && self.retry <= now {
            self.connect();
        }
        if self.is_full() && self.retry <= now {
            self.retry = now + RETRY;
            self.hear();
            if self.is_full() {
                self.node.spare(self.now());
            }
        }
        if self.is_behind() {
            self.hear();
        }
        self.ask_unreached();
        if self.patrol <= now {
            self.patrol = now + PATROL;
            self.cancel_abandoned();
            self.drop_unused();
            self.keep_late();
            self.look_after_calls();
        }
        let millis = self.now();
        if self.node.deadline() <= millis {
            self.node.tick(millis);
        }
        while let Some(output) = self.node.poll() {
            self.carry_out(output);
        }
    }

    fn deadline(&self) -> Instant {
        let node = self.instant(self.node.deadline());
        let retry = match self.wires {
            Some(_) if !self.is_full() => Instant::FOREVER,
            _ => self.retry,
        };
        let unreached = self.waiting.unreached.iter().map(|(until, ..)| *until);
        let unreached = unreached.min().unwrap_or(Instant::FOREVER);
        let behind = match self.is_behind() {
            true => Instant::now(),
            false => Instant::FOREVER,
        };
        node.min(retry).min(self.patrol).min(unreached).min(behind)
    }

    // The network.

    /// Opens the sockets, or says when to try again.
    fn connect(&mut self) {
        self.retry = Instant::now() + RETRY;
        // A badge of its own: that of the connection before ends when this one begins.
        self.network_badge = self.new_badge();
        let Ok(signals) = self.endpoint.mint(self.network_badge, SIGNAL, 16) else {
            return;
        };
        let copy = self.net.as_ref().copy().map(NetClient::from);
        let opened = copy
            .map_err(|_| CallError::Server(NetError::NoResources))
            .and_then(|net| Wires::open(net, signals, NETWORK));
        if let Ok(wires) = opened {
            self.wires = Some(wires);
            self.hear();
        }
    }

    /// The network server is gone, and all sockets with it.
    fn cut(&mut self) {
        let Some(wires) = self.wires.take() else {
            return;
        };
        let now = self.now();
        for id in wires.streams() {
            self.node.closed(id, now);
        }
    }

    /// Whether somebody waits who could not be accepted.
    fn is_full(&self) -> bool {
        self.wires.as_ref().is_some_and(Wires::is_full)
    }

    /// Whether there is more to hear at once.
    fn is_behind(&self) -> bool {
        self.wires.as_ref().is_some_and(Wires::is_behind)
    }

    fn hear(&mut self) {
        let Some(wires) = &mut self.wires else { return };
        match wires.hear() {
            Ok(heard) => heard.into_iter().for_each(|heard| self.heard(heard)),
            Err(_) => self.cut(),
        }
    }

    fn heard(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Datagram(from, bytes) => self.node.datagram(from, &bytes, now),
            Heard::Accepted(from, tag) => {
                let id = self.node.accepted(from, now);
                let Some(wires) = &mut self.wires else { return };
                wires.name(tag, id);
                let first = id.map(|id| wires.first(id)).unwrap_or_default();
                first.into_iter().for_each(|heard| self.heard(heard));
            }
            Heard::Connected(id) => self.node.connected(id, now),
            Heard::Received(id, bytes) => self.node.received(id, &bytes, now),
            Heard::Closed(id) => self.node.closed(id, now),
        }
    }

    fn carry_out(&mut self, output: Output) {
        let now = self.now();
        match output {
            Output::Datagram(to, bytes) => {
                if let Some(wires) = &self.wires {
                    wires.send_datagram(to, &bytes);
                }
            }
            Output::Connect(id, to) => {
                let connected = self.wires.as_mut().map(|wires| wires.connect(id, to));
                if let Some(Err(CallError::Server(
                    NetError::TooManySockets | NetError::NoResources,
                ))) = connected
                {
                    // It is tried again, and there may be room then.
                    self.node.spare(now);
                }
                if !matches!(connected, Some(Ok(()))) {
                    self.node.closed(id, now);
                }
            }
            Output::Send(id, bytes) => {
                let wires = self.wires.as_mut();
                if !wires.is_some_and(|wires| wires.send(id, bytes)) {
                    self.node.closed(id, now);
                }
            }
            Output::Close(id) => {
                if let Some(wires) = &mut self.wires {
                    wires.close(id);
                }
            }
            Output::Store(generation, bytes) => match self.keeper.keep(Record::Trust, &bytes) {
                true => self.node.stored(generation, now),
                false => {
                    self.not_durable();
                    self.node.not_stored(generation, now);
                }
            },
            Output::Event(event) => self.event(event),
        }
    }

    // Time.

    /// The protocol's clock.
    pub(crate) fn now(&self) -> Millis {
        clock()
    }

    pub(crate) fn instant(&self, millis: Millis) -> Instant {
        match millis {
            Millis::MAX => Instant::FOREVER,
            millis => Instant::from_ticks(time::to_ticks(Duration::from_millis(millis))),
        }
    }

    pub(crate) fn millis(&self, instant: Instant) -> Option<Millis> {
        (instant != Instant::FOREVER)
            .then(|| time::from_ticks(instant.ticks()).as_millis() as Millis)
    }

    // Names and references.

    pub(crate) fn new_badge(&mut self) -> u64 {
        self.next_badge += 1;
        self.next_badge
    }

    /// What is counted of a device that is trusted; guests come and go.
    pub(crate) fn stats_of(&mut self, device: &PublicKey) -> Option<&mut BusStats> {
        let is_trusted = self.node.is_trusted(device);
        is_trusted.then(|| self.stats.entry(*device).or_default())
    }

    /// The same of the device whose object this is.
    pub(crate) fn stats_of_owner(&mut self, import: Import) -> Option<&mut BusStats> {
        let owner = self.node.owner(import)?;
        self.stats_of(&owner)
    }

    pub(crate) fn release(&mut self, import: Import) {
        let now = self.now();
        self.node.release(import, now);
    }

    /// Closes what no other device has any longer.
    fn drop_unused(&mut self) {
        for local in self.exports.transient() {
            if !self.node.is_exported(local) {
                self.exports.remove(local);
            }
        }
    }
}

/// What the network server may do with the bus's endpoint.
const SIGNAL: u64 = libipc::handle::Rights::SIGNAL
    .union(libipc::handle::Rights::GRANT)
    .bits() as u64;

impl Crew for Server<'_> {
    fn next(&mut self, thread: u64, reply: Reply<(), CrewError>) {
        for done in self.workers.done() {
            self.done(done);
        }
        self.workers.asked(thread, reply);
    }
}

/// The clock that the protocol is told the time by.
pub fn clock() -> Millis {
    time::from_ticks(Instant::now().ticks()).as_millis() as Millis
}
