//! What the protocol tells.

use crate::server::Server;
use alloc::vec::Vec;
use libipc::interfaces::bus::BusError;
use libipc::status::{Cause, TransportError};
use tessera_softbus_protocol::{
    Millis,
    limits::HELLO_SLOWEST,
    node::{Event, RevocationId},
    pairing::PairingError,
    suite::PublicKey,
};

/// For how long another device counts as there after it was heard with this one's key:
/// longer than it may be silent.
const DOUBLED: Millis = 3 * HELLO_SLOWEST;

impl Server<'_> {
    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::Appeared(_) | Event::Gone(_) | Event::Connected(_) | Event::Strangers => {
                self.tell_watchers();
            }
            Event::Lost(key) => {
                let silence = self.node.silence(&key, self.now());
                if let Some(stats) = self.stats_of(&key) {
                    stats.losses += 1;
                    stats.silence = silence;
                }
                self.tell_watchers();
            }
            Event::Paired(key) => {
                if let Some(reply) = self.waiting.pair.take() {
                    reply.answer(Ok(number(&key)));
                }
                self.tell_watchers();
            }
            Event::PairingFailed(error) => {
                if let Some(reply) = self.waiting.pair.take() {
                    reply.answer(Err(pairing(error)));
                }
            }
            Event::PairingClosed => self.tell_watchers(),
            Event::Twin(_) => {
                self.doubled_until = self.now() + DOUBLED;
                self.tell_watchers();
            }
            Event::Distrusted(key) => {
                self.stats.remove(&key);
                self.watched.retain(|(device, _)| *device != key);
                self.forget_device(&key);
                let of_it = |(of, _): &mut (PublicKey, _)| *of == key;
                let waiting: Vec<_> = self.waiting.distrust.extract_if(.., of_it).collect();
                for (_, reply) in waiting {
                    reply.answer(Ok(()));
                }
                self.tell_watchers();
            }
            Event::Browsed(id, found) => self.browsed(id, found),
            Event::Opened(id, opened) => self.opened(id, opened),
            Event::Answered(id, result) => self.answered(id, result),
            Event::Incoming(incoming) => self.incoming(incoming),
            Event::Cancelled(token) => self.cancelled(token),
            Event::Stopped(token) => self.stopped(token),
            // Calls of it say so.
            Event::Dead(..) | Event::HandedOn(..) => {}
            Event::Revoked(id, _) => self.revoked(id),
        }
    }

    fn revoked(&mut self, id: RevocationId) {
        if let Some((local, is_durable, reply)) = self.waiting.revoke.remove(&id) {
            self.exports.remove(local);
            reply.answer(match is_durable {
                true => Ok(()),
                false => Err(BusError::NotDurable),
            });
        }
    }

    /// What was to be kept could not be.
    pub(crate) fn not_durable(&mut self) {
        if let Some(reply) = self.waiting.pair.take() {
            reply.answer(Err(BusError::NotDurable));
        }
        for (_, reply) in self.waiting.distrust.drain(..) {
            reply.answer(Err(BusError::NotDurable));
        }
    }

    fn tell_watchers(&mut self) {
        self.watchers
            .retain(|_, (endpoint, bits)| endpoint.signal(*bits).is_ok());
    }
}

/// The number of a device that is trusted.
pub(crate) fn number(key: &PublicKey) -> u64 {
    key.0
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub(crate) fn transport(error: TransportError) -> BusError {
    match error.cause {
        Cause::Denied | Cause::Revoked => BusError::NoService,
        Cause::TimedOut | Cause::Cancelled => BusError::TimedOut,
        Cause::QuotaExceeded => BusError::TooMany,
        Cause::Malformed | Cause::VersionMismatch => BusError::Broken,
        _ => BusError::Unreachable,
    }
}

pub(crate) fn pairing(error: PairingError) -> BusError {
    match error {
        PairingError::WrongPin => BusError::WrongPin,
        PairingError::Broken => BusError::Broken,
        PairingError::TimedOut => BusError::TimedOut,
        PairingError::Unreachable => BusError::NotOpen,
        PairingError::Busy => BusError::Busy,
        PairingError::Full => BusError::TooMany,
    }
}
