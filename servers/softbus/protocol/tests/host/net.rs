//! A few nodes with real cryptography on a network that loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::keys::Holder;
use tessera_softbus_protocol::node::{Config, Event, Node, Output, Parts, StreamId};
use tessera_softbus_protocol::parser::{Inline, Parser};
use tessera_softbus_protocol::random::Random;
use tessera_softbus_protocol::suite::{Noise, PublicKey};
use tessera_softbus_protocol::trust::{Trust, Trusted};

/// Random numbers that are the same each time (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Random for Seeded {
    fn fill(&mut self, into: &mut [u8]) {
        for byte in into {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.0;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (word ^ (word >> 31)) as u8;
        }
    }
}

/// Nodes, and what is under way between them.
pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) disks: Vec<Vec<u8>>,
    pub(crate) now: Millis,
    /// The other end of each stream.
    ends: BTreeMap<(usize, StreamId), (usize, StreamId)>,
    /// Nodes that nobody reaches.
    pub(crate) away: BTreeSet<usize>,
    /// Nodes whose disk takes nothing.
    pub(crate) full: BTreeSet<usize>,
    pub(crate) events: Vec<(usize, Event)>,
    /// A byte at this place of the next data of a stream is changed on the way.
    pub(crate) change: Option<usize>,
    /// All that was sent, for those who listen.
    pub(crate) wire: Vec<Packet>,
}

/// Something that was sent.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    /// The stream, and who has its other end; none: a datagram.
    pub(crate) stream: Option<(StreamId, usize)>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn address(index: usize) -> Address {
    let mut ip = [0; 16];
    ip[15] = index as u8 + 1;
    Address { ip, port: 700 }
}

impl Net {
    pub(crate) fn new(count: usize) -> Net {
        let mut net = Net {
            nodes: Vec::new(),
            disks: vec![Vec::new(); count],
            now: 1_000,
            ends: BTreeMap::new(),
            away: BTreeSet::new(),
            full: BTreeSet::new(),
            events: Vec::new(),
            change: None,
            wire: Vec::new(),
        };
        for index in 0..count {
            let node = net.start(index, Trust::default());
            net.nodes.push(node);
        }
        net
    }

    pub(crate) fn start(&self, index: usize, trust: Trust) -> Node {
        self.start_with(index, trust, Box::new(Inline))
    }

    /// A node of which somebody else reads what comes.
    pub(crate) fn start_with(&self, index: usize, trust: Trust, parser: Box<dyn Parser>) -> Node {
        let config = Config {
            me: Trusted {
                name: format!("device {index}"),
                kind: 1,
            },
            port: 700,
            trust,
        };
        let parts = Parts {
            keys: Box::new(Holder::<Noise>::new(&[index as u8 + 1; 32])),
            parser,
            random: Box::new(Seeded(index as u64 ^ self.now << 8)),
        };
        Node::new(config, self.now + index as u64, parts, self.now)
    }

    /// Starts a node again from its disk.
    pub(crate) fn restart(&mut self, index: usize) {
        let trust = Trust::read(&self.disks[index]).unwrap_or_default();
        self.nodes[index] = self.start(index, trust);
        let gone: Vec<_> = self
            .ends
            .keys()
            .copied()
            .filter(|end| end.0 == index)
            .collect();
        for end in gone {
            if let Some(other) = self.ends.remove(&end) {
                self.ends.remove(&other);
                self.nodes[other.0].closed(other.1, self.now);
            }
        }
    }

    pub(crate) fn key(&self, index: usize) -> PublicKey {
        self.nodes[index].key()
    }

    /// Does what nodes want until they want nothing more.
    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    /// Does one thing that a node wants; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let outputs = (0..self.nodes.len()).find_map(|i| Some((i, self.nodes[i].poll()?)));
        let Some((from, output)) = outputs else {
            return false;
        };
        self.output(from, output);
        true
    }

    fn output(&mut self, from: usize, output: Output) {
        let now = self.now;
        match output {
            Output::Datagram(to, bytes) => {
                self.wire.push(Packet {
                    from,
                    stream: None,
                    bytes: bytes.clone(),
                });
                for index in 0..self.nodes.len() {
                    let is_to = to.is_none_or(|to| to.ip == address(index).ip);
                    if index != from && is_to && !self.cut(from, index) {
                        self.nodes[index].datagram(address(from), &bytes, now);
                    }
                }
            }
            Output::Connect(stream, to) => {
                let there = (0..self.nodes.len()).find(|index| address(*index).ip == to.ip);
                let accepted = there.filter(|to| !self.cut(from, *to)).and_then(|there| {
                    Some((there, self.nodes[there].accepted(address(from), now)?))
                });
                match accepted {
                    Some(end) => {
                        self.ends.insert((from, stream), end);
                        self.ends.insert(end, (from, stream));
                        self.nodes[from].connected(stream, now);
                    }
                    None => self.nodes[from].closed(stream, now),
                }
            }
            Output::Send(stream, mut bytes) => {
                if let Some(place) = self.change.take() {
                    let place = place % bytes.len();
                    bytes[place] ^= 1 << (place % 8);
                }
                let Some(&(to, other)) = self.ends.get(&(from, stream)) else {
                    return;
                };
                self.wire.push(Packet {
                    from,
                    stream: Some((stream, to)),
                    bytes: bytes.clone(),
                });
                if !self.cut(from, to) {
                    self.nodes[to].received(other, &bytes, now);
                }
            }
            Output::Close(stream) => {
                if let Some(end) = self.ends.remove(&(from, stream)) {
                    self.ends.remove(&end);
                    self.nodes[end.0].closed(end.1, now);
                }
            }
            Output::Store(generation, _) if self.full.contains(&from) => {
                self.nodes[from].not_stored(generation, now);
            }
            Output::Store(generation, bytes) => {
                self.disks[from] = bytes;
                self.nodes[from].stored(generation, now);
            }
            Output::Event(event) => self.events.push((from, event)),
        }
    }

    fn cut(&self, a: usize, b: usize) -> bool {
        self.away.contains(&a) || self.away.contains(&b)
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Millis) {
        let end = self.now + time;
        self.settle();
        loop {
            let next = self
                .nodes
                .iter()
                .map(Node::deadline)
                .min()
                .unwrap_or(Millis::MAX);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            for node in &mut self.nodes {
                if node.deadline() <= self.now {
                    node.tick(self.now);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    /// Events of a node since they were asked for last.
    pub(crate) fn events_of(&mut self, index: usize) -> Vec<Event> {
        let events = std::mem::take(&mut self.events);
        let (its, others) = events.into_iter().partition(|(of, _)| *of == index);
        self.events = others;
        let its: Vec<(usize, Event)> = its;
        its.into_iter().map(|(_, event)| event).collect()
    }

    /// Makes two nodes trust each other.
    pub(crate) fn pair(&mut self, shows: usize, types: usize) {
        let pin = self.nodes[shows].open_pairing(self.now);
        self.nodes[types]
            .pair(address(shows), pin, self.now)
            .unwrap();
        self.settle();
        for (one, other) in [(shows, types), (types, shows)] {
            let paired = Event::Paired(self.key(other));
            assert!(self.events.contains(&(one, paired)), "{:?}", self.events);
        }
    }
}
