//! The cryptography that the protocol needs, and nothing of what it carries.
//!
//! [`Noise`] is the only suite that devices use. The trait is there so that the
//! laboratory can simulate days of a thousand nodes with a cheap one. Who holds the secrets
//! that the functions take is said in [`crate::keys`].

mod noise;

pub use noise::Noise;

use alloc::vec::Vec;
use core::fmt;

/// A device's static public key: its identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first eight bytes, enough to tell devices apart on a screen.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Opened the stream.
    Initiator,
    /// Was called.
    Responder,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        }
    }
}

/// What the handshake presumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Noise IK: the initiator knows the responder's key and shows its own, encrypted.
    Known,
    /// Noise XX: both show their keys, encrypted.
    Unknown,
}

/// The cryptography broke off: the bytes are not what the other side wrote, or come at
/// the wrong moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A set of cryptographic functions.
pub trait Suite: 'static {
    /// A static key pair.
    type Identity: Send;
    /// A handshake under way.
    type Handshake: Send;
    /// What it ends in: encryption for both directions, in order.
    type Transport: Send;
    /// A password-authenticated key exchange after its first message.
    type Pake: Send;

    /// The pair of a secret key.
    fn identity(secret: &[u8; 32]) -> Self::Identity;
    /// Its public half.
    fn public(identity: &Self::Identity) -> PublicKey;
    /// A secret that only the two devices know: by it they recognise each other's
    /// datagrams.
    fn pair_key(identity: &Self::Identity, peer: &PublicKey) -> [u8; 32];
    /// A keyed digest.
    fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16];

    /// Begins a handshake. `random` makes its ephemeral key and is used once.
    fn handshake(
        identity: &Self::Identity,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<Self::Handshake, Broken>;
    /// Its next message.
    fn write(handshake: &mut Self::Handshake, payload: &[u8]) -> Result<Vec<u8>, Broken>;
    /// Takes the other side's message and returns the payload.
    fn read(handshake: &mut Self::Handshake, message: &[u8]) -> Result<Vec<u8>, Broken>;
    /// The other side's static key, as soon as it is known.
    fn remote(handshake: &Self::Handshake) -> Option<PublicKey>;
    /// Digest of all that was said: both see the same, or somebody is in between.
    fn digest(handshake: &Self::Handshake) -> [u8; 32];
    /// The handshake is complete.
    fn transport(handshake: Self::Handshake) -> Result<Self::Transport, Broken>;
    /// Encrypts the next message and appends it to `out`.
    fn seal(transport: &mut Self::Transport, plain: &[u8], out: &mut Vec<u8>)
    -> Result<(), Broken>;
    /// Decrypts the next message.
    fn open(transport: &mut Self::Transport, sealed: &[u8]) -> Result<Vec<u8>, Broken>;

    /// Begins the asymmetric exchange over a PIN: one of `Initiator` and `Responder`
    /// each, so that a message that comes back is refused. `names` are what each side
    /// is bound to. Returns the message for the other side.
    fn pake(
        side: Side,
        pin: &[u8],
        names: [&[u8]; 2],
        random: [u8; 64],
    ) -> (Self::Pake, [u8; PAKE]);
    /// The key, which is the same on both sides if the PIN was.
    fn agree(pake: Self::Pake, message: &[u8; PAKE]) -> Result<[u8; 32], Broken>;
}

/// Bytes of a message of the exchange over a PIN.
pub const PAKE: usize = 33;

/// Whether two digests are equal, in a time that does not tell where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let words = a.chunks(8).zip(b.chunks(8));
    // Of all words, for a look at each byte by itself takes much longer.
    let differ = words.fold(0, |differ, (a, b)| differ | word(a) ^ word(b));
    a.len() == b.len() && subtle::ConstantTimeEq::ct_eq(&differ, &0).into()
}
