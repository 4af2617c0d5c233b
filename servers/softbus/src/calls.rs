//! Calls in both directions: of programs here at other devices, and of these here.

use crate::{
    crew::{Doing, Done, Job},
    objects::Running,
    server::Server,
};
use alloc::{vec, vec::Vec};
use libipc::{
    forward::{Answer as Ended, Forwarded},
    interfaces::FileError,
    operation::Class,
    status::{Cause, TransportError},
    time::Instant,
};
use tessera_softbus_protocol::{
    limits::LEASE,
    node::{Answer, Answered, Call, CallId, Import, Incoming, Lent, Token},
    wire::{Access, Outcome, Payload},
};

/// Words that travel beside the bytes.
const WORDS: usize = 8;

/// Recorded calls that ended without an answer, and may be asked for again.
const ENDED: usize = 64;

impl Server<'_> {
    /// Passes on a call of something of another device.
    pub(crate) fn forward(&mut self, import: Import, mut request: Forwarded) {
        let now = self.now();
        let class = self.registry.class(request.hash, request.operation);
        // Of one that nobody has told of it may not run twice either.
        if request.repeats && class != Class::Idempotent {
            return self.again(request);
        }
        let lends = request.leases.iter().map(|lent| lent.length as u64);
        if lends.sum::<u64>() > self.node.may_lend() {
            return self.end(request, TransportError::refused(Cause::QuotaExceeded));
        }
        let only_fills = self.registry.only_fills(request.hash);
        let leases = match lent(&request, only_fills) {
            Ok(leases) => leases,
            Err(cause) => return self.end(request, TransportError::refused(cause)),
        };
        let capabilities = core::mem::take(&mut request.capabilities);
        let objects = match self.leave(capabilities, None) {
            Ok(objects) => objects,
            Err(cause) => return self.end(request, TransportError::refused(cause)),
        };
        let call = Call {
            operation: request.operation,
            class,
            hash: request.hash,
            payload: payload(&request.words),
            leases,
            objects,
            deadline: self.millis(request.deadline()),
        };
        match self.node.call(import, call, now) {
            Ok(id) => {
                if let Some(stats) = self.stats_of_owner(import) {
                    stats.calls_out += 1;
                }
                self.waiting.calls.insert(id, request);
            }
            Err(cause) => self.end(request, TransportError::refused(cause)),
        }
    }

    /// A caller asks again for what came of its last call.
    fn again(&mut self, request: Forwarded) {
        let known = (request.badge, request.request_id);
        let ended = self.waiting.ended.iter().position(|(of, _)| *of == known);
        let Some((_, id)) = ended.and_then(|index| self.waiting.ended.remove(index)) else {
            return self.end(request, TransportError::delivered(Cause::Dropped));
        };
        let (deadline, now) = (self.millis(request.deadline()), self.now());
        match self.node.again(id, deadline, now) {
            Ok(()) => {
                self.waiting.calls.insert(id, request);
            }
            Err(error) => self.end(request, error),
        }
    }

    pub(crate) fn end(&mut self, request: Forwarded, error: TransportError) {
        let import = self.imports.get(request.badge);
        if let Some(stats) = import.and_then(|import| self.stats_of_owner(import)) {
            stats.failed += 1;
        }
        request.answer(self.endpoint, Ended::Ended(error));
    }

    /// A call at another device has ended.
    pub(crate) fn answered(&mut self, id: CallId, result: Result<Answered, TransportError>) {
        let Some(request) = self.waiting.calls.remove(&id) else {
            // Nobody waits.
            return self.let_go(result.map(|answered| answered.objects).unwrap_or_default());
        };
        let answered = match result {
            Ok(answered) => answered,
            Err(error) => {
                if self.registry.class(request.hash, request.operation) == Class::Recorded {
                    if self.waiting.ended.len() == ENDED {
                        self.waiting.ended.pop_front();
                    }
                    let known = (request.badge, request.request_id);
                    self.waiting.ended.push_back((known, id));
                }
                return self.end(request, error);
            }
        };
        if answered.is_error {
            self.let_go(answered.objects);
            request.answer(self.endpoint, Ended::Refused(answered.payload.words[0]));
            return;
        }
        let written = (0..)
            .zip(&answered.leases)
            .filter(|(_, lent)| lent.access.writes());
        let copied: Result<Vec<()>, _> = written
            .map(|(lease, lent)| request.write(lease, 0, &lent.bytes))
            .collect();
        let capabilities = self.arrive(answered.objects);
        let answer = match (copied, capabilities) {
            (Ok(_), Ok(capabilities)) => Ended::Done(words(&answered.payload), capabilities),
            (Err(_), _) => Ended::Ended(TransportError::delivered(Cause::LeaseFault)),
            (_, Err(cause)) => Ended::Ended(TransportError::delivered(cause)),
        };
        request.answer(self.endpoint, answer);
    }

    /// Callers that are gone wait for nothing. The newest calls go first: none of them is to
    /// get the thread there of one that ends just before it.
    pub(crate) fn cancel_abandoned(&mut self) {
        let calls = self.waiting.calls.iter();
        let abandoned = calls.filter(|(_, request)| request.cancelled());
        let abandoned: Vec<_> = abandoned.map(|(id, _)| *id).collect();
        for id in abandoned.into_iter().rev() {
            let now = self.now();
            self.node.cancel(id, now);
        }
    }

    /// Another device calls something of this one.
    pub(crate) fn incoming(&mut self, incoming: Incoming) {
        let (token, peer, local) = (incoming.token, incoming.peer, incoming.local);
        if let Some(stats) = self.stats_of(&peer) {
            stats.calls_in += 1;
        }
        let export = self.exports.get(local);
        let service = export.and_then(|export| export.service.clone().or(export.through.clone()));
        let running = Running {
            local,
            peer,
            class: incoming.class,
            is_private: export.is_some_and(|export| !export.rights().hand_on),
            service: service.clone(),
        };
        self.running.insert(token, running);
        let copied = export.ok_or(Cause::Revoked).and_then(|export| {
            let reaches = export.hashes.is_empty() || export.hashes.contains(&incoming.hash);
            let server = reaches.then(|| export.server.copy());
            let server = server.ok_or(Cause::VersionMismatch)?;
            Ok((export, server.map_err(|_| Cause::QuotaExceeded)?))
        });
        let (export, server) = match copied {
            Ok(copied) => copied,
            Err(cause) => {
                self.let_go(incoming.objects);
                return self.refuse(token, cause);
            }
        };
        let is_private = export.is_private;
        let behind = export.behind;
        let capabilities = match self.arrive(incoming.objects) {
            Ok(capabilities) => capabilities,
            Err(cause) => return self.refuse(token, cause),
        };
        let deadline = incoming.deadline;
        let job = Job {
            token,
            device: peer,
            behind,
            server,
            operation: incoming.operation,
            hash: incoming.hash,
            payload: incoming.payload,
            leases: incoming.leases,
            capabilities,
            deadline: deadline.map_or(Instant::FOREVER, |millis| self.instant(millis)),
        };
        if let Some(service) = &service {
            self.note_use(&peer, service);
        }
        match service {
            Some(service) if is_private => self.ask_first(peer, local, &service, job),
            _ => self.workers.call(job),
        }
    }

    /// Nobody waits for a call any longer. If it has not begun it never does. If it runs,
    /// the thread that waits for it is freed, unless its answer may still be asked for.
    pub(crate) fn cancelled(&mut self, token: Token) {
        let class = self.running.get(&token).map(|running| running.class);
        if self.never_begins(token) {
            self.refuse(token, Cause::Cancelled);
        } else if class.is_some_and(|class| class != Class::Recorded) {
            self.workers.interrupt(Doing::Call(token));
        }
    }

    /// What a call is of was taken back. If it has not begun it never does. If it runs, the
    /// revocation waits for its end, which no thread may hide.
    pub(crate) fn stopped(&mut self, token: Token) {
        if self.never_begins(token) {
            self.refuse(token, Cause::Revoked);
        }
    }

    /// Takes out a call that has not begun, or waits for the owner's word; false if it runs.
    fn never_begins(&mut self, token: Token) -> bool {
        self.workers.take(token) || self.no_longer_asks(token)
    }

    /// Ends calls that wait for longer than their callers, and those that somebody should
    /// have ended already.
    pub(crate) fn look_after_calls(&mut self) {
        for token in self.workers.late(Instant::now()) {
            self.refuse(token, Cause::TimedOut);
        }
        self.workers.interrupt_again();
        self.workers.go_on();
    }

    /// A thread has done what it was given.
    pub(crate) fn done(&mut self, done: Done) {
        match done {
            Done::Called {
                token,
                answer,
                leases,
            } => self.called(token, answer, leases),
            Done::Asked(question, yes) => self.owner_said(question, yes),
        }
    }

    /// A call here has ended.
    fn called(&mut self, token: Token, answer: Ended, leases: Vec<Lent>) {
        let Some(running) = self.running.remove(&token) else {
            return;
        };
        if let Ended::Refused(code) = answer
            && [FileError::Stale, FileError::Removed]
                .map(|error| error as u64)
                .contains(&code)
        {
            self.renew(running.local);
        }
        let written = leases.into_iter().map(written).collect();
        let (outcome, payload, capabilities) = match answer {
            Ended::Done(words, capabilities) => (Outcome::Ok, payload(&words), capabilities),
            Ended::Refused(code) => (Outcome::Error, payload(&[code]), Vec::new()),
            Ended::Ended(error) => (Outcome::Failed(error), Payload::default(), Vec::new()),
        };
        let answer = match self.leave(capabilities, Some(&running)) {
            Ok(objects) => Answer {
                outcome,
                payload,
                written,
                objects,
            },
            Err(cause) => failed(TransportError::delivered(cause)),
        };
        let now = self.now();
        self.node.answer(token, answer, now);
    }

    pub(crate) fn refuse(&mut self, token: Token, cause: Cause) {
        self.running.remove(&token);
        let now = self.now();
        self.node
            .answer(token, failed(TransportError::refused(cause)), now);
    }
}

fn failed(error: TransportError) -> Answer {
    Answer {
        outcome: Outcome::Failed(error),
        payload: Payload::default(),
        written: Vec::new(),
        objects: Vec::new(),
    }
}

/// What a request lends, by value. Servers may read what they may write: only where it is
/// known that they do not, what is in such memory is not worth the way.
fn lent(request: &Forwarded, only_fills: bool) -> Result<Vec<Lent>, Cause> {
    let one = |(lease, lent): (usize, &libipc::forward::Lent)| {
        if lent.length > LEASE {
            return Err(Cause::QuotaExceeded);
        }
        let access = match (lent.readable, lent.writable) {
            (_, false) => Access::Read,
            (_, true) if only_fills => Access::Write,
            (_, true) => Access::Both,
        };
        let mut bytes = vec![0; lent.length];
        if access.reads() {
            let read = request.read(lease, 0, &mut bytes);
            read.map_err(|_| Cause::LeaseFault)?;
        }
        Ok(Lent { access, bytes })
    };
    (0..).zip(&request.leases).map(one).collect()
}

/// What was written to a lease, from its beginning on: zeros at its end are not worth the
/// way, for the other side begins with zeros as well.
fn written(lent: Lent) -> Vec<u8> {
    let mut bytes = lent.bytes;
    if !lent.access.writes() {
        bytes.clear();
    }
    let end = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate(end.map_or(0, |last| last + 1));
    bytes
}

/// Words as they travel: the first in their places, the others as bytes.
fn payload(from: &[u64]) -> Payload {
    let (first, more) = from.split_at(from.len().min(WORDS));
    let mut payload = Payload::default();
    payload.words[..first.len()].copy_from_slice(first);
    payload.bytes = more.iter().flat_map(|word| word.to_le_bytes()).collect();
    payload
}

/// The words of what travelled.
fn words(payload: &Payload) -> Vec<u64> {
    let (more, _) = payload.bytes.as_chunks();
    let more = more.iter().map(|word| u64::from_le_bytes(*word));
    payload.words.into_iter().chain(more).collect()
}
