//! Announcements to everybody: made, and heard.

use alloc::vec::Vec;

use super::rate::{jitter, spread};
use super::{Announcer, Heard, Hello, Stranger};
use crate::Millis;
use crate::address::Address;
use crate::keys::{Keys, Tagged};
use crate::limits::{
    ARRIVAL_AGAIN, CROWD, HELLO_SLOWEST, HELLO_SPREAD, MISSED, STRANGER_MISSED, STRANGERS,
    STRANGERS_EACH, TAGS,
};
use crate::random::{self, Random};
use crate::suite::PublicKey;

impl Announcer {
    pub(super) fn announce(
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
        self.latest = super::latest(random, now);
        // Once more, for the first may have been lost.
        self.seeks = self.seeks.saturating_sub(1);
        let next = if self.seeks > 0 {
            ARRIVAL_AGAIN
        } else {
            interval
        };
        self.next = now + jitter(random, next);
    }

    pub(super) fn hello(
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
        let interval = interval(hello);
        self.rate.heard(now, interval, hello.seeks);
        self.many |= self.rate.are_many(self.began, now);
        let mut candidates = self.candidates(hello.instance);
        candidates.push(self.key);
        let tags = hello.tags.as_flattened();
        match keys.recognise(Tagged::Hello, head, tags, &candidates) {
            Some(peer) if peer == self.key => self.ask_twin(from, keys, random, now),
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
    pub(super) fn candidates(&self, instance: u64) -> Vec<PublicKey> {
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
        let interval = interval(hello);
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
        // New here, or elsewhere: it may be somebody who repeats what it once said, which is
        // to keep nobody from being asked. A question from before it came may have no answer.
        match &mut known.question {
            Some(question) if !question.is_slow() => question.then = Some(from),
            _ => self.question(peer, from, keys, random, now),
        }
    }

    pub(super) fn stranger(&mut self, from: Address, hello: &Hello, interval: Millis, now: Millis) {
        if hello.leaves {
            self.strangers.remove(&hello.instance);
            return;
        }
        let stranger = Stranger {
            instance: hello.instance,
            address: from.at(hello.port),
            open: hello.open.clone(),
            heard: now,
            until: now + STRANGER_MISSED * interval.max(1_000),
        };
        let old = self.strangers.get(&hello.instance);
        let news = old.is_none_or(|old| old.open != stranger.open);
        if old.is_none() {
            // Those that can be paired with stay longest, and who was heard last.
            let order = |stranger: &&Stranger| (stranger.open.is_some(), stranger.heard);
            let all = self.strangers.values();
            let beside = all.clone().filter(|other| other.address.ip == from.ip);
            let worst = if beside.clone().count() >= STRANGERS_EACH {
                beside.min_by_key(order)
            } else if all.len() >= STRANGERS {
                all.min_by_key(order)
            } else {
                None
            };
            match worst {
                None => {}
                Some(worst) if order(&worst) < order(&&stranger) => {
                    let instance = worst.instance;
                    self.strangers.remove(&instance);
                }
                Some(_) => return,
            }
        }
        self.strangers.insert(hello.instance, stranger);
        if news {
            self.heard.push_back(Heard::Stranger(hello.instance));
        }
    }
}

/// How long until a device announces itself again, as it says: nobody may say more than
/// the longest there is.
fn interval(hello: &Hello) -> Millis {
    (u64::from(hello.interval) * 100).min(HELLO_SLOWEST)
}
