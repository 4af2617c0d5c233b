//! What is done with secrets, behind two traits, so that whoever does it can be a task of
//! its own: the static key, the keys of datagrams, those of streams, and the key that a PIN
//! makes. Nothing here gives a secret out.
//!
//! [`Holder`] does it in place, by any [`crate::suite::Suite`]: in the laboratory, and in the
//! task that holds the keys of a device.

mod exchange;
mod holder;

pub use holder::{HeldSession, Holder};

use alloc::{boxed::Box, vec::Vec};

pub use crate::suite::{Broken, PAKE, Pattern, PublicKey, Side};
use crate::trust::Trusted;

/// A kind of datagram whose sender a tag shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagged {
    /// An announcement; eight bytes of the tag are sent.
    Hello,
    /// A ping; all of the tag is sent.
    Ping,
}

impl Tagged {
    /// What a tag of this kind begins with.
    fn label(self) -> &'static [u8] {
        match self {
            Tagged::Hello => b"hello",
            Tagged::Ping => b"ping",
        }
    }

    /// Bytes of the tag that are sent.
    pub fn length(self) -> usize {
        match self {
            Tagged::Hello => 8,
            Tagged::Ping => 16,
        }
    }
}

/// Holds the static key of a device.
pub trait Keys: Send {
    /// The public half: the device's identity.
    fn public(&self) -> PublicKey;

    /// The tag of a datagram with this head that this device sends, for each of `peers`.
    /// None if that cannot be had now.
    fn tags(&mut self, kind: Tagged, peers: &[PublicKey], head: &[u8]) -> Option<Vec<[u8; 16]>>;

    /// The first of `candidates` who can have made a datagram with this head and one of
    /// these tags, each of [`Tagged::length`] bytes.
    fn recognise(
        &mut self,
        kind: Tagged,
        head: &[u8],
        tags: &[u8],
        candidates: &[PublicKey],
    ) -> Option<PublicKey>;

    /// Begins a handshake: with `peer`, if the pattern is [`Pattern::Known`] and the side
    /// the initiator. `random` makes the ephemeral key, unless the implementation has
    /// random numbers of its own.
    fn handshake(
        &mut self,
        pattern: Pattern,
        side: Side,
        peer: Option<&PublicKey>,
        prologue: &[u8],
        random: [u8; 32],
    ) -> Result<Box<dyn Session>, Broken>;
}

/// The keys of one stream: a handshake, then encryption for both directions, in order. After
/// an error it is of no more use.
pub trait Session: Send {
    /// The next message of the handshake.
    fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, Broken>;

    /// Takes the other side's message of the handshake and returns the payload.
    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, Broken>;

    /// The other side's static key, as soon as it is known.
    fn remote(&self) -> Option<PublicKey>;

    /// The handshake is complete.
    fn complete(&mut self) -> Result<(), Broken>;

    /// Encrypts messages, in order.
    fn seal(&mut self, plain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Broken>;

    /// Decrypts messages, in order, as far as they are what the other side wrote.
    fn open(&mut self, sealed: &[Vec<u8>]) -> Vec<Vec<u8>>;

    /// Begins an exchange over a PIN, once the handshake is complete: this side's message.
    /// `random` as in [`Keys::handshake`].
    fn exchange(&mut self, pin: &[u8], random: [u8; 64]) -> Result<[u8; PAKE], Broken>;

    /// Takes the other side's: both have the same key now, if the PIN was the same.
    fn agree(&mut self, message: &[u8; PAKE]) -> Result<(), Broken>;

    /// What shows the other side that we have the same key, and who we say that we are.
    fn confirmation(&mut self, me: &Trusted) -> Result<[u8; 16], Broken>;

    /// Whether the other side has shown that.
    fn confirms(&mut self, shown: &[u8; 16], them: &Trusted) -> Result<bool, Broken>;
}
