//! Calls that a device serves: may they, and are they whole?

use libipc_abi::operation::Class;
use tessera_softbus_protocol::node::{Answer, Incoming, Object, Token};
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::table::Local;
use tessera_softbus_protocol::wire::{Access, Outcome, Payload};

use super::{Held, Served, operation, pattern, rights, written};
use crate::truth::Check;
use crate::world::{Event, World};

impl<S: Suite> World<S> {
    /// A call came to a device: may it, and is it whole?
    pub(super) fn serve(&mut self, on: usize, incoming: Incoming) {
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
        let forbidden = self.forbids(on, local, incoming.operation);
        self.truth.never(Check::Rights, forbidden, || {
            format!("{now}: device {on} runs what it did not allow {peer} with {local:x}")
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
            self.truth.comes_of(local, served.local, served.peer);
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
}
