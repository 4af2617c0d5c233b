//! A whole device, to which somebody has a session who is trusted and should not be.

use tessera_bus_lab::cheap::Cheap;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::keys::{Holder, Keys};
use tessera_softbus_protocol::limits::PEER_BYTES;
use tessera_softbus_protocol::link::{Got, Link, Purpose};
use tessera_softbus_protocol::node::{
    Answer, Config, Event, Node, Object, Output, Parts, StreamId,
};
use tessera_softbus_protocol::parser::Inline;
use tessera_softbus_protocol::table::{Local, Service};
use tessera_softbus_protocol::trust::{Trust, Trusted};
use tessera_softbus_protocol::wire::{Message, Outcome, Payload, Rights};

use super::Target;
use crate::build::{Known, message, patient, resume};
use crate::mutate::mutate;

/// It is served only what it was given.
pub struct Nodes {
    world: Option<World>,
}

struct World {
    node: Node,
    link: Link,
    stream: StreamId,
    known: Known,
    now: u64,
    left: u32,
}

impl Nodes {
    /// Nothing yet.
    pub fn new() -> Self {
        Nodes { world: None }
    }
}

impl Default for Nodes {
    fn default() -> Self {
        Nodes::new()
    }
}

impl World {
    /// A device, and a session with it.
    fn new(rng: &mut Rng) -> Option<World> {
        let mut bad = Holder::<Cheap>::new(&[1; 32]);
        let trusted = Trusted {
            name: "bad".into(),
            kind: 1,
        };
        let mut trust = Trust::default();
        let _ = trust.add(bad.public(), trusted.clone());
        let config = Config {
            me: trusted,
            port: 700,
            trust,
        };
        let parts = Parts {
            keys: Box::new(Holder::<Cheap>::new(&[2; 32])),
            parser: Box::new(Inline),
            random: Box::new(Rng::new(rng.word())),
        };
        let mut node = Node::new(config, 5, parts, 0);
        for (name, local, only) in [("fuzz", 1, None), ("secret", 2, Some(Vec::new()))] {
            let service = Service {
                object: Object::Local(Local(local), Rights::ALL),
                interface: "Fuzz".into(),
                only,
            };
            assert!(node.publish(name, service));
        }
        let peer = node.key();
        let (link, first) =
            Link::dial(&mut bad, Purpose::Session, Some(&peer), [0; 16], [4; 32], 0).ok()?;
        let stream = node.accepted(Address::default(), 0)?;
        let mut world = World {
            node,
            link,
            stream,
            known: Known {
                it: (5, 0),
                sequence: 0,
                call: 0,
            },
            now: 1,
            left: 200,
        };
        world.known.it.1 = world.node.epoch();
        world.node.received(stream, &first, 1);
        world.hear(rng);
        let first = resume(rng, &world.known);
        world.say(&Message::Resume(first).to_bytes(), rng);
        Some(world)
    }

    /// Says something; false if the stream is over.
    fn say(&mut self, plain: &[u8], rng: &mut Rng) -> u64 {
        let Ok(sealed) = self.link.seal(&[plain.to_vec()]) else {
            return 0;
        };
        self.now += rng.below(100);
        self.node.received(self.stream, &sealed.concat(), self.now);
        let mut feature = self.hear(rng);
        if self.node.deadline() <= self.now {
            self.node.tick(self.now);
            feature |= self.hear(rng);
        }
        feature
    }

    /// Does what the node wants.
    fn hear(&mut self, rng: &mut Rng) -> u64 {
        let mut feature = 0;
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send(_, bytes) => self.link.push(&bytes),
                Output::Close(stream) if stream == self.stream => {
                    feature |= 1;
                    self.left = 0;
                }
                Output::Connect(stream, _) => {
                    feature |= 2;
                    self.node.closed(stream, self.now);
                }
                Output::Event(Event::Incoming(incoming)) => {
                    feature |= 4;
                    assert_eq!(incoming.local, Local(1), "it was given nothing else");
                    let answer = Answer {
                        outcome: Outcome::Ok,
                        payload: Payload::default(),
                        written: Vec::new(),
                        objects: incoming.objects.into_iter().take(2).collect(),
                    };
                    if rng.chance(800_000) {
                        self.node.answer(incoming.token, answer, self.now);
                    }
                }
                Output::Event(Event::Cancelled(_) | Event::Stopped(_)) => feature |= 8,
                Output::Event(Event::Connected(_)) => feature |= 16,
                Output::Event(Event::Dead(..)) => feature |= 32,
                _ => {}
            }
        }
        while let Ok(Some(got)) = self.link.poll() {
            let Got::Data(plain) = got else { continue };
            for plain in plain {
                let message = Message::read(&plain).expect("a node sends what can be read");
                feature |= match message {
                    Message::Resume(_) => 64,
                    Message::Beat(_) => 128,
                    Message::Sequenced(..) => 256,
                };
            }
        }
        let held = self.node.held(&Holder::<Cheap>::new(&[1; 32]).public());
        assert!(held <= PEER_BYTES, "it makes us hold {held}");
        feature
    }
}

impl Target for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        if self.world.as_ref().is_none_or(|world| world.left == 0) {
            self.world = World::new(rng);
        }
        let Some(world) = &mut self.world else {
            return 0;
        };
        world.left = world.left.saturating_sub(1);
        let known = &mut world.known;
        let said = if rng.chance(20_000) {
            message(rng, known)
        } else {
            patient(rng, known)
        };
        let mut plain = said.to_bytes();
        if rng.chance(5_000) {
            mutate(&mut plain, rng);
        }
        input.extend_from_slice(&plain);
        world.say(&plain, rng)
    }
}
