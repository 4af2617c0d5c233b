//! What happens to devices and to the network between them: starts, crashes, cuts.

use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::trust::Trust;

use super::{Event, World};

impl<S: Suite> World<S> {
    pub(super) fn start(&mut self, on: usize) {
        if self.machines[on].node.is_some() {
            return;
        }
        self.log(on, 3, 0);
        let now = self.now;
        self.machines[on].start::<S>(on, &mut self.rng, now);
        self.silent.retain(|(_, peer), _| *peer != on);
        let trust = Trust::read(&self.machines[on].disk).unwrap_or_default();
        let friends = trust
            .iter()
            .filter_map(|(key, _)| self.keys.get(key).copied());
        self.machines[on].app.friends = friends.collect();
        self.trace(|| format!("{on} starts"));
        self.publish(on);
        let run = self.machines[on].run;
        for peer in self.machines[on].app.friends.clone() {
            let mutual = self.machines[peer].app.friends.contains(&on);
            if mutual && self.meets(on, peer) {
                for (a, b) in [(on, peer), (peer, on)] {
                    self.coming.insert((a, b), self.now);
                }
                self.at(self.now + 5_000, Event::Listed(on, run, peer));
                self.at(
                    self.now + 5_000,
                    Event::Listed(peer, self.machines[peer].run, on),
                );
            }
        }
        self.with(on, |node, now| node.tick(now));
    }

    pub(super) fn crash(&mut self, on: usize) {
        if self.machines[on].node.is_none() || self.now >= self.end {
            return;
        }
        let silent = self.rng.chance(600_000);
        let leaves = self.rng.chance(200_000);
        self.log(on, 4, u64::from(silent));
        self.trace(|| format!("{on} goes, silent {silent}, leaves {leaves}"));
        if silent {
            self.goes_silent(|_, b| b == on);
        } else {
            // Its streams end in order: whoever has no use for it need not miss it.
            self.silent.retain(|(_, peer), _| *peer != on);
            if leaves {
                self.with(on, |node, now| node.leave(now));
            }
        }
        self.machines[on].node = None;
        self.machines[on].down = self.now;
        self.machines[on].app.stop();
        let streams = std::mem::take(&mut self.machines[on].streams);
        for (id, side) in streams.into_values() {
            if silent {
                if let Some(connection) = &mut self.network.connections[id] {
                    connection.ways[side].queue.clear();
                }
            } else {
                self.close_end(id, side);
            }
        }
        let at = self.now + self.rng.within(50, 20_000);
        self.at(at, Event::Start(on));
    }

    pub(super) fn cut(&mut self) {
        if self.now >= self.end {
            return;
        }
        let before = self.network.part.clone();
        for part in &mut self.network.part {
            *part = self.rng.chance(400_000) as u8;
        }
        self.network.since = self.now;
        self.log(0, 5, 0);
        let after = self.network.part.clone();
        self.trace(|| format!("cut into {after:?}"));
        self.goes_silent(|a, b| before[a] == before[b] && after[a] != after[b]);
        let longest = if self.rng.chance(500_000) {
            1_500
        } else {
            20_000
        };
        let at = self.now + self.rng.within(200, longest);
        self.at(at, Event::Heal);
    }

    pub(super) fn heal(&mut self) {
        self.network.part.fill(0);
        // Who is there again need not be missed.
        let machines = &self.machines;
        self.silent
            .retain(|(_, peer), _| machines[*peer].node.is_none());
        self.network.since = self.now;
        self.log(0, 6, 0);
        self.trace(|| "healed".into());
    }

    /// From now on some do not hear others with whom they have a session.
    fn goes_silent(&mut self, is: impl Fn(usize, usize) -> bool) {
        for on in 0..self.machines.len() {
            let Some(node) = &self.machines[on].node else {
                continue;
            };
            let friends = self.machines[on].app.friends.iter().copied();
            let lost: Vec<_> = friends
                .filter(|peer| is(on, *peer) && node.is_connected(&self.machines[*peer].key))
                .collect();
            let run = self.machines[on].run;
            for peer in lost {
                self.silent.insert((on, peer), self.now);
                self.at(self.now + 4_000, Event::Missed(on, run, peer, self.now));
            }
        }
    }
}
