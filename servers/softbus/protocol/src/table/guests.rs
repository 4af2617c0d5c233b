//! Devices that are known for an object alone, and room for more of them.

use alloc::vec::Vec;

use super::{Export, Table};
use crate::limits::GUESTS;
use crate::suite::PublicKey;

impl Table {
    /// Whether a peer holds anything that was not taken back.
    pub fn is_guest(&self, peer: &PublicKey) -> bool {
        self.of(peer).any(|(_, export)| !export.revoked)
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
                && its.all(|(_, export)| export.revoked && export.running == 0)
        };
        let guest = self.holders().into_iter().find(may_go)?;
        while self.drop_taken(&guest) {}
        Some(guest)
    }

    /// What was taken back is kept so that its holder hears why, until its place is
    /// needed: the holder may never have heard of it.
    pub(super) fn drop_taken(&mut self, peer: &PublicKey) -> bool {
        let is_taken = |export: &Export| export.revoked && export.running == 0;
        let taken = self.of(peer).find(|(_, export)| is_taken(export));
        let number = taken.map(|(number, _)| number);
        if let Some(number) = number {
            self.remove(peer, number);
        }
        number.is_some()
    }
}
