//! What is decided from the beginning: who trusts whom, and what will happen when.

use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::trust::{Trust, Trusted};

use super::{Event, HEALING, World};

use crate::hostile::Hostile;
use crate::machine::Machine;
use crate::random::Rng;

/// Devices that a device trusts, at least, if there are so many.
const FRIENDS: u64 = 4;

impl<S: Suite> World<S> {
    /// All that is decided from the beginning.
    pub(super) fn plan(&mut self) {
        let (count, end) = (self.machines.len() as u64, self.end);
        // Half of the simulations begin with a power cut that ends.
        let spread = if self.rng.chance(500_000) { 50 } else { 10_000 };
        for on in 0..count {
            let at = self.rng.below(spread);
            self.at(at, Event::Start(on as usize));
            for _ in 0..self.options.calls {
                let at = self.rng.within(12_000, end - 3_000);
                self.at(at, Event::Act(on as usize));
            }
            for _ in 0..self.options.minutes / 2 {
                let at = self.rng.within(10_000, end);
                self.at(at, Event::Stall(on as usize));
            }
            self.at(end + HEALING, Event::Prove(on as usize));
        }
        for _ in 0..self.options.partitions {
            let at = self.rng.within(15_000, end - 1_000);
            self.at(at, Event::Cut);
        }
        for _ in 0..self.options.crashes() {
            let (at, on) = (self.rng.within(15_000, end - 1_000), self.rng.below(count));
            self.at(at, Event::Crash(on as usize));
        }
        for _ in 0..self.options.minutes.max(4) {
            let at = self.rng.within(10_000, end - 8_000);
            self.at(at, Event::Pair);
            let at = self.rng.within(10_000, end - 8_000);
            if self.rng.chance(300_000) {
                self.at(at, Event::Distrust);
            }
        }
        if !self.options.peaceful {
            self.at(5_000, Event::Hostile);
        }
        self.at(end, Event::Peace);
    }
}

/// Makes devices trust each other, on their disks.
pub(super) fn befriend<S: Suite>(machines: &mut [Machine], hostile: &Hostile<S>, rng: &mut Rng) {
    let count = machines.len() as u64;
    let mut trusts: Vec<Trust> = machines.iter().map(|_| Trust::default()).collect();
    let trusted = || Trusted {
        name: "friend".into(),
        kind: 1,
    };
    for on in 0..count {
        for _ in 0..FRIENDS.div_ceil(2) {
            let peer = rng.below(count);
            if peer != on {
                let (a, b) = (on as usize, peer as usize);
                let _ = trusts[a].add(machines[b].key, trusted());
                let _ = trusts[b].add(machines[a].key, trusted());
            }
        }
    }
    // Some trusted somebody who turned out bad.
    for trust in trusts.iter_mut().take(3) {
        let _ = trust.add(hostile.traitor(), trusted());
    }
    for (machine, trust) in machines.iter_mut().zip(&trusts) {
        machine.disk = trust.to_bytes();
    }
}
