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
    /// Calls that may still begin: the limit less those that wait or are being served.
    /// Negative, by [`Session::ABANDONED`], once no capability with this badge is left.
    pub room: Word<u64>,
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
    /// In `room`: nobody can begin a call any more, and the end of the last one may be
    /// that of the session.
    pub const ABANDONED: u64 = 1 << 63;

    /// The limit of a new session; more than can ever be in flight is as good as any.
    pub fn set_limit(&self, limit: u64) {
        let limit = limit.min(Session::ABANDONED - 1);
        self.limit.set(limit);
        self.room.set(limit);
    }

    /// Calls that wait or are being served.
    pub fn in_flight(&self) -> u64 {
        self.limit.get() - (self.room.get() & !Session::ABANDONED)
    }

    /// Whether no more calls may begin.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.room.get() == 0
    }

    /// Ends the session once nothing refers to it any more.
    pub fn end_if_unused(&self, k: Entered<'_>) {
        if self.copies.get() == 0
            && self.in_flight() == 0
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
