//! Who is there, as devices see it: listed in time, missed in time, and not without cause.

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::suite::Suite;

use super::World;
use crate::truth::Check;

impl<S: Suite> World<S> {
    /// Some time after a peer went silent: was it missed in time?
    pub(super) fn missed(&mut self, on: usize, run: u32, peer: usize, since: Millis) {
        if self.silent.get(&(on, peer)) != Some(&since) {
            return;
        }
        // It came back before it had to be missed.
        self.silent.remove(&(on, peer));
        if !self.is_in(on, run) {
            return;
        }
        let back = self.network.since > since && self.network.reaches(on, peer);
        if back || self.machines[peer].since > since {
            return;
        }
        let key = self.machines[peer].key;
        let node = self.machines[on].node.as_ref();
        let connected = node.is_some_and(|node| node.is_connected(&key));
        self.truth.must(Check::LossNoticed, !connected, || {
            format!("{since}: device {on} did not miss {peer} in 4 s")
        });
        let waits = self.machines[on].app.waits_since(peer, since);
        self.truth.must(Check::EndAfterLoss, !waits, || {
            format!("{since}: device {on} still waits for {peer}")
        });
    }

    pub(crate) fn lost(&mut self, on: usize, peer: usize) {
        self.missed.insert((on, peer), self.now);
        let broke = self.broke.get(&(on, peer)).copied().unwrap_or(0);
        let since = self.silent.get(&(on, peer)).copied().unwrap_or(self.now);
        if self.network.since > since && self.network.reaches(on, peer) {
            // It was back before it was missed.
            self.silent.remove(&(on, peer));
        }
        if let Some(since) = self.silent.remove(&(on, peer))
            // If the stream broke meanwhile, nobody had to be missed until it was needed.
            && !(since < broke && broke < self.now)
        {
            let after = self.now - since;
            // What was under way when it went silent was still heard; and who is stopped
            // itself notices later.
            let stall = if self.machines[on].stalled > since {
                1_000
            } else {
                0
            };
            let late = self.network.delay.1 + stall;
            self.truth.noticed.push(after);
            self.truth
                .must(Check::LossNoticed, after <= 2_000 + late, || {
                    format!("{since}: device {on} missed {peer} after {after} ms")
                });
            let waits = self.machines[on].app.waits_for(peer);
            self.truth.must(Check::EndAfterLoss, !waits, || {
                format!("{since}: device {on} lost {peer}, and a call still waits")
            });
        }
        let quiet = self.network.since + 2_500 < self.now;
        let up = self.machines[peer].node.is_some() && self.machines[peer].since + 2_500 < self.now;
        if quiet && up && self.network.reaches(on, peer) && self.trusts(peer, on) {
            self.truth.false_losses += 1;
            self.trace(|| format!("{on} lost {peer} though it is there"));
        }
    }

    pub(crate) fn appeared(&mut self, on: usize, peer: usize) {
        if let Some(since) = self.coming.remove(&(on, peer)) {
            // Who was stopped for a second has neither heard nor answered.
            let stopped = [on, peer].map(|one| self.machines[one].stalled > since);
            if stopped == [false, false] {
                self.truth.listed.push(self.now - since);
            }
        }
    }

    pub(super) fn is_listed(&mut self, on: usize, run: u32, peer: usize) {
        // It may have come again since, and has its time.
        let coming = self.coming.get(&(on, peer));
        if coming.is_some_and(|since| since + 5_000 > self.now) {
            return;
        }
        if self.coming.remove(&(on, peer)).is_some() && self.is_in(on, run) {
            let undisturbed = self.network.since + 5_000 <= self.now
                && self.machines[peer].node.is_some()
                && self.trusts(on, peer)
                && self.trusts(peer, on);
            self.truth.unlisted += u64::from(undisturbed);
        }
    }
}
