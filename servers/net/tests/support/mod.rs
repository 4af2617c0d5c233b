//! Two network servers on one wire that loses, doubles and reorders frames.

mod tokens;

use libipc::{
    Capability, fake,
    handle::Rights,
    interfaces::{clients::ClientArgument, net::NetClient},
    objects::EndpointClient,
};
use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium},
    time::Instant,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tessera_net::{
    config::Commands,
    port::{Counters, Port, count},
    server::{DEVICE, Server, now},
    stack::{Identity, Stack},
};
use tokens::{Received, Sending};

/// What a wire does to frames, each in 1,000.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trouble {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
}

/// What has arrived at one end, and who is told.
#[derive(Clone)]
pub(crate) struct End {
    frames: Arc<Mutex<VecDeque<Vec<u8>>>>,
    told: Arc<EndpointClient>,
}

/// One end of a wire.
pub(crate) struct WirePort {
    own: End,
    other: End,
    sent: Vec<Vec<u8>>,
    late: Vec<Vec<u8>>,
    trouble: Trouble,
    random: u64,
    counters: (Counters, Counters),
}

impl WirePort {
    fn chance(&mut self, of_thousand: u64) -> bool {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % 1000 < of_thousand
    }
}

impl Port for WirePort {
    fn pull(&mut self) {}

    fn flush(&mut self) {
        for frame in std::mem::take(&mut self.sent) {
            if self.chance(self.trouble.lost) {
                continue;
            }
            let mut arrived = vec![frame.clone()];
            if self.chance(self.trouble.doubled) {
                arrived.push(frame.clone());
            }
            if self.chance(self.trouble.late) {
                self.late.append(&mut arrived);
            } else {
                arrived.append(&mut self.late);
            }
            self.other.frames.lock().unwrap().extend(arrived);
            self.other.told.signal(DEVICE).unwrap();
        }
    }

    fn is_full(&mut self) -> bool {
        false
    }

    fn waits(&self) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }

    fn counters(&self) -> (Counters, Counters) {
        self.counters
    }
}

impl Device for WirePort {
    type RxToken<'p> = Received;
    type TxToken<'p> = Sending<'p>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.own.frames.lock().unwrap().pop_front()?;
        count(&mut self.counters.0, frame.len());
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A machine on the wire: its network server's endpoint, and its link-local address.
pub(crate) struct Machine {
    pub(crate) endpoint: EndpointClient,
    pub(crate) address: std::net::IpAddr,
    end: End,
}

impl Machine {
    /// A client of its own, known by this badge.
    pub(crate) fn net(&self, badge: u64) -> NetClient {
        self.endpoint.mint_client(badge).unwrap()
    }

    /// Frames of nobody's arrive here. When this returns they were looked at.
    pub(crate) fn inject(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        self.end.frames.lock().unwrap().extend(frames);
        self.end.told.signal(DEVICE).unwrap();
        // The first call may be answered before that.
        let net = self.net(SHELL + 1);
        for _ in 0..2 {
            net.interface().unwrap();
        }
    }
}

/// The badge of a client that has a name.
pub(crate) const SHELL: u64 = 3;

/// A port that is kept for it.
pub(crate) const RESERVED: u16 = 7355;

/// How much faster than the clock the protocols' time runs: what is lost first is sent again
/// after a second.
const PACE: u32 = 16;

/// Two machines.
pub(crate) fn machines(trouble: Trouble, seed: u64) -> [Machine; 2] {
    machines_set_up(trouble, seed, |_| ())
}

/// The same, after something was done with their protocols.
pub(crate) fn machines_set_up(
    trouble: Trouble,
    seed: u64,
    set_up: fn(&mut Stack<WirePort>),
) -> [Machine; 2] {
    let endpoints = [fake::endpoint(), fake::endpoint()].map(Capability::from);
    let end = |index: usize| End {
        frames: Arc::default(),
        told: Arc::new(endpoints[index].derive(Rights::SIGNAL).unwrap().into()),
    };
    let ends = [end(0), end(1)];
    [0, 1].map(|index| {
        let handed = endpoints[index].copy().unwrap();
        let (own, other) = (ends[index].clone(), ends[1 - index].clone());
        let number = index as u64 + 1;
        // A thread of the same task, for the wire's ends tell each other.
        fake::current().spawn(move || {
            let endpoint = EndpointClient::from(handed);
            let port = WirePort {
                own,
                other,
                sent: Vec::new(),
                late: Vec::new(),
                trouble,
                random: seed * 2 + number,
                counters: Default::default(),
            };
            let mut identity = Identity::random([number, number, seed, 0]);
            identity.mac = [2, 0, 0, 0, 0, number as u8];
            let mut stack = Stack::new(port, identity, now());
            set_up(&mut stack);
            let shell = ClientArgument {
                badge: SHELL,
                name: "shell",
            };
            let server = Server::new(&endpoint, stack, &[shell], Commands::new(), 3 << 20);
            let server = server.with_ports(&[(RESERVED, "shell".into())]);
            let mut server = server.with_pace(PACE);
            server.run().to_string()
        });
        Machine {
            endpoint: endpoints[index].copy().unwrap().into(),
            address: format!("fe80::{number}").parse().unwrap(),
            end: ends[index].clone(),
        }
    })
}
