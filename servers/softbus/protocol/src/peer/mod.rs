//! One other device: its messages and ours, its calls and ours, and what of them is left
//! when a stream breaks or the device starts again.
//!
//! It holds no key, no other peer's state and no right: what a call may do is asked of
//! [`crate::table`]. It takes messages as a [`crate::parser::Parser`] read them, and
//! believes none of their numbers.

mod incoming;
mod outgoing;
mod window;

pub use outgoing::Lent;

use alloc::{collections::BTreeMap, vec::Vec};

use libipc_abi::operation::Class;
use libipc_abi::status::{Cause, TransportError};

use crate::Millis;
use crate::limits::{
    ACKNOWLEDGE, BEAT, CALL_BYTES, CALLS, CREDIT_STEP, OWN_CALLS, PIECE, QUEUE_BYTES,
};
use crate::wire::{
    self, Beat, Body, LeaseHead, Message, ObjectId, Outcome, Payload, Piece, Reply, Resume,
};
use incoming::{Incoming, Stage};
use outgoing::Outgoing;
use window::Window;

/// A peer broke the rules. Its stream is closed; nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// A message is missing before this one.
    Gap,
    /// More than it was promised.
    Flood,
    /// It acknowledges what was not sent.
    Acknowledged,
    /// A call's number does not rise.
    CallNumber,
    /// An answer to no call.
    Unasked,
    /// Bytes that belong nowhere.
    Lease,
    /// It goes on where nothing was, or not at all.
    Resume,
}

/// What a message means for the rest of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// The first message of a stream.
    Resume(Resume),
    /// A call is whole: by this serial.
    Call(u64),
    /// A call of ours was answered.
    Answered(u64, Reply, Vec<Lent>),
    /// These objects came with a call that is refused, or with an answer that nobody
    /// waits for.
    Unwanted(Vec<wire::ObjectRef>),
    /// Nobody waits for this call of the peer's any longer.
    Cancelled(u64),
    /// The peer drops references.
    Released(ObjectId, u32),
    /// The owner took an object back.
    Revoked(ObjectId),
}

/// Whether a stream goes on where another one broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// All is as it was: also if nothing was, and what waits was made for this.
    Same,
    /// The peer began anew. These calls of ours ended, delivered or not; those of its
    /// that run, by serial, have no caller any more.
    Fresh(Vec<(u64, bool)>, Vec<u64>),
}

/// Requests, as the node makes them.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number: higher than all before.
    pub call: u64,
    /// Of what.
    pub object: ObjectId,
    /// The operation.
    pub operation: u8,
    /// What a repeat does.
    pub class: Class,
    /// The interface's hash.
    pub hash: u32,
    /// Words and bytes.
    pub payload: Payload,
    /// What is lent.
    pub leases: Vec<Lent>,
    /// Objects.
    pub objects: Vec<wire::ObjectRef>,
    /// When the caller stops waiting.
    pub deadline: Option<Millis>,
}

/// One other device.
#[derive(Debug)]
pub struct Peer {
    /// Our own boot and epoch, and the peer's as far as it goes on.
    me: (u64, u64),
    remote: Option<(u64, u64)>,
    window: Window,
    outgoing: BTreeMap<u64, Outgoing>,
    incoming: BTreeMap<u64, Incoming>,
    /// Calls of an earlier run of the peer that the host still has: serial and bytes.
    orphans: BTreeMap<u64, u64>,
    /// The highest number of a call that came.
    last_call: u64,
    next_serial: u64,
    /// Beats.
    next_beat: Millis,
    stamp: u64,
    /// Our beats renew nothing.
    withholds: bool,
    told_received: u64,
    told_credit: u64,
    /// A moment of our clock after which the peer lived, by its own word.
    alive: Option<Millis>,
}

impl Peer {
    /// One of which nothing is known.
    pub fn new(me: (u64, u64)) -> Peer {
        Peer {
            me,
            remote: None,
            window: Window::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            orphans: BTreeMap::new(),
            last_call: 0,
            next_serial: 1,
            next_beat: 0,
            stamp: 0,
            withholds: false,
            told_received: 0,
            told_credit: 0,
            alive: None,
        }
    }

    /// A moment after which it lived, by its own word.
    pub fn alive(&self) -> Option<Millis> {
        self.alive
    }

    /// The run of the peer with which we speak: its boot and epoch.
    pub fn remote(&self) -> Option<(u64, u64)> {
        self.remote
    }

    /// Whether anything is left that a reconnect would serve.
    pub fn is_idle(&self) -> bool {
        self.outgoing.values().all(|call| call.ended) && self.window.bytes() == 0
    }

    /// Calls of ours whose callers wait.
    pub fn waiting(&self) -> usize {
        self.outgoing.values().filter(|call| !call.ended).count()
    }

    /// Bytes that the peer makes us hold.
    pub fn held(&self) -> u64 {
        let calls: u64 = self.incoming.values().map(|call| call.held).sum();
        calls + self.orphans.values().sum::<u64>()
    }

    /// Calls of the peer that are here.
    pub fn calls(&self) -> usize {
        self.incoming.len()
    }

    /// Whether our beats renew what we handed on: not while something of that is to be
    /// taken back and the peer has not said that it was.
    pub fn withhold(&mut self, withholds: bool) {
        self.withholds = withholds;
    }

    // Streams.

    /// The first message on a new stream.
    pub fn resume(&mut self, generation: u64, fresh: bool) -> Vec<u8> {
        let resume = Resume {
            boot: self.me.0,
            epoch: self.me.1,
            seen: self.remote.unwrap_or((0, 0)),
            received: self.window.received(),
            credit: self.window.credit(),
            generation,
            fresh,
        };
        self.told_received = resume.received;
        self.told_credit = resume.credit;
        Message::Resume(resume).to_bytes()
    }

    /// The initiator of a stream said where it was. Returns whether we go on from there,
    /// which is what the answer has to say.
    pub fn resumed_by_initiator(&mut self, resume: &Resume) -> Result<Continuity, Hostile> {
        let goes_on = self.remote == Some((resume.boot, resume.epoch)) && resume.seen == self.me;
        self.go_on(resume, goes_on)
    }

    /// The responder of our stream said where it was.
    pub fn resumed_by_responder(&mut self, resume: &Resume) -> Result<Continuity, Hostile> {
        let same = self.remote == Some((resume.boot, resume.epoch)) && resume.seen == self.me;
        if !resume.fresh && !same {
            return Err(Hostile::Resume);
        }
        self.go_on(resume, !resume.fresh)
    }

    fn go_on(&mut self, resume: &Resume, goes_on: bool) -> Result<Continuity, Hostile> {
        self.next_beat = 0;
        if goes_on {
            self.window.resume(resume.received, resume.credit)?;
            self.settle_acknowledged();
            return Ok(Continuity::Same);
        }
        let remote = (resume.boot, resume.epoch);
        // Two streams that are opened at once both begin it; nothing is lost by that.
        if self.remote == Some(remote) && self.window.is_untouched() {
            self.window.resume(0, resume.credit)?;
            return Ok(Continuity::Same);
        }
        let had = self.remote.is_some();
        let fresh = self.forget(had);
        self.remote = Some(remote);
        self.window.resume(0, resume.credit)?;
        Ok(if had { fresh } else { Continuity::Same })
    }

    /// Nothing of what was goes on. If there was something, calls that were sent end;
    /// those that were not, and that are of the device itself, wait for the next stream.
    pub fn forget(&mut self, ends: bool) -> Continuity {
        let mut ended = Vec::new();
        self.outgoing.retain(|&number, call| {
            let stays = call.unsent == call.messages && (call.is_root || !ends) && !call.ended;
            if !stays && !call.ended {
                ended.push((number, call.is_delivered()));
            }
            stays
        });
        let mut running = Vec::new();
        for call in core::mem::take(&mut self.incoming).into_values() {
            if call.stage == Stage::Running {
                self.orphans.insert(call.serial, call.held);
                running.push(call.serial);
            }
        }
        let outgoing = &self.outgoing;
        let held = self.orphans.values().sum();
        self.window.reset(held, |call| outgoing.contains_key(&call));
        self.remote = None;
        self.last_call = 0;
        self.stamp = 0;
        self.told_received = 0;
        self.told_credit = 0;
        self.alive = None;
        Continuity::Fresh(ended, running)
    }

    /// The next message for the stream.
    pub fn poll(&mut self, now: Millis) -> Option<Vec<u8>> {
        let unread = self.window.received() - self.told_received;
        let credit = self.window.credit().saturating_sub(self.told_credit);
        if self.next_beat <= now || unread >= ACKNOWLEDGE || credit >= CREDIT_STEP {
            self.next_beat = now + BEAT;
            self.told_received = self.window.received();
            self.told_credit = self.window.credit();
            let beat = Beat {
                received: self.told_received,
                credit: self.told_credit,
                stamp: now,
                echo: if self.withholds { 0 } else { self.stamp },
            };
            return Some(Message::Beat(beat).to_bytes());
        }
        let outgoing = &self.outgoing;
        let remaining = |call| {
            outgoing
                .get(&call)
                .map_or(0, |call: &Outgoing| call.remaining(now))
        };
        let sent = self.window.send(remaining)?;
        if let Some(call) = sent.first.and_then(|call| self.outgoing.get_mut(&call)) {
            call.unsent = call.unsent.saturating_sub(1);
        }
        Some(sent.bytes)
    }

    /// When the next beat is due.
    pub fn next_beat(&self) -> Millis {
        self.next_beat
    }

    /// A message came over the present stream.
    pub fn receive(&mut self, message: Message, now: Millis) -> Result<Heard, Hostile> {
        match message {
            Message::Resume(resume) => Ok(Heard::Resume(resume)),
            Message::Beat(beat) => {
                self.window.acknowledge(beat.received, beat.credit)?;
                self.settle_acknowledged();
                self.stamp = self.stamp.max(beat.stamp);
                if beat.echo != 0 {
                    let echo = beat.echo.min(now);
                    self.alive = Some(self.alive.map_or(echo, |alive| alive.max(echo)));
                }
                Ok(Heard::Nothing)
            }
            Message::Sequenced(number, body) => {
                if !self.window.receive(number, &body)? {
                    return Ok(Heard::Nothing);
                }
                if self.window.is_overfull() {
                    return Err(Hostile::Flood);
                }
                self.take(body, now)
            }
        }
    }

    fn take(&mut self, body: Body, now: Millis) -> Result<Heard, Hostile> {
        let cost = body.cost();
        match body {
            Body::Call(call) => self.called(call, cost, now),
            Body::Lend(piece) => {
                let Some(incoming) = self.incoming.get_mut(&piece.call) else {
                    // It was refused before all of it was here.
                    self.window.free(cost);
                    return if piece.call <= self.last_call {
                        Ok(Heard::Nothing)
                    } else {
                        Err(Hostile::Lease)
                    };
                };
                if incoming.stage != Stage::Filling {
                    self.window.free(cost);
                    return Ok(Heard::Nothing);
                }
                incoming.lend(&piece, cost)?;
                let whole = incoming.is_whole();
                Ok(if whole {
                    self.whole(piece.call, now)
                } else {
                    Heard::Nothing
                })
            }
            Body::Reply(reply) => self.replied(reply),
            Body::Fill(piece) => {
                let call = self.outgoing.get_mut(&piece.call).ok_or(Hostile::Unasked)?;
                call.fill(&piece)?;
                Ok(Heard::Nothing)
            }
            Body::Cancel(number) => {
                self.window.free(cost);
                Ok(self.cancelled(number))
            }
            Body::Release(object, count) => {
                self.window.free(cost);
                Ok(Heard::Released(object, count))
            }
            Body::Revoked(object) => {
                self.window.free(cost);
                Ok(Heard::Revoked(object))
            }
        }
    }

    // Calls of the peer.

    fn called(&mut self, call: wire::Call, cost: u64, now: Millis) -> Result<Heard, Hostile> {
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
        if self.incoming.len() >= CALLS || lent > CALL_BYTES {
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
    fn whole(&mut self, number: u64, now: Millis) -> Heard {
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

    fn cancelled(&mut self, number: u64) -> Heard {
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
    fn settle_acknowledged(&mut self) {
        let (acknowledged, window) = (self.window.acknowledged(), &mut self.window);
        self.incoming.retain(|_, call| match call.stage {
            Stage::Answered(number) if number <= acknowledged => {
                window.free(call.held);
                false
            }
            _ => true,
        });
    }

    // Calls of ours.

    /// Makes a call. An error means that it was not made.
    pub fn request(&mut self, request: Request, now: Millis) -> Result<(), Cause> {
        let lent: usize = request.leases.iter().map(|lease| lease.bytes.len()).sum();
        let bytes = self.window.bytes() + lent + request.payload.bytes.len();
        if lent as u64 > CALL_BYTES || bytes as u64 > QUEUE_BYTES || !self.has_room() {
            return Err(Cause::QuotaExceeded);
        }
        let mut outgoing = Outgoing::new(
            request.class,
            request.deadline,
            request.object == ObjectId::ROOT,
            request.leases,
        );
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

    fn replied(&mut self, reply: Reply) -> Result<Heard, Hostile> {
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

    /// Tells the peer something that is no call.
    pub fn tell(&mut self, body: &Body) {
        self.window.push(body, None);
    }

    /// When [`Peer::expired`] has something to tell.
    pub fn deadline(&self) -> Millis {
        let ours = self.outgoing.values().filter(|call| !call.ended);
        let theirs = self.incoming.values().filter(|call| {
            matches!(call.stage, Stage::Filling | Stage::Running) && !call.cancelled
        });
        let ours = ours.filter_map(|call| call.deadline);
        let first = ours.chain(theirs.filter_map(|call| call.deadline)).min();
        first.unwrap_or(Millis::MAX)
    }

    /// The calls of ours whose deadline has passed, and whether they may have run; and
    /// what that means for those of the peer's.
    pub fn expired(&mut self, now: Millis) -> (Vec<(u64, bool)>, Vec<Heard>) {
        let due = |deadline: Option<Millis>| deadline.is_some_and(|deadline| deadline <= now);
        let ours = self
            .outgoing
            .iter()
            .filter(|(_, call)| !call.ended && due(call.deadline));
        let ours: Vec<_> = ours.map(|(number, _)| *number).collect();
        let end = |number| Some((number, self.end(number)?));
        let ours = ours.into_iter().filter_map(end).collect();
        let theirs = self.incoming.iter().filter(|(_, call)| due(call.deadline));
        let theirs: Vec<_> = theirs.map(|(number, _)| *number).collect();
        let theirs = theirs.into_iter().map(|number| self.cancelled(number));
        (
            ours,
            theirs.filter(|heard| *heard != Heard::Nothing).collect(),
        )
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
