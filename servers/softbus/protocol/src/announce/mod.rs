//! Who is there: announcements to everybody, and pings between devices that know each
//! other.
//!
//! An announcement is believed in nothing. If one of its tags is that of a peer, the
//! peer is asked by a ping, and is there when it has echoed a number that was made for
//! this question. Later announcements of the same instance, with rising numbers, keep it
//! there; one from another address or instance is a reason to ask again. So neither
//! forged nor repeated datagrams change where a peer is or whether it is.

mod datagram;
mod hello;
mod ping;
mod rate;

pub use datagram::{Datagram, HEAD, HELLO, Hello, PING, PING_HEAD, Ping, Tag};

use alloc::{collections::BTreeMap, collections::VecDeque, string::String, vec::Vec};

use crate::Millis;
use crate::address::Address;
use crate::keys::{Keys, Tagged};
use crate::limits::{ARRIVALS, DEFER, HELLO_LEAST, UNICASTS};
use crate::random::{self, Random};
use crate::suite::PublicKey;
use rate::{Rate, spread};

/// A device that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Its instance, by which it is told apart while it runs.
    pub instance: u64,
    /// Where its streams are.
    pub address: Address,
    /// Name and kind, if pairing is open there.
    pub open: Option<(String, u8)>,
    /// When it was heard, and when it is forgotten unless it is heard again.
    heard: Millis,
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
    /// Where the peer said that it is, since this was asked.
    then: Option<Address>,
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
    began: Millis,
    /// Many came together with this device.
    many: bool,
    /// When the next announcement is due, and when the last one was sent.
    next: Millis,
    last: Option<Millis>,
    /// When it is sent whatever is heard.
    latest: Millis,
    /// Announcements of a new device that are still to be sent.
    seeks: u8,
    /// Peers that the next announcement's tags begin with.
    turn: usize,
    unicasts: Budget,
    /// The question to somebody who seems to have our own key.
    twin: Option<Question>,
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
            began: now,
            many: false,
            next: now + spread(random),
            last: None,
            latest: latest(random, now),
            seeks: ARRIVALS,
            turn: 0,
            unicasts: Budget {
                since: now,
                left: UNICASTS,
            },
            twin: None,
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
            self.many |= self.rate.are_many(self.began, now);
            let crowded = self.rate.is_crowded(now) && (self.many || self.last.is_some());
            if crowded && now < self.latest {
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

    /// A datagram came, these bytes, which whoever parses read: what counts of that is
    /// compared with them.
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
                if let Some(head) = bytes.get(..HEAD)
                    && hello.is_of(bytes)
                {
                    self.hello(from, hello, head, keys, random, now);
                }
            }
            Datagram::Ping(ping, tag) => {
                let Some(head) = bytes.get(..PING_HEAD) else {
                    return;
                };
                if !ping.is_of(tag, bytes) {
                    return;
                }
                let mut candidates = self.candidates(ping.instance);
                candidates.push(self.key);
                if let Some(peer) = keys.recognise(Tagged::Ping, head, tag, &candidates) {
                    self.pinged(peer, from, *ping, keys, random, now);
                }
            }
        }
    }
}

/// When a device announces itself at the latest: not all at once.
fn latest(random: &mut dyn Random, now: Millis) -> Millis {
    now + HELLO_LEAST + random::below(random, HELLO_LEAST)
}
