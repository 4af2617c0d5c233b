//! Who reads what a peer says, behind a trait, so that it can be a task of its own: one for
//! each peer that holds no key, no right and nothing of another peer, and one for strangers.
//!
//! [`Inline`] does it in place: in the laboratory and in tests.

use alloc::vec::Vec;

use crate::announce::Datagram;
use crate::pairing::Said;
use crate::suite::PublicKey;
use crate::wire::Message;

/// Reads bytes of others. Whatever it answers is taken for what they said, so that who
/// breaks into it can say what its peer could have said, and no more.
pub trait Parser: Send {
    /// The messages of a session with `peer`, in order, as far as they are messages. Fewer
    /// than there are plain texts: the next one is none, or nobody is there to read it, and
    /// the stream breaks. A guest comes by a hand-over and is not trusted.
    fn messages(&mut self, peer: &PublicKey, is_guest: bool, plain: &[Vec<u8>]) -> Vec<Message>;

    /// The same for an exchange over a PIN, of somebody who is a stranger still.
    fn exchange(&mut self, plain: &[Vec<u8>]) -> Vec<Said>;

    /// A datagram, of anybody.
    fn datagram(&mut self, bytes: &[u8]) -> Option<Datagram>;

    /// A peer is known no longer.
    fn forget(&mut self, peer: &PublicKey);
}

/// Reads in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Parser for Inline {
    fn messages(&mut self, _: &PublicKey, _: bool, plain: &[Vec<u8>]) -> Vec<Message> {
        let read = plain.iter().map(|plain| Message::read(plain));
        read.map_while(Result::ok).collect()
    }

    fn exchange(&mut self, plain: &[Vec<u8>]) -> Vec<Said> {
        let read = plain.iter().map(|plain| Said::read(plain));
        read.map_while(Result::ok).collect()
    }

    fn datagram(&mut self, bytes: &[u8]) -> Option<Datagram> {
        Datagram::read(bytes).ok()
    }

    fn forget(&mut self, _: &PublicKey) {}
}
