//! What the owner marked private: he is asked at a device's first use. And who used what.

use crate::{
    crew::{Job, Work},
    server::Server,
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::String,
    vec::Vec,
};
use libipc::{
    Text,
    interfaces::{ConsentClient, bus::Used},
    status::Cause,
};
use tessera_softbus_protocol::{Millis, suite::PublicKey, table::Local};

/// Questions at one time, of different devices.
const ASKED: usize = 2;

/// Calls of a device that wait for the owner's word.
const HELD: usize = 16;

/// How long a no holds, until the device may ask again.
const NO: Millis = 60_000;

/// Uses that are remembered.
const USES: usize = 256;

/// Uses of one service by one device that are this close are one.
const TOGETHER: Millis = 60_000;

/// What the owner said, and what he is asked.
#[derive(Default)]
pub(crate) struct Consents {
    /// Where he is asked.
    pub(crate) owner: Option<ConsentClient>,
    given: BTreeSet<(PublicKey, Local)>,
    /// Until when a no holds.
    refused: BTreeMap<(PublicKey, Local), Millis>,
    /// What each device is asked about, and its calls that wait.
    asked: BTreeMap<PublicKey, (Local, Vec<Job>)>,
    uses: VecDeque<(Used, Millis)>,
}

impl Server<'_> {
    /// Runs a call of something private, now, later or never.
    pub(crate) fn ask_first(&mut self, peer: PublicKey, local: Local, service: &str, job: Job) {
        let (now, key) = (self.now(), (peer, local));
        self.consents.refused.retain(|_, until| *until > now);
        if self.consents.given.contains(&key) {
            return self.start(job);
        }
        if self.consents.refused.contains_key(&key) {
            return self.refuse(job.token, Cause::Denied);
        }
        if let Some((about, held)) = self.consents.asked.get_mut(&peer) {
            return match *about == local && held.len() < HELD {
                true => held.push(job),
                false => self.refuse(job.token, Cause::QuotaExceeded),
            };
        }
        let copy = self
            .consents
            .owner
            .as_ref()
            .map(|owner| owner.as_ref().copy());
        let Some(Ok(owner)) = copy else {
            return self.refuse(job.token, Cause::Denied);
        };
        if self.consents.asked.len() >= ASKED {
            return self.refuse(job.token, Cause::QuotaExceeded);
        }
        let question = format!("may {} use {service}?", self.name_of(&peer));
        let work = Work::Ask {
            peer,
            local,
            owner: owner.into(),
            question: Text::new(&question).unwrap_or_default(),
        };
        if !self.workers.give(work) {
            return self.refuse(job.token, Cause::QuotaExceeded);
        }
        self.consents.asked.insert(peer, (local, Vec::from([job])));
    }

    /// The owner has answered, or not in time, which is a no.
    pub(crate) fn owner_said(&mut self, peer: PublicKey, local: Local, yes: bool) {
        let Some((_, held)) = self.consents.asked.remove(&peer) else {
            return;
        };
        if yes {
            self.consents.given.insert((peer, local));
        } else {
            let until = self.now() + NO;
            self.consents.refused.insert((peer, local), until);
        }
        for job in held {
            match yes {
                true => self.start(job),
                false => self.refuse(job.token, Cause::Denied),
            }
        }
    }

    /// A device is trusted no longer: what the owner said of it, or is still asked, does not
    /// hold when it is paired again.
    pub(crate) fn forget_device(&mut self, peer: &PublicKey) {
        self.consents.given.retain(|(of, _)| of != peer);
        self.consents.refused.retain(|(of, _), _| of != peer);
        let asked = self.consents.asked.remove(peer);
        for job in asked.map(|(_, held)| held).unwrap_or_default() {
            self.refuse(job.token, Cause::Denied);
        }
    }

    /// What the owner said of this holds no longer.
    pub(crate) fn forget_consent(&mut self, local: Local) {
        self.consents.given.retain(|(_, of)| *of != local);
    }

    /// A device uses a service.
    pub(crate) fn note_use(&mut self, peer: &PublicKey, service: &str) {
        let now = self.now();
        let device = crate::events::number(peer);
        let mut uses = self.consents.uses.iter_mut().rev();
        let same = uses.find(|(used, last)| {
            used.device == device && used.service.as_str() == service && *last + TOGETHER > now
        });
        if let Some((used, last)) = same {
            used.calls += 1;
            *last = now;
            return;
        }
        let used = Used {
            device,
            name: Text::new(&self.name_of(peer)).unwrap_or_default(),
            service: Text::new(service).unwrap_or_default(),
            since_boot: now,
            calls: 1,
        };
        if self.consents.uses.len() == USES {
            self.consents.uses.pop_front();
        }
        self.consents.uses.push_back((used, now));
    }

    /// One of the uses that are remembered, the latest first.
    pub(crate) fn used(&self, index: u64) -> Option<Used> {
        let mut uses = self.consents.uses.iter().rev();
        let used = uses.nth(usize::try_from(index).ok()?);
        used.map(|(used, _)| *used)
    }

    /// What a device is called here.
    fn name_of(&self, peer: &PublicKey) -> String {
        let mut trusted = self.node.trusted();
        let found = trusted.find(|(key, ..)| *key == peer);
        let name = found.map(|(_, trusted, _)| crate::interface::plain(&trusted.name));
        match name {
            Some(name) if !name.as_str().is_empty() => name.as_str().into(),
            _ => format!("{:016x}", crate::events::number(peer)),
        }
    }
}
