//! What each badge stands for.

use crate::{namespace::Place, quota::Account};
use alloc::vec::Vec;
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
///
/// A badge is the number of its place here, and above that a serial number, so that none
/// is ever used again.
#[derive(Debug)]
pub struct Sessions {
    places: Vec<Option<(u64, Session)>>,
    free: Vec<usize>,
    serial: u64,
}

/// Low bits of a badge that are its place; more than there is memory for.
const PLACE_BITS: u32 = 24;

impl Sessions {
    /// No sessions. Badges are made from `first` on: a restarted server begins
    /// behind those that clients of its predecessor still hold.
    pub fn new(first: u64) -> Self {
        Sessions {
            places: Vec::new(),
            free: Vec::new(),
            serial: first.max(SERVER_BADGES) >> PLACE_BITS,
        }
    }

    /// Begins a session and returns its badge, never used before.
    pub fn begin(&mut self, session: Session) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.serial += 1;
        let badge = self.serial << PLACE_BITS | place as u64;
        self.places[place] = Some((badge, session));
        badge
    }

    /// The session with this badge.
    #[inline]
    pub fn get(&self, badge: u64) -> Option<&Session> {
        match self.places.get(place(badge))? {
            Some((held, session)) if *held == badge => Some(session),
            _ => None,
        }
    }

    /// The session with this badge, to change it.
    pub fn get_mut(&mut self, badge: u64) -> Option<&mut Session> {
        match self.places.get_mut(place(badge))? {
            Some((held, session)) if *held == badge => Some(session),
            _ => None,
        }
    }

    /// Ends a session.
    pub fn end(&mut self, badge: u64) -> Option<Session> {
        let session = *self.get(badge)?;
        self.places[place(badge)] = None;
        self.free.push(place(badge));
        Some(session)
    }
}

fn place(badge: u64) -> usize {
    (badge & ((1 << PLACE_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Accounts;

    fn session(number: u64) -> Session {
        Session {
            payer: Accounts::GUEST,
            opened: Opened::PipeReader(number),
        }
    }

    #[test]
    fn no_badge_is_used_again() {
        let mut sessions = Sessions::new(0);
        let [first, second] = [1, 2].map(|number| sessions.begin(session(number)));
        assert_eq!(sessions.get(second), Some(&session(2)));
        assert_eq!(sessions.end(first), Some(session(1)));
        let third = sessions.begin(session(3));
        assert_eq!(sessions.places.len(), 2);
        assert!(sessions.get(first).is_none() && sessions.get_mut(first).is_none());
        assert_eq!(sessions.end(first), None);
        assert_eq!(sessions.get(third), Some(&session(3)));
        // A successor, which is told of the last badge that is held.
        let mut successor = Sessions::new(third + 1);
        assert!((0..3).all(|number| successor.begin(session(number)) > third));
    }
}
