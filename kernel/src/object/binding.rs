//! A binding: whom an object tells by itself what happens.

use crate::{
    Entered,
    capability::{derivation, object::Target, slot::Slot},
    cell::{Link, Word},
    ipc::{fast, signal},
    object::{endpoint::Endpoint, session::Session},
};
use libipc_abi::handle::Rights;

/// An endpoint that a fault handler is called at, or an interrupt line, a
/// reservation, a thread or the log signals. It comes from the capability with which it was
/// made: when that is taken back, it ends.
#[derive(Default)]
pub struct Binding {
    /// Counted in [`Endpoint::uses`].
    endpoint: Link<Endpoint>,
    /// The session of the capability; counted in [`Session::copies`].
    session: Link<Session>,
    /// Bits to set there.
    signals: Word<u64>,
    slot: Slot,
}

impl Binding {
    /// To nobody.
    pub const fn none() -> Binding {
        Binding {
            endpoint: Link::none(),
            session: Link::none(),
            signals: Word::zeroed(),
            slot: Slot::new(),
        }
    }

    /// Binds to this endpoint and to no other any more. `source` is the capability
    /// that leads there.
    pub fn bind(
        &self,
        k: Entered<'_>,
        source: &Slot,
        endpoint: &Endpoint,
        session: Option<&Session>,
        signals: u64,
    ) {
        self.end(k);
        Target::Endpoint(endpoint, session, 0).acquire(Rights::empty());
        self.endpoint.set(Some(endpoint));
        self.session.set(session);
        self.signals.set(signals);
        self.slot.fill_binding(self);
        derivation::add(k, source, &self.slot);
    }

    /// Binds to nobody.
    pub fn end(&self, k: Entered<'_>) {
        if let Some(endpoint) = self.endpoint.take(k) {
            derivation::remove(k, &self.slot);
            let session = self.session.take(k);
            Target::Endpoint(endpoint, session, 0).release(k, Rights::empty());
        }
    }

    /// Where it leads.
    pub fn endpoint<'k>(&self, k: Entered<'k>) -> Option<&'k Endpoint> {
        self.endpoint.get(k)
    }

    /// With which badge.
    pub fn session<'k>(&self, k: Entered<'k>) -> Option<&'k Session> {
        self.session.get(k)
    }

    /// Whether it leads to this endpoint.
    pub fn leads_to(&self, endpoint: &Endpoint) -> bool {
        self.endpoint.is(endpoint)
    }

    /// Sets its bits at the endpoint, if there is one.
    pub fn signal(&self, k: Entered<'_>) {
        if let Some(endpoint) = self.endpoint.get(k) {
            let signals = self.signals.get();
            if !fast::signal::raise(k, endpoint, signals) {
                signal::raise(k, endpoint, signals);
            }
        }
    }

    /// Its place in the tree of derivations.
    #[cfg(test)]
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }
}
