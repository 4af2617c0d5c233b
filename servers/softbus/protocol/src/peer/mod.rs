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

use crate::Millis;
use crate::limits::{ACKNOWLEDGE, BEAT, CREDIT_STEP};
use crate::wire::{self, Beat, Body, Message, ObjectId, Payload, Reply, Resume};
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

    /// Calls of ours whose callers wait.
    pub fn waiting(&self) -> usize {
        self.outgoing.values().filter(|call| !call.ended).count()
    }

    /// Bytes that the peer makes us hold.
    pub fn held(&self) -> u64 {
        let calls: u64 = self.incoming.values().map(|call| call.held).sum();
        calls + self.orphans.values().sum::<u64>()
    }

    /// The same when all of its calls is here.
    pub fn reserved(&self) -> u64 {
        let calls: u64 = self.incoming.values().map(|call| call.reserved).sum();
        calls + self.orphans.values().sum::<u64>()
    }

    /// Bytes of the leases of our calls there.
    pub fn lent(&self) -> u64 {
        let calls = self.outgoing.values();
        let leases = calls.flat_map(|call| &call.leases);
        leases.map(|lease| lease.bytes.len() as u64).sum()
    }

    /// Calls of the peer that are here.
    pub fn calls(&self) -> usize {
        self.incoming.len()
    }

    /// Whether a call of the peer runs here.
    pub fn is_served(&self) -> bool {
        let mut calls = self.incoming.values();
        calls.any(|call| call.stage == Stage::Running)
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
    /// which is what the answer has to say. If the peer begins anew, `lives` says which of
    /// its objects do all the same.
    pub fn resumed_by_initiator(
        &mut self,
        resume: &Resume,
        lives: impl Fn(ObjectId) -> bool,
    ) -> Result<Continuity, Hostile> {
        let goes_on = self.remote == Some((resume.boot, resume.epoch)) && resume.seen == self.me;
        self.go_on(resume, goes_on, lives)
    }

    /// The responder of our stream said where it was.
    pub fn resumed_by_responder(
        &mut self,
        resume: &Resume,
        lives: impl Fn(ObjectId) -> bool,
    ) -> Result<Continuity, Hostile> {
        let same = self.remote == Some((resume.boot, resume.epoch)) && resume.seen == self.me;
        if !resume.fresh && !same {
            return Err(Hostile::Resume);
        }
        self.go_on(resume, !resume.fresh, lives)
    }

    fn go_on(
        &mut self,
        resume: &Resume,
        goes_on: bool,
        lives: impl Fn(ObjectId) -> bool,
    ) -> Result<Continuity, Hostile> {
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
        let fresh = self.begin_anew(|call| !had || !call.exports && lives(call.object));
        self.remote = Some(remote);
        self.window.resume(0, resume.credit)?;
        Ok(if had { fresh } else { Continuity::Same })
    }

    /// The peer is gone for good: nothing of what was goes on.
    pub fn forget(&mut self) -> Continuity {
        self.begin_anew(|_| false)
    }

    /// Nothing of what was goes on. Calls that were sent end; those that were not wait for
    /// the next stream, if they are of the device itself or make sense then.
    fn begin_anew(&mut self, waits: impl Fn(&Outgoing) -> bool) -> Continuity {
        let mut ended = Vec::new();
        self.outgoing.retain(|&number, call| {
            let may_stay = call.object == ObjectId::ROOT || waits(call);
            let stays = call.unsent == call.messages && may_stay && !call.ended;
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

    /// A message came over the present stream. A call of it may make us hold so many
    /// bytes.
    pub fn receive(&mut self, message: Message, room: u64, now: Millis) -> Result<Heard, Hostile> {
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
                self.take(body, room, now)
            }
        }
    }

    fn take(&mut self, body: Body, room: u64, now: Millis) -> Result<Heard, Hostile> {
        let cost = body.cost();
        match body {
            Body::Call(call) => self.called(call, cost, room, now),
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

    /// Tells the peer something that is no call, and that it finds out otherwise too: not
    /// one that has long read nothing.
    pub fn tell(&mut self, body: &Body) {
        if !self.window.is_long() {
            self.window.push(body, None);
        }
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
