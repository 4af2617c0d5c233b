//! Devices that take every operation of an object for given: what holds them back is its
//! owner alone.

use tessera_softbus_protocol::announce::Datagram;
use tessera_softbus_protocol::pairing::Said;
use tessera_softbus_protocol::parser::{Inline, Parser};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::wire::{Body, Message, ObjectRef, Rights};

/// Reads in place, and more into it.
pub struct Greedy;

impl Parser for Greedy {
    fn messages(&mut self, peer: &PublicKey, is_guest: bool, plain: &[Vec<u8>]) -> Vec<Message> {
        let mut messages = Inline.messages(peer, is_guest, plain);
        for message in &mut messages {
            let objects = match message {
                Message::Sequenced(_, Body::Call(call)) => &mut call.objects,
                Message::Sequenced(_, Body::Reply(reply)) => &mut reply.objects,
                _ => continue,
            };
            for object in objects {
                if let ObjectRef::Export(_, rights) | ObjectRef::Ticket { rights, .. } = object {
                    rights.operations = Rights::ALL.operations;
                }
            }
        }
        messages
    }

    fn exchange(&mut self, plain: &[Vec<u8>]) -> Vec<Said> {
        Inline.exchange(plain)
    }

    fn datagram(&mut self, bytes: &[u8]) -> Option<Datagram> {
        Inline.datagram(bytes)
    }

    fn forget(&mut self, _: &PublicKey) {}
}
