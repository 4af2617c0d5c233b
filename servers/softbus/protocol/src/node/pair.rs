//! Pairing and trust: opened by a person, one exchange at a time, durable before it is
//! told.

use alloc::{collections::VecDeque, vec::Vec};

use libipc_abi::status::Cause;

use super::{Event, Node, Output, StreamId};
use crate::Millis;
use crate::address::Address;
use crate::limits::REVISIT;
use crate::link::Cookie;
use crate::pairing::{Opened, PairingError, Pin, Run, Said, Step};
use crate::random;
use crate::suite::{PublicKey, Side};
use crate::trust::{Trust, Trusted};

/// What follows when the disk has it.
enum Then {
    Trust(StreamId, PublicKey, Trusted, Vec<u8>),
    Distrust(PublicKey),
}

/// See the module.
pub(super) struct Pairing {
    /// Opened here.
    opened: Option<Opened>,
    /// The stream of the exchange that is under way, and the PIN that was typed, if it
    /// was.
    run: Option<(StreamId, Option<Pin>)>,
    /// What the disk is to hold; the node trusts what it does hold.
    wanted: Trust,
    generation: u64,
    stores: VecDeque<(u64, Then)>,
    /// Whose withdrawn trust the disk did not take, and when that is tried again.
    unstored: Vec<PublicKey>,
    again: Millis,
}

impl Pairing {
    pub(super) fn new(trust: Trust) -> Self {
        Pairing {
            opened: None,
            run: None,
            wanted: trust,
            generation: 0,
            stores: VecDeque::new(),
            unstored: Vec::new(),
            again: Millis::MAX,
        }
    }

    /// Whether a stranger may begin an exchange.
    pub(super) fn may_answer(&self) -> bool {
        self.opened.is_some() && self.run.is_none()
    }

    pub(super) fn deadline(&self) -> Millis {
        let opened = self.opened.as_ref();
        opened
            .map_or(Millis::MAX, |opened| opened.until)
            .min(self.again)
    }
}

impl Node {
    /// Opens pairing for a minute: the PIN to be shown. Only a person does this.
    pub fn open_pairing(&mut self, now: Millis) -> Pin {
        let opened = Opened::new(now, &mut *self.random);
        let pin = opened.pin;
        self.pairing.opened = Some(opened);
        self.announcer.set_open(true, now);
        self.pump(now);
        pin
    }

    /// Closes it.
    pub fn close_pairing(&mut self, now: Millis) {
        if self.pairing.opened.take().is_some() {
            self.announcer.set_open(false, now);
            self.event(Event::PairingClosed);
        }
        self.pump(now);
    }

    /// Pairs with a device that shows this PIN: an [`Event::Paired`] or an
    /// [`Event::PairingFailed`].
    pub fn pair(&mut self, address: Address, pin: Pin, now: Millis) -> Result<(), PairingError> {
        if self.pairing.run.is_some() {
            return Err(PairingError::Busy);
        }
        if !self.trust.has_room() {
            return Err(PairingError::Full);
        }
        let id = self
            .dial_stranger(address, [0; 16], now)
            .ok_or(PairingError::Broken)?;
        self.pairing.run = Some((id, Some(pin)));
        self.pump(now);
        Ok(())
    }

    /// The other device wants to see a cookie.
    pub(super) fn pairing_again(
        &mut self,
        old: StreamId,
        address: Address,
        cookie: Cookie,
        now: Millis,
    ) {
        if let Some((id, pin)) = self.pairing.run
            && id == old
        {
            self.pairing.run = self.dial_stranger(address, cookie, now).map(|id| (id, pin));
            if self.pairing.run.is_none() {
                self.event(Event::PairingFailed(PairingError::Unreachable));
            }
        }
    }

    /// The handshake of a pairing stream is complete.
    pub(super) fn run_begins(&mut self, id: StreamId, now: Millis) {
        let random = random::array(&mut *self.random);
        let Some(stream) = self.streams.all.get_mut(&id) else {
            return;
        };
        let side = stream.link.side();
        let pin = match (side, self.pairing.run, &self.pairing.opened) {
            (Side::Initiator, Some((run, Some(pin))), _) if run == id => pin,
            (Side::Responder, None, Some(opened)) => {
                self.pairing.run = Some((id, None));
                opened.pin
            }
            _ => return self.close(id, now),
        };
        let keys = stream.link.session();
        let begun = keys.map(|keys| Run::new(side, &pin, keys, random));
        let Some(Ok((run, first))) = begun else {
            return self.close(id, now);
        };
        stream.run = Some(run);
        if let Some(first) = first {
            self.streams.send(id, first, &mut self.out);
        }
    }

    /// A message of the exchange, or what is none.
    pub(super) fn run_heard(&mut self, id: StreamId, said: Option<Said>, now: Millis) {
        let Some(stream) = self.streams.all.get_mut(&id) else {
            return;
        };
        let (side, peer) = (stream.link.side(), stream.link.peer());
        let Some(run) = &mut stream.run else { return };
        let step = match (said, stream.link.session()) {
            (Some(said), Some(keys)) => run.receive(said, keys, &self.me),
            _ => Err(PairingError::Broken),
        };
        match step {
            Ok(Step::Send(bytes)) => {
                self.streams.send(id, bytes, &mut self.out);
            }
            // Pairing was closed meanwhile, or its minute is over.
            Ok(Step::Keep(..)) if side == Side::Responder && self.pairing.opened.is_none() => {
                self.close(id, now);
            }
            Ok(Step::Keep(them, then)) => {
                let Some(peer) = peer else { return };
                if !self.pairing.wanted.add(peer, them.clone()) {
                    self.event(Event::PairingFailed(PairingError::Full));
                    return self.close(id, now);
                }
                self.store(Then::Trust(id, peer, them, then));
            }
            Ok(Step::Done) => self.close(id, now),
            Err(error) => {
                if error == PairingError::WrongPin && side == Side::Responder {
                    self.streams.send(id, Said::Wrong.to_bytes(), &mut self.out);
                }
                if side == Side::Initiator {
                    self.event(Event::PairingFailed(error));
                    self.pairing.run = None;
                }
                self.close(id, now);
            }
        }
    }

    /// The stream of an exchange is gone.
    pub(super) fn run_ended(&mut self, id: StreamId, now: Millis) {
        let Some((run, pin)) = self.pairing.run else {
            return;
        };
        if run != id {
            return;
        }
        self.pairing.run = None;
        if pin.is_some() {
            self.event(Event::PairingFailed(PairingError::Unreachable));
        } else if let Some(opened) = &mut self.pairing.opened {
            // It ended before it was confirmed: somebody may have tried a PIN.
            opened.runs -= 1;
            if opened.runs == 0 {
                self.close_pairing(now);
            }
        }
    }

    pub(super) fn expire_pairing(&mut self, now: Millis) {
        let opened = self.pairing.opened.as_ref();
        if opened.is_some_and(|opened| opened.until <= now) {
            self.close_pairing(now);
        }
        if self.pairing.again <= now {
            self.pairing.again = Millis::MAX;
            for key in core::mem::take(&mut self.pairing.unstored) {
                self.store(Then::Distrust(key));
            }
        }
    }

    fn store(&mut self, then: Then) {
        self.pairing.generation += 1;
        let generation = self.pairing.generation;
        self.pairing.stores.push_back((generation, then));
        let bytes = self.pairing.wanted.to_bytes();
        self.out.push_back(Output::Store(generation, bytes));
    }

    /// What [`Output::Store`] asked for is durable, and all before it.
    pub fn stored(&mut self, generation: u64, now: Millis) {
        while self
            .pairing
            .stores
            .front()
            .is_some_and(|(store, _)| *store <= generation)
        {
            match self.pairing.stores.pop_front() {
                Some((_, Then::Trust(id, peer, them, then))) => {
                    self.trusts(id, peer, them, &then, now);
                }
                Some((_, Then::Distrust(key))) => self.event(Event::Distrusted(key)),
                None => {}
            }
        }
        self.pump(now);
    }

    /// What [`Output::Store`] asked for could not be kept, nor what was asked before it.
    /// Nobody is trusted for that; who is trusted no longer is not, and the disk is asked
    /// again until it says so.
    pub fn not_stored(&mut self, generation: u64, now: Millis) {
        let stores = core::mem::take(&mut self.pairing.stores);
        for (store, then) in stores {
            if store > generation {
                self.pairing.stores.push_back((store, then));
                continue;
            }
            match then {
                Then::Trust(id, peer, ..) => {
                    if !self.trust.holds(&peer) {
                        self.pairing.wanted.remove(&peer);
                    }
                    self.close(id, now);
                }
                Then::Distrust(key) => {
                    self.pairing.unstored.push(key);
                    self.pairing.again = now + REVISIT;
                }
            }
        }
        self.pump(now);
    }

    /// A device is trusted, and that is durable.
    fn trusts(&mut self, id: StreamId, peer: PublicKey, them: Trusted, then: &[u8], now: Millis) {
        if !self.pairing.wanted.holds(&peer) || !self.trust.add(peer, them) {
            return;
        }
        self.know(peer, now);
        let stream = self.streams.all.get(&id);
        if let Some(stream) = stream {
            let side = stream.link.side();
            self.streams.send(id, then.to_vec(), &mut self.out);
            if side == Side::Initiator {
                // The other side closes it.
                self.pairing.run = None;
            }
        }
        if self.pairing.run.is_some_and(|(run, _)| run == id) {
            self.pairing.run = None;
        }
        self.event(Event::Paired(peer));
        self.close_pairing(now);
    }

    /// Trusts a device no longer: at once, and an [`Event::Distrusted`] when that is
    /// durable. False if it was not trusted.
    pub fn distrust(&mut self, key: &PublicKey, now: Millis) -> bool {
        if !self.pairing.wanted.remove(key) {
            return false;
        }
        self.trust.remove(key);
        self.drop_streams(key);
        if let Some(contact) = self.contacts.get_mut(key) {
            contact.generation = 0;
            let fresh = contact.peer.forget();
            self.began_anew(*key, fresh, Cause::Revoked, now);
        }
        // Also what was handed on to it.
        let taken = self.table.revoke_from(key);
        self.tell_taken(&taken);
        self.kill_all_imports(key, Cause::Revoked, now);
        self.forget_unless_known(key);
        self.store(Then::Distrust(*key));
        self.pump(now);
        true
    }
}
