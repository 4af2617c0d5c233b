//! What each badge stands for.

use crate::{namespace::Place, quota::Account};
use alloc::collections::BTreeMap;
use libipc::interfaces::{FileAccess, StreamMode, clients::SERVER_BADGES};

/// A badge's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// An open directory.
    Directory(Place, FileAccess),
    /// An open file.
    File(Place, FileAccess),
    /// A stream over a file: its place, how it is used, its position.
    Stream(Place, StreamMode, u64),
    /// The reading end of the pipe with this number.
    PipeReader(u64),
    /// The writing end of the pipe with this number.
    PipeWriter(u64),
}

/// An open thing and who pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose limits it counts against.
    pub payer: Account,
    /// What it is.
    pub opened: Opened,
}

/// All badges that this server has made and that are still held.
#[derive(Debug)]
pub struct Sessions {
    by_badge: BTreeMap<u64, Session>,
    next: u64,
}

impl Sessions {
    /// No sessions. Badges are made from `first` on: a restarted server begins
    /// behind those that clients of its predecessor still hold.
    pub fn new(first: u64) -> Self {
        Sessions {
            by_badge: BTreeMap::new(),
            next: first.max(SERVER_BADGES),
        }
    }

    /// Begins a session and returns its badge, never used before.
    pub fn begin(&mut self, session: Session) -> u64 {
        let badge = self.next;
        self.next += 1;
        self.by_badge.insert(badge, session);
        badge
    }

    /// The session with this badge.
    pub fn get(&self, badge: u64) -> Option<&Session> {
        self.by_badge.get(&badge)
    }

    /// The session with this badge, to change it.
    pub fn get_mut(&mut self, badge: u64) -> Option<&mut Session> {
        self.by_badge.get_mut(&badge)
    }

    /// Ends a session.
    pub fn end(&mut self, badge: u64) -> Option<Session> {
        self.by_badge.remove(&badge)
    }
}
