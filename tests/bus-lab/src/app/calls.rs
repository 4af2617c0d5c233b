//! Calls to what other devices serve: how they are made, and how they must end.

use libipc_abi::status::{Cause, TransportError};
use tessera_softbus_protocol::node::{Answered, Call, CallId, Lent, Object};
use tessera_softbus_protocol::suite::Suite;
use tessera_softbus_protocol::wire::{Access, Payload};

use super::{Held, Open, Opening, class, operation, pattern, written};
use crate::truth::Check;
use crate::world::World;

impl<S: Suite> World<S> {
    pub(super) fn open_service(&mut self, on: usize, peer: usize, eligible: bool) {
        let (key, deadline) = (self.machines[peer].key, self.local(on) + 8_000);
        if !self.trusts(peer, on) {
            self.truth.occasion(Check::Unpaired);
        }
        let opened = self.quietly(on, |node, now| node.open(&key, "lab", Some(deadline), now));
        if let Some(Ok(id)) = opened {
            let opening = Opening {
                peer,
                relay: None,
                eligible,
            };
            self.app(on).opening.insert(id, opening);
        }
        self.drain(on);
    }

    pub(super) fn opened(&mut self, on: usize, id: CallId, result: Result<Object, TransportError>) {
        let Some(opening) = self.app(on).opening.remove(&id) else {
            return;
        };
        let (peer, now) = (opening.peer, self.now);
        let object = match result {
            Ok(object) => object,
            Err(error) => {
                self.trace(|| format!("{on} {opening:?}: {error}"));
                self.count(&format!("open: {:?}", error.cause));
                return;
            }
        };
        // Which object that is, the owner's service says, or what was asked for.
        let Some(local) = opening.relay.or(self.service_of(peer)) else {
            return;
        };
        let owner = self.owner_of(local).unwrap_or(peer);
        match object {
            Object::Local(home, _) => {
                let is_it = owner == on && home.0 == local;
                self.truth.must(Check::Home, is_it, || {
                    format!(
                        "{now}: {local:x} of {owner} came home to {on} as {:x}",
                        home.0
                    )
                });
            }
            Object::Import(import, rights, _) => {
                if opening.relay.is_some() {
                    let node = self.machines[on].node.as_ref();
                    let its = node.and_then(|node| node.owner(import));
                    let is_owner = its == Some(self.machines[owner].key);
                    self.truth.must(Check::Direct, is_owner, || {
                        format!("{now}: {on} opened {local:x} of {owner} at {peer} as its own")
                    });
                    self.count("opened at a third device");
                }
                let held = Held {
                    import,
                    local,
                    owner,
                    may_hand_on: rights.hand_on,
                };
                self.keep(on, held);
                self.call(on, held, opening.eligible);
            }
        }
    }

    /// Whether a device gives this object to nobody with that operation.
    pub(super) fn forbids(&self, owner: usize, local: u64, operation: u8) -> bool {
        operation == operation::FORBIDDEN && self.service_of(owner) != Some(local)
    }

    /// The object that is a device's service in this run: its first.
    fn service_of(&self, on: usize) -> Option<u64> {
        self.machines[on].app.service
    }

    pub(super) fn call(&mut self, on: usize, held: Held, eligible: bool) {
        let number = self.app(on).new_number();
        let operation = match self.rng.below(100) {
            _ if eligible => operation::IDEMPOTENT,
            0..25 => operation::IDEMPOTENT,
            25..45 => operation::RECORDED,
            45..65 => operation::ONCE,
            65..80 => operation::MAKE,
            80..96 => operation::GIVE,
            _ => operation::FORBIDDEN,
        };
        let local_now = self.local(on);
        let mut leases = Vec::new();
        if operation <= operation::ONCE && !eligible {
            for _ in 0..self.rng.below(3) {
                let large = self.machines.len() <= 10 && self.rng.chance(20_000);
                let length = self.rng.below(if large { 1 << 20 } else { 6_000 }) as usize;
                let access = [Access::Read, Access::Write, Access::Both];
                let access = access[self.rng.below(3) as usize];
                let bytes = if access.reads() {
                    pattern(number, length)
                } else {
                    vec![0; length]
                };
                leases.push(Lent { access, bytes });
            }
        }
        let (objects, gives) = match operation {
            operation::GIVE => self.gift(on, held.owner),
            _ => (Vec::new(), None),
        };
        let deadline = match self.rng.below(4) {
            _ if eligible => Some(5_000),
            0 => None,
            _ => Some(self.rng.within(200, 9_000)),
        };
        let deadline = deadline.map(|time| local_now + time);
        let mut payload = Payload {
            bytes: pattern(number, self.rng.below(200) as usize),
            ..Payload::default()
        };
        payload.words = [number, gives.unwrap_or(0), held.local, 0, 0, 0, 0, number];
        let call = Call {
            operation,
            class: class(operation),
            hash: operation.into(),
            payload,
            leases,
            objects,
            deadline,
        };
        let open = Open {
            number,
            peer: held.owner,
            operation,
            local: held.local,
            deadline,
            made: self.now,
            eligible,
            reconnects: self.truth.reconnects,
            again: false,
        };
        self.occasions_of(on, &open);
        let import = held.import;
        match self.quietly(on, |node, now| node.call(import, call, now)) {
            Some(Ok(id)) => {
                if self.forbids(open.peer, open.local, operation) {
                    self.truth.occasion(Check::Rights);
                }
                self.app(on).open.insert(id, open);
                self.truth.occasion(Check::Outcome);
            }
            Some(Err(cause)) => {
                self.count(&format!("refused here: {cause:?}"));
                self.not_delivered(number);
                if cause == Cause::Revoked || cause == Cause::EpochChanged {
                    self.drop_held(on, import);
                }
            }
            None => {}
        }
        self.drain(on);
    }

    /// What this call could break.
    fn occasions_of(&mut self, on: usize, open: &Open) {
        let Some(thing) = self.truth.things.get(&open.local).copied() else {
            return;
        };
        if thing.revoked {
            self.truth.occasion(Check::Revoked);
        }
        if thing.run != self.machines[thing.owner].run {
            self.truth.occasion(Check::Epoch);
        }
        if self.truth.returned.contains(&(open.local, on)) {
            self.truth.occasion(Check::TakenBack);
        }
    }

    pub(super) fn ask_again(&mut self, on: usize) {
        let Some((id, mut open)) = self.app(on).ended.pop() else {
            return;
        };
        let deadline = self.local(on) + 3_000;
        open.deadline = Some(deadline);
        open.again = true;
        let again = self.quietly(on, |node, now| node.again(id, Some(deadline), now));
        if matches!(again, Some(Ok(()))) {
            self.truth.occasion(Check::Outcome);
            self.app(on).open.insert(id, open);
            self.count("again: asked");
        } else {
            self.count("again: not to be had");
        }
        self.drain(on);
    }

    fn ended_twice(&mut self, on: usize, id: CallId) {
        let now = self.now;
        self.truth.never(Check::Outcome, true, || {
            format!("{now}: device {on} hears of the end of {id:?} again")
        });
    }

    fn not_delivered(&mut self, number: u64) {
        let ran = self.truth.runs.contains_key(&number);
        let now = self.now;
        self.truth.undelivered.insert(number);
        self.truth.must(Check::NotDelivered, !ran, || {
            format!("{now}: call {number:x} ran, and is said not to have")
        });
    }

    fn in_time(&mut self, on: usize, open: &Open) {
        let Some(deadline) = open.deadline else {
            return;
        };
        let (now, local) = (self.now, self.local(on));
        let stalled = self.machines[on].stalled + 50 > now;
        let late = !stalled && local > deadline + 50;
        self.truth.must(Check::Deadline, !late, || {
            format!(
                "{now}: call {:x} ended {} ms late",
                open.number,
                local - deadline
            )
        });
    }

    pub(super) fn failed_call(&mut self, on: usize, id: CallId, error: TransportError) {
        let Some(open) = self.app(on).open.remove(&id) else {
            return self.ended_twice(on, id);
        };
        self.count(&format!("{:?}, delivered {}", error.cause, error.delivered));
        if !error.delivered {
            self.not_delivered(open.number);
        }
        // It may have carried an object of an earlier run.
        if error.cause == Cause::EpochChanged && open.operation != operation::GIVE {
            self.ended_rightly(on, open.local);
        }
        self.in_time(on, &open);
        if open.eligible {
            let now = self.now;
            self.trace(|| format!("{now}: {on} eligible {open:?} failed: {error}"));
        }
        let retry = matches!(error.cause, Cause::Unreachable | Cause::TimedOut);
        if open.operation == operation::RECORDED && error.delivered && retry {
            self.app(on).ended.push((id, open));
        }
    }

    pub(super) fn answered(&mut self, on: usize, id: CallId, answered: Answered) {
        let Some(open) = self.app(on).open.remove(&id) else {
            return self.ended_twice(on, id);
        };
        let (now, number) = (self.now, open.number);
        self.count(if answered.is_error {
            "server's error"
        } else {
            "answered"
        });
        self.in_time(on, &open);
        if open.eligible {
            self.truth.healed.1 += 1;
        }
        if open.operation == operation::RECORDED || open.operation == operation::ONCE {
            let runs = self.truth.runs.get(&number).copied();
            if self.truth.reconnects > open.reconnects {
                self.truth.occasion(Check::AtMostOnce);
            }
            self.truth.never(Check::AtMostOnce, runs != Some(1), || {
                format!("{now}: call {number:x} was answered and ran {runs:?} times")
            });
        }
        let mut whole = answered.payload.words[0] == number
            && answered.payload.bytes == pattern(number ^ 5, answered.payload.bytes.len());
        for lease in &answered.leases {
            let length = lease.bytes.len();
            let mut expected = if lease.access.reads() {
                pattern(number, length)
            } else {
                vec![0; length]
            };
            if lease.access.writes() && !answered.is_error {
                let count = written(number, length);
                expected[..count].copy_from_slice(&pattern(number ^ 9, count));
            }
            whole &= lease.bytes == expected;
        }
        self.truth.must(Check::Contents, whole, || {
            format!("{now}: the answer of {number:x} is not as it was given")
        });
        for object in answered.objects {
            if let Object::Import(import, rights, _) = object {
                let local = answered.payload.words[1];
                let owner = self
                    .truth
                    .things
                    .get(&local)
                    .map_or(open.peer, |thing| thing.owner);
                let held = Held {
                    import,
                    local,
                    owner,
                    may_hand_on: rights.hand_on,
                };
                self.keep(on, held);
            }
        }
    }
}
