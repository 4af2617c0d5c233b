//! The loop: what happens next, and to whom.
//!
//! ```text
//! plan       who trusts whom at first, and what will happen when
//! traffic    datagrams and streams
//! trouble    starts, crashes, cuts
//! presence   who is there, as devices see it
//! ```

mod plan;
mod presence;
mod traffic;
mod trouble;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::rc::Rc;

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::limits::{ALL_BYTES, PEER_BYTES, SMALL_BYTES};
use tessera_softbus_protocol::node::{Event as Said, Node, Output, StreamId, Token};
use tessera_softbus_protocol::suite::{Noise, PublicKey, Suite};

use plan::befriend;

use crate::app::App;
use crate::cheap::Cheap;
use crate::hostile::Hostile;
use crate::machine::Machine;
use crate::network::Network;
use crate::options::Options;
use crate::random::{Rng, mix};
use crate::report::Report;
use crate::truth::{Check, Truth};

/// The network is left alone at the end for so long: first it heals, then calls are
/// made that must succeed, then everything ends.
pub const HEALING: Millis = 15_000;
/// See [`HEALING`].
pub const PROVING: Millis = 8_000;
/// See [`HEALING`].
pub const ENDING: Millis = 70_000;

/// What can happen.
pub(crate) enum Event {
    Wake(usize),
    Datagram(usize, Address, Rc<[u8]>),
    Segment(usize, usize),
    Connect(usize, u32, StreamId, Address),
    Connected(usize, u32, StreamId),
    Closed(usize, u32, StreamId),
    Stored(usize, u32, u64, Vec<u8>),
    Answer(usize, u32, Token),
    Act(usize),
    Start(usize),
    Crash(usize),
    Stall(usize),
    Cut,
    Heal,
    Missed(usize, u32, usize, Millis),
    Listed(usize, u32, usize),
    Pair,
    Distrust,
    Hostile,
    Prove(usize),
    Peace,
}

impl Event {
    /// The device that has to run for it.
    fn on(&self) -> Option<usize> {
        match self {
            Event::Wake(on)
            | Event::Datagram(on, ..)
            | Event::Connected(on, ..)
            | Event::Closed(on, ..)
            | Event::Stored(on, ..)
            | Event::Answer(on, ..)
            | Event::Act(on)
            | Event::Prove(on) => Some(*on),
            _ => None,
        }
    }
}

struct Due(Millis, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// One simulation.
pub struct World<S: Suite> {
    pub(crate) options: Options,
    pub(crate) now: Millis,
    /// When the bad times end.
    pub(crate) end: Millis,
    order: u64,
    queue: BinaryHeap<Reverse<Due>>,
    pub(crate) rng: Rng,
    pub(crate) machines: Vec<Machine>,
    pub(crate) keys: HashMap<PublicKey, usize>,
    pub(crate) network: Network,
    pub(crate) hostile: Hostile<S>,
    pub(crate) truth: Truth,
    digest: u64,
    /// Losses that are to be noticed, and when they began.
    silent: BTreeMap<(usize, usize), Millis>,
    /// When a device lost another one that it has not met again since.
    pub(crate) missed: BTreeMap<(usize, usize), Millis>,
    /// When a device's last stream with another one broke.
    broke: BTreeMap<(usize, usize), Millis>,
    /// Devices that have to be listed, since when.
    coming: BTreeMap<(usize, usize), Millis>,
}

/// Runs the simulations that the options describe.
pub fn run(options: &Options, mut progress: impl FnMut(&Report)) -> Report {
    let mut report = Report::new(options);
    for seed in options.seed..options.seed + options.seeds {
        let (truth, digest) = if options.real_crypto {
            World::<Noise>::new(options, seed).run()
        } else {
            World::<Cheap>::new(options, seed).run()
        };
        report.add(seed, truth, digest);
        progress(&report);
    }
    report
}

impl<S: Suite> World<S> {
    /// The world of this seed, before anything has happened.
    pub fn new(options: &Options, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = options.nodes as usize;
        let mut machines: Vec<_> = (0..count)
            .map(|index| Machine::new::<S>(index, &mut rng))
            .collect();
        let hostile = Hostile::new(count, &mut rng);
        befriend(&mut machines, &hostile, &mut rng);
        let keys = machines
            .iter()
            .enumerate()
            .map(|(index, machine)| (machine.key, index));
        let mut world = World {
            options: options.clone(),
            now: 0,
            end: options.minutes * 60_000,
            order: 0,
            queue: BinaryHeap::new(),
            keys: keys.collect(),
            network: Network::new(count, options.loss, &mut rng),
            machines,
            hostile,
            truth: Truth::default(),
            digest: seed,
            silent: BTreeMap::new(),
            missed: BTreeMap::new(),
            broke: BTreeMap::new(),
            coming: BTreeMap::new(),
            rng,
        };
        world.plan();
        world
    }

    /// Lets it happen. Returns what did, and its digest.
    pub fn run(mut self) -> (Truth, u64) {
        let last = self.end + HEALING + PROVING + ENDING;
        while let Some(Reverse(Due(at, _, event))) = self.queue.pop() {
            if at > last {
                break;
            }
            self.now = at;
            if let Some(on) = event.on() {
                let stalled = self.machines[on].stalled;
                if stalled > at {
                    self.at(stalled, event);
                    continue;
                }
            }
            self.truth.steps += 1;
            self.happen(event);
        }
        self.finish();
        (self.truth, self.digest)
    }

    pub(crate) fn at(&mut self, at: Millis, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Due(at, self.order, event)));
    }

    pub(crate) fn log(&mut self, on: usize, what: u64, detail: u64) {
        let word = mix(self.now ^ (on as u64) << 40 ^ what << 56 ^ detail.rotate_left(17));
        self.digest = mix(self.digest ^ word);
    }

    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.options.trace {
            println!("{:>9} {}", self.now, what());
        }
    }

    /// What this device's clock shows.
    pub(crate) fn local(&self, on: usize) -> Millis {
        self.machines[on].clock.local(self.now)
    }

    /// Whether both run and reach each other.
    pub(crate) fn meets(&self, a: usize, b: usize) -> bool {
        let up = |on: usize| {
            self.machines
                .get(on)
                .is_none_or(|machine| machine.node.is_some())
        };
        up(a) && up(b) && self.network.reaches(a, b)
    }

    /// The device is in the run that is meant.
    pub(crate) fn is_in(&self, on: usize, run: u32) -> bool {
        self.machines[on].run == run && self.machines[on].node.is_some()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(on) => {
                if self.machines[on].wake <= self.now {
                    self.machines[on].wake = Millis::MAX;
                    self.with(on, |node, now| node.tick(now));
                }
            }
            Event::Datagram(to, from, bytes) => self.datagram(to, from, &bytes),
            Event::Segment(id, way) => self.segment(id, way),
            Event::Connect(on, run, stream, to) => self.connect(on, run, stream, to),
            Event::Connected(on, run, stream) => {
                if self.is_in(on, run) {
                    self.with(on, |node, now| node.connected(stream, now));
                }
            }
            Event::Closed(on, run, stream) => {
                if self.is_in(on, run)
                    && let Some((id, _)) = self.machines[on].streams.remove(&stream)
                {
                    self.breaks(on, id);
                    self.with(on, |node, now| node.closed(stream, now));
                }
            }
            Event::Stored(on, run, generation, bytes) => {
                if self.is_in(on, run) {
                    self.machines[on].disk = bytes;
                    self.with(on, |node, now| node.stored(generation, now));
                }
            }
            Event::Answer(on, run, token) => {
                if self.is_in(on, run) {
                    self.answer(on, token);
                }
            }
            Event::Act(on) => self.act(on),
            Event::Start(on) => self.start(on),
            Event::Crash(on) => self.crash(on),
            Event::Stall(on) => {
                let time = self.rng.within(100, 1_000);
                if self.now < self.end {
                    // It may be stopped already, and for longer.
                    let stalled = &mut self.machines[on].stalled;
                    *stalled = (*stalled).max(self.now + time);
                }
            }
            Event::Cut => self.cut(),
            Event::Heal => self.heal(),
            Event::Missed(on, run, peer, since) => self.missed(on, run, peer, since),
            Event::Listed(on, run, peer) => self.is_listed(on, run, peer),
            Event::Pair => self.pair_some(),
            Event::Distrust => self.distrust_some(),
            Event::Hostile => self.attack(),
            Event::Prove(on) => self.prove(on),
            Event::Peace => {
                self.heal();
                for on in 0..self.machines.len() {
                    if self.machines[on].node.is_none() {
                        self.start(on);
                    }
                }
            }
        }
    }

    /// Does something with a device's node, then what the node wants.
    pub(crate) fn with<R>(
        &mut self,
        on: usize,
        does: impl FnOnce(&mut Node, Millis) -> R,
    ) -> Option<R> {
        let local = self.local(on);
        let result = self.machines[on]
            .node
            .as_mut()
            .map(|node| does(node, local));
        self.drain(on);
        result
    }

    /// As [`World::with`], but what the node wants is left to [`World::drain`]: for what
    /// has to be remembered before it is heard of.
    pub(crate) fn quietly<R>(
        &mut self,
        on: usize,
        does: impl FnOnce(&mut Node, Millis) -> R,
    ) -> Option<R> {
        let local = self.local(on);
        self.machines[on]
            .node
            .as_mut()
            .map(|node| does(node, local))
    }

    /// Does what a device's node wants.
    pub(crate) fn drain(&mut self, on: usize) {
        while let Some(output) = self.machines[on].node.as_mut().and_then(Node::poll) {
            let run = self.machines[on].run;
            match output {
                Output::Datagram(to, bytes) => self.send_datagram(on, to, bytes.into()),
                Output::Connect(stream, to) => {
                    let at = self.now + self.network.late(&mut self.rng);
                    self.at(at, Event::Connect(on, run, stream, to));
                }
                Output::Send(stream, mut bytes) => {
                    self.hostile
                        .alter(&mut bytes, &mut self.rng, self.now < self.end);
                    self.hostile.overhear_stream(on, &bytes, &mut self.rng);
                    if let Some(&(id, side)) = self.machines[on].streams.get(&stream) {
                        self.send_segment(id, side, bytes.into());
                    }
                }
                Output::Close(stream) => {
                    if let Some((id, side)) = self.machines[on].streams.remove(&stream) {
                        self.breaks(on, id);
                        self.close_end(id, side);
                    }
                }
                Output::Store(generation, bytes) => {
                    let at = self.now + self.rng.within(2, 60);
                    self.at(at, Event::Stored(on, run, generation, bytes));
                }
                Output::Event(event) => self.said(on, event),
            }
        }
        self.schedule(on);
    }

    fn schedule(&mut self, on: usize) {
        let machine = &mut self.machines[on];
        let Some(node) = &machine.node else { return };
        let deadline = node.deadline();
        if deadline == Millis::MAX {
            return;
        }
        let wake = machine.clock.global(deadline).max(self.now);
        if wake < machine.wake {
            machine.wake = wake;
            self.at(wake, Event::Wake(on));
        }
    }

    pub(crate) fn trusts(&self, a: usize, b: usize) -> bool {
        self.machines[a].app.friends.contains(&b)
    }

    /// What a peer makes a device hold is within its credit.
    pub(crate) fn check_memory(&mut self, on: usize, peer: PublicKey) {
        let Some(node) = &self.machines[on].node else {
            return;
        };
        let (held, all, small) = (node.held(&peer), node.held_by_all(), node.peers() as u64);
        let now = self.now;
        let most = ALL_BYTES + small * SMALL_BYTES;
        self.truth.never(Check::Memory, all > most, || {
            format!("{now}: all make device {on} hold {all} bytes")
        });
        self.truth.never(Check::Memory, held > PEER_BYTES, || {
            format!("{now}: {peer} makes device {on} hold {held} bytes")
        });
    }

    /// Everything has ended.
    fn finish(&mut self) {
        for (on, machine) in self.machines.iter().enumerate() {
            let open = machine.app.open_calls();
            self.truth.never(Check::Outcome, !open.is_empty(), || {
                format!("device {on}: calls that have not ended: {open:?}")
            });
        }
    }

    pub(crate) fn said(&mut self, on: usize, event: Said) {
        self.trace(|| format!("{on} says {}", short(&event)));
        self.app_heard(on, event);
    }

    /// The device's program.
    pub(crate) fn app(&mut self, on: usize) -> &mut App {
        &mut self.machines[on].app
    }
}

/// The beginning of what an event looks like.
fn short(event: &Said) -> String {
    let mut text = format!("{event:?}");
    text.truncate(200);
    text
}
