//! Objects that go on to a third device: given with a call, or published to be opened.

use std::collections::BTreeSet;

use tessera_softbus_protocol::node::Object;
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::wire::Rights;

use super::{Opening, relay_name, rights};
use crate::truth::Check;
use crate::world::World;

impl<S: Suite> World<S> {
    /// An object to be given to a peer: a new one, or another device's.
    pub(super) fn gift(&mut self, on: usize, to: usize) -> (Vec<Object>, Option<u64>) {
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

    /// Whether a device has no other way to an object: what is taken back is gone then.
    fn is_new_to(&self, local: u64, on: usize) -> bool {
        let truth = &self.truth;
        truth.first.get(&local) != Some(&on)
            && !truth.handed.contains_key(&(local, on))
            && !truth.returned.contains(&(local, on))
    }

    pub(super) fn owner_of(&self, local: u64) -> Option<usize> {
        self.truth.things.get(&local).map(|thing| thing.owner)
    }

    /// A device opens what another one has: of a third device, if there is such a thing.
    pub(super) fn open_some(&mut self, on: usize, peer: usize) {
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

    /// A device publishes what it has of another one, or takes that back.
    pub(super) fn relay_some(&mut self, on: usize) {
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
}
