//! A suite with the shape of the real one and none of its strength: Diffie-Hellman
//! modulo 2^61 - 1, digests of 128 bits that anybody could forge on purpose, and no
//! secrecy. Days of a thousand nodes take minutes with it.

use tessera_softbus_protocol::suite::{Broken, PAKE, Pattern, PublicKey, Side, Suite};

use crate::random::mix;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Cheap;

const PRIME: u64 = (1 << 61) - 1;

/// A key pair.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    secret: u64,
    public: u64,
}

/// A handshake.
#[derive(Debug)]
pub struct Handshake {
    me: Pair,
    ephemeral: Pair,
    pattern: Pattern,
    side: Side,
    remote: Option<u64>,
    remote_ephemeral: u64,
    /// Digest of all that was said and agreed.
    state: [u64; 2],
    step: u8,
}

/// Keys and counters of both directions: sending first.
#[derive(Debug)]
pub struct Transport {
    keys: [[u64; 2]; 2],
    counts: [u64; 2],
}

/// The exchange over a PIN.
#[derive(Debug)]
pub struct Pake {
    side: Side,
    state: [u64; 2],
    mine: [u8; PAKE],
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let sum = (product as u64 & PRIME) + (product >> 61) as u64;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn power(base: u64, mut exponent: u64) -> u64 {
    // A peer may name any number.
    let (mut base, mut result) = (base % PRIME, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

fn pair(bytes: &[u8]) -> Pair {
    let secret = digest([1, 2], &[bytes])[0] % PRIME;
    Pair {
        secret,
        public: power(37, secret),
    }
}

/// Absorbs the parts, eight bytes at a time.
fn digest(mut state: [u64; 2], parts: &[&[u8]]) -> [u64; 2] {
    for part in parts {
        let mut chunks = part.chunks_exact(8);
        for chunk in &mut chunks {
            absorb(
                &mut state,
                u64::from_le_bytes(chunk.try_into().unwrap_or_default()),
            );
        }
        let mut last = [0; 8];
        let rest = chunks.remainder();
        last[..rest.len()].copy_from_slice(rest);
        absorb(
            &mut state,
            u64::from_le_bytes(last) ^ (part.len() as u64) << 56,
        );
    }
    [
        mix(state[0] ^ state[1].rotate_left(32)),
        mix(state[1].wrapping_add(state[0])),
    ]
}

fn absorb(state: &mut [u64; 2], word: u64) {
    let product = u128::from(state[0] ^ word) * 0x9e37_79b9_7f4a_7c15;
    state[0] = product as u64 ^ (product >> 64) as u64 ^ state[1];
    state[1] = state[1]
        .rotate_left(23)
        .wrapping_add(word ^ 0x5851_f42d_4c95_7f2d);
}

fn bytes(state: [u64; 2]) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&state[0].to_le_bytes());
    out[8..].copy_from_slice(&state[1].to_le_bytes());
    out
}

fn key_of(public: u64) -> PublicKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&public.to_le_bytes());
    key[8..16].copy_from_slice(&mix(public).to_le_bytes());
    PublicKey(key)
}

fn public_of(key: &PublicKey) -> u64 {
    word(&key.0[..8])
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap_or_default())
}

impl Handshake {
    fn agree(&mut self, mine: Pair, theirs: u64) {
        let shared = power(theirs, mine.secret).to_le_bytes();
        self.state = digest(self.state, &[&shared]);
    }

    /// What each message carries: the sender's static key, or not.
    fn shows_static(&self) -> bool {
        match self.pattern {
            Pattern::Known => self.step == 0,
            Pattern::Unknown => self.step > 0,
        }
    }

    /// Mixes in what both know after this message.
    fn agree_all(&mut self) {
        let (mine, theirs) = (self.ephemeral, self.remote_ephemeral);
        if let (Pattern::Known, 0) = (self.pattern, self.step) {
            // es, ss
            match (self.side, self.remote) {
                (Side::Initiator, Some(remote)) => {
                    self.agree(mine, remote);
                    self.agree(self.me, remote);
                }
                (Side::Responder, Some(remote)) => {
                    self.agree(self.me, theirs);
                    self.agree(self.me, remote);
                }
                _ => {}
            }
        } else if self.step == 1 {
            // ee, se or es
            self.agree(mine, theirs);
            match (self.pattern, self.side, self.remote) {
                (Pattern::Known, Side::Initiator, _) | (Pattern::Unknown, Side::Responder, _) => {
                    self.agree(self.me, theirs);
                }
                (_, _, Some(remote)) => self.agree(mine, remote),
                _ => {}
            }
        } else if self.step == 2 {
            // se
            match (self.side, self.remote) {
                (Side::Initiator, _) => self.agree(self.me, theirs),
                (Side::Responder, Some(remote)) => self.agree(mine, remote),
                _ => {}
            }
        }
    }
}

impl Suite for Cheap {
    type Identity = Pair;
    type Handshake = Handshake;
    type Transport = Transport;
    type Pake = Pake;

    fn identity(secret: &[u8; 32]) -> Pair {
        pair(secret)
    }

    fn public(identity: &Pair) -> PublicKey {
        key_of(identity.public)
    }

    fn pair_key(identity: &Pair, peer: &PublicKey) -> [u8; 32] {
        let shared = power(public_of(peer), identity.secret).to_le_bytes();
        let mut key = [0; 32];
        key[..16].copy_from_slice(&bytes(digest([3, 4], &[&shared])));
        key
    }

    fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
        bytes(digest([word(&key[..8]), word(&key[8..16])], parts))
    }

    fn handshake(
        identity: &Pair,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<Handshake, Broken> {
        let known = match (pattern, side) {
            (Pattern::Known, Side::Initiator) => Some(public_of(peer.ok_or(Broken)?)),
            _ => None,
        };
        let responder = match (pattern, side) {
            (Pattern::Known, Side::Initiator) => known.unwrap_or(0),
            (Pattern::Known, Side::Responder) => identity.public,
            (Pattern::Unknown, _) => 0,
        };
        Ok(Handshake {
            me: *identity,
            ephemeral: pair(&random),
            pattern,
            side,
            remote: known,
            remote_ephemeral: 0,
            state: digest([5, 6], &[prologue, &responder.to_le_bytes()]),
            step: 0,
        })
    }

    fn write(handshake: &mut Handshake, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut message = handshake.ephemeral.public.to_le_bytes().to_vec();
        if handshake.shows_static() {
            message.extend_from_slice(&handshake.me.public.to_le_bytes());
        }
        message.extend_from_slice(payload);
        handshake.agree_all();
        handshake.state = digest(handshake.state, &[&message]);
        message.extend_from_slice(&bytes(handshake.state));
        handshake.step += 1;
        Ok(message)
    }

    fn read(handshake: &mut Handshake, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let end = message.len().checked_sub(16).ok_or(Broken)?;
        let (message, tag) = message.split_at(end);
        let (ephemeral, mut rest) = message.split_at_checked(8).ok_or(Broken)?;
        handshake.remote_ephemeral = word(ephemeral) % PRIME;
        if handshake.shows_static() {
            let (remote, payload) = rest.split_at_checked(8).ok_or(Broken)?;
            handshake.remote = Some(word(remote) % PRIME);
            rest = payload;
        }
        handshake.agree_all();
        handshake.state = digest(handshake.state, &[message]);
        if tag != bytes(handshake.state) {
            return Err(Broken);
        }
        handshake.step += 1;
        Ok(rest.to_vec())
    }

    fn remote(handshake: &Handshake) -> Option<PublicKey> {
        handshake.remote.map(key_of)
    }

    fn digest(handshake: &Handshake) -> [u8; 32] {
        let mut out = [0; 32];
        out[..16].copy_from_slice(&bytes(handshake.state));
        out
    }

    fn transport(handshake: Handshake) -> Result<Transport, Broken> {
        let keys = [7_u64, 8].map(|label| digest(handshake.state, &[&label.to_le_bytes()]));
        let [first, second] = keys;
        Ok(Transport {
            keys: match handshake.side {
                Side::Initiator => [first, second],
                Side::Responder => [second, first],
            },
            counts: [0; 2],
        })
    }

    fn seal(transport: &mut Transport, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let count = transport.counts[0];
        transport.counts[0] += 1;
        out.extend_from_slice(plain);
        let tag = digest(transport.keys[0], &[&count.to_le_bytes(), plain]);
        out.extend_from_slice(&bytes(tag));
        Ok(())
    }

    fn open(transport: &mut Transport, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let end = sealed.len().checked_sub(16).ok_or(Broken)?;
        let (plain, tag) = sealed.split_at(end);
        let count = transport.counts[1];
        if tag != bytes(digest(transport.keys[1], &[&count.to_le_bytes(), plain])) {
            return Err(Broken);
        }
        transport.counts[1] += 1;
        Ok(plain.to_vec())
    }

    fn pake(side: Side, pin: &[u8], names: [&[u8]; 2], random: [u8; 64]) -> (Pake, [u8; PAKE]) {
        let mut mine = [0; PAKE];
        mine[0] = side as u8;
        mine[1..].copy_from_slice(&random[..32]);
        let state = digest([9, 10], &[pin, names[0], names[1]]);
        (Pake { side, state, mine }, mine)
    }

    fn agree(pake: Pake, message: &[u8; PAKE]) -> Result<[u8; 32], Broken> {
        if message[0] != pake.side.other() as u8 {
            return Err(Broken);
        }
        let both: [&[u8]; 2] = match pake.side {
            Side::Initiator => [&pake.mine, message],
            Side::Responder => [message, &pake.mine],
        };
        let mut key = [0; 32];
        key[..16].copy_from_slice(&bytes(digest(pake.state, &both)));
        Ok(key)
    }
}
