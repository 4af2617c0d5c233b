//! The network: datagrams that are lost, late and doubled, streams that are late and
//! break, and partitions that cut both.

use std::collections::VecDeque;
use std::rc::Rc;

use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::node::StreamId;

use crate::random::Rng;

/// A stream whose segments do not get through for so long breaks.
pub const STREAM_BREAKS: Millis = 6_000;
/// First wait before a segment is sent again; it doubles.
const AGAIN: Millis = 200;

/// Who is at the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A device's node, in this run of it.
    Node(usize, StreamId, u32),
    /// Somebody hostile, by a number of its own.
    Hostile(usize),
    /// Nobody, or nobody any more.
    None,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Direction {
    /// Segments under way, in order.
    pub queue: VecDeque<Rc<[u8]>>,
    /// When the last of them arrives.
    pub last: Millis,
    /// Since when nothing gets through.
    pub blocked: Option<Millis>,
}

/// A connection: first who opened it.
#[derive(Debug)]
pub struct Connection {
    /// Both ends.
    pub ends: [End; 2],

    /// From the first to the second end, and back.
    pub ways: [Direction; 2],
}

/// How the network behaves.
#[derive(Debug)]
pub struct Network {
    /// In millionths.
    pub loss: u32,
    /// Datagrams that come twice, in millionths.
    pub doubled: u32,
    /// Delay without and with all jitter.
    pub delay: (Millis, Millis),
    /// In which part of a cut network each device is.
    pub part: Vec<u8>,
    /// Since when the network is as it is.
    pub since: Millis,
    /// Connections, by number.
    pub connections: Vec<Option<Connection>>,
    /// Between which devices each is or was.
    pub places: Vec<[usize; 2]>,
}

impl Network {
    /// One for so many devices.
    pub fn new(nodes: usize, loss: u32, rng: &mut Rng) -> Network {
        let fastest = rng.within(1, 8);
        Network {
            loss,
            doubled: loss / 5,
            delay: (fastest, fastest + rng.within(1, 25)),
            part: vec![0; nodes],
            since: 0,
            connections: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Whether what one sends reaches the other. Numbers beyond the devices are hostile
    /// and everywhere.
    pub fn reaches(&self, a: usize, b: usize) -> bool {
        match (self.part.get(a), self.part.get(b)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        }
    }

    /// When a datagram arrives: not at all, once or twice.
    pub fn datagram(&self, rng: &mut Rng, now: Millis) -> [Option<Millis>; 2] {
        let once = (!rng.chance(self.loss)).then(|| now + self.late(rng));
        let twice = rng.chance(self.doubled).then(|| now + 2 * self.late(rng));
        [once, twice]
    }

    /// A delay.
    pub fn late(&self, rng: &mut Rng) -> Millis {
        rng.within(self.delay.0, self.delay.1)
    }

    /// When the next segment of a direction arrives: after those before it, later each
    /// time that it is lost.
    pub fn segment(&mut self, id: usize, way: usize, rng: &mut Rng, now: Millis) -> Millis {
        let mut at = now + self.late(rng);
        let mut again = AGAIN;
        while rng.chance(self.loss) && again < STREAM_BREAKS {
            at += again;
            again *= 2;
        }
        match &mut self.connections[id] {
            Some(connection) => {
                let way = &mut connection.ways[way];
                way.last = way.last.max(at);
                way.last
            }
            None => at,
        }
    }

    /// A new connection.
    pub fn connect(&mut self, ends: [End; 2]) -> usize {
        let place = |end| match end {
            End::Node(on, ..) => on,
            End::Hostile(_) | End::None => usize::MAX,
        };
        let connection = Connection {
            ends,
            ways: [Direction::default(), Direction::default()],
        };
        self.places.push(ends.map(place));
        self.connections.push(Some(connection));
        self.connections.len() - 1
    }

    /// A connection of which nothing is left. Its number is not used again.
    pub fn free(&mut self, id: usize) {
        self.connections[id] = None;
    }
}
