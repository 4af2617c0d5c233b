//! Who is there: announcements to everybody, and pings between devices that know each
//! other.
//!
//! An announcement is believed in nothing. If one of its tags is that of a peer, the
//! peer is asked by a ping, and is there when it has echoed a number that was made for
//! this question. Later announcements of the same instance, with rising numbers, keep it
//! there; one from another address or instance is a reason to ask again. So neither
//! forged nor repeated datagrams change where a peer is or whether it is.

mod datagram;
mod rate;

pub use datagram::{Datagram, HEAD, HELLO, Hello, PING, PING_HEAD, Ping, Tag};

use alloc::{collections::BTreeMap, collections::VecDeque, string::String, vec::Vec};

use crate::Millis;
use crate::address::Address;
use crate::keys::{Keys, Tagged};
use crate::limits::{
    ARRIVAL_AGAIN, ARRIVALS, CROWD, DEFER, HELLO_SPREAD, MISSED, PROBE_AGAIN, PROBES, QUICK_PROBES,
    STRANGER_MISSED, STRANGERS, TAGS, UNICASTS,
};
use crate::random::{self, Random};
use crate::suite::PublicKey;
use rate::{Rate, jitter, spread};

/// A device that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Its instance, by which it is told apart while it runs.
    pub instance: u64,
    /// Where its streams are.
    pub address: Address,
    /// Name and kind, if pairing is open there.
    pub open: Option<(String, u8)>,
    /// When it is forgotten unless it is heard again.
    until: Millis,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A peer is there, or is somewhere else now; or, if so, it has started again.
    Appeared(PublicKey, bool),
    /// A peer has echoed what it was asked: it lives.
    Alive(PublicKey),
    /// A peer said that it goes, or answers no longer.
    Gone(PublicKey),
    /// A stranger was heard first, or opened or closed pairing.
    Stranger(u64),
    /// Somebody uses our own key.
    Twin(Address),
}

/// A peer, whose datagrams are recognised.
#[derive(Default)]
struct Known {
    there: Option<There>,
    question: Option<Question>,
    /// Last known address of streams.
    last: Option<Address>,
}

/// Where a peer is.
struct There {
    instance: u64,
    /// Of datagrams.
    address: Address,
    sequence: u64,
    /// When it is asked whether it is still there.
    until: Millis,
}

/// A ping that waits for its echo.
struct Question {
    nonce: u64,
    address: Address,
    again: Millis,
    left: u8,
}

/// What this device says of itself.
#[derive(Clone, Debug)]
pub struct Me {
    /// Name, shown while pairing is open.
    pub name: String,
    /// Kind, likewise.
    pub kind: u8,
    /// Port of streams.
    pub port: u16,
}

/// Sends announcements and hears those of others.
pub struct Announcer {
    me: Me,
    key: PublicKey,
    instance: u64,
    sequence: u64,
    known: BTreeMap<PublicKey, Known>,
    /// Peers by the instance under which they were recognised last.
    instances: BTreeMap<u64, PublicKey>,
    strangers: BTreeMap<u64, Stranger>,
    rate: Rate,
    open: bool,
    /// When the next announcement is due, and when the last one was sent.
    next: Millis,
    last: Option<Millis>,
    /// Announcements of a new device that are still to be sent.
    seeks: u8,
    /// Peers that the next announcement's tags begin with.
    turn: usize,
    unicasts: Budget,
    out: VecDeque<(Option<Address>, Vec<u8>)>,
    heard: VecDeque<Heard>,
}

/// So many in a second.
struct Budget {
    since: Millis,
    left: u32,
}

impl Announcer {
    /// A device that has just started.
    pub fn new(key: PublicKey, me: Me, random: &mut dyn Random, now: Millis) -> Self {
        Announcer {
            me,
            key,
            instance: random::nonce(random),
            sequence: 0,
            known: BTreeMap::new(),
            instances: BTreeMap::new(),
            strangers: BTreeMap::new(),
            rate: Rate::default(),
            open: false,
            next: now + spread(random),
            last: None,
            seeks: ARRIVALS,
            turn: 0,
            unicasts: Budget {
                since: now,
                left: UNICASTS,
            },
            out: VecDeque::new(),
            heard: VecDeque::new(),
        }
    }

    /// From now on this peer is recognised.
    pub fn add(&mut self, peer: PublicKey) {
        self.known.entry(peer).or_default();
    }

    /// It is no longer.
    pub fn remove(&mut self, peer: &PublicKey) {
        self.known.remove(peer);
        self.instances.retain(|_, known| known != peer);
    }

    /// Pairing is open here, or no longer: say so at once.
    pub fn set_open(&mut self, open: bool, now: Millis) {
        self.open = open;
        self.next = now;
    }

    /// Where this peer's streams are, if it is there or was.
    pub fn address(&self, peer: &PublicKey) -> Option<Address> {
        self.known.get(peer)?.last
    }

    /// Another way told where this peer's streams are.
    pub fn suggest(&mut self, peer: &PublicKey, address: Address) {
        if let Some(known) = self.known.get_mut(peer) {
            known.last.get_or_insert(address);
        }
    }

    /// Whether it is there.
    pub fn is_there(&self, peer: &PublicKey) -> bool {
        self.known
            .get(peer)
            .is_some_and(|known| known.there.is_some())
    }

    /// A session heard it: nobody has to ask.
    pub fn lives(&mut self, peer: &PublicKey, until: Millis) {
        if let Some(there) = self
            .known
            .get_mut(peer)
            .and_then(|known| known.there.as_mut())
        {
            there.until = there.until.max(until);
        }
    }

    /// It was lost: it is there again when it has answered a question.
    pub fn lost(&mut self, peer: &PublicKey) {
        if let Some(known) = self.known.get_mut(peer) {
            known.there = None;
            known.question = None;
        }
    }

    /// Asks a peer whether it is there.
    pub fn ask(
        &mut self,
        peer: &PublicKey,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get(peer) else {
            return;
        };
        if let Some(there) = &known.there
            && known.question.is_none()
        {
            let address = there.address;
            self.question(*peer, address, keys, random, now);
        }
    }

    /// The strangers that are remembered.
    pub fn strangers(&self) -> impl Iterator<Item = &Stranger> {
        self.strangers.values()
    }

    /// About how many other devices there are.
    pub fn population(&mut self, now: Millis) -> u64 {
        self.rate.population(now)
    }

    /// The next datagram to be sent; to everybody, if there is no address.
    pub fn poll(&mut self) -> Option<(Option<Address>, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub fn event(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// When [`Announcer::tick`] has something to do.
    pub fn deadline(&self) -> Millis {
        let known = self.known.values().map(|known| {
            let question = known
                .question
                .as_ref()
                .map_or(Millis::MAX, |question| question.again);
            let there = known
                .there
                .as_ref()
                .map_or(Millis::MAX, |there| there.until);
            if known.question.is_some() {
                question
            } else {
                there
            }
        });
        let strangers = self.strangers.values().map(|stranger| stranger.until);
        let first = known.chain(strangers).min().unwrap_or(Millis::MAX);
        first.min(self.next)
    }

    /// Time has passed.
    pub fn tick(&mut self, keys: &mut dyn Keys, random: &mut dyn Random, now: Millis) {
        if self.next <= now {
            if self.rate.is_crowded(now) {
                // Few at first here too, for nobody hears at once that others spoke.
                self.next = now + 1 + spread(random) * DEFER;
            } else {
                self.announce(false, keys, random, now);
            }
        }
        let due = |known: &Known| match (&known.question, &known.there) {
            (Some(question), _) => question.again <= now,
            (None, Some(there)) => there.until <= now,
            (None, None) => false,
        };
        let due: Vec<_> = self.known.iter().filter(|(_, known)| due(known)).collect();
        for peer in due.into_iter().map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.ask_again(peer, keys, random, now);
        }
        self.strangers.retain(|_, stranger| stranger.until > now);
    }

    /// Says that this device goes.
    pub fn leave(&mut self, keys: &mut dyn Keys, random: &mut dyn Random, now: Millis) {
        self.announce(true, keys, random, now);
    }

    fn announce(
        &mut self,
        leaves: bool,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let interval = self.rate.interval(now);
        self.sequence += 1;
        let mut hello = Hello {
            instance: self.instance,
            sequence: self.sequence,
            interval: interval.div_ceil(100) as u16,
            port: self.me.port,
            seeks: self.seeks > 0,
            leaves,
            open: self.open.then(|| (self.me.name.clone(), self.me.kind)),
            tags: core::array::from_fn(|_| random::array(random)),
        };
        let head = hello.head();
        // More peers than tags: each has its turn. One tag is for who has our own key.
        let (count, most) = (self.known.len(), TAGS - 1);
        let first = if count > most { self.turn % count } else { 0 };
        let peers = self.known.keys().cycle().skip(first);
        let peers = peers.take(count.min(most)).chain([&self.key]);
        let peers: Vec<_> = peers.copied().collect();
        // No place means anything.
        let shift = random::below(random, TAGS as u64) as usize;
        // Without its tags it is an announcement to strangers still.
        let tags = keys.tags(Tagged::Hello, &peers, &head).unwrap_or_default();
        for (index, tag) in tags.iter().take(TAGS).enumerate() {
            hello.tags[(index + shift) % TAGS].copy_from_slice(&tag[..8]);
        }
        self.turn = first + most;
        self.out.push_back((None, hello.finish(head)));
        self.last = Some(now);
        // Once more, for the first may have been lost.
        self.seeks = self.seeks.saturating_sub(1);
        let next = if self.seeks > 0 {
            ARRIVAL_AGAIN
        } else {
            interval
        };
        self.next = now + jitter(random, next);
    }

    /// A datagram came, these bytes, which whoever parses read.
    pub fn receive(
        &mut self,
        from: Address,
        datagram: &Datagram,
        bytes: &[u8],
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        match datagram {
            Datagram::Hello(hello) => {
                if let Some(head) = bytes.get(..HEAD) {
                    self.hello(from, hello, head, keys, random, now);
                }
            }
            Datagram::Ping(ping, tag) => {
                let candidates = self.candidates(ping.instance);
                let head = bytes.get(..PING_HEAD).unwrap_or_default();
                if let Some(peer) = keys.recognise(Tagged::Ping, head, tag, &candidates) {
                    self.pinged(peer, from, *ping, keys, random, now);
                }
            }
        }
    }

    fn hello(
        &mut self,
        from: Address,
        hello: &Hello,
        head: &[u8],
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        if hello.instance == self.instance {
            return;
        }
        let interval = u64::from(hello.interval) * 100;
        self.rate.heard(now, interval);
        let mut candidates = self.candidates(hello.instance);
        candidates.push(self.key);
        let tags = hello.tags.as_flattened();
        match keys.recognise(Tagged::Hello, head, tags, &candidates) {
            Some(peer) if peer == self.key => self.heard.push_back(Heard::Twin(from)),
            Some(peer) => return self.peer_hello(peer, from, hello, keys, random, now),
            None => {}
        }
        self.stranger(from, hello, interval, now);
        // Whoever came hears who is there, unless it has just heard.
        let silent = self.last.is_none_or(|last| last + HELLO_SPREAD / 2 <= now);
        if hello.seeks && silent && !self.rate.is_crowded(now) {
            // In a crowd the later, the larger it is.
            let crowd = 1 + self.rate.population(now) / CROWD;
            self.next = self.next.min(now + spread(random) * crowd);
        }
    }

    /// Who can have sent a datagram: first the one that had this instance before.
    fn candidates(&self, instance: u64) -> Vec<PublicKey> {
        let mut all = Vec::with_capacity(self.known.len() + 2);
        let first = self.instances.get(&instance);
        all.extend(first.filter(|peer| self.known.contains_key(peer)));
        all.extend(self.known.keys());
        all
    }

    fn peer_hello(
        &mut self,
        peer: PublicKey,
        from: Address,
        hello: &Hello,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        let interval = u64::from(hello.interval) * 100;
        match &mut known.there {
            Some(there) if there.instance == hello.instance => {
                if hello.sequence <= there.sequence {
                    return;
                }
                there.sequence = hello.sequence;
                if hello.leaves {
                    known.there = None;
                    known.question = None;
                    self.heard.push_back(Heard::Gone(peer));
                    return;
                }
                there.until = there.until.max(now + MISSED * interval);
                if there.address == from {
                    return;
                }
            }
            _ if hello.leaves => return,
            _ => {}
        }
        // New here, or elsewhere: it may be somebody who repeats what it once said.
        if known.question.is_none() {
            self.question(peer, from, keys, random, now);
        }
    }

    fn stranger(&mut self, from: Address, hello: &Hello, interval: Millis, now: Millis) {
        if hello.leaves {
            self.strangers.remove(&hello.instance);
            return;
        }
        let stranger = Stranger {
            instance: hello.instance,
            address: from.at(hello.port),
            open: hello.open.clone(),
            until: now + STRANGER_MISSED * interval.max(1_000),
        };
        let old = self.strangers.get(&hello.instance);
        let news = old.is_none_or(|old| old.open != stranger.open);
        if old.is_none() && self.strangers.len() >= STRANGERS {
            // Those that can be paired with stay longest.
            let order = |stranger: &&Stranger| (stranger.open.is_some(), stranger.until);
            match self.strangers.values().min_by_key(order) {
                Some(worst) if order(&worst) < order(&&stranger) => {
                    let instance = worst.instance;
                    self.strangers.remove(&instance);
                }
                _ => return,
            }
        }
        self.strangers.insert(hello.instance, stranger);
        if news {
            self.heard.push_back(Heard::Stranger(hello.instance));
        }
    }

    fn pinged(
        &mut self,
        peer: PublicKey,
        from: Address,
        ping: Ping,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        let asked = known.question.as_ref();
        if asked.is_some_and(|question| question.nonce == ping.echo && question.address == from) {
            known.question = None;
            known.last = Some(from.at(ping.port));
            let until = now + MISSED * self.rate.interval(now);
            let before = known.there.as_ref().map(|there| there.instance);
            let restarted = before.is_some_and(|before| before != ping.instance);
            let news = match &mut known.there {
                Some(there) if (there.instance, there.address) == (ping.instance, from) => {
                    there.until = there.until.max(until);
                    false
                }
                _ => {
                    known.there = Some(There {
                        instance: ping.instance,
                        address: from,
                        sequence: 0,
                        until,
                    });
                    self.instances.retain(|_, known| *known != peer);
                    self.instances.insert(ping.instance, peer);
                    self.strangers.remove(&ping.instance);
                    true
                }
            };
            self.heard.push_back(Heard::Alive(peer));
            if news {
                self.heard.push_back(Heard::Appeared(peer, restarted));
            }
        }
        if ping.nonce != 0 {
            self.reply(peer, from, ping, keys, random, now);
        }
    }

    /// Echoes a question, with one of our own if we do not know that it is there.
    fn reply(
        &mut self,
        peer: PublicKey,
        from: Address,
        ping: Ping,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        let there = known.there.as_ref();
        let is_news =
            there.is_none_or(|there| (there.instance, there.address) != (ping.instance, from));
        if is_news && known.question.is_none() {
            known.question = Some(Question {
                nonce: random::nonce(random),
                address: from,
                again: now + PROBE_AGAIN,
                left: PROBES - 1,
            });
        }
        let question = known.question.as_ref();
        let nonce = question.filter(|question| question.address == from);
        let nonce = nonce.map_or(0, |question| question.nonce);
        self.ping(peer, from, nonce, ping.nonce, keys, now);
    }

    fn question(
        &mut self,
        peer: PublicKey,
        address: Address,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        if let Some(known) = self.known.get_mut(&peer) {
            let nonce = random::nonce(random);
            known.question = Some(Question {
                nonce,
                address,
                again: now + PROBE_AGAIN,
                left: PROBES - 1,
            });
            self.ping(peer, address, nonce, 0, keys, now);
        }
    }

    /// A question was not answered, or it is time for one.
    fn ask_again(
        &mut self,
        peer: PublicKey,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        match (&mut known.question, &known.there) {
            (Some(question), _) if question.left > 0 => {
                question.left -= 1;
                // The first ones close together, then each twice as long.
                let slow = (PROBES - question.left).saturating_sub(QUICK_PROBES);
                question.again = now + (PROBE_AGAIN << slow);
                let (address, nonce) = (question.address, question.nonce);
                self.ping(peer, address, nonce, 0, keys, now);
            }
            (Some(question), there) => {
                // Nobody there. If it was asked at the address where it is, it is gone.
                let asked = question.address;
                known.question = None;
                let gone = |there: &There| there.address == asked && there.until <= now;
                if there.as_ref().is_some_and(gone) {
                    known.there = None;
                    self.heard.push_back(Heard::Gone(peer));
                }
            }
            (None, Some(there)) => {
                let address = there.address;
                self.question(peer, address, keys, random, now);
            }
            (None, None) => {}
        }
    }

    fn ping(
        &mut self,
        peer: PublicKey,
        to: Address,
        nonce: u64,
        echo: u64,
        keys: &mut dyn Keys,
        now: Millis,
    ) {
        if self.unicasts.since + 1_000 <= now {
            self.unicasts = Budget {
                since: now,
                left: UNICASTS,
            };
        }
        let Some(left) = self.unicasts.left.checked_sub(1) else {
            return;
        };
        self.unicasts.left = left;
        let ping = Ping {
            instance: self.instance,
            nonce,
            echo,
            port: self.me.port,
        };
        let mut bytes = ping.head();
        let tags = keys.tags(Tagged::Ping, &[peer], &bytes);
        let Some(tag) = tags.as_deref().and_then(<[_]>::first) else {
            return;
        };
        bytes.extend_from_slice(tag);
        self.out.push_back((Some(to), bytes));
    }
}
