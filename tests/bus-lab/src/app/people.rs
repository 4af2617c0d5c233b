//! What people do: they pair devices, and trust one no longer.

use tessera_softbus_protocol::suite::Suite;

use crate::machine::address;
use crate::truth::Check;
use crate::world::World;

impl<S: Suite> World<S> {
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

    pub(super) fn paired(&mut self, on: usize, key: tessera_softbus_protocol::suite::PublicKey) {
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
        // Each may have typed the other's PIN: one was right.
        let wrong = typed.contains(&Some(false)) && !typed.contains(&Some(true));
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
}
