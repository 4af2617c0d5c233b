//! Datagrams, to a device that knows three others.

use tessera_bus_lab::cheap::Cheap;
use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::{Announcer, Datagram, Heard, Hello, Me, Ping};
use tessera_softbus_protocol::keys::{Holder, Keys};
use tessera_softbus_protocol::limits::{STRANGERS, TAGS};
use tessera_softbus_protocol::random;
use tessera_softbus_protocol::suite::{PublicKey, Suite};

use super::Target;
use crate::mutate::{from_corpus, mutate};

/// No answer is larger than its question, and nobody appears who did not answer.
pub struct Datagrams {
    announcer: Announcer,
    own: Holder<Cheap>,
    keys: [([u8; 32], PublicKey); 3],
    rng: Rng,
    now: u64,
    left: u32,
    /// Numbers of the pings that it sent: an honest peer echoes them.
    asked: Vec<u64>,
}

impl Datagrams {
    /// A device that has just started.
    pub fn new() -> Self {
        let mut rng = Rng::new(3);
        let me = Me {
            name: "fuzzed".into(),
            kind: 1,
            port: 700,
        };
        let own = Holder::<Cheap>::new(&[9; 32]);
        let mut announcer = Announcer::new(own.public(), me, &mut rng, 0);
        let keys = [1, 2, 3].map(|secret| {
            let peer = Cheap::identity(&[secret; 32]);
            let key = Cheap::public(&peer);
            announcer.add(key);
            (Cheap::pair_key(&peer, &own.public()), key)
        });
        Datagrams {
            announcer,
            own,
            keys,
            rng,
            now: 0,
            left: 2_000,
            asked: Vec::new(),
        }
    }

    fn hello(&self, rng: &mut Rng) -> Vec<u8> {
        let mut hello = Hello {
            instance: rng.below(8),
            sequence: rng.below(64),
            interval: rng.word() as u16,
            port: rng.word() as u16,
            seeks: rng.chance(500_000),
            leaves: rng.chance(100_000),
            open: rng.chance(300_000).then(|| ("open".into(), 1)),
            tags: core::array::from_fn::<_, TAGS, _>(|_| random::array(rng)),
        };
        let head = hello.head();
        if let Some((key, public)) = rng.pick(&self.keys) {
            let mac = Cheap::mac(key, &[b"hello", &public.0, &head]);
            hello.tags[rng.below(TAGS as u64) as usize].copy_from_slice(&mac[..8]);
        }
        hello.finish(head)
    }

    fn ping(&self, rng: &mut Rng) -> Vec<u8> {
        let echo = rng.pick(&self.asked).copied();
        let ping = Ping {
            instance: rng.below(8),
            nonce: if rng.chance(500_000) { 0 } else { rng.word() },
            echo: echo.filter(|_| rng.chance(800_000)).unwrap_or(rng.below(3)),
            port: 700,
        };
        let mut bytes = ping.head();
        if let Some((key, public)) = rng.pick(&self.keys) {
            bytes.extend_from_slice(&Cheap::mac(key, &[b"ping", &public.0, &bytes.clone()]));
        }
        bytes
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Datagrams::new()
    }
}

impl Target for Datagrams {
    fn name(&self) -> &'static str {
        "datagrams"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        self.left -= 1;
        if self.left == 0 {
            *self = Datagrams::new();
        }
        let mut bytes = match rng.below(4) {
            0 => from_corpus(rng),
            1 => self.ping(rng),
            _ => self.hello(rng),
        };
        if rng.chance(300_000) {
            mutate(&mut bytes, rng);
        }
        input.extend_from_slice(&bytes);
        let from = Address {
            ip: [rng.below(4) as u8; 16],
            port: 700,
        };
        self.now += rng.below(300);
        let mut feature = 0;
        if let Ok(datagram) = Datagram::read(&bytes) {
            feature = 1;
            let (own, rng) = (&mut self.own, &mut self.rng);
            self.announcer
                .receive(from, &datagram, &bytes, own, rng, self.now);
        }
        let mut answers = 0;
        while let Some((to, answer)) = self.announcer.poll() {
            if to == Some(from) {
                answers += answer.len();
            }
            assert!(to.is_some(), "an announcement answers nobody at once");
            if let Ok(Datagram::Ping(ping, _)) = Datagram::read(&answer) {
                self.asked.push(ping.nonce);
            }
        }
        assert!(
            answers <= bytes.len(),
            "{answers} bytes answer {}",
            bytes.len()
        );
        while let Some(heard) = self.announcer.event() {
            feature |= match heard {
                Heard::Appeared(..) => 2,
                Heard::Alive(_) => 4,
                Heard::Gone(_) => 8,
                Heard::Stranger(_) => 16,
                Heard::Twin(_) => 32,
            };
        }
        assert!(self.announcer.strangers().count() <= STRANGERS);
        if self.announcer.deadline() <= self.now {
            self.announcer.tick(&mut self.own, &mut self.rng, self.now);
            while self.announcer.poll().is_some() {}
        }
        if self.asked.len() > 16 {
            self.asked.drain(..8);
        }
        feature
    }
}
