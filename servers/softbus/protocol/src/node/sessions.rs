//! Sessions: what is said over a stream, and which of a peer's streams counts.

use alloc::vec::Vec;

use super::{Event, Node, Output, StreamId};
use crate::Millis;
use crate::limits::ALL_BYTES;
use crate::link::Purpose;
use crate::peer::{Continuity, Heard};
use crate::suite::{PublicKey, Side};
use crate::wire::{Body, Message, Resume};
use libipc_abi::status::Cause;

impl Node {
    /// Messages came, which whoever parses reads.
    pub(super) fn data(&mut self, id: StreamId, plain: &[Vec<u8>], now: Millis) {
        let Some(stream) = self.streams.all.get(&id) else {
            return;
        };
        let Some(key) = stream.link.peer() else {
            return;
        };
        let count = plain.len();
        if stream.link.purpose() == Purpose::Pairing {
            let said = self.parser.exchange(plain);
            let is_broken = said.len() < count;
            for said in said {
                self.run_heard(id, Some(said), now);
            }
            if is_broken {
                self.run_heard(id, None, now);
            }
            return;
        }
        let is_guest = !self.trust.holds(&key);
        let messages = self.parser.messages(&key, is_guest, plain);
        let is_broken = messages.len() < count;
        for message in messages {
            self.message(id, key, Some(message), now);
        }
        if is_broken {
            self.message(id, key, None, now);
        }
    }

    /// A message of a session, or what is none.
    fn message(&mut self, id: StreamId, key: PublicKey, message: Option<Message>, now: Millis) {
        let Some(stream) = self.streams.all.get(&id) else {
            return;
        };
        let side = stream.link.side();
        if !stream.proven {
            return match message {
                Some(Message::Resume(resume)) => match side {
                    Side::Initiator => self.responder_said(id, key, &resume, now),
                    Side::Responder => self.initiator_said(id, key, &resume, now),
                },
                _ => self.close(id, now),
            };
        }
        let is_call = matches!(message, Some(Message::Sequenced(_, Body::Call(_))));
        let room = match is_call {
            true => ALL_BYTES.saturating_sub(self.held_by_all()),
            false => 0,
        };
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        // A stream that was replaced: what it still brings comes again.
        if contact.current != Some(id) {
            return;
        }
        contact.heard = now;
        match message.map(|message| contact.peer.receive(message, room, now)) {
            Some(Ok(Heard::Resume(_)) | Err(_)) | None => self.close(id, now),
            Some(Ok(heard)) => {
                self.announcer.lives(&key, now + crate::limits::HELLO_EVERY);
                self.said(key, heard, now);
            }
        }
        self.busy.insert(key);
    }

    /// The first message on a stream that was opened to us.
    fn initiator_said(&mut self, id: StreamId, key: PublicKey, resume: &Resume, now: Millis) {
        let (me, lower) = ((self.boot, self.epoch), key < self.key);
        let imports = &self.imports;
        let Some(contact) = self.contacts.get_mut(&key) else {
            return self.close(id, now);
        };
        let same_run = contact.peer.remote() == Some((resume.boot, resume.epoch));
        let goes_on = same_run && resume.seen == me;
        // Another stream counts already, and it is newer, or equally new and opened by
        // the lower key: both sides decide alike. Or the initiator did not know of it
        // when it said this: it would end what has begun there.
        let has_newer = contact.generation > resume.generation
            || contact.generation == resume.generation && !lower
            || !goes_on;
        if same_run && contact.current.is_some() && has_newer {
            return self.close(id, now);
        }
        let lives = |object| imports.outlasts(&key, object);
        let Ok(continuity) = contact.peer.resumed_by_initiator(resume, lives) else {
            return self.close(id, now);
        };
        contact.generation = resume.generation;
        let reply = contact.peer.resume(resume.generation, !goes_on);
        self.streams.send(id, reply, &mut self.out);
        self.counts(id, key, continuity, now);
    }

    /// The first message on a stream that we opened.
    fn responder_said(&mut self, id: StreamId, key: PublicKey, resume: &Resume, now: Millis) {
        let lower = self.key < key;
        let imports = &self.imports;
        let generation = self
            .streams
            .all
            .get(&id)
            .map_or(0, |stream| stream.generation);
        let Some(contact) = self.contacts.get_mut(&key) else {
            return self.close(id, now);
        };
        let has_newer =
            contact.generation > generation || contact.generation == generation && !lower;
        if contact.current.is_some() && has_newer || resume.generation != generation {
            return self.close(id, now);
        }
        let lives = |object| imports.outlasts(&key, object);
        let Ok(continuity) = contact.peer.resumed_by_responder(resume, lives) else {
            return self.close(id, now);
        };
        contact.generation = generation;
        self.counts(id, key, continuity, now);
    }

    /// From now on this is the stream that counts.
    fn counts(&mut self, id: StreamId, key: PublicKey, continuity: Continuity, now: Millis) {
        if let Some(stream) = self.streams.all.get_mut(&id) {
            stream.proven = true;
        }
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        let old = contact.current.take();
        if contact.dialing == Some(id) {
            contact.dialing = None;
        }
        contact.connected(id, now);
        if let Some(old) = old {
            self.streams.all.remove(&old);
            self.out.push_back(Output::Close(old));
        }
        self.began_anew(key, continuity, Cause::EpochChanged, now);
        if old.is_none() {
            self.event(Event::Connected(key));
        }
        self.owe_revocations(&key, now);
        self.busy.insert(key);
    }
}
