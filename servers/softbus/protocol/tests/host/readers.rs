//! Readers that make something else of what peers say, as one that somebody broke into may.

use tessera_softbus_protocol::announce::Datagram;
use tessera_softbus_protocol::pairing::Said;
use tessera_softbus_protocol::parser::{Inline, Parser};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::wire::Message;

/// What becomes of something that was read.
type Change<T> = Box<dyn FnMut(&mut T) + Send>;

/// Reads in place, and changes what was read.
pub(crate) struct Changes {
    message: Change<Message>,
    datagram: Change<Datagram>,
}

impl Changes {
    /// Of messages.
    pub(crate) fn messages(change: impl FnMut(&mut Message) + Send + 'static) -> Box<Self> {
        Box::new(Changes {
            message: Box::new(change),
            datagram: Box::new(|_| ()),
        })
    }

    /// Of datagrams.
    pub(crate) fn datagrams(change: impl FnMut(&mut Datagram) + Send + 'static) -> Box<Self> {
        Box::new(Changes {
            message: Box::new(|_| ()),
            datagram: Box::new(change),
        })
    }
}

impl Parser for Changes {
    fn messages(&mut self, peer: &PublicKey, is_guest: bool, plain: &[Vec<u8>]) -> Vec<Message> {
        let mut messages = Inline.messages(peer, is_guest, plain);
        messages.iter_mut().for_each(&mut self.message);
        messages
    }

    fn exchange(&mut self, plain: &[Vec<u8>]) -> Vec<Said> {
        Inline.exchange(plain)
    }

    fn datagram(&mut self, bytes: &[u8]) -> Option<Datagram> {
        let mut datagram = Inline.datagram(bytes)?;
        (self.datagram)(&mut datagram);
        Some(datagram)
    }

    fn forget(&mut self, _: &PublicKey) {}
}
