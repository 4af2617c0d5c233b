//! Keys in place.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::{Keys, Session, Tagged, exchange};
use crate::limits::{KNOWN, TAG};
use crate::suite::{Broken, PAKE, Pattern, PublicKey, Side, Suite, same};
use crate::trust::Trusted;

/// The static key of a device, and what is made of it.
pub struct Holder<S: Suite> {
    identity: S::Identity,
    public: PublicKey,
    /// Of peers that were asked for, with when that was last.
    pairs: BTreeMap<PublicKey, ([u8; 32], u64)>,
    asked: u64,
}

impl<S: Suite> Holder<S> {
    /// With this secret key.
    pub fn new(secret: &[u8; 32]) -> Self {
        let identity = S::identity(secret);
        Holder {
            public: S::public(&identity),
            identity,
            pairs: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Begins a handshake; see [`Keys::handshake`].
    pub fn session(
        &self,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<HeldSession<S>, Broken> {
        let handshake = S::handshake(&self.identity, pattern, side, peer, prologue, random)?;
        Ok(HeldSession {
            side,
            me: self.public,
            remote: None,
            digest: [0; 32],
            stage: Stage::Handshake(handshake),
            pin: Pin::None,
        })
    }

    /// The secret that only a peer and this device know; the least used one makes room.
    fn pair(&mut self, peer: &PublicKey) -> [u8; 32] {
        self.asked += 1;
        if let Some((key, asked)) = self.pairs.get_mut(peer) {
            *asked = self.asked;
            return *key;
        }
        if self.pairs.len() >= KNOWN {
            let oldest = self.pairs.iter().min_by_key(|(_, (_, asked))| *asked);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.pairs.remove(&oldest);
            }
        }
        let key = S::pair_key(&self.identity, peer);
        self.pairs.insert(*peer, (key, self.asked));
        key
    }
}

impl<S: Suite> Keys for Holder<S> {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn tags(&mut self, kind: Tagged, peers: &[PublicKey], head: &[u8]) -> Option<Vec<[u8; 16]>> {
        let me = self.public;
        let tag = |peer| S::mac(&self.pair(peer), &[kind.label(), &me.0, head]);
        Some(peers.iter().map(tag).collect())
    }

    fn recognise(
        &mut self,
        kind: Tagged,
        head: &[u8],
        tags: &[u8],
        candidates: &[PublicKey],
    ) -> Option<PublicKey> {
        let length = kind.length();
        let mut made = |peer: &&PublicKey| {
            let tag = S::mac(&self.pair(peer), &[kind.label(), &peer.0, head]);
            tags.chunks_exact(length)
                .any(|shown| same(shown, &tag[..length]))
        };
        candidates.iter().find(|peer| made(peer)).copied()
    }

    fn handshake(
        &mut self,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<Box<dyn Session>, Broken> {
        let session = self.session(pattern, side, peer, prologue, random)?;
        Ok(Box::new(session))
    }
}

/// The keys of one stream, in place.
pub struct HeldSession<S: Suite> {
    side: Side,
    me: PublicKey,
    remote: Option<PublicKey>,
    digest: [u8; 32],
    stage: Stage<S>,
    pin: Pin<S>,
}

enum Stage<S: Suite> {
    Handshake(S::Handshake),
    Transport(S::Transport),
    Over,
}

enum Pin<S: Suite> {
    None,
    Exchange(S::Pake),
    Agreed([u8; 32]),
}

impl<S: Suite> Session for HeldSession<S> {
    fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        match &mut self.stage {
            Stage::Handshake(handshake) => S::write(handshake, payload),
            _ => Err(Broken),
        }
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken> {
        match &mut self.stage {
            Stage::Handshake(handshake) => {
                let payload = S::read(handshake, message)?;
                self.remote = S::remote(handshake);
                Ok(payload)
            }
            _ => Err(Broken),
        }
    }

    fn remote(&self) -> Option<PublicKey> {
        self.remote
    }

    fn complete(&mut self) -> Result<(), Broken> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Handshake(handshake) => {
                self.digest = S::digest(&handshake);
                self.stage = Stage::Transport(S::transport(handshake)?);
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    fn seal(&mut self, plain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Broken> {
        let Stage::Transport(transport) = &mut self.stage else {
            return Err(Broken);
        };
        let seal = |plain: &Vec<u8>| {
            let mut sealed = Vec::with_capacity(plain.len() + TAG);
            S::seal(transport, plain, &mut sealed)?;
            Ok(sealed)
        };
        plain.iter().map(seal).collect()
    }

    fn open(&mut self, sealed: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let Stage::Transport(transport) = &mut self.stage else {
            return Vec::new();
        };
        let opened = sealed.iter().map(|sealed| S::open(transport, sealed));
        opened.map_while(Result::ok).collect()
    }

    fn exchange(&mut self, pin: &[u8], random: [u8; 64]) -> Result<[u8; PAKE], Broken> {
        let (Stage::Transport(_), Some(remote)) = (&self.stage, self.remote) else {
            return Err(Broken);
        };
        let [a, b] = exchange::names(self.side, &self.digest, self.me, remote);
        let (pake, message) = S::pake(self.side, pin, [&a, &b], random);
        self.pin = Pin::Exchange(pake);
        Ok(message)
    }

    fn agree(&mut self, message: &[u8; PAKE]) -> Result<(), Broken> {
        match core::mem::replace(&mut self.pin, Pin::None) {
            Pin::Exchange(pake) => {
                self.pin = Pin::Agreed(S::agree(pake, message)?);
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    fn confirmation(&mut self, me: &Trusted) -> Result<[u8; 16], Broken> {
        match &self.pin {
            Pin::Agreed(key) => Ok(exchange::confirmation::<S>(
                key,
                self.side,
                &self.digest,
                me,
            )),
            _ => Err(Broken),
        }
    }

    fn confirms(&mut self, shown: &[u8; 16], them: &Trusted) -> Result<bool, Broken> {
        let Pin::Agreed(key) = &self.pin else {
            return Err(Broken);
        };
        let theirs = self.side.other();
        let right = exchange::confirmation::<S>(key, theirs, &self.digest, them);
        Ok(same(shown, &right))
    }
}
