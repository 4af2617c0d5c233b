//! Two stacks of protocols on a line that loses frames, in virtual time: what happens next
//! happens at once, and equal seeds make equal runs.

use smoltcp::{
    iface::SocketHandle,
    phy::{Device, DeviceCapabilities, Medium},
    socket::tcp,
    time::{Duration, Instant},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::IpAddr,
};
use tessera_net::{
    port::{Counters, Port, count},
    sockets::connection,
    stack::{Identity, Stack},
};

use crate::tokens::{Received, Sending};

/// How long a frame is on its way, unless something else is said.
pub(crate) const DELAY: Duration = Duration::from_millis(5);

/// How long a device needs to send one.
const SENDING: Duration = Duration::from_micros(100);

/// What had no room is tried again after this.
const PAUSE: Duration = Duration::from_millis(1);

/// A frame with more bytes than this has data in it.
const HEADERS: usize = 120;

/// How much later one arrives that others overtake.
const LATE: Duration = Duration::from_millis(1);

/// What a line does to frames, each in 1,000.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) late: u64,
    /// For so many of them the device has no room when they are to be sent.
    pub(crate) full: u64,
}

/// Random numbers that a seed determines: xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        // It must not begin with 0.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % 1000 < of_thousand
    }
}

/// One end of the line.
pub(crate) struct LinePort {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    random: Random,
    /// Of 1,000 frames so many find no room, and one of them just has.
    full: u64,
    refused: bool,
    counters: (Counters, Counters),
}

impl Port for LinePort {
    fn pull(&mut self) {}

    fn flush(&mut self) {}

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

impl Device for LinePort {
    type RxToken<'p> = Received;
    type TxToken<'p> = Sending<'p>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.arrived.pop_front()?;
        count(&mut self.counters.0, frame.len());
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        if self.random.chance(self.full) {
            self.refused = true;
            return None;
        }
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A machine at one end.
struct Machine {
    stack: Stack<LinePort>,
    connection: SocketHandle,
    /// Until when its device still sends.
    busy: Instant,
}

/// A frame on its way: when it arrives, its number, at which machine.
type Frame = Reverse<(Instant, u64, usize, Vec<u8>)>;

/// Two machines on a line, and a connection from the first one to the second.
pub(crate) struct Line {
    machines: [Machine; 2],
    frames: BinaryHeap<Frame>,
    trouble: Trouble,
    delay: Duration,
    /// Which of the next frames with data are lost, whatever the chances.
    doomed: VecDeque<bool>,
    /// Frames that were sent.
    sent: u64,
    random: Random,
    now: Instant,
}

/// What is done at a machine's connection whenever something has happened there.
pub(crate) type Program<'p> = &'p mut dyn FnMut(&mut tcp::Socket<'_>);

impl Line {
    /// Two machines with a connection. It goes on until that is made, without trouble.
    pub(crate) fn connected(seed: u64) -> Line {
        const PORT: u16 = 9;
        let now = Instant::from_secs(1);
        let stack = |number: u64| {
            let identity = Identity {
                mac: [2, 0, 0, 0, 0, number as u8],
                interface: number,
                seed: seed << 1 | number & 1,
            };
            let port = LinePort {
                arrived: VecDeque::new(),
                sent: Vec::new(),
                random: Random::new(seed << 1 | number & 1),
                full: 0,
                refused: false,
                counters: Default::default(),
            };
            Stack::new(port, identity, now)
        };
        let (mut first, mut second) = (stack(1), stack(2));
        let accepting = second.listen(PORT).unwrap();
        let opened = first.sockets.add(connection().unwrap());
        let to: IpAddr = "fe80::2".parse().unwrap();
        let to = libipc::interfaces::net::SocketAddress {
            address: to.into(),
            port: PORT,
        };
        first.connect(opened, to).unwrap();
        let machine = |stack, connection| Machine {
            stack,
            connection,
            busy: now,
        };
        let mut line = Line {
            machines: [machine(first, opened), machine(second, accepting)],
            frames: BinaryHeap::new(),
            trouble: Trouble::default(),
            delay: DELAY,
            doomed: VecDeque::new(),
            random: Random::new(seed),
            sent: 0,
            now,
        };
        loop {
            line.act(&mut |_| (), &mut |_| ());
            if line.state(1) == tcp::State::Established {
                return line;
            }
            line.advance();
        }
    }

    /// From now on the line does this.
    pub(crate) fn set_trouble(&mut self, trouble: Trouble) {
        self.trouble = trouble;
        for machine in &mut self.machines {
            machine.stack.port.full = trouble.full;
        }
    }

    /// From now on a frame is so long on its way.
    pub(crate) fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Of the next frames with data those are lost for which there is an `x`.
    pub(crate) fn lose(&mut self, pattern: &str) {
        self.doomed = pattern.chars().map(|sign| sign == 'x').collect();
    }

    /// How many frames were sent, both ways.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    fn state(&self, index: usize) -> tcp::State {
        let Machine {
            stack, connection, ..
        } = &self.machines[index];
        stack.sockets.get::<tcp::Socket>(*connection).state()
    }

    /// Whether the connection is over at one end without the other's word.
    pub(crate) fn given_up(&self) -> bool {
        (0..2).any(|index| self.state(index) == tcp::State::Closed)
    }

    /// What has arrived is looked at, the programs do what they can then, and what that
    /// makes due is done.
    pub(crate) fn act<'p>(&mut self, first: Program<'p>, second: Program<'p>) {
        for (index, program) in [first, second].into_iter().enumerate() {
            let machine = &mut self.machines[index];
            machine.stack.poll(self.now);
            program(machine.stack.sockets.get_mut(machine.connection));
            machine.stack.poll(self.now);
            self.send(index);
        }
    }

    /// The time becomes that of what is to happen next. Panics if nothing is.
    pub(crate) fn advance(&mut self) {
        let mut next = self.frames.peek().map(|Reverse((at, ..))| *at);
        for machine in &mut self.machines {
            let mut due = machine.stack.poll_at(self.now);
            if std::mem::take(&mut machine.stack.port.refused) {
                // As the server does, which nothing keeps busy.
                due = due.map(|due| due.max(self.now + PAUSE));
            }
            assert!(
                due.is_none_or(|due| due > self.now),
                "something is due and is not done"
            );
            next = next.into_iter().chain(due).min();
        }
        self.now = next.expect("nothing is to happen any more");
        while let Some(Reverse((at, ..))) = self.frames.peek()
            && *at <= self.now
            && let Some(Reverse((.., to, frame))) = self.frames.pop()
        {
            self.machines[to].stack.port.arrived.push_back(frame);
        }
    }

    /// Puts on the line what a machine has sent.
    fn send(&mut self, from: usize) {
        let sent = std::mem::take(&mut self.machines[from].stack.port.sent);
        for frame in sent {
            let machine = &mut self.machines[from];
            machine.busy = machine.busy.max(self.now) + SENDING;
            let arrives = machine.busy + self.delay;
            self.sent += 1;
            let data = frame.len() > HEADERS;
            let doomed = data && self.doomed.pop_front().unwrap_or_default();
            if self.random.chance(self.trouble.lost) || doomed {
                continue;
            }
            let copies = 1 + u64::from(self.random.chance(self.trouble.doubled));
            let late = self.random.chance(self.trouble.late);
            let arrives = if late { arrives + LATE } else { arrives };
            for copy in 0..copies {
                let number = self.sent * 2 + copy;
                let frame = (arrives, number, 1 - from, frame.clone());
                self.frames.push(Reverse(frame));
            }
        }
    }
}
