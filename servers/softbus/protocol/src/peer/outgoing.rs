//! Calls of ours at one peer.

use alloc::vec::Vec;

use libipc_abi::operation::Class;

use super::Hostile;
use crate::Millis;
use crate::wire::{Access, Piece, Reply};

/// Memory that is lent for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lent {
    /// What the server may do with it.
    pub access: Access,
    /// Its contents; of what the server only writes, the length counts.
    pub bytes: Vec<u8>,
}

/// A call that was made, until it was answered.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) class: Class,
    pub(super) deadline: Option<Millis>,
    /// Of the device itself, not of an object: it makes sense after a restart too.
    pub(super) is_root: bool,
    pub(super) leases: Vec<Lent>,
    filled: Vec<usize>,
    /// Messages of it, and how many of them no stream was given yet.
    pub(super) messages: u32,
    pub(super) unsent: u32,
    /// The caller was told an error already.
    pub(super) ended: bool,
    /// What came after that.
    pub(super) late: Option<Reply>,
}

impl Outgoing {
    pub(super) fn new(
        class: Class,
        deadline: Option<Millis>,
        is_root: bool,
        leases: Vec<Lent>,
    ) -> Self {
        Outgoing {
            class,
            deadline,
            is_root,
            filled: leases.iter().map(|_| 0).collect(),
            leases,
            messages: 0,
            unsent: 0,
            ended: false,
            late: None,
        }
    }

    /// Whether the peer may have all of it, and so may have run it.
    pub(super) fn is_delivered(&self) -> bool {
        self.unsent == 0
    }

    /// Milliseconds that the caller still waits.
    pub(super) fn remaining(&self, now: Millis) -> u32 {
        match self.deadline {
            _ if self.ended => 0,
            None => u32::MAX,
            Some(deadline) => deadline.saturating_sub(now).min(u64::from(u32::MAX - 1)) as u32,
        }
    }

    /// Bytes that the server wrote: in order, and where it may.
    pub(super) fn fill(&mut self, piece: &Piece) -> Result<(), Hostile> {
        let index = usize::from(piece.lease);
        let lease = self.leases.get_mut(index).ok_or(Hostile::Lease)?;
        let filled = self.filled.get_mut(index).ok_or(Hostile::Lease)?;
        let start = piece.offset as usize;
        if !lease.access.writes() || start != *filled {
            return Err(Hostile::Lease);
        }
        let end = start + piece.bytes.len();
        let place = lease.bytes.get_mut(start..end).ok_or(Hostile::Lease)?;
        place.copy_from_slice(&piece.bytes);
        *filled = end;
        Ok(())
    }
}
