//! What is taken back, dropped or forgotten, with all that came of it.

use alloc::vec::Vec;

use libipc_abi::status::Cause;

use super::{Export, Local, Table, Taken};
use crate::suite::PublicKey;
use crate::wire::ObjectId;

impl Table {
    /// Calls that still run through what was taken back.
    pub fn running(&self, taken: &[Taken]) -> u32 {
        let running = |taken: &Taken| {
            let export = self.exports.get(&(taken.peer, taken.object.number));
            export.map_or(0, |export| export.running)
        };
        taken.iter().map(running).sum()
    }

    /// Takes an object back from everybody, or from one peer. Nothing begins through it
    /// from now on. What is no more since now, and all of it.
    pub fn revoke(&mut self, local: Local, from: Option<&PublicKey>) -> (Vec<Taken>, Vec<Taken>) {
        let wanted = |peer: &PublicKey, export: &Export| {
            export.local == local && from.is_none_or(|from| from == peer)
        };
        let exports = self.exports.iter();
        let roots = exports.filter(|((peer, _), export)| wanted(peer, export));
        let roots: Vec<_> = roots.map(|(key, _)| *key).collect();
        let (mut taken, mut all) = (Vec::new(), Vec::new());
        for (peer, number) in roots {
            self.take(&peer, number, &mut taken);
            self.under(&peer, number, &mut all);
        }
        // What one handed on to another is found from both.
        all.sort_unstable();
        all.dedup();
        (taken, all)
    }

    /// A peer takes back what it handed on: what is no more since now, and all of it.
    pub fn take_back(
        &mut self,
        grantor: &PublicKey,
        third: &PublicKey,
        object: ObjectId,
    ) -> Result<(Vec<Taken>, Vec<Taken>), Cause> {
        if object.epoch != self.epoch {
            return Err(Cause::EpochChanged);
        }
        let export = self.exports.get(&(*third, object.number));
        match export.map(|export| export.grantor) {
            // It was released: nothing is left to take.
            None => return Ok((Vec::new(), Vec::new())),
            Some(Some(by)) if by.peer == *grantor => {}
            Some(_) => return Err(Cause::Denied),
        }
        let (mut taken, mut all) = (Vec::new(), Vec::new());
        self.take(third, object.number, &mut taken);
        self.under(third, object.number, &mut all);
        Ok((taken, all))
    }

    /// One reference, and what came of it, also what was taken before: calls may still run
    /// there. It is twice [`crate::limits::HOPS`] deep at most, as
    /// what its holder got through it is not deep.
    fn under(&self, peer: &PublicKey, number: u64, found: &mut Vec<Taken>) {
        let object = ObjectId {
            number,
            epoch: self.epoch,
        };
        found.push(Taken {
            peer: *peer,
            object,
        });
        for (holder, number) in self.children(peer, number) {
            self.under(&holder, number, found);
        }
    }

    /// Takes one reference back, and what came of it.
    fn take(&mut self, peer: &PublicKey, number: u64, taken: &mut Vec<Taken>) {
        if let Some(export) = self.exports.get_mut(&(*peer, number))
            && !export.revoked
        {
            export.revoked = true;
            let object = ObjectId {
                number,
                epoch: self.epoch,
            };
            taken.push(Taken {
                peer: *peer,
                object,
            });
        }
        for (holder, number) in self.children(peer, number) {
            let gone = self
                .exports
                .get(&(holder, number))
                .is_none_or(|child| child.revoked);
            if !gone {
                self.take(&holder, number, taken);
            }
        }
    }

    fn children(&self, peer: &PublicKey, number: u64) -> Vec<(PublicKey, u64)> {
        let of = (*peer, number);
        let first = (of, (PublicKey([0; 32]), 0));
        let last = (of, (PublicKey([u8::MAX; 32]), u64::MAX));
        self.below
            .range(first..=last)
            .map(|(_, held)| *held)
            .collect()
    }

    pub(super) fn remove(&mut self, peer: &PublicKey, number: u64) {
        let Some(export) = self.exports.remove(&(*peer, number)) else {
            return;
        };
        if let Some(above) = export.above(peer) {
            self.below.remove(&(above, (*peer, number)));
        }
        if let Some(grantor) = export.grantor {
            let object = ObjectId {
                number,
                epoch: self.epoch,
            };
            self.gone.push(Taken {
                peer: grantor.peer,
                object,
            });
        }
        if let Some(root) = export.came_of {
            self.remove_unheld(peer, root);
        }
    }

    /// Removes what its holder has dropped, unless a call runs through it, or something
    /// that came of it is held: that ends with it.
    pub(super) fn remove_unheld(&mut self, peer: &PublicKey, number: u64) {
        let export = self.exports.get(&(*peer, number));
        let is_unheld = |export: &Export| export.references == 0 && export.running == 0;
        let mut children = self.children(peer, number).into_iter();
        if export.is_some_and(is_unheld) && !children.any(|(holder, _)| holder == *peer) {
            self.remove(peer, number);
        }
    }

    /// What was handed on and is no more: who did that need not remember it.
    pub fn gone(&mut self) -> Vec<Taken> {
        core::mem::take(&mut self.gone)
    }

    /// A peer drops references. What it handed on goes with the last; what it got through
    /// it stays.
    pub fn release(&mut self, peer: &PublicKey, object: ObjectId, count: u32) -> Vec<Taken> {
        let key = (*peer, object.number);
        let mut taken = Vec::new();
        if object.epoch != self.epoch {
            return taken;
        }
        if let Some(export) = self.exports.get_mut(&key) {
            export.references = export.references.saturating_sub(count);
            if export.references == 0 {
                let children = self.children(peer, object.number).into_iter();
                for (holder, number) in children.filter(|(holder, _)| holder != peer) {
                    self.take(&holder, number, &mut taken);
                }
                self.remove_unheld(peer, object.number);
            }
        }
        taken
    }

    /// A peer is gone for good, or began anew: nothing is left of what it held, but for
    /// what was handed on to it and never used, of which it may just have been told.
    pub fn forget(&mut self, peer: &PublicKey) -> Vec<Taken> {
        let is_old = |export: &Export| export.used || export.grantor.is_none();
        let old = self.of(peer).filter(|(_, export)| is_old(export));
        let numbers: Vec<_> = old.map(|(number, _)| number).collect();
        let mut taken = Vec::new();
        for number in numbers {
            self.take(peer, number, &mut taken);
            if let Some(export) = self.exports.get_mut(&(*peer, number)) {
                export.references = 0;
                if export.running == 0 {
                    self.remove(peer, number);
                }
            }
        }
        taken.retain(|taken| taken.peer != *peer);
        taken
    }

    /// A peer is no longer trusted: nothing is left of what it held, handed on or not.
    pub fn revoke_from(&mut self, peer: &PublicKey) -> Vec<Taken> {
        for export in self.of_mut(peer).map(|(_, export)| export) {
            export.used = true;
        }
        self.forget(peer)
    }
}
