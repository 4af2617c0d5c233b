//! A session: a badge of an endpoint, and the copies that carry it.

use crate::{
    Entered,
    cell::{Link, Word},
    list::{Node, Through},
    memory::slab::{self, Named, Object},
    object::endpoint::Endpoint,
};

/// A badge of an endpoint. Written as its endpoint is.
#[derive(Default)]
#[repr(align(64))]
pub struct Session {
    /// Unique number.
    pub id: Word<u64>,
    /// The endpoint; the session is in its list.
    pub endpoint: Link<Endpoint>,
    /// What the server sees.
    pub badge: Word<u64>,
    /// Capabilities with this badge. At zero the endpoint delivers `Closed`.
    pub copies: Word<u64>,
    /// Calls that wait or are being served.
    pub in_flight: Word<u64>,
    /// Most calls in flight at once.
    pub limit: Word<u64>,
    /// Calls so far.
    pub calls: Word<u64>,
    /// Bytes beyond registers that those calls carried.
    pub bytes: Word<u64>,
    /// `Closed` was delivered, or will never be: nobody can receive it.
    pub told: Word<bool>,
    all: Node<Session>,
    closed: Node<Session>,
}

impl Object for Session {
    const CLASS: usize = 1;
}

impl Named for Session {
    fn id(&self) -> u64 {
        self.id.get()
    }
}

/// All sessions of an endpoint.
#[derive(Debug)]
pub struct All;

impl Through<Session> for All {
    fn node(object: &Session) -> &Node<Session> {
        &object.all
    }
}

/// Sessions without copies whose `Closed` was not yet delivered.
#[derive(Debug)]
pub struct Closed;

impl Through<Session> for Closed {
    fn node(object: &Session) -> &Node<Session> {
        &object.closed
    }
}

impl Session {
    /// Ends the session once nothing refers to it any more.
    pub fn end_if_unused(&self, k: Entered<'_>) {
        if self.copies.get() == 0
            && self.in_flight.get() == 0
            && self.told.get()
            && let Some(endpoint) = self.endpoint.take(k)
        {
            endpoint.sessions.remove(k, self);
            endpoint.session_count.take(1);
            slab::retire(k, self);
            endpoint.release(k);
        }
    }
}
