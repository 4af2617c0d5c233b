//! Calls of one peer here.

use alloc::{vec, vec::Vec};

use libipc_abi::status::{Cause, TransportError};

use super::outgoing::Lent;
use super::{Heard, Hostile, Peer};
use crate::Millis;
use crate::limits::{CALL_BYTES, CALLS, MESSAGE_COST, PIECE, SMALL_BYTES};
use crate::wire::{self, Body, Call, Outcome, Payload, Piece, Reply};

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
    /// What it takes when all of it is here.
    pub(super) reserved: u64,
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
        let missing = read.map(|lease| lease.length as usize).sum();
        Incoming {
            serial,
            missing,
            reserved: held + missing as u64,
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

impl Peer {
    pub(super) fn called(
        &mut self,
        call: wire::Call,
        cost: u64,
        room: u64,
        now: Millis,
    ) -> Result<Heard, Hostile> {
        let number = call.call;
        if number <= self.last_call {
            return Err(Hostile::CallNumber);
        }
        self.last_call = number;
        let lent: u64 = call
            .leases
            .iter()
            .map(|lease| u64::from(lease.length))
            .sum();
        let needs = cost.max(MESSAGE_COST + call.payload.bytes.len() as u64 + lent);
        let has_room = needs <= room || self.reserved() + needs <= SMALL_BYTES;
        if self.incoming.len() >= CALLS || lent > CALL_BYTES || !has_room {
            self.window.free(cost);
            self.refuse(number, Cause::QuotaExceeded);
            return Ok(Heard::Unwanted(call.objects));
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let incoming = Incoming::new(serial, call, cost, now);
        let whole = incoming.is_whole();
        self.incoming.insert(number, incoming);
        Ok(if whole {
            self.whole(number, now)
        } else {
            Heard::Nothing
        })
    }

    /// All of a call is here: it runs, unless its caller has given up already.
    pub(super) fn whole(&mut self, number: u64, now: Millis) -> Heard {
        let Some(incoming) = self.incoming.get_mut(&number) else {
            return Heard::Nothing;
        };
        if incoming.deadline.is_some_and(|deadline| deadline <= now) {
            let objects = core::mem::take(&mut incoming.call.objects);
            self.finish(number, failed(Cause::TimedOut, false), &[]);
            return Heard::Unwanted(objects);
        }
        incoming.stage = Stage::Running;
        Heard::Call(incoming.serial)
    }

    pub(super) fn cancelled(&mut self, number: u64) -> Heard {
        match self.incoming.get_mut(&number) {
            Some(incoming) if incoming.stage == Stage::Filling => {
                let objects = core::mem::take(&mut incoming.call.objects);
                self.finish(number, failed(Cause::Cancelled, false), &[]);
                Heard::Unwanted(objects)
            }
            Some(incoming) if incoming.stage == Stage::Running && !incoming.cancelled => {
                incoming.cancelled = true;
                Heard::Cancelled(incoming.serial)
            }
            _ => Heard::Nothing,
        }
    }

    fn number_of(&self, serial: u64) -> Option<u64> {
        let mut incoming = self.incoming.iter();
        incoming
            .find(|(_, call)| call.serial == serial)
            .map(|(number, _)| *number)
    }

    /// A call of the peer's that is whole.
    pub fn call(&self, serial: u64) -> Option<&wire::Call> {
        Some(&self.incoming.get(&self.number_of(serial)?)?.call)
    }

    /// Takes the contents out of such a call, for the host: words and bytes, leases with
    /// what was lent, and the caller's deadline.
    pub fn contents(&mut self, serial: u64) -> Option<(Payload, Vec<Lent>, Option<Millis>)> {
        let number = self.number_of(serial)?;
        let incoming = self.incoming.get_mut(&number)?;
        let payload = core::mem::take(&mut incoming.call.payload);
        let leases = core::mem::take(&mut incoming.leases).into_iter();
        let heads = incoming.call.leases.iter();
        let leases = heads.zip(leases).map(|(head, bytes)| Lent {
            access: head.access,
            bytes,
        });
        Some((payload, leases.collect(), incoming.deadline))
    }

    /// Answers a call of the peer's. `written` are the bytes that were written to its
    /// leases, from their beginnings on; what does not fit is left out. False if there
    /// is nobody to answer.
    pub fn answer(
        &mut self,
        serial: u64,
        outcome: Outcome,
        payload: Payload,
        objects: Vec<wire::ObjectRef>,
        written: &[Vec<u8>],
    ) -> bool {
        if let Some(held) = self.orphans.remove(&serial) {
            self.window.free(held);
            return false;
        }
        let Some(number) = self.number_of(serial) else {
            return false;
        };
        let reply = Reply {
            call: number,
            outcome,
            payload,
            objects,
        };
        self.finish(number, reply, written);
        true
    }

    fn finish(&mut self, number: u64, mut reply: Reply, written: &[Vec<u8>]) {
        reply.call = number;
        let Some(incoming) = self.incoming.get_mut(&number) else {
            return;
        };
        incoming.leases = Vec::new();
        let heads = core::mem::take(&mut incoming.call.leases);
        for (index, (head, bytes)) in heads.iter().zip(written).enumerate() {
            if !head.access.writes() {
                continue;
            }
            let bytes = &bytes[..bytes.len().min(head.length as usize)];
            for (piece, bytes) in bytes.chunks(PIECE).enumerate() {
                let piece = Piece {
                    call: number,
                    lease: index as u8,
                    offset: (piece * PIECE) as u32,
                    bytes: bytes.into(),
                };
                self.window.push(&Body::Fill(piece), None);
            }
        }
        incoming.stage = Stage::Answered(self.window.next_number());
        self.window.push(&Body::Reply(reply), None);
    }

    /// Answers a call of which nothing is kept: it did not run, and the peer knows.
    fn refuse(&mut self, number: u64, cause: Cause) {
        let mut reply = failed(cause, false);
        reply.call = number;
        self.window.push(&Body::Reply(reply), None);
    }

    /// Records of calls go when the peer has acknowledged the answers.
    pub(super) fn settle_acknowledged(&mut self) {
        let (acknowledged, window) = (self.window.acknowledged(), &mut self.window);
        self.incoming.retain(|_, call| match call.stage {
            Stage::Answered(number) if number <= acknowledged => {
                window.free(call.held);
                false
            }
            _ => true,
        });
    }
}

/// A reply that says only this.
fn failed(cause: Cause, delivered: bool) -> Reply {
    Reply {
        call: 0,
        outcome: Outcome::Failed(TransportError { cause, delivered }),
        payload: Payload::default(),
        objects: Vec::new(),
    }
}
