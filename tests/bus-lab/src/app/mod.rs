//! What runs on the devices: each serves, and calls what others serve. Everything that a
//! call carries follows from its number, so that both ends can tell whether it is whole.
//!
//! ```text
//! calls      calls to others: made, and ended
//! serve      calls of others
//! hand       objects that go on to a third device
//! revoke     objects that are taken back, dropped, or end
//! people     pairing and trust
//! ```

mod calls;
mod hand;
mod people;
mod revoke;
mod serve;

use std::collections::{BTreeMap, BTreeSet};

use libipc_abi::operation::Class;
use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::node::{
    CallId, Event as Said, GrantId, Import, Lent, Object, RevocationId, Token,
};
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::wire::Rights;

use crate::random::mix;
use crate::truth::{Check, Thing};
use crate::world::World;

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
    revoking: BTreeMap<RevocationId, Vec<u64>>,
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
            Said::Connected(key) => {
                if let Some(&peer) = self.keys.get(&key) {
                    self.missed.remove(&(on, peer));
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
                Err(error) => self.failed_call(on, id, error),
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

    fn gone(&mut self, on: usize, peer: usize) {
        let (now, machine) = (self.now, &self.machines[peer]);
        let quiet = self.network.since + 20_000 < now && machine.since + 20_000 < now;
        let there = machine.node.is_some() && self.network.reaches(on, peer);
        let recent =
            self.machines[peer].stalled + 5_000 > now || self.machines[on].stalled + 5_000 > now;
        let false_gone = quiet && there && !recent && self.trusts(peer, on);
        // If much is lost, all questions or answers in a row may be.
        if self.options.loss <= 50_000 {
            self.truth.never(Check::FalseGone, false_gone, || {
                format!("{now}: {peer} is gone for {on}, and is there")
            });
        } else if false_gone {
            self.count("gone though there");
        }
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
