//! Questions to one device whether it is there, and answers to those of others.

use super::{Announcer, Budget, Heard, Ping, Question, There};
use crate::Millis;
use crate::address::Address;
use crate::keys::{Keys, Tagged};
use crate::limits::{MISSED, PROBE_AGAIN, PROBES, QUICK_PROBES, UNICASTS};
use crate::random::{self, Random};
use crate::suite::PublicKey;

impl Question {
    /// The first of a few to the same address.
    fn new(address: Address, random: &mut dyn Random, now: Millis) -> Self {
        Question {
            nonce: random::nonce(random),
            address,
            again: now + PROBE_AGAIN,
            left: PROBES - 1,
            then: None,
        }
    }

    /// The close ones were not answered: there is more hope elsewhere, if there is anything.
    pub(super) fn is_slow(&self) -> bool {
        self.left <= PROBES - QUICK_PROBES
    }
}

impl Announcer {
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

    pub(super) fn pinged(
        &mut self,
        peer: PublicKey,
        from: Address,
        ping: Ping,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        if peer == self.key {
            return self.twin_pinged(from, ping, keys, now);
        }
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        if answers(known.question.as_ref(), &ping, from) {
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

    /// Somebody announces itself with our own key. It may be that our own announcement of
    /// another time was repeated: who has the key echoes a question.
    pub(super) fn ask_twin(
        &mut self,
        from: Address,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let question = Question::new(from, random, now);
        let nonce = question.nonce;
        self.twin = Some(question);
        self.ping(self.key, from, nonce, 0, keys, now);
    }

    fn twin_pinged(&mut self, from: Address, ping: Ping, keys: &mut dyn Keys, now: Millis) {
        // What we said ourselves comes back.
        if ping.instance == self.instance {
            return;
        }
        if answers(self.twin.as_ref(), &ping, from) {
            self.twin = None;
            self.heard.push_back(Heard::Twin(from));
        }
        if ping.nonce != 0 {
            self.ping(self.key, from, 0, ping.nonce, keys, now);
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
            known.question = Some(Question::new(from, random, now));
        }
        let question = known.question.as_ref();
        let nonce = question.filter(|question| question.address == from);
        let nonce = nonce.map_or(0, |question| question.nonce);
        self.ping(peer, from, nonce, ping.nonce, keys, now);
    }

    pub(super) fn question(
        &mut self,
        peer: PublicKey,
        address: Address,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        if let Some(known) = self.known.get_mut(&peer) {
            let question = Question::new(address, random, now);
            let nonce = question.nonce;
            known.question = Some(question);
            self.ping(peer, address, nonce, 0, keys, now);
        }
    }

    /// A question was not answered, or it is time for one.
    pub(super) fn ask_again(
        &mut self,
        peer: PublicKey,
        keys: &mut dyn Keys,
        random: &mut dyn Random,
        now: Millis,
    ) {
        let Some(known) = self.known.get_mut(&peer) else {
            return;
        };
        let slow = known
            .question
            .as_ref()
            .filter(|question| question.is_slow());
        if let Some(address) = slow.and_then(|question| question.then) {
            return self.question(peer, address, keys, random, now);
        }
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

    pub(super) fn ping(
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

/// Whether a ping echoes what was asked, from where it was asked.
fn answers(asked: Option<&Question>, ping: &Ping, from: Address) -> bool {
    asked.is_some_and(|question| question.nonce == ping.echo && question.address == from)
}
