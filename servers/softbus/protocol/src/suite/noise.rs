//! The suite of devices: `Noise_IK` and `Noise_XX_25519_ChaChaPoly_BLAKE2s` by `snow`,
//! SPAKE2 on Ed25519 by `spake2`, keyed BLAKE2s.

use alloc::{boxed::Box, vec, vec::Vec};

use blake2::digest::{Mac, consts::U16};
use rand_core_06::{CryptoRng, RngCore};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash};
use snow::{Builder, HandshakeState, TransportState};
use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::{Broken, PAKE, Pattern, PublicKey, Side, Suite};
use crate::limits::TAG;

const KNOWN: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
const UNKNOWN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// Bytes that the longest handshake message has beside its payload.
const OVERHEAD: usize = 32 + 48 + 16;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Noise;

/// A Curve25519 key pair.
#[derive(Clone)]
pub struct KeyPair {
    secret: [u8; 32],
    public: [u8; 32],
}

impl Suite for Noise {
    type Identity = KeyPair;
    type Handshake = HandshakeState;
    type Transport = TransportState;
    type Pake = Spake2<Ed25519Group>;

    fn identity(secret: &[u8; 32]) -> KeyPair {
        let mut public = [0; 32];
        if let Some(pair) = curve(secret) {
            public.copy_from_slice(pair.pubkey());
        }
        KeyPair {
            secret: *secret,
            public,
        }
    }

    fn public(identity: &KeyPair) -> PublicKey {
        PublicKey(identity.public)
    }

    fn pair_key(identity: &KeyPair, peer: &PublicKey) -> [u8; 32] {
        let mut shared = [0; 32];
        if let Some(pair) = curve(&identity.secret) {
            // Fails for nobody: X25519 is total.
            let _ = pair.dh(&peer.0, &mut shared);
        }
        let (mut low, mut high) = (identity.public, peer.0);
        if low > high {
            core::mem::swap(&mut low, &mut high);
        }
        let mut key = [0; 32];
        for (half, label) in key
            .chunks_mut(16)
            .zip([b"tessera pair 0", b"tessera pair 1"])
        {
            half.copy_from_slice(&Self::mac(&shared, &[label, &low, &high]));
        }
        key
    }

    fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = match <blake2::Blake2sMac<U16> as Mac>::new_from_slice(key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("BLAKE2s takes keys of up to 32 bytes"),
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn handshake(
        identity: &KeyPair,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<HandshakeState, Broken> {
        let name = match pattern {
            Pattern::Known => KNOWN,
            Pattern::Unknown => UNKNOWN,
        };
        let resolver = Box::new(Given(random));
        let mut builder = Builder::with_resolver(name.parse()?, resolver)
            .local_private_key(&identity.secret)?
            .prologue(prologue)?;
        if let (Pattern::Known, Side::Initiator, Some(peer)) = (pattern, side, peer) {
            builder = builder.remote_public_key(&peer.0)?;
        }
        Ok(match side {
            Side::Initiator => builder.build_initiator()?,
            Side::Responder => builder.build_responder()?,
        })
    }

    fn write(handshake: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut message = vec![0; payload.len() + OVERHEAD + TAG];
        let length = handshake.write_message(payload, &mut message)?;
        message.truncate(length);
        Ok(message)
    }

    fn read(handshake: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut payload = vec![0; message.len()];
        let length = handshake.read_message(message, &mut payload)?;
        payload.truncate(length);
        Ok(payload)
    }

    fn remote(handshake: &HandshakeState) -> Option<PublicKey> {
        Some(PublicKey(handshake.get_remote_static()?.try_into().ok()?))
    }

    fn digest(handshake: &HandshakeState) -> [u8; 32] {
        handshake.get_handshake_hash().try_into().unwrap_or([0; 32])
    }

    fn transport(handshake: HandshakeState) -> Result<TransportState, Broken> {
        Ok(handshake.into_transport_mode()?)
    }

    fn seal(transport: &mut TransportState, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let start = out.len();
        out.resize(start + plain.len() + TAG, 0);
        transport.write_message(plain, &mut out[start..])?;
        Ok(())
    }

    fn open(transport: &mut TransportState, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let length = sealed.len().checked_sub(TAG).ok_or(Broken)?;
        let mut plain = vec![0; length];
        transport.read_message(sealed, &mut plain)?;
        Ok(plain)
    }

    fn pake(
        side: Side,
        pin: &[u8],
        names: [&[u8]; 2],
        random: [u8; 64],
    ) -> (Spake2<Ed25519Group>, [u8; PAKE]) {
        let (pin, [a, b]) = (Password::new(pin), names.map(Identity::new));
        let (pake, message) = match side {
            Side::Initiator => Spake2::start_a_with_rng(&pin, &a, &b, Given(random)),
            Side::Responder => Spake2::start_b_with_rng(&pin, &a, &b, Given(random)),
        };
        let mut bytes = [0; PAKE];
        bytes.copy_from_slice(&message);
        (pake, bytes)
    }

    fn agree(pake: Spake2<Ed25519Group>, message: &[u8; PAKE]) -> Result<[u8; 32], Broken> {
        let key = pake.finish(message).map_err(|_| Broken)?;
        key.try_into().map_err(|_| Broken)
    }
}

impl From<snow::Error> for Broken {
    fn from(_: snow::Error) -> Self {
        Broken
    }
}

/// The pair of a secret key, by the implementation that the handshakes use.
fn curve(secret: &[u8; 32]) -> Option<Box<dyn Dh>> {
    let mut pair = DefaultResolver.resolve_dh(&DHChoice::Curve25519)?;
    pair.set(secret);
    Some(pair)
}

/// Random bytes that are there already: enough for one key, and none twice.
struct Given<const N: usize>([u8; N]);

impl CryptoResolver for Given<32> {
    fn resolve_rng(&self) -> Option<Box<dyn snow::types::Random>> {
        Some(Box::new(Once(Some(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// The bytes of one ephemeral key.
struct Once(Option<[u8; 32]>);

impl snow::types::Random for Once {
    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().ok_or(snow::Error::Rng)?;
        if into.len() != bytes.len() {
            return Err(snow::Error::Rng);
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

/// What `spake2` asks for: one scalar, of 64 bytes.
impl RngCore for Given<64> {
    fn next_u32(&mut self) -> u32 {
        rand_core_06::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core_06::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        assert_eq!(
            into.len(),
            self.0.len(),
            "one scalar is made of all of them"
        );
        into.copy_from_slice(&self.0);
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Given<64> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(pattern: Pattern, prologues: [&[u8]; 2]) -> Result<[TransportState; 2], Broken> {
        let [a, b] = [[1; 32], [2; 32]].map(|secret| Noise::identity(&secret));
        let known = Noise::public(&b);
        let mut ends = [
            Noise::handshake(
                &a,
                pattern,
                Side::Initiator,
                Some(&known),
                prologues[0],
                [3; 32],
            )?,
            Noise::handshake(&b, pattern, Side::Responder, None, prologues[1], [4; 32])?,
        ];
        let steps = if pattern == Pattern::Known { 2 } else { 3 };
        for step in 0..steps {
            let message = Noise::write(&mut ends[step % 2], b"")?;
            Noise::read(&mut ends[1 - step % 2], &message)?;
        }
        assert_eq!(Noise::remote(&ends[1]), Some(Noise::public(&a)));
        assert_eq!(Noise::digest(&ends[0]), Noise::digest(&ends[1]));
        let [a, b] = ends.map(Noise::transport);
        Ok([a?, b?])
    }

    #[test]
    fn both_patterns_end_in_a_transport() {
        for pattern in [Pattern::Known, Pattern::Unknown] {
            let [mut a, mut b] = pair(pattern, [b"p", b"p"]).unwrap();
            let mut sealed = Vec::new();
            Noise::seal(&mut a, b"hello", &mut sealed).unwrap();
            assert_eq!(Noise::open(&mut b, &sealed).unwrap(), b"hello");
            assert!(Noise::open(&mut b, &sealed).is_err(), "a replay is refused");
        }
    }

    #[test]
    fn another_prologue_ends_the_handshake() {
        for pattern in [Pattern::Known, Pattern::Unknown] {
            assert!(pair(pattern, [b"p", b"q"]).is_err());
        }
    }

    #[test]
    fn a_pair_has_one_key() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]].map(|secret| Noise::identity(&secret));
        let key = |a, b| Noise::pair_key(a, &Noise::public(b));
        assert_eq!(key(&a, &b), key(&b, &a));
        assert_ne!(key(&a, &b), key(&a, &c));
    }

    #[test]
    fn the_exchange_agrees_on_equal_pins_and_refuses_reflection() {
        let run = |pins: [&[u8]; 2]| {
            let names: [&[u8]; 2] = [b"a", b"b"];
            let (a, x) = Noise::pake(Side::Initiator, pins[0], names, [5; 64]);
            let (b, y) = Noise::pake(Side::Responder, pins[1], names, [6; 64]);
            (Noise::agree(a, &y).unwrap(), Noise::agree(b, &x).unwrap())
        };
        let (a, b) = run([b"123456", b"123456"]);
        assert_eq!(a, b);
        let (a, b) = run([b"123456", b"123457"]);
        assert_ne!(a, b);
        let (a, x) = Noise::pake(Side::Initiator, b"1", [b"a", b"b"], [5; 64]);
        assert!(Noise::agree(a, &x).is_err());
    }
}
