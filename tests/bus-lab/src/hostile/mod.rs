//! Who has no right to anything, and tries: strangers that forge, alter and repeat, and a
//! device that was trusted once and breaks every rule.

mod traitor;

use std::collections::HashMap;
use std::rc::Rc;

use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::{Hello, Ping};
use tessera_softbus_protocol::keys::{Holder, Keys};
use tessera_softbus_protocol::limits::TAGS;
use tessera_softbus_protocol::link::{Got, Link, Purpose};
use tessera_softbus_protocol::random::{self, Random};
use tessera_softbus_protocol::suite::{PublicKey, Suite};
use tessera_softbus_protocol::wire::{Body, Message, Outcome, Resume};

use traitor::misbehave;

use crate::machine::address;
use crate::network::End;
use crate::random::Rng;
use crate::truth::Check;
use crate::world::{Event, World};

/// What was overheard is remembered so far back.
const MEMORY: usize = 64;
/// Segments that are altered on their way, in millionths.
const ALTERED: u32 = 300;

/// See the module.
pub struct Hostile<S: Suite> {
    /// Number, and so address, of whoever this is.
    place: usize,
    traitor: Holder<S>,
    stranger: Holder<S>,
    datagrams: Vec<(Address, Option<Address>, Rc<[u8]>)>,
    openings: Vec<(usize, Vec<u8>)>,
    streams: HashMap<usize, Attack>,
    next: usize,
}

/// One stream of an attack.
struct Attack {
    link: Option<Link>,
    victim: usize,
    is_traitor: bool,
    /// What it does when it is let in.
    what: u64,
}

impl<S: Suite> Hostile<S> {
    /// Somebody beside so many devices.
    pub fn new(nodes: usize, rng: &mut Rng) -> Self {
        Hostile {
            place: nodes,
            traitor: Holder::new(&random::array(rng)),
            stranger: Holder::new(&random::array(rng)),
            datagrams: Vec::new(),
            openings: Vec::new(),
            streams: HashMap::new(),
            next: 0,
        }
    }

    /// The key of the device that some trusted.
    pub fn traitor(&self) -> PublicKey {
        self.traitor.public()
    }

    /// Hears a datagram.
    pub(crate) fn overhear(
        &mut self,
        from: Address,
        to: Option<Address>,
        bytes: &Rc<[u8]>,
        rng: &mut Rng,
    ) {
        remember(&mut self.datagrams, (from, to, bytes.clone()), rng);
    }

    /// Hears a stream: what opens it is worth repeating.
    pub(crate) fn overhear_stream(&mut self, from: usize, bytes: &[u8], rng: &mut Rng) {
        if bytes.starts_with(b"TSBS") {
            remember(&mut self.openings, (from, bytes.to_vec()), rng);
        }
    }

    /// Alters a segment now and then.
    pub(crate) fn alter(&mut self, bytes: &mut [u8], rng: &mut Rng, now: bool) {
        if now && !bytes.is_empty() && rng.chance(ALTERED) {
            let place = rng.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << rng.below(8);
        }
    }
}

fn remember<T>(memory: &mut Vec<T>, what: T, rng: &mut Rng) {
    if memory.len() < MEMORY {
        memory.push(what);
    } else if rng.chance(50_000) {
        let place = rng.below(MEMORY as u64) as usize;
        memory[place] = what;
    }
}

impl<S: Suite> World<S> {
    /// One attack, and when the next one comes.
    pub(crate) fn attack(&mut self) {
        if self.now >= self.end {
            return;
        }
        let next = self.now + self.rng.within(20, 2_000);
        self.at(next, Event::Hostile);
        let victim = self.rng.below(self.machines.len() as u64) as usize;
        match self.rng.below(12) {
            0..3 => self.repeat(victim),
            3 => self.alter_datagram(victim),
            4 => self.forge_hello(victim),
            5 => self.forge_ping(victim),
            6 => self.garbage(victim),
            7 => self.repeat_opening(),
            8 => self.knock(victim, false),
            9 => self.hang(victim),
            _ => {
                let victim = self.rng.below(3.min(self.machines.len() as u64)) as usize;
                self.knock(victim, true);
            }
        }
    }

    fn send_forged(&mut self, says: Address, to: usize, bytes: Rc<[u8]>) {
        self.truth.occasion(Check::Ghost);
        self.truth.occasion(Check::FalseGone);
        let place = self.hostile.place;
        self.post(place, says, to, bytes);
    }

    /// What somebody said once, from where it was or from elsewhere, to whom it was said
    /// or to somebody else.
    fn repeat(&mut self, victim: usize) {
        let old = self.rng.pick(&self.hostile.datagrams).cloned();
        if let Some((from, to, bytes)) = old {
            let said_to = to.and_then(|to| (0..self.machines.len()).find(|at| address(*at) == to));
            let victim = if self.rng.chance(500_000) {
                said_to.unwrap_or(victim)
            } else {
                victim
            };
            let mine = address(self.hostile.place);
            let says = if self.rng.chance(500_000) { from } else { mine };
            self.send_forged(says, victim, bytes);
        }
    }

    fn alter_datagram(&mut self, victim: usize) {
        let old = self.rng.pick(&self.hostile.datagrams).cloned();
        if let Some((from, _, bytes)) = old {
            let mut bytes = bytes.to_vec();
            let place = self.rng.below(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << self.rng.below(8);
            self.send_forged(from, victim, bytes.into());
        }
    }

    /// An announcement of somebody else, or its farewell.
    fn forge_hello(&mut self, victim: usize) {
        let old = self.rng.pick(&self.hostile.datagrams).cloned();
        let Some((from, _, old)) = old else { return };
        let instance = old.get(8..16).and_then(|bytes| bytes.try_into().ok());
        let hello = Hello {
            instance: instance.map_or(1, u64::from_le_bytes),
            sequence: u64::MAX >> self.rng.below(60),
            interval: self.rng.below(700) as u16,
            port: 700,
            seeks: self.rng.chance(500_000),
            leaves: self.rng.chance(500_000),
            open: None,
            tags: core::array::from_fn::<_, TAGS, _>(|_| random::array(&mut self.rng)),
        };
        let head = hello.head();
        self.send_forged(from, victim, hello.finish(head).into());
    }

    fn forge_ping(&mut self, victim: usize) {
        let ping = Ping {
            instance: self.rng.word(),
            nonce: self.rng.word(),
            echo: self.rng.word(),
            port: 700,
        };
        let mut bytes = ping.head();
        bytes.extend_from_slice(&random::array::<16>(&mut self.rng));
        let says = self.rng.below(self.machines.len() as u64) as usize;
        self.send_forged(address(says), victim, bytes.into());
    }

    fn garbage(&mut self, victim: usize) {
        let mut bytes = vec![0; self.rng.below(300) as usize];
        self.rng.fill(&mut bytes);
        if self.rng.chance(500_000) {
            let start = [b'T', b'S', b'B', b'D', 1, 1, 1, 0];
            bytes
                .iter_mut()
                .zip(start)
                .for_each(|(byte, magic)| *byte = magic);
        }
        self.send_forged(address(self.hostile.place), victim, bytes.into());
    }

    /// Opens a stream to a device and says this.
    fn open_attack(&mut self, victim: usize, attack: Attack, bytes: &[u8]) {
        if self.machines[victim].node.is_none() {
            return;
        }
        // From many addresses: one would soon have all the streams that it may have.
        let from = address(self.hostile.place + 1 + self.rng.below(50) as usize);
        let accepted = self
            .with(victim, |node, now| node.accepted(from, now))
            .flatten();
        let Some(stream) = accepted else { return };
        let number = self.hostile.next;
        self.hostile.next += 1;
        let run = self.machines[victim].run;
        let ends = [End::Hostile(number), End::Node(victim, stream, run)];
        let id = self.network.connect(ends);
        self.machines[victim].streams.insert(stream, (id, 1));
        self.hostile.streams.insert(number, attack);
        if !bytes.is_empty() {
            self.send_segment(id, 0, bytes.into());
        }
    }

    /// A handshake that somebody began once.
    fn repeat_opening(&mut self) {
        let Some((from, bytes)) = self.rng.pick(&self.hostile.openings).cloned() else {
            return;
        };
        let victim = self.rng.below(self.machines.len() as u64) as usize;
        let victim = self.machines[from]
            .app
            .friends
            .iter()
            .next()
            .copied()
            .unwrap_or(victim);
        self.truth.occasion(Check::Unpaired);
        let attack = Attack {
            link: None,
            victim,
            is_traitor: true,
            what: 0,
        };
        self.open_attack(victim, attack, &bytes);
    }

    /// A stream on which nothing is said.
    fn hang(&mut self, victim: usize) {
        let attack = Attack {
            link: None,
            victim,
            is_traitor: false,
            what: 0,
        };
        let mut bytes = vec![0; self.rng.below(60) as usize];
        self.rng.fill(&mut bytes);
        self.open_attack(victim, attack, &bytes);
    }

    /// A handshake with a key of our own.
    fn knock(&mut self, victim: usize, is_traitor: bool) {
        let key = self.machines[victim].key;
        let keys = if is_traitor {
            &mut self.hostile.traitor
        } else {
            &mut self.hostile.stranger
        };
        let purpose = if self.rng.chance(100_000) {
            Purpose::Pairing
        } else {
            Purpose::Session
        };
        let random = random::array(&mut self.rng);
        let local = self.machines[victim].clock.local(self.now);
        let dialled = Link::dial(keys, purpose, Some(&key), [0; 16], random, local);
        let Ok((link, first)) = dialled else { return };
        self.truth.occasion(Check::Unpaired);
        if !is_traitor {
            self.truth.occasion(Check::Silence);
        }
        let attack = Attack {
            link: Some(link),
            victim,
            is_traitor: is_traitor || purpose == Purpose::Pairing,
            what: self.rng.word(),
        };
        self.open_attack(victim, attack, &first);
    }

    /// A device answers an attacker.
    pub(crate) fn attacker_hears(&mut self, number: usize, id: usize, bytes: &[u8]) {
        let now = self.now;
        let Some(attack) = self.hostile.streams.get_mut(&number) else {
            return;
        };
        let (victim, is_traitor) = (attack.victim, attack.is_traitor);
        // A cookie says nothing of the device.
        let says = !is_traitor && bytes.get(2) != Some(&3);
        self.truth.never(Check::Silence, says, || {
            format!("{now}: device {victim} says something to a stranger")
        });
        let Some(link) = &mut attack.link else { return };
        link.push(bytes);
        let mut send = Vec::new();
        while let Ok(Some(got)) = link.poll() {
            match got {
                Got::Ready(_) => {
                    let resume = Resume {
                        boot: 1 + attack.what % 3,
                        epoch: 1 + attack.what % 5,
                        seen: (attack.what & 1, attack.what & 2),
                        received: attack.what & 4,
                        credit: u64::MAX >> (attack.what % 64),
                        generation: attack.what % 100,
                        fresh: attack.what & 8 != 0,
                    };
                    send.push(Message::Resume(resume).to_bytes());
                }
                Got::Data(plain) => {
                    for message in plain.iter().map(|plain| Message::read(plain)) {
                        if let Ok(Message::Resume(resume)) = message {
                            misbehave(attack.what, resume.epoch, &mut self.rng, &mut send);
                        } else if let Ok(Message::Sequenced(_, Body::Reply(reply))) = message {
                            let denied = matches!(reply.outcome, Outcome::Failed(_));
                            // What it asks of the device itself may be answered.
                            let is_root = attack.what % 11 >= 9;
                            self.truth.never(Check::Unpaired, !denied && !is_root, || {
                                format!("{now}: device {victim} answered a call of the traitor")
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        let sealed = link.seal(&send).unwrap_or_default();
        let key = self.hostile.traitor();
        if !sealed.is_empty() {
            self.truth.occasion(Check::Memory);
        }
        for bytes in sealed {
            self.send_segment(id, 0, bytes.into());
        }
        self.check_memory(victim, key);
    }
}
