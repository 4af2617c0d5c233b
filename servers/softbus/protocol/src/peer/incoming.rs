//! Calls of one peer here.

use alloc::{vec, vec::Vec};

use super::Hostile;
use crate::Millis;
use crate::wire::{Call, Piece};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Bytes of its leases are missing.
    Filling,
    /// The host has it.
    Running,
    /// Answered by the message with this number: the record is kept until the peer has
    /// acknowledged that.
    Answered(u64),
}

/// A call as it came.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Never used twice, unlike the peer's own number.
    pub(super) serial: u64,
    pub(super) call: Call,
    pub(super) leases: Vec<Vec<u8>>,
    filled: Vec<usize>,
    missing: usize,
    /// What it takes of the credit.
    pub(super) held: u64,
    pub(super) stage: Stage,
    pub(super) deadline: Option<Millis>,
    /// The host was told that nobody waits any longer.
    pub(super) cancelled: bool,
}

impl Incoming {
    pub(super) fn new(serial: u64, call: Call, held: u64, now: Millis) -> Self {
        let read = call.leases.iter().filter(|lease| lease.access.reads());
        let leases = call.leases.iter().map(|lease| {
            // Memory grows with what comes; what is only written is there from the start.
            if lease.access.reads() {
                Vec::new()
            } else {
                vec![0; lease.length as usize]
            }
        });
        Incoming {
            serial,
            missing: read.map(|lease| lease.length as usize).sum(),
            leases: leases.collect(),
            filled: call.leases.iter().map(|_| 0).collect(),
            held,
            stage: Stage::Filling,
            deadline: (call.remaining != u32::MAX).then(|| now + u64::from(call.remaining)),
            cancelled: false,
            call,
        }
    }

    /// Whether all of it is here.
    pub(super) fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Bytes that the caller lends: in order, and no more than it said.
    pub(super) fn lend(&mut self, piece: &Piece, held: u64) -> Result<(), Hostile> {
        let index = usize::from(piece.lease);
        let head = self.call.leases.get(index).ok_or(Hostile::Lease)?;
        let (start, end) = (
            piece.offset as usize,
            piece.offset as usize + piece.bytes.len(),
        );
        let is_next = head.access.reads() && start == self.filled[index];
        if self.stage != Stage::Filling || !is_next || end > head.length as usize {
            return Err(Hostile::Lease);
        }
        self.leases[index].extend_from_slice(&piece.bytes);
        self.filled[index] = end;
        self.missing -= piece.bytes.len();
        self.held += held;
        Ok(())
    }
}
