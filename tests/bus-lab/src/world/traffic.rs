//! Datagrams and streams between devices.

use std::rc::Rc;

use tessera_softbus_protocol::address::Address;
use tessera_softbus_protocol::announce::HELLO;
use tessera_softbus_protocol::node::StreamId;
use tessera_softbus_protocol::suite::Suite;

use super::{Event, World};
use crate::machine::{address, index};
use crate::network::{End, STREAM_BREAKS};
use crate::truth::Check;

impl<S: Suite> World<S> {
    pub(super) fn send_datagram(&mut self, from: usize, to: Option<Address>, bytes: Rc<[u8]>) {
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

    pub(super) fn datagram(&mut self, to: usize, from: Address, bytes: &[u8]) {
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

    pub(super) fn connect(&mut self, on: usize, run: u32, stream: StreamId, to: Address) {
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

    pub(super) fn segment(&mut self, id: usize, way: usize) {
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
    pub(super) fn breaks(&mut self, on: usize, id: usize) {
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
}
