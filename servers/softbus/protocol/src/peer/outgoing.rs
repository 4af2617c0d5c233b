//! Calls of ours at one peer.

use alloc::vec::Vec;

use libipc_abi::operation::Class;
use libipc_abi::status::Cause;

use super::{Heard, Hostile, Peer, Request};
use crate::Millis;
use crate::limits::{CALL_BYTES, OWN_CALLS, PIECE, QUEUE_BYTES};
use crate::wire::{self, Access, Body, LeaseHead, ObjectId, ObjectRef, Piece, Reply};

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
    /// Of what: a call of the device itself makes sense after a restart too.
    pub(super) object: ObjectId,
    /// It carries objects of ours, which end with what is between the peer and us.
    pub(super) exports: bool,
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
    fn new(request: &mut Request) -> Self {
        let mut objects = request.objects.iter();
        Outgoing {
            class: request.class,
            deadline: request.deadline,
            object: request.object,
            exports: objects.any(|object| matches!(object, ObjectRef::Export(..))),
            filled: request.leases.iter().map(|_| 0).collect(),
            leases: core::mem::take(&mut request.leases),
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

impl Peer {
    /// Makes a call. An error means that it was not made.
    pub fn request(&mut self, mut request: Request, now: Millis) -> Result<(), Cause> {
        let lent: usize = request.leases.iter().map(|lease| lease.bytes.len()).sum();
        let bytes = self.window.bytes() + lent + request.payload.bytes.len();
        if lent as u64 > CALL_BYTES || bytes as u64 > QUEUE_BYTES || !self.has_room() {
            return Err(Cause::QuotaExceeded);
        }
        let mut outgoing = Outgoing::new(&mut request);
        let heads = outgoing.leases.iter().map(|lease| LeaseHead {
            access: lease.access,
            length: lease.bytes.len() as u32,
        });
        let call = wire::Call {
            remaining: outgoing.remaining(now),
            call: request.call,
            object: request.object,
            operation: request.operation,
            class: request.class,
            hash: request.hash,
            payload: request.payload,
            leases: heads.collect(),
            objects: request.objects,
        };
        let number = Some(request.call);
        self.window.push(&Body::Call(call), number);
        outgoing.messages = 1;
        for (index, lease) in outgoing.leases.iter().enumerate() {
            if !lease.access.reads() {
                continue;
            }
            for (piece, bytes) in lease.bytes.chunks(PIECE).enumerate() {
                let piece = Piece {
                    call: request.call,
                    lease: index as u8,
                    offset: (piece * PIECE) as u32,
                    bytes: bytes.into(),
                };
                self.window.push(&Body::Lend(piece), number);
                outgoing.messages += 1;
            }
        }
        // What is only read is in the messages, and wanted here no more.
        for lease in &mut outgoing.leases {
            if !lease.access.writes() {
                lease.bytes = Vec::new();
            }
        }
        outgoing.unsent = outgoing.messages;
        self.outgoing.insert(request.call, outgoing);
        Ok(())
    }

    /// Whether another call can be made; answers that nobody asked for again make room.
    fn has_room(&mut self) -> bool {
        if self.outgoing.len() >= OWN_CALLS {
            let late = self.outgoing.iter().find(|(_, call)| call.late.is_some());
            if let Some(number) = late.map(|(number, _)| *number) {
                self.outgoing.remove(&number);
            }
        }
        self.outgoing.len() < OWN_CALLS
    }

    /// The caller no longer waits. Returns whether the call may have run; `None` if it
    /// has ended already.
    pub fn end(&mut self, number: u64) -> Option<bool> {
        let call = self.outgoing.get_mut(&number)?;
        if call.ended {
            return None;
        }
        let delivered = call.is_delivered();
        if call.unsent == call.messages {
            self.outgoing.remove(&number);
            self.window.withdraw(number);
        } else {
            call.ended = true;
            self.window.withdraw(number);
            self.window.push(&Body::Cancel(number), None);
        }
        Some(delivered)
    }

    /// The peer is lost: every call ends, delivered or not.
    pub fn lose(&mut self) -> Vec<(u64, bool)> {
        let waiting = self.outgoing.iter().filter(|(_, call)| !call.ended);
        let waiting: Vec<_> = waiting.map(|(number, _)| *number).collect();
        let end = |number| Some((number, self.end(number)?));
        waiting.into_iter().filter_map(end).collect()
    }

    /// Waits again for the answer to a recorded call that has ended without one. What
    /// came meanwhile is returned.
    pub fn again(
        &mut self,
        number: u64,
        deadline: Option<Millis>,
    ) -> Result<Option<(Reply, Vec<Lent>)>, Cause> {
        let call = self.outgoing.get_mut(&number).ok_or(Cause::EpochChanged)?;
        if call.class != Class::Recorded || !call.ended {
            return Err(Cause::Denied);
        }
        if let Some(reply) = call.late.take() {
            let leases = core::mem::take(&mut call.leases);
            self.outgoing.remove(&number);
            return Ok(Some((reply, leases)));
        }
        call.ended = false;
        call.deadline = deadline;
        Ok(None)
    }

    pub(super) fn replied(&mut self, reply: Reply) -> Result<Heard, Hostile> {
        let number = reply.call;
        let call = self.outgoing.get_mut(&number).ok_or(Hostile::Unasked)?;
        if call.ended && call.late.is_some() {
            return Err(Hostile::Unasked);
        }
        // An object is handed over once: such an answer is not for later.
        if call.ended && call.class == Class::Recorded && reply.objects.is_empty() {
            call.late = Some(reply);
            return Ok(Heard::Nothing);
        }
        let Some(call) = self.outgoing.remove(&number) else {
            return Err(Hostile::Unasked);
        };
        self.window.withdraw(number);
        Ok(if call.ended {
            Heard::Unwanted(reply.objects)
        } else {
            Heard::Answered(number, reply, call.leases)
        })
    }
}
