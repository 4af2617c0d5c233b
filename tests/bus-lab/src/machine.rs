//! One device: its clock, its disk, and the node that runs on it.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::keys::Holder;
use tessera_softbus_protocol::node::{Config, Node, Parts, StreamId};
use tessera_softbus_protocol::suite::{PublicKey, Suite};
use tessera_softbus_protocol::trust::{Trust, Trusted};

use crate::app::App;
use crate::greedy::Greedy;
use crate::random::Rng;

/// A clock that begins somewhere and runs a little too fast or too slow.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: Millis,
    /// Millionths more than the true time.
    fast: i64,
}

impl Clock {
    /// At most a hundredth wrong, which is the protocol's allowance for two clocks.
    pub fn new(rng: &mut Rng) -> Clock {
        Clock {
            offset: rng.within(1_000_000, 9_000_000),
            fast: rng.below(18_000) as i64 - 9_000,
        }
    }

    /// What it shows.
    pub fn local(&self, time: Millis) -> Millis {
        let time = time as i64;
        self.offset + (time + time * self.fast / 1_000_000) as Millis
    }

    /// When it shows that.
    pub fn global(&self, local: Millis) -> Millis {
        if local == Millis::MAX {
            return Millis::MAX;
        }
        let since = local.saturating_sub(self.offset) as i64;
        let mut time = (since * 1_000_000 / (1_000_000 + self.fast)).max(0) as Millis;
        while self.local(time) < local {
            time += 1;
        }
        time
    }
}

/// See the module.
pub struct Machine {
    /// The node, unless it is down.
    pub node: Option<Node>,
    /// Its key.
    pub key: PublicKey,
    secret: [u8; 32],
    /// What is durable of the trust.
    pub disk: Vec<u8>,
    /// Its clock.
    pub clock: Clock,
    /// How often it was started.
    pub run: u32,
    /// When it was started last.
    pub since: Millis,
    /// When it went down last.
    pub down: Millis,
    /// Until when nothing on it runs.
    pub stalled: Millis,
    /// When it is looked at next.
    pub wake: Millis,
    /// Its ends of connections.
    pub streams: BTreeMap<StreamId, (usize, usize)>,
    /// What runs on it.
    pub app: App,
    /// When announcements of the last second came.
    pub hellos: VecDeque<Millis>,
}

/// Where the machine of this number is.
pub fn address(index: usize) -> Address {
    let mut ip = [0; 16];
    ip[0] = 0xfe;
    ip[1] = 0x80;
    ip[8..].copy_from_slice(&(index as u64).to_be_bytes());
    Address { ip, port: 700 }
}

/// Which machine is there.
pub fn index(address: &Address) -> usize {
    u64::from_be_bytes(address.ip[8..].try_into().unwrap_or_default()) as usize
}

impl Machine {
    /// One that is down.
    pub fn new<S: Suite>(index: usize, rng: &mut Rng) -> Self {
        let mut secret = [0; 32];
        tessera_softbus_protocol::random::Random::fill(rng, &mut secret);
        Machine {
            node: None,
            key: S::public(&S::identity(&secret)),
            secret,
            disk: Vec::new(),
            clock: Clock::new(rng),
            run: 0,
            since: 0,
            down: 0,
            stalled: 0,
            wake: Millis::MAX,
            streams: BTreeMap::new(),
            app: App::new(index),
            hellos: VecDeque::new(),
        }
    }

    /// Starts it from its disk.
    pub fn start<S: Suite>(&mut self, index: usize, rng: &mut Rng, now: Millis) {
        let config = Config {
            me: Trusted {
                name: format!("device {index}"),
                kind: 1,
            },
            port: 700,
            trust: Trust::read(&self.disk).unwrap_or_default(),
        };
        let parts = Parts {
            keys: Box::new(Holder::<S>::new(&self.secret)),
            parser: Box::new(Greedy),
            random: Box::new(Rng::new(rng.word())),
        };
        self.node = Some(Node::new(config, rng.word(), parts, self.clock.local(now)));
        self.run += 1;
        self.since = now;
        self.wake = Millis::MAX;
    }
}
