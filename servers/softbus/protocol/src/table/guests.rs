//! Devices that are known for an object alone, and room for more of them.

use alloc::vec::Vec;

use super::{Export, Table};
use crate::limits::GUESTS;
use crate::suite::PublicKey;

impl Table {
    /// Whether a peer holds anything that was not taken back.
    pub fn is_guest(&self, peer: &PublicKey) -> bool {
        self.of(peer).any(|(_, export)| export.is_held())
    }

    /// Whether another guest can be taken in, beside those for which this holds.
    pub fn has_room_for(&self, peer: &PublicKey, trusted: impl Fn(&PublicKey) -> bool) -> bool {
        let mut guests: Vec<PublicKey> = self.exports.keys().map(|(peer, _)| *peer).collect();
        guests.dedup();
        guests.retain(|guest| !trusted(guest) && guest != peer);
        guests.len() < GUESTS
    }

    /// Makes room for another guest: nothing is left of one that holds nothing but what
    /// was taken back, and it is returned.
    pub fn drop_guest(
        &mut self,
        guest: &PublicKey,
        trusted: impl Fn(&PublicKey) -> bool,
    ) -> Option<PublicKey> {
        let may_go = |peer: &PublicKey| {
            let mut its = self.of(peer);
            peer != guest
                && !trusted(peer)
                && its.all(|(_, export)| !export.is_held() && export.running == 0)
        };
        let guest = self.holders().into_iter().find(may_go)?;
        while self.drop_taken(&guest, |_| true) {}
        Some(guest)
    }

    /// What was taken back is kept so that its holder hears why, until its place is
    /// needed: the holder may never have heard of it.
    pub(super) fn drop_taken(&mut self, peer: &PublicKey, may: impl Fn(&Export) -> bool) -> bool {
        let taken = self
            .of(peer)
            .find(|(_, export)| is_taken(export) && may(export));
        let number = taken.map(|(number, _)| number);
        if let Some(number) = number {
            self.remove(peer, number);
        }
        number.is_some()
    }

    /// The same of what a peer handed on.
    pub(super) fn drop_handed(&mut self, by: &PublicKey) -> bool {
        let is_taken = |held: &(PublicKey, u64)| self.exports.get(held).is_some_and(is_taken);
        let taken = self.handed_by(by).find(is_taken);
        if let Some((peer, number)) = taken {
            self.remove(&peer, number);
        }
        taken.is_some()
    }

    /// Devices that are known because a peer handed something on to them.
    pub fn guests_of(
        &self,
        by: &PublicKey,
        trusted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<PublicKey> {
        let guests = self.handed_by(by).map(|(guest, _)| guest);
        let mut guests: Vec<_> = guests.filter(|guest| !trusted(guest)).collect();
        guests.sort_unstable();
        guests.dedup();
        guests
    }
}

fn is_taken(export: &Export) -> bool {
    export.revoked && export.running == 0
}
