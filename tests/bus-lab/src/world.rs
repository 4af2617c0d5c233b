//! The loop: what happens next, and to whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::rc::Rc;

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::HELLO;
use tessera_softbus_protocol::limits::PEER_BYTES;
use tessera_softbus_protocol::node::{Event as Said, Node, Output, StreamId, Token};
use tessera_softbus_protocol::suite::{Noise, PublicKey, Suite};
use tessera_softbus_protocol::trust::{Trust, Trusted};

use crate::app::App;
use crate::cheap::Cheap;
use crate::hostile::Hostile;
use crate::machine::{Machine, address, index};
use crate::network::{End, Network, STREAM_BREAKS};
use crate::options::Options;
use crate::random::{Rng, mix};
use crate::report::Report;
use crate::truth::{Check, Truth};

/// Devices that a device trusts, at least, if there are so many.
const FRIENDS: u64 = 4;
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
            broke: BTreeMap::new(),
            coming: BTreeMap::new(),
            rng,
        };
        world.plan();
        world
    }

    /// All that is decided from the beginning.
    fn plan(&mut self) {
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
        for _ in 0..self.options.crashes {
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
                    self.machines[on].stalled = self.now + time;
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

    // Datagrams.

    fn send_datagram(&mut self, from: usize, to: Option<Address>, bytes: Rc<[u8]>) {
        self.log(from, 1, bytes.len() as u64);
        self.hostile
            .overhear(address(from), to, &bytes, &mut self.rng);
        match to {
            Some(to) => self.post(from, address(from), index(&to), bytes),
            None => {
                for to in 0..self.machines.len() {
                    if to != from {
                        self.post(from, address(from), to, bytes.clone());
                    }
                }
            }
        }
    }

    /// Puts a datagram on its way, whoever says to have sent it.
    pub(crate) fn post(&mut self, from: usize, says: Address, to: usize, bytes: Rc<[u8]>) {
        if to >= self.machines.len() || !self.network.reaches(from, to) {
            return;
        }
        for at in self
            .network
            .datagram(&mut self.rng, self.now)
            .into_iter()
            .flatten()
        {
            self.at(at, Event::Datagram(to, says, bytes.clone()));
        }
    }

    fn datagram(&mut self, to: usize, from: Address, bytes: &[u8]) {
        if self.machines[to].node.is_none() || !self.network.reaches(index(&from), to) {
            return;
        }
        // Those of others are not the devices' own doing.
        if bytes.len() == HELLO && index(&from) < self.machines.len() {
            let now = self.now;
            let stopped = self.machines[to].stalled + 1_000 > now;
            let hellos = &mut self.machines[to].hellos;
            while hellos.front().is_some_and(|at| at + 1_000 <= now) {
                hellos.pop_front();
            }
            // What came while it was stopped comes all at once.
            if stopped {
                hellos.clear();
            }
            hellos.push_back(now);
            let count = hellos.len() as u64;
            self.truth.most_hellos = self.truth.most_hellos.max(count);
            self.truth.must(Check::Announcements, count <= 50, || {
                format!("{now}: device {to} heard {count} announcements in a second")
            });
        }
        self.with(to, |node, now| node.datagram(from, bytes, now));
    }

    // Streams.

    fn connect(&mut self, on: usize, run: u32, stream: StreamId, to: Address) {
        if !self.is_in(on, run) {
            return;
        }
        let there = index(&to);
        let later = self.now + self.network.late(&mut self.rng);
        if there >= self.machines.len() || !self.meets(on, there) {
            // Nobody answers: that is noticed after a while.
            let id = self
                .network
                .connect([End::Node(on, stream, run), End::None]);
            self.machines[on].streams.insert(stream, (id, 0));
            return self.at(self.now + 3_000, Event::Closed(on, run, stream));
        }
        if self.machines[there].stalled > self.now {
            let at = self.machines[there].stalled;
            return self.at(at, Event::Connect(on, run, stream, to));
        }
        let from = address(on);
        match self
            .with(there, |node, now| node.accepted(from, now))
            .flatten()
        {
            Some(answered) => {
                let its = self.machines[there].run;
                let ends = [End::Node(on, stream, run), End::Node(there, answered, its)];
                let id = self.network.connect(ends);
                self.machines[on].streams.insert(stream, (id, 0));
                self.machines[there].streams.insert(answered, (id, 1));
                self.at(later, Event::Connected(on, run, stream));
            }
            None => {
                let id = self
                    .network
                    .connect([End::Node(on, stream, run), End::None]);
                self.machines[on].streams.insert(stream, (id, 0));
                self.at(later, Event::Closed(on, run, stream));
            }
        }
    }

    pub(crate) fn send_segment(&mut self, id: usize, side: usize, bytes: Rc<[u8]>) {
        if self.network.connections[id].is_none() {
            return;
        }
        let at = self.network.segment(id, side, &mut self.rng, self.now);
        if let Some(connection) = &mut self.network.connections[id] {
            connection.ways[side].queue.push_back(bytes);
            self.at(at, Event::Segment(id, side));
        }
    }

    fn segment(&mut self, id: usize, way: usize) {
        let Some(connection) = &mut self.network.connections[id] else {
            return;
        };
        let to = connection.ends[1 - way];
        let [a, b] = self.network.places[id];
        let reaches = self.network.reaches(a, b);
        let Some(connection) = &mut self.network.connections[id] else {
            return;
        };
        let direction = &mut connection.ways[way];
        let up = match to {
            End::Node(on, ..) => self.machines[on].node.is_some(),
            _ => true,
        };
        if !reaches || !up {
            let since = *direction.blocked.get_or_insert(self.now);
            if self.now - since >= STREAM_BREAKS {
                return self.break_connection(id);
            }
            return self.at(self.now + 200, Event::Segment(id, way));
        }
        if let End::Node(on, ..) = to
            && self.machines[on].stalled > self.now
        {
            let at = self.machines[on].stalled;
            return self.at(at, Event::Segment(id, way));
        }
        direction.blocked = None;
        let Some(bytes) = direction.queue.pop_front() else {
            return;
        };
        if bytes.is_empty() {
            // The end of the stream.
            if let End::Node(on, stream, run) = to {
                self.at(self.now, Event::Closed(on, run, stream));
            }
            return self.network.free(id);
        }
        match to {
            End::Node(on, stream, run) if self.is_in(on, run) => {
                self.log(on, 2, bytes.len() as u64);
                self.with(on, |node, now| node.received(stream, &bytes, now));
            }
            End::Hostile(number) => self.attacker_hears(number, id, &bytes),
            // It runs again, and knows nothing of this stream.
            _ => self.break_connection(id),
        }
    }

    /// One end is closed: the other hears of it behind what is under way.
    pub(crate) fn close_end(&mut self, id: usize, side: usize) {
        let Some(connection) = &mut self.network.connections[id] else {
            return;
        };
        connection.ends[side] = End::None;
        match connection.ends[1 - side] {
            End::Node(..) => self.send_segment(id, side, [].into()),
            End::Hostile(_) | End::None => self.network.free(id),
        }
    }

    /// A stream of a device is no more.
    fn breaks(&mut self, on: usize, id: usize) {
        self.truth.reconnects += 1;
        if let Some(places) = self.network.places.get(id) {
            let peer = if places[0] == on {
                places[1]
            } else {
                places[0]
            };
            self.broke.insert((on, peer), self.now);
        }
    }

    fn break_connection(&mut self, id: usize) {
        let Some(connection) = &self.network.connections[id] else {
            return;
        };
        for end in connection.ends {
            if let End::Node(on, stream, run) = end {
                self.at(self.now, Event::Closed(on, run, stream));
            }
        }
        self.network.free(id);
    }

    // What happens to devices.

    fn start(&mut self, on: usize) {
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

    fn crash(&mut self, on: usize) {
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

    fn cut(&mut self) {
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

    fn heal(&mut self) {
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

    /// Some time after a peer went silent: was it missed in time?
    fn missed(&mut self, on: usize, run: u32, peer: usize, since: Millis) {
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

    pub(crate) fn trusts(&self, a: usize, b: usize) -> bool {
        self.machines[a].app.friends.contains(&b)
    }

    pub(crate) fn appeared(&mut self, on: usize, peer: usize) {
        if let Some(since) = self.coming.remove(&(on, peer)) {
            self.truth.listed.push(self.now - since);
        }
    }

    fn is_listed(&mut self, on: usize, run: u32, peer: usize) {
        if self.coming.remove(&(on, peer)).is_some() && self.is_in(on, run) {
            let undisturbed = self.network.since + 5_000 <= self.now
                && self.machines[peer].node.is_some()
                && self.trusts(on, peer)
                && self.trusts(peer, on);
            self.truth.unlisted += u64::from(undisturbed);
        }
    }

    /// What a peer makes a device hold is within its credit.
    pub(crate) fn check_memory(&mut self, on: usize, peer: PublicKey) {
        let Some(node) = &self.machines[on].node else {
            return;
        };
        let held = node.held(&peer);
        let now = self.now;
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

/// Makes devices trust each other, on their disks.
fn befriend<S: Suite>(machines: &mut [Machine], hostile: &Hostile<S>, rng: &mut Rng) {
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
