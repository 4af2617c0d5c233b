//! One peer: whether it is there, whether a session with it is needed, and whether it is
//! lost.

use alloc::{collections::BTreeMap, vec::Vec};

use libipc_abi::status::{Cause, TransportError};

use super::{Event, Node, Output, StreamId};
use crate::Millis;
use crate::address::Address;
use crate::limits::{
    BEAT, FORGET, LOST, REDIAL, REDIAL_SLOWEST, REPLACE, REVISIT, SUSPECT, UNUSABLE,
};
use crate::peer::{Continuity, Heard, Peer};
use crate::suite::PublicKey;

/// How long a question by datagram is waited for before another is asked.
const ASK: Millis = SUSPECT / 3;

/// A stream that did not come about in this time is given up when its device answers a
/// datagram.
const SLOW_DIAL: Millis = 300;

/// See the module.
pub(super) struct Contact {
    pub(super) peer: Peer,
    /// The stream that counts, and the one that is to be it.
    pub(super) current: Option<StreamId>,
    pub(super) dialing: Option<StreamId>,
    /// Which stream with this peer the current one is.
    pub(super) generation: u64,
    /// The host wants to know when it is lost.
    pub(super) watch: bool,
    /// We hold objects of it.
    pub(super) holds: bool,
    /// When the stream was heard last, and when a datagram was answered.
    pub(super) heard: Millis,
    answered: Millis,
    /// Since when there is no session although one is needed.
    trying: Option<Millis>,
    /// It is lost: calls fail at once.
    pub(super) lost: bool,
    /// When it is dialled next, and how long after that.
    redial: Millis,
    wait: Millis,
    ask: Millis,
    /// When there is something to look after.
    due: Millis,
    /// Where somebody who handed an object on has seen it.
    pub(super) hint: Option<Address>,
    /// A guest to which nothing connects us any more: until when it may hear of that.
    leaves: Option<Millis>,
}

impl Contact {
    pub(super) fn new(me: (u64, u64), now: Millis) -> Contact {
        Contact {
            peer: Peer::new(me),
            current: None,
            dialing: None,
            generation: 0,
            watch: false,
            holds: false,
            heard: now,
            answered: 0,
            trying: None,
            lost: false,
            redial: 0,
            wait: REDIAL,
            ask: 0,
            due: Millis::MAX,
            hint: None,
            leaves: None,
        }
    }

    pub(super) fn deadline(&self) -> Millis {
        self.due
    }

    pub(super) fn is_needed(&self) -> bool {
        self.watch || self.holds || self.peer.waiting() > 0
    }

    /// A stream came about.
    pub(super) fn connected(&mut self, stream: StreamId, now: Millis) {
        self.current = Some(stream);
        self.heard = now;
        self.trying = None;
        self.lost = false;
        self.wait = REDIAL;
    }

    /// The stream is no more. It is no sign of life that it was closed.
    pub(super) fn disconnected(&mut self) {
        self.current = None;
        self.trying = Some(self.heard);
    }

    /// One did not.
    pub(super) fn failed(&mut self, now: Millis) {
        self.redial = now + self.wait;
        self.wait = (2 * self.wait).min(REDIAL_SLOWEST);
    }

    /// The last moment at which it lived.
    fn lived(&self) -> Millis {
        self.heard.max(self.answered).max(self.trying.unwrap_or(0))
    }

    /// When there is something to look after.
    fn next(&self) -> Millis {
        let calls = self.peer.deadline();
        let redial = if self.dialing.is_some() {
            Millis::MAX
        } else {
            self.redial
        };
        let rest = if self.current.is_some() {
            let lost = (self.lived() + LOST).min(self.heard + UNUSABLE);
            let suspect = self.ask.max(self.heard + SUSPECT);
            let replace = redial.max(self.heard + REPLACE);
            lost.min(suspect).min(replace).min(self.peer.next_beat())
        } else if self.is_needed() {
            match self.trying {
                _ if self.lost => redial,
                Some(trying) => redial.min(self.lived() + LOST).min(trying + UNUSABLE),
                None => 0,
            }
        } else {
            Millis::MAX
        };
        let is_left = self.current.is_none() && self.peer.remote().is_some();
        let forget = if is_left {
            self.heard + FORGET
        } else {
            Millis::MAX
        };
        let leaves = self.leaves.unwrap_or(Millis::MAX);
        calls.min(rest).min(forget).min(leaves)
    }
}

impl Node {
    /// Does what is due with a peer.
    pub(super) fn look_after(&mut self, key: PublicKey, now: Millis) {
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        if contact.peer.deadline() <= now {
            let (ours, theirs) = contact.peer.expired(now);
            self.end_calls(&ours, Cause::TimedOut);
            for heard in theirs {
                self.said(key, heard, now);
            }
        }
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        if contact.current.is_some() {
            let silence = now.saturating_sub(contact.heard);
            if now >= contact.lived() + LOST || silence >= UNUSABLE {
                return self.lose(key, now);
            }
            if silence >= SUSPECT && contact.ask <= now {
                contact.ask = now + ASK;
                let (keys, random) = (&mut *self.keys, &mut *self.random);
                self.announcer.ask(&key, keys, random, now);
            }
            let is_due = contact.dialing.is_none() && contact.redial <= now;
            if is_due && (silence >= REPLACE || self.streams.is_worn(contact.current, now)) {
                contact.failed(now);
                self.dial(key, [0; 16], now);
            }
        } else if contact.is_needed() {
            if !contact.lost {
                let trying = *contact.trying.get_or_insert(now);
                if now >= contact.lived() + LOST || now >= trying + UNUSABLE {
                    return self.lose(key, now);
                }
            }
            if contact.dialing.is_none() && contact.redial <= now {
                if contact.lost {
                    contact.redial = now + REVISIT;
                } else {
                    contact.failed(now);
                }
                self.dial(key, [0; 16], now);
            }
        } else {
            contact.trying = None;
        }
        self.forget_if_due(key, now);
        self.busy.insert(key);
    }

    /// Works out when a peer is looked after next.
    pub(super) fn reschedule(&mut self, key: &PublicKey) {
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.due = contact.next();
        }
    }

    /// Where a peer's streams are.
    pub(super) fn address(&self, key: &PublicKey) -> Option<Address> {
        let hint = self.contacts.get(key).and_then(|contact| contact.hint);
        self.announcer.address(key).or(hint)
    }

    /// A peer answered a datagram. If a stream to it does not come about all the same, it
    /// was dialled while nothing got through: another one may be quicker.
    pub(super) fn answers(&mut self, key: PublicKey, now: Millis) {
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        contact.answered = now;
        if let Some(id) = contact.dialing
            && self.streams.age(id, now) > SLOW_DIAL
        {
            contact.dialing = None;
            contact.redial = now;
            self.streams.all.remove(&id);
            self.out.push_back(Output::Close(id));
            self.look_after(key, now);
        }
    }

    /// A peer can be called: there is a session, or one can be tried.
    pub(super) fn reach(&self, key: &PublicKey) -> Result<(), Cause> {
        let contact = self.contacts.get(key).ok_or(Cause::Unreachable)?;
        let can = contact.current.is_some() || (!contact.lost && self.address(key).is_some());
        if can { Ok(()) } else { Err(Cause::Unreachable) }
    }

    /// A peer is there again, or somewhere else. If it has started again, it knows
    /// nothing of the stream that there is.
    pub(super) fn appeared(&mut self, key: PublicKey, restarted: bool, now: Millis) {
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        contact.lost = false;
        contact.answered = now;
        contact.redial = now;
        contact.wait = REDIAL;
        let silent = now.saturating_sub(contact.heard) > BEAT;
        match contact.current {
            Some(stream) if restarted && silent => self.close(stream, now),
            _ => self.look_after(key, now),
        }
    }

    /// For how long nothing at all has come from a peer: zero of one that is not known.
    pub fn silence(&self, key: &PublicKey, now: Millis) -> Millis {
        let lived = self.contacts.get(key).map(Contact::lived);
        lived.map_or(0, |lived| now.saturating_sub(lived))
    }

    /// A peer is lost: its calls end, and what is called now fails at once.
    fn lose(&mut self, key: PublicKey, now: Millis) {
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        contact.lost = true;
        contact.trying = None;
        contact.redial = now + REVISIT;
        if now >= contact.answered + LOST {
            self.announcer.lost(&key);
        }
        self.drop_streams(&key);
        if let Some(contact) = self.contacts.get_mut(&key) {
            let ended = contact.peer.lose();
            self.end_calls(&ended, Cause::Unreachable);
        }
        self.fail_parked(&key);
        self.event(Event::Lost(key));
        self.reschedule(&key);
    }

    /// Gives the oldest session up that neither side has anything of the other for: there
    /// is no room for another stream. It comes again when it is needed. False if all are
    /// needed.
    pub fn spare(&mut self, now: Millis) -> bool {
        let idle = self.contacts.iter().filter(|(key, contact)| {
            !contact.is_needed() && !contact.peer.is_served() && self.table.held(key) == 0
        });
        let streams = idle.filter_map(|(_, contact)| contact.current);
        let Some(oldest) = streams.max_by_key(|id| self.streams.age(*id, now)) else {
            return false;
        };
        self.close(oldest, now);
        self.pump(now);
        true
    }

    /// A peer was away for so long that nothing is kept for it.
    fn forget_if_due(&mut self, key: PublicKey, now: Millis) {
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        let is_left = contact.current.is_none() && contact.peer.remote().is_some();
        if is_left && now >= contact.heard + FORGET {
            contact.generation = 0;
            let fresh = contact.peer.forget();
            self.began_anew(key, fresh, Cause::Unreachable, now);
            self.forget_unless_known(&key);
        } else if contact.leaves.is_some_and(|leaves| leaves <= now) {
            contact.leaves = None;
            self.forget_unless_known(&key);
        }
    }

    /// A guest that has nothing of ours any more, and of which we have nothing, is let in
    /// only for so long as it may take until it knows.
    fn part(&mut self, key: &PublicKey, now: Millis) {
        if self.trust.holds(key) {
            return;
        }
        let is_known = self.table.is_guest(key) || self.imports.of(key).next().is_some();
        if let Some(contact) = self.contacts.get_mut(key) {
            let leaves = contact.leaves.unwrap_or(now + FORGET);
            contact.leaves = (!is_known).then_some(leaves);
        }
    }

    /// Nothing of what was between a peer and us goes on.
    pub(super) fn began_anew(
        &mut self,
        key: PublicKey,
        fresh: Continuity,
        cause: Cause,
        now: Millis,
    ) {
        let Continuity::Fresh(ended, running) = fresh else {
            return;
        };
        self.end_calls(&ended, cause);
        for serial in running {
            self.said(key, Heard::Cancelled(serial), now);
        }
        let taken = self.table.forget(&key);
        self.tell_taken(&taken);
        self.kill_imports(&key, cause, now);
    }

    /// Passes on what a peer and we have to say to each other.
    pub(super) fn flush(&mut self, key: &PublicKey, now: Millis) {
        if let Some(contact) = self.contacts.get_mut(key)
            && let Some(stream) = contact.current
        {
            let plain: Vec<_> = core::iter::from_fn(|| contact.peer.poll(now)).collect();
            if !plain.is_empty() && !self.streams.send_all(stream, &plain, &mut self.out) {
                // What was not sent goes over the next one.
                self.close(stream, now);
            }
        } else if self
            .contacts
            .get(key)
            .is_some_and(|contact| contact.next() <= now)
        {
            // Something to say and no stream: it is looked after.
            self.look_after_once(*key, now);
        }
        self.part(key, now);
        self.reschedule(key);
    }

    fn look_after_once(&mut self, key: PublicKey, now: Millis) {
        self.look_after(key, now);
        self.busy.remove(&key);
    }
}

/// Until when a peer is known to have lived.
pub(super) fn alive(
    contacts: &BTreeMap<PublicKey, Contact>,
) -> impl Fn(&PublicKey) -> Option<Millis> {
    |peer| contacts.get(peer).and_then(|contact| contact.peer.alive())
}

/// The error of a call.
pub(super) fn error(cause: Cause, delivered: bool) -> TransportError {
    TransportError { cause, delivered }
}
