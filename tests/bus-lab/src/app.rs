//! What runs on the devices: each serves, and calls what others serve. Everything that a
//! call carries follows from its number, so that both ends can tell whether it is whole.

use std::collections::{BTreeMap, BTreeSet};

use libipc_abi::operation::Class;
use libipc_abi::status::Cause;
use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::node::{
    Answer, Answered, Call, CallId, Event as Said, GrantId, Import, Incoming, Lent, Object,
    Revocation, RevocationId, Token,
};
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::wire::{Access, Outcome, Payload, Rights};

use crate::machine::address;
use crate::random::mix;
use crate::truth::{Check, Thing};
use crate::world::{Event, World};

/// Operations of what is served. Their classes are what their names say.
mod operation {
    pub(super) const IDEMPOTENT: u8 = 0;
    pub(super) const RECORDED: u8 = 1;
    pub(super) const ONCE: u8 = 2;
    /// Returns a new object.
    pub(super) const MAKE: u8 = 3;
    /// Takes an object.
    pub(super) const GIVE: u8 = 4;
    /// Is forbidden on what is given away with less rights.
    pub(super) const FORBIDDEN: u8 = 5;
}

/// Objects of others that a device keeps.
const KEPT: usize = 24;

/// An object of another device.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    import: Import,
    /// What it is in truth, and whose.
    local: u64,
    owner: usize,
    may_hand_on: bool,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Its number, of which there is one in all the world.
    pub number: u64,
    /// Whom it goes to.
    pub peer: usize,
    operation: u8,
    local: u64,
    deadline: Option<Millis>,
    /// When it was made.
    made: Millis,
    /// It must succeed.
    eligible: bool,
    /// Reconnects when it was made.
    reconnects: u64,
    /// It was asked for again.
    again: bool,
}

/// A call that is being served.
#[derive(Clone, Debug)]
struct Served {
    number: u64,
    local: u64,
    peer: usize,
    operation: u8,
    leases: Vec<Lent>,
}

/// A service that is being opened.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// At whom.
    peer: usize,
    /// The object that this device publishes of another one's; none: its own.
    relay: Option<u64>,
    /// The call that follows must succeed.
    eligible: bool,
}

/// What one device does.
#[derive(Default)]
pub struct App {
    me: usize,
    /// Those that it trusts.
    pub friends: BTreeSet<usize>,
    /// The object that it publishes.
    service: Option<u64>,
    held: Vec<Held>,
    open: BTreeMap<CallId, Open>,
    /// Services that are being opened.
    opening: BTreeMap<CallId, Opening>,
    /// Objects of others that it publishes, and who has opened them.
    relays: BTreeMap<u64, BTreeSet<usize>>,
    served: BTreeMap<Token, Served>,
    /// Objects that it made and gave away.
    made: Vec<u64>,
    next: u64,
    grants: Vec<(GrantId, u64, usize)>,
    revoking: BTreeMap<RevocationId, u64>,
    taking: BTreeMap<RevocationId, (u64, Vec<usize>)>,
    /// Recorded calls that ended without an answer.
    ended: Vec<(CallId, Open)>,
    /// It was told a PIN, and whether that was the right one.
    typed: Option<(usize, bool)>,
}

impl App {
    /// A device that does nothing yet.
    pub fn new(me: usize) -> App {
        App {
            me,
            ..App::default()
        }
    }

    /// Its machine has crashed: nothing of it is left.
    pub fn stop(&mut self) {
        let next = self.next;
        *self = App::new(self.me);
        self.next = next;
    }

    /// Whether a call to this device waits.
    pub fn waits_for(&self, peer: usize) -> bool {
        self.open.values().any(|open| open.peer == peer)
    }

    /// Whether a call to this device waits that is older than this.
    pub fn waits_since(&self, peer: usize, since: Millis) -> bool {
        let mut open = self.open.values();
        open.any(|open| open.peer == peer && open.made < since)
    }

    /// Calls that have not ended.
    pub fn open_calls(&self) -> Vec<Open> {
        self.open.values().copied().collect()
    }

    /// Whether a call that the device serves runs through this object.
    fn serves(&self, local: u64) -> bool {
        self.served.values().any(|served| served.local == local)
    }

    fn new_number(&mut self) -> u64 {
        self.next += 1;
        (self.me as u64 + 1) << 40 | self.next
    }
}

/// The bytes that a lease of a call holds.
fn pattern(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut word = number;
    while bytes.len() < length {
        word = mix(word.wrapping_add(0x1234_5678));
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// How much of a lease the server writes.
fn written(number: u64, length: usize) -> usize {
    mix(number ^ 7) as usize % (length + 1)
}

impl<S: Suite> World<S> {
    /// What a device serves from its start on.
    pub(crate) fn publish(&mut self, on: usize) {
        let local = self.new_thing(on);
        let service = Service {
            object: Object::Local(Local(local), Rights::ALL),
            interface: "Lab".into(),
            only: None,
        };
        self.app(on).service = Some(local);
        self.with(on, |node, _| node.publish("lab", service));
    }

    fn new_thing(&mut self, on: usize) -> u64 {
        let run = self.machines[on].run;
        let local = self.app(on).new_number();
        let thing = Thing {
            owner: on,
            run,
            revoked: false,
        };
        self.truth.things.insert(local, thing);
        local
    }

    /// A device does one thing.
    pub(crate) fn act(&mut self, on: usize) {
        if self.machines[on].node.is_none() {
            return;
        }
        let app = &self.machines[on].app;
        let friends: Vec<_> = app.friends.iter().copied().collect();
        let held = app.held.clone();
        match self.rng.below(100) {
            0..8 => self.revoke_some(on),
            8..16 => self.take_back_some(on),
            16..22 => self.ask_again(on),
            22..26 => self.relay_some(on),
            26..40 => {
                if let Some(&peer) = self.rng.pick(&friends) {
                    self.open_some(on, peer);
                }
            }
            _ => match self.rng.pick(&held).copied() {
                Some(held) => self.call(on, held, false),
                None => {
                    if let Some(&peer) = self.rng.pick(&friends) {
                        self.open_service(on, peer, false);
                    }
                }
            },
        }
    }

    fn open_service(&mut self, on: usize, peer: usize, eligible: bool) {
        let (key, deadline) = (self.machines[peer].key, self.local(on) + 8_000);
        if !self.trusts(peer, on) {
            self.truth.occasion(Check::Unpaired);
        }
        let opened = self.quietly(on, |node, now| node.open(&key, "lab", Some(deadline), now));
        if let Some(Ok(id)) = opened {
            let opening = Opening {
                peer,
                relay: None,
                eligible,
            };
            self.app(on).opening.insert(id, opening);
        }
        self.drain(on);
    }

    /// A device opens what another one has: of a third device, if there is such a thing.
    fn open_some(&mut self, on: usize, peer: usize) {
        let relays = self.machines[peer].app.relays.keys().copied();
        let new: Vec<u64> = relays.filter(|local| self.is_new_to(*local, on)).collect();
        let Some(&local) = self.rng.pick(&new) else {
            return self.open_service(on, peer, false);
        };
        if !self.trusts(peer, on) {
            self.truth.occasion(Check::Unpaired);
        }
        self.trace(|| format!("{on} opens {local:x} at {peer}"));
        let (key, name) = (self.machines[peer].key, relay_name(local));
        let deadline = self.local(on) + 8_000;
        let opened = self.quietly(on, |node, now| node.open(&key, &name, Some(deadline), now));
        if let Some(Ok(id)) = opened {
            let opening = Opening {
                peer,
                relay: Some(local),
                eligible: false,
            };
            self.app(on).opening.insert(id, opening);
            if self.owner_of(local) != Some(on) {
                self.truth.handed.insert((local, on), peer);
                if let Some(openers) = self.app(peer).relays.get_mut(&local) {
                    openers.insert(on);
                }
            }
        }
        self.drain(on);
    }

    /// Whether a device has no other way to an object: what is taken back is gone then.
    fn is_new_to(&self, local: u64, on: usize) -> bool {
        let truth = &self.truth;
        truth.first.get(&local) != Some(&on)
            && !truth.handed.contains_key(&(local, on))
            && !truth.returned.contains(&(local, on))
    }

    fn owner_of(&self, local: u64) -> Option<usize> {
        self.truth.things.get(&local).map(|thing| thing.owner)
    }

    /// A device publishes what it has of another one, or takes that back.
    fn relay_some(&mut self, on: usize) {
        let relays: Vec<u64> = self.machines[on].app.relays.keys().copied().collect();
        if self.rng.chance(400_000)
            && let Some(&local) = self.rng.pick(&relays)
        {
            return self.revoke_relay(on, local);
        }
        let mut held = self.machines[on].app.held.clone();
        held.retain(|held| {
            held.may_hand_on
                && held.owner != on
                && !relays.contains(&held.local)
                && self.is_made(held.local)
        });
        let Some(held) = self.rng.pick(&held).copied() else {
            return;
        };
        self.trace(|| format!("{on} publishes {:x} of {}", held.local, held.owner));
        let bound = self.rng.within(2_000, 10_000);
        let service = Service {
            object: Object::Import(held.import, Rights::ALL, bound),
            interface: "Lab".into(),
            only: None,
        };
        let name = relay_name(held.local);
        if self.with(on, |node, _| node.publish(&name, service)) == Some(true) {
            self.app(on).relays.insert(held.local, BTreeSet::new());
        }
    }

    fn revoke_relay(&mut self, on: usize, local: u64) {
        let openers = self.app(on).relays.remove(&local).unwrap_or_default();
        self.trace(|| format!("{on} takes {local:x} back from {openers:?}"));
        let name = relay_name(local);
        let id = self.quietly(on, |node, now| node.revoke_service(&name, now));
        if let Some(id) = id.flatten() {
            let openers = openers.into_iter().collect();
            self.app(on).taking.insert(id, (local, openers));
        }
        self.drain(on);
    }

    fn call(&mut self, on: usize, held: Held, eligible: bool) {
        let number = self.app(on).new_number();
        let operation = match self.rng.below(100) {
            _ if eligible => operation::IDEMPOTENT,
            0..25 => operation::IDEMPOTENT,
            25..45 => operation::RECORDED,
            45..65 => operation::ONCE,
            65..80 => operation::MAKE,
            80..98 => operation::GIVE,
            _ => operation::FORBIDDEN,
        };
        let local_now = self.local(on);
        let mut leases = Vec::new();
        if operation <= operation::ONCE && !eligible {
            for _ in 0..self.rng.below(3) {
                let large = self.machines.len() <= 10 && self.rng.chance(20_000);
                let length = self.rng.below(if large { 1 << 20 } else { 6_000 }) as usize;
                let access = [Access::Read, Access::Write, Access::Both];
                let access = access[self.rng.below(3) as usize];
                let bytes = if access.reads() {
                    pattern(number, length)
                } else {
                    vec![0; length]
                };
                leases.push(Lent { access, bytes });
            }
        }
        let (objects, gives) = match operation {
            operation::GIVE => self.gift(on, held.owner),
            _ => (Vec::new(), None),
        };
        let deadline = match self.rng.below(4) {
            _ if eligible => Some(5_000),
            0 => None,
            _ => Some(self.rng.within(200, 9_000)),
        };
        let deadline = deadline.map(|time| local_now + time);
        let mut payload = Payload {
            bytes: pattern(number, self.rng.below(200) as usize),
            ..Payload::default()
        };
        payload.words = [number, gives.unwrap_or(0), held.local, 0, 0, 0, 0, number];
        let call = Call {
            operation,
            class: class(operation),
            hash: operation.into(),
            payload,
            leases,
            objects,
            deadline,
        };
        let open = Open {
            number,
            peer: held.owner,
            operation,
            local: held.local,
            deadline,
            made: self.now,
            eligible,
            reconnects: self.truth.reconnects,
            again: false,
        };
        self.occasions_of(on, &open);
        let import = held.import;
        match self.quietly(on, |node, now| node.call(import, call, now)) {
            Some(Ok(id)) => {
                self.app(on).open.insert(id, open);
                self.truth.occasion(Check::Outcome);
            }
            Some(Err(cause)) => {
                self.count(&format!("refused here: {cause:?}"));
                self.not_delivered(number);
                if cause == Cause::Revoked || cause == Cause::EpochChanged {
                    self.drop_held(on, import);
                }
            }
            None => {}
        }
        self.drain(on);
    }

    /// What this call could break.
    fn occasions_of(&mut self, on: usize, open: &Open) {
        let Some(thing) = self.truth.things.get(&open.local).copied() else {
            return;
        };
        if thing.revoked {
            self.truth.occasion(Check::Revoked);
        }
        if thing.run != self.machines[thing.owner].run {
            self.truth.occasion(Check::Epoch);
        }
        if self.truth.returned.contains(&(open.local, on)) {
            self.truth.occasion(Check::TakenBack);
        }
    }

    /// An object to be given to a peer: a new one, or another device's.
    fn gift(&mut self, on: usize, to: usize) -> (Vec<Object>, Option<u64>) {
        let mut held = self.machines[on].app.held.clone();
        held.retain(|held| {
            held.may_hand_on
                && held.owner != on
                && (held.owner == to || self.is_new_to(held.local, to))
                && (held.owner == to || self.is_made(held.local))
        });
        match self.rng.pick(&held).copied() {
            Some(held) if self.rng.chance(700_000) => {
                if held.owner != to {
                    self.truth.handed.insert((held.local, to), on);
                }
                self.trace(|| format!("{on} hands {:x} of {} on to {to}", held.local, held.owner));
                let bound = self.rng.within(2_000, 10_000);
                let object = Object::Import(held.import, Rights::ALL, bound);
                (vec![object], Some(held.local))
            }
            _ => {
                let local = self.new_thing(on);
                self.truth.first.insert(local, to);
                self.app(on).made.push(local);
                let object = Object::Local(Local(local), rights());
                (vec![object], Some(local))
            }
        }
    }

    /// Whether it is no service, which a peer can get by itself.
    fn is_made(&self, local: u64) -> bool {
        let thing = self.truth.things.get(&local);
        thing.is_some_and(|thing| self.machines[thing.owner].app.made.contains(&local))
    }

    fn revoke_some(&mut self, on: usize) {
        let made = self.machines[on].app.made.clone();
        let Some(&local) = self.rng.pick(&made) else {
            return;
        };
        self.app(on).made.retain(|made| *made != local);
        // Somebody calls in the same moment: it arrives too late.
        if let Some((holder, held)) = self.holder_of(local, None) {
            self.truth.occasion(Check::Revoked);
            self.call(holder, held, false);
        }
        if let Some(thing) = self.truth.things.get_mut(&local) {
            thing.revoked = true;
        }
        self.trace(|| format!("{on} revokes {local:x}"));
        let id = self.quietly(on, |node, now| node.revoke(Local(local), None, now));
        if let Some(id) = id {
            self.app(on).revoking.insert(id, local);
        }
        self.drain(on);
    }

    /// A device that has an object, and how it knows it.
    fn holder_of(&mut self, local: u64, only: Option<usize>) -> Option<(usize, Held)> {
        let mut found = Vec::new();
        for (on, machine) in self.machines.iter().enumerate() {
            let held = machine.app.held.iter().find(|held| held.local == local);
            if let (Some(held), true) = (held, only.is_none_or(|only| only == on)) {
                found.push((on, *held));
            }
        }
        self.rng.pick(&found).copied()
    }

    fn take_back_some(&mut self, on: usize) {
        let grants = self.machines[on].app.grants.clone();
        let Some(&(grant, local, third)) = self.rng.pick(&grants) else {
            return;
        };
        self.app(on).grants.retain(|(its, ..)| *its != grant);
        self.trace(|| format!("{on} takes {local:x} back from {third}"));
        let id = self.quietly(on, |node, now| node.take_back(grant, now));
        if let Some(id) = id.flatten() {
            self.app(on).taking.insert(id, (local, vec![third]));
        }
        self.drain(on);
    }

    fn ask_again(&mut self, on: usize) {
        let Some((id, mut open)) = self.app(on).ended.pop() else {
            return;
        };
        let deadline = self.local(on) + 3_000;
        open.deadline = Some(deadline);
        open.again = true;
        let again = self.quietly(on, |node, now| node.again(id, Some(deadline), now));
        if matches!(again, Some(Ok(()))) {
            self.truth.occasion(Check::Outcome);
            self.app(on).open.insert(id, open);
            self.count("again: asked");
        } else {
            self.count("again: not to be had");
        }
        self.drain(on);
    }

    /// Something happened on a device.
    pub(crate) fn app_heard(&mut self, on: usize, said: Said) {
        match said {
            Said::Appeared(key) => {
                if let Some(&peer) = self.keys.get(&key) {
                    let (now, since) = (self.now, self.machines[peer].since);
                    let up = self.machines[peer].node.is_some();
                    let late = self.network.delay.1 * 4 + 1_000;
                    let ghost = !up && self.machines[peer].down + late < now;
                    self.truth.never(Check::Ghost, ghost, || {
                        format!("{now}: {peer} appeared at {on}, and is not there since {since}")
                    });
                    self.appeared(on, peer);
                }
            }
            Said::Gone(key) => {
                if let Some(&peer) = self.keys.get(&key) {
                    self.gone(on, peer);
                }
            }
            Said::Lost(key) => {
                if let Some(&peer) = self.keys.get(&key) {
                    self.lost(on, peer);
                }
            }
            Said::Paired(key) => self.paired(on, key),
            Said::PairingFailed(_) => self.app(on).typed = None,
            Said::Opened(id, result) => self.opened(on, id, result),
            Said::Answered(id, result) => match result {
                Ok(answered) => self.answered(on, id, answered),
                Err(error) => {
                    let Some(open) = self.app(on).open.remove(&id) else {
                        return self.ended_twice(on, id);
                    };
                    self.count(&format!("{:?}, delivered {}", error.cause, error.delivered));
                    if !error.delivered {
                        self.not_delivered(open.number);
                    }
                    self.in_time(on, &open);
                    if open.eligible {
                        let now = self.now;
                        self.trace(|| format!("{now}: {on} eligible {open:?} failed: {error}"));
                    }
                    let retry = matches!(error.cause, Cause::Unreachable | Cause::TimedOut);
                    if open.operation == operation::RECORDED && error.delivered && retry {
                        self.app(on).ended.push((id, open));
                    }
                }
            },
            Said::Incoming(incoming) => self.serve(on, incoming),
            Said::Dead(import, cause) => self.dead(on, import, cause),
            Said::HandedOn(grant, import, third) => {
                let held = self.machines[on].app.held.iter();
                let local = held.clone().find(|held| held.import == import);
                if let (Some(held), Some(&third)) = (local, self.keys.get(&third)) {
                    let local = held.local;
                    self.app(on).grants.push((grant, local, third));
                }
            }
            Said::Revoked(id, how) => self.revoked(on, id, how),
            _ => {}
        }
    }

    /// An object of another device can be called no more.
    fn dead(&mut self, on: usize, import: Import, cause: Cause) {
        let mut held = self.machines[on].app.held.iter();
        let held = held.find(|held| held.import == import).copied();
        let thing = held.and_then(|held| self.truth.things.get(&held.local).copied());
        if let (Some(held), Some(thing), Cause::EpochChanged) = (held, thing, cause) {
            let owner = thing.owner;
            let goes_on =
                thing.run == self.machines[owner].run && !self.truth.parted.contains(&(owner, on));
            let now = self.now;
            self.truth.must(Check::Lives, !goes_on, || {
                format!("{now}: {:x} of {owner} ended for {on}", held.local)
            });
        }
        self.drop_held(on, import);
    }

    fn gone(&mut self, on: usize, peer: usize) {
        let (now, machine) = (self.now, &self.machines[peer]);
        let quiet = self.network.since + 20_000 < now && machine.since + 20_000 < now;
        let there = machine.node.is_some() && self.network.reaches(on, peer);
        let recent =
            self.machines[peer].stalled + 5_000 > now || self.machines[on].stalled + 5_000 > now;
        let false_gone = quiet && there && !recent && self.trusts(peer, on);
        // With loss all questions and answers in a row may get lost.
        if self.options.loss == 0 {
            self.truth.never(Check::FalseGone, false_gone, || {
                format!("{now}: {peer} is gone for {on}, and is there")
            });
        } else if false_gone {
            self.count("gone though there");
        }
    }

    fn opened(
        &mut self,
        on: usize,
        id: CallId,
        result: Result<Object, libipc_abi::status::TransportError>,
    ) {
        let Some(opening) = self.app(on).opening.remove(&id) else {
            return;
        };
        let (peer, now) = (opening.peer, self.now);
        let object = match result {
            Ok(object) => object,
            Err(error) => {
                self.trace(|| format!("{on} {opening:?}: {error}"));
                self.count(&format!("open: {:?}", error.cause));
                return;
            }
        };
        // Which object that is, the owner's service says, or what was asked for.
        let Some(local) = opening.relay.or(self.service_of(peer)) else {
            return;
        };
        let owner = self.owner_of(local).unwrap_or(peer);
        match object {
            Object::Local(home, _) => {
                let is_it = owner == on && home.0 == local;
                self.truth.must(Check::Home, is_it, || {
                    format!(
                        "{now}: {local:x} of {owner} came home to {on} as {:x}",
                        home.0
                    )
                });
            }
            Object::Import(import, rights, _) => {
                if opening.relay.is_some() {
                    let node = self.machines[on].node.as_ref();
                    let its = node.and_then(|node| node.owner(import));
                    let is_owner = its == Some(self.machines[owner].key);
                    self.truth.must(Check::Direct, is_owner, || {
                        format!("{now}: {on} opened {local:x} of {owner} at {peer} as its own")
                    });
                    self.count("opened at a third device");
                }
                let held = Held {
                    import,
                    local,
                    owner,
                    may_hand_on: rights.hand_on,
                };
                self.keep(on, held);
                self.call(on, held, opening.eligible);
            }
        }
    }

    /// The object that is a device's service in this run: its first.
    fn service_of(&self, on: usize) -> Option<u64> {
        self.machines[on].app.service
    }

    fn keep(&mut self, on: usize, held: Held) {
        let app = self.app(on);
        app.held.push(held);
        // What it publishes it keeps.
        let relays = &app.relays;
        let may_go = |held: &Held| !relays.contains_key(&held.local);
        if app.held.len() > KEPT
            && let Some(oldest) = app.held.iter().position(may_go)
        {
            let oldest = app.held.remove(oldest);
            self.with(on, |node, now| node.release(oldest.import, now));
        }
    }

    fn drop_held(&mut self, on: usize, import: Import) {
        let app = self.app(on);
        let before = app.held.len();
        app.held.retain(|held| held.import != import);
        for _ in app.held.len()..before {
            self.with(on, |node, now| node.release(import, now));
        }
    }

    fn ended_twice(&mut self, on: usize, id: CallId) {
        let now = self.now;
        self.truth.never(Check::Outcome, true, || {
            format!("{now}: device {on} hears of the end of {id:?} again")
        });
    }

    fn not_delivered(&mut self, number: u64) {
        let ran = self.truth.runs.contains_key(&number);
        let now = self.now;
        self.truth.undelivered.insert(number);
        self.truth.must(Check::NotDelivered, !ran, || {
            format!("{now}: call {number:x} ran, and is said not to have")
        });
    }

    fn in_time(&mut self, on: usize, open: &Open) {
        let Some(deadline) = open.deadline else {
            return;
        };
        let (now, local) = (self.now, self.local(on));
        let stalled = self.machines[on].stalled + 50 > now;
        let late = !stalled && local > deadline + 50;
        self.truth.must(Check::Deadline, !late, || {
            format!(
                "{now}: call {:x} ended {} ms late",
                open.number,
                local - deadline
            )
        });
    }

    fn answered(&mut self, on: usize, id: CallId, answered: Answered) {
        let Some(open) = self.app(on).open.remove(&id) else {
            return self.ended_twice(on, id);
        };
        let (now, number) = (self.now, open.number);
        self.count(if answered.is_error {
            "server's error"
        } else {
            "answered"
        });
        self.in_time(on, &open);
        if open.eligible {
            self.truth.healed.1 += 1;
        }
        if open.operation == operation::RECORDED || open.operation == operation::ONCE {
            let runs = self.truth.runs.get(&number).copied();
            if self.truth.reconnects > open.reconnects {
                self.truth.occasion(Check::AtMostOnce);
            }
            self.truth.never(Check::AtMostOnce, runs != Some(1), || {
                format!("{now}: call {number:x} was answered and ran {runs:?} times")
            });
        }
        let mut whole = answered.payload.words[0] == number
            && answered.payload.bytes == pattern(number ^ 5, answered.payload.bytes.len());
        for lease in &answered.leases {
            let length = lease.bytes.len();
            let mut expected = if lease.access.reads() {
                pattern(number, length)
            } else {
                vec![0; length]
            };
            if lease.access.writes() && !answered.is_error {
                let count = written(number, length);
                expected[..count].copy_from_slice(&pattern(number ^ 9, count));
            }
            whole &= lease.bytes == expected;
        }
        self.truth.must(Check::Contents, whole, || {
            format!("{now}: the answer of {number:x} is not as it was given")
        });
        for object in answered.objects {
            if let Object::Import(import, rights, _) = object {
                let local = answered.payload.words[1];
                let owner = self
                    .truth
                    .things
                    .get(&local)
                    .map_or(open.peer, |thing| thing.owner);
                let held = Held {
                    import,
                    local,
                    owner,
                    may_hand_on: rights.hand_on,
                };
                self.keep(on, held);
            }
        }
    }

    /// A call came to a device: may it, and is it whole?
    fn serve(&mut self, on: usize, incoming: Incoming) {
        let (now, number, local) = (self.now, incoming.payload.words[0], incoming.local.0);
        self.log(on, 8, number);
        self.check_memory(on, incoming.peer);
        let peer = self.keys.get(&incoming.peer).copied();
        let handed = peer.is_some_and(|peer| self.truth.handed.contains_key(&(local, peer)));
        let given = peer.is_some() && self.truth.first.get(&local).copied() == peer;
        let may = peer.is_some_and(|peer| self.trusts(on, peer)) || handed || given;
        self.truth.never(Check::Unpaired, !may, || {
            format!("{now}: device {on} serves {peer:?}, which it does not trust")
        });
        let Some(peer) = peer else { return };
        let through = number >> 40 != peer as u64 + 1;
        self.truth.never(Check::Direct, through, || {
            format!("{now}: device {on} serves call {number:x} for {peer}, which did not make it")
        });
        let thing = self.truth.things.get(&local).copied();
        let run = self.machines[on].run;
        let current = thing.is_some_and(|thing| thing.owner == on && thing.run == run);
        self.truth.never(Check::Epoch, !current, || {
            format!("{now}: device {on} serves {local:x} of an earlier run")
        });
        let revoked = thing.is_some_and(|thing| thing.revoked);
        self.truth.never(Check::Revoked, revoked, || {
            format!("{now}: device {on} serves {local:x}, which was taken back")
        });
        let returned = self.truth.returned.contains(&(local, peer));
        self.truth.never(Check::TakenBack, returned, || {
            format!("{now}: device {on} serves {peer} {local:x}, which was taken back from it")
        });
        let runs = self.truth.runs.entry(number).or_default();
        *runs += 1;
        let twice = *runs > 1 && incoming.class != Class::Idempotent;
        self.truth.never(Check::AtMostOnce, twice, || {
            format!("{now}: call {number:x} runs again")
        });
        let undelivered = self.truth.undelivered.contains(&number);
        self.truth.never(Check::NotDelivered, undelivered, || {
            format!("{now}: call {number:x} runs, and was said not to")
        });
        let mut whole = incoming.payload.words[7] == number
            && incoming.payload.words[2] == local
            && incoming.payload.bytes == pattern(number, incoming.payload.bytes.len());
        for lease in incoming.leases.iter().filter(|lease| lease.access.reads()) {
            whole &= lease.bytes == pattern(number, lease.bytes.len());
        }
        self.truth.must(Check::Contents, whole, || {
            format!("{now}: call {number:x} came otherwise than it was made")
        });
        for object in &incoming.objects {
            self.receive(on, peer, *object, incoming.payload.words[1]);
        }
        let served = Served {
            number,
            local,
            peer,
            operation: incoming.operation,
            leases: incoming.leases,
        };
        self.app(on).served.insert(incoming.token, served);
        let time = match self.rng.below(100) {
            0..50 => 0,
            50..97 => self.rng.below(300),
            _ => self.rng.within(1_000, 5_000),
        };
        self.at(now + time, Event::Answer(on, run, incoming.token));
    }

    /// An object came with a call.
    fn receive(&mut self, on: usize, from: usize, object: Object, says: u64) {
        let now = self.now;
        match object {
            Object::Local(local, _) => {
                self.truth.must(Check::Home, local.0 == says, || {
                    format!("{now}: {says:x} came home to {on} as {:x}", local.0)
                });
            }
            Object::Import(import, rights, _) => {
                let owner = self
                    .truth
                    .things
                    .get(&says)
                    .map_or(from, |thing| thing.owner);
                self.truth.never(Check::Home, owner == on, || {
                    format!("{now}: {says:x} came home to {on} as somebody else's")
                });
                let held = Held {
                    import,
                    local: says,
                    owner,
                    may_hand_on: rights.hand_on,
                };
                self.keep(on, held);
            }
        }
    }

    /// A device answers a call that it serves.
    pub(crate) fn answer(&mut self, on: usize, token: Token) {
        let Some(served) = self.app(on).served.remove(&token) else {
            return;
        };
        let number = served.number;
        let mut payload = Payload {
            bytes: pattern(number ^ 5, self.rng.below(300) as usize),
            ..Payload::default()
        };
        payload.words[0] = number;
        let mut objects = Vec::new();
        if served.operation == operation::MAKE {
            let local = self.new_thing(on);
            payload.words[1] = local;
            self.truth.first.insert(local, served.peer);
            self.app(on).made.push(local);
            objects.push(Object::Local(Local(local), rights()));
        }
        let is_error = self.rng.chance(100_000);
        let written = served.leases.iter().map(|lease| match lease.access {
            _ if is_error => Vec::new(),
            Access::Read => Vec::new(),
            _ => pattern(number ^ 9, written(number, lease.bytes.len())),
        });
        let answer = Answer {
            outcome: if is_error {
                Outcome::Error
            } else {
                Outcome::Ok
            },
            payload,
            written: written.collect(),
            objects,
        };
        self.with(on, |node, now| node.answer(token, answer, now));
    }

    fn revoked(&mut self, on: usize, id: RevocationId, how: Revocation) {
        let now = self.now;
        let local = self.app(on).revoking.remove(&id);

        if let Some((local, thirds)) = self.app(on).taking.remove(&id) {
            self.count(&format!("taken back: {how:?}"));
            for third in thirds {
                self.taken_back(local, third, how);
            }
        } else if let Some(local) = local {
            let runs = self.machines[on].app.serves(local);
            self.truth.must(Check::NothingRuns, !runs, || {
                format!("{now}: a call runs through {local:x}, which was taken back")
            });
        }
    }

    /// What was handed on to a third device is taken back from it.
    fn taken_back(&mut self, local: u64, third: usize, how: Revocation) {
        let now = self.now;
        self.truth.returns(local, third);
        // What it calls from now on must not run.
        if let Some((third, held)) = self.holder_of(local, Some(third)) {
            self.call(third, held, false);
        }
        if how == Revocation::Confirmed
            && let Some(thing) = self.truth.things.get(&local).copied()
            && self.machines[thing.owner].run == thing.run
        {
            let app = &self.machines[thing.owner].app;
            let mut served = app.served.values();
            let runs = served.any(|served| (served.local, served.peer) == (local, third));
            self.truth.must(Check::NothingRuns, !runs, || {
                format!("{now}: a call of {third} runs through {local:x}")
            });
        }
    }

    // Pairing.

    /// Two devices are paired by their people, who sometimes mistype.
    pub(crate) fn pair_some(&mut self) {
        let count = self.machines.len() as u64;
        let (shows, types) = (
            self.rng.below(count) as usize,
            self.rng.below(count) as usize,
        );
        if shows == types || !self.meets(shows, types) || self.app(types).typed.is_some() {
            return;
        }
        let Some(mut pin) = self.with(shows, |node, now| node.open_pairing(now)) else {
            return;
        };
        let right = self.rng.chance(700_000);
        if !right {
            pin[0] = b'0' + (pin[0] - b'0' + 1) % 10;
        }
        self.trace(|| format!("{types} types the PIN of {shows}, right: {right}"));
        self.app(types).typed = Some((shows, right));
        let paired = self.with(types, |node, now| node.pair(address(shows), pin, now));
        if !matches!(paired, Some(Ok(()))) {
            self.app(types).typed = None;
        } else if !right && !self.trusts(shows, types) && !self.trusts(types, shows) {
            self.truth.occasion(Check::WrongPin);
        }
    }

    fn paired(&mut self, on: usize, key: tessera_softbus_protocol::suite::PublicKey) {
        let now = self.now;
        let disk = tessera_softbus_protocol::trust::Trust::read(&self.machines[on].disk);
        let durable = disk.is_ok_and(|trust| trust.holds(&key));
        self.truth.must(Check::Durable, durable, || {
            format!("{now}: device {on} says that it is paired, and its disk does not")
        });
        let Some(&peer) = self.keys.get(&key) else {
            return;
        };
        let typed = [(on, peer), (peer, on)].map(|(a, b)| {
            self.machines[a]
                .app
                .typed
                .filter(|(with, _)| *with == b)
                .map(|(_, right)| right)
        });
        let wrong = typed.contains(&Some(false));
        self.truth.never(Check::WrongPin, wrong, || {
            format!("{now}: {on} trusts {peer} after a wrong PIN")
        });
        self.app(on).friends.insert(peer);
        if self.machines[on]
            .app
            .typed
            .is_some_and(|(with, _)| with == peer)
        {
            self.app(on).typed = None;
        }
    }

    /// A device trusts another one no longer.
    pub(crate) fn distrust_some(&mut self) {
        let on = self.rng.below(self.machines.len() as u64) as usize;
        let friends: Vec<_> = self.machines[on].app.friends.iter().copied().collect();
        let Some(&peer) = self.rng.pick(&friends) else {
            return;
        };
        if self.machines[on].node.is_none() {
            return;
        }
        let key = self.machines[peer].key;
        self.trace(|| format!("{on} trusts {peer} no longer"));
        self.app(on).friends.remove(&peer);
        self.truth.parted.insert((on, peer));
        self.truth.handed.retain(|(local, to), _| {
            // What was handed on to it is taken back with the rest.
            !(*to == peer && self.machines[on].app.made.contains(local))
        });
        self.with(on, |node, now| node.distrust(&key, now));
    }

    /// After the bad times: calls that must succeed.
    pub(crate) fn prove(&mut self, on: usize) {
        let friends: Vec<_> = self.machines[on].app.friends.iter().copied().collect();
        for peer in friends {
            if self.trusts(peer, on) && self.meets(on, peer) {
                self.truth.healed.0 += 1;
                self.truth.occasion(Check::Healed);
                self.open_service(on, peer, true);
            }
        }
    }

    fn count(&mut self, ending: &str) {
        *self.truth.endings.entry(ending.into()).or_default() += 1;
    }
}

/// As what a device publishes what is another one's.
fn relay_name(local: u64) -> String {
    format!("{local:x}")
}

fn class(operation: u8) -> Class {
    match operation {
        operation::IDEMPOTENT => Class::Idempotent,
        operation::RECORDED => Class::Recorded,
        _ => Class::Once,
    }
}

/// What is given away may do all but one thing.
fn rights() -> Rights {
    let mut rights = Rights::ALL;
    rights.operations[0] &= !(1 << operation::FORBIDDEN);
    rights
}
