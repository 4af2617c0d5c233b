//! Objects that are taken back, dropped, or end.

use libipc_abi::status::Cause;
use tessera_softbus_protocol::limits::{FORGET, LOST};
use tessera_softbus_protocol::node::{Import, Revocation, RevocationId};
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::table::Local;

use super::{Held, KEPT, relay_name};
use crate::truth::Check;
use crate::world::World;

impl<S: Suite> World<S> {
    pub(super) fn revoke_some(&mut self, on: usize) {
        let made = self.machines[on].app.made.clone();
        let Some(&local) = self.rng.pick(&made) else {
            return;
        };
        self.app(on).made.retain(|made| *made != local);
        let all = self.truth.of_all(local);
        // Somebody calls in the same moment: it arrives too late.
        let one = self.rng.pick(&all).copied().unwrap_or(local);
        if let Some((holder, held)) = self.holder_of(one, None) {
            self.truth.occasion(Check::Revoked);
            self.call(holder, held, false);
        }
        for local in &all {
            self.truth.revokes(*local);
        }
        self.trace(|| format!("{on} revokes {all:x?}"));
        let id = self.quietly(on, |node, now| node.revoke(Local(local), None, now));
        if let Some(id) = id {
            self.app(on).revoking.insert(id, all);
        }
        self.drain(on);
    }

    pub(super) fn take_back_some(&mut self, on: usize) {
        let grants = self.machines[on].app.grants.clone();
        let Some(&(grant, local, third)) = self.rng.pick(&grants) else {
            return;
        };
        self.app(on).grants.retain(|(its, ..)| *its != grant);
        self.trace(|| format!("{on} takes {local:x} back from {third}"));
        // Taking back the service does not wait for what is taken back already.
        if let Some(openers) = self.app(on).relays.get_mut(&local) {
            openers.remove(&third);
        }
        let id = self.quietly(on, |node, now| node.take_back(grant, now));
        if let Some(id) = id.flatten() {
            self.app(on).taking.insert(id, (local, vec![third]));
        }
        self.drain(on);
    }

    pub(super) fn revoke_relay(&mut self, on: usize, local: u64) {
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

    pub(super) fn revoked(&mut self, on: usize, id: RevocationId, how: Revocation) {
        let now = self.now;
        let revoked = self.app(on).revoking.remove(&id);
        if let Some((local, thirds)) = self.app(on).taking.remove(&id) {
            self.count(&format!("taken back: {how:?}"));
            for third in thirds {
                self.taken_back(local, third, how);
            }
        } else if let Some(revoked) = revoked {
            let app = &self.machines[on].app;
            let runs = revoked.iter().find(|local| app.serves(**local));
            self.truth.must(Check::NothingRuns, runs.is_none(), || {
                format!("{now}: a call runs through {runs:x?}, which was taken back")
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

    pub(super) fn keep(&mut self, on: usize, held: Held) {
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

    pub(super) fn drop_held(&mut self, on: usize, import: Import) {
        let app = self.app(on);
        let before = app.held.len();
        app.held.retain(|held| held.import != import);
        for _ in app.held.len()..before {
            self.with(on, |node, now| node.release(import, now));
        }
    }

    /// An object, or a call of it, ended for a device because its owner began anew.
    pub(super) fn ended_rightly(&mut self, on: usize, local: u64) {
        let Some(thing) = self.truth.things.get(&local).copied() else {
            return;
        };
        // What was taken back lives no longer, and its owner keeps that it did only until
        // it forgets a holder that was away.
        if thing.revoked || self.truth.returned.contains(&(local, on)) {
            return;
        }
        let (now, owner) = (self.now, thing.owner);
        let parted = self.truth.parted.contains(&(owner, on));
        // Or it had not heard of the device for so long that it forgot it, a little before
        // the device did the same.
        let missed = self.missed.get(&(on, owner));
        let forgot = missed.is_some_and(|since| since + FORGET <= now + 2 * LOST);
        let did = thing.run != self.machines[owner].run || parted || forgot;
        self.truth.must(Check::Lives, did, || {
            format!("{now}: {local:x} of {owner} ended for {on}")
        });
    }

    /// An object of another device can be called no more.
    pub(super) fn dead(&mut self, on: usize, import: Import, cause: Cause) {
        let mut held = self.machines[on].app.held.iter();
        let held = held.find(|held| held.import == import).copied();
        if let (Some(held), Cause::EpochChanged) = (held, cause) {
            self.ended_rightly(on, held.local);
        }
        self.drop_held(on, import);
    }
}
