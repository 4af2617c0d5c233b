//! What the owner marked private: he is asked at a device's first use. And who used what.

use crate::{
    audit::Audit,
    crew::{Doing, Job, QUESTIONS, Question},
    events::number,
    given::{Consent, Given},
    kept::Pace,
    server::Server,
};
use alloc::{collections::BTreeMap, format, string::ToString, vec::Vec};
use core::time::Duration;
use libipc::{
    Capability, Text,
    interfaces::{
        ClockClient, ConsentClient, LogClient, LogLevel,
        bus::{Agreed, BusError, Used},
    },
    status::Cause,
    task,
    time::{self, Instant},
};
use tessera_softbus_keys::Record;
use tessera_softbus_protocol::{
    Millis, bytes::Malformed, node::Token, suite::PublicKey, table::Local,
};

/// Calls of a device that wait for the owner's word.
const HELD: usize = 16;

/// How long a no holds, until the device may ask again.
const NO: Millis = 60_000;

/// How long clock and log may hold up the bus.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where the owner is asked and told, and by which clock.
#[derive(Default)]
pub struct Owner {
    /// Where he is asked.
    pub consent: Option<ConsentClient>,
    /// Where he reads what went wrong.
    pub log: Option<LogClient>,
    /// What dates the uses.
    pub clock: Option<ClockClient>,
}

/// What the owner said, what he is asked, and who used what.
#[derive(Default)]
pub(crate) struct Consents {
    pub(crate) owner: Owner,
    given: Given,
    /// Until when a no holds.
    refused: BTreeMap<(PublicKey, Local), Millis>,
    /// What each device is asked about.
    asked: BTreeMap<PublicKey, Asked>,
    /// The number of the newest question.
    newest: u64,
    audit: Audit,
    /// When it is tried again to write what is given, if the disk did not take it.
    again: Pace,
}

/// A question, and the calls that wait for its answer.
struct Asked {
    question: u64,
    about: Local,
    held: Vec<Job>,
}

impl Owner {
    /// Whether this is the kernel's object at which he is asked.
    pub(crate) fn is_asked_at(&self, object: u64) -> bool {
        let consent: Option<&Capability> = self.consent.as_ref().map(AsRef::as_ref);
        let held = consent.map(|consent| task().capability(consent.handle().index().into()));
        held.is_some_and(|held| held.is_ok_and(|held| held.object == object))
    }

    /// The same, waiting for clock and log only so long.
    pub(crate) fn impatient(self) -> Self {
        Owner {
            log: self.log.map(|log| log.with_timeout(PATIENCE)),
            clock: self.clock.map(|clock| clock.with_timeout(PATIENCE)),
            ..self
        }
    }
}

impl Server<'_> {
    /// Takes up what was kept. What cannot be read is begun anew, and the owner told.
    pub(crate) fn remember(&mut self) {
        let given = self.recall(Record::Consents, Given::read, "consents");
        self.consents.given = given.unwrap_or_default();
        // Whoever is trusted no longer has nothing left, whatever the disk says.
        let trusted: Vec<_> = self.node.trusted().map(|(key, ..)| *key).collect();
        let is_trusted = |consent: &Consent| trusted.contains(&consent.device);
        if self.consents.given.retain(is_trusted) {
            self.keep_consents();
        }
        let audit = self.recall(Record::Uses, Audit::read, "uses");
        self.consents.audit = audit.unwrap_or_default();
    }

    fn recall<T>(
        &self,
        record: Record,
        read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
        what: &str,
    ) -> Option<T> {
        let why = match self.keeper.kept(record) {
            Ok(bytes) => match read(&bytes) {
                Ok(read) => return Some(read),
                Err(Malformed) => "it is damaged".to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.report(&format!("the disk's record of {what} is not used: {why}"));
        None
    }

    /// Keeps the consents; true when that is durable. Otherwise it is tried again.
    fn keep_consents(&mut self) -> bool {
        let bytes = self.consents.given.to_bytes();
        let is_kept = self.keeper.keep(Record::Consents, &bytes);
        if !is_kept {
            self.report("the disk does not take the record of consents");
        }
        let now = self.now();
        self.consents.again.written(is_kept, now);
        is_kept
    }

    /// Writes what is to be written: the record of uses, and what the disk did not take.
    pub(crate) fn keep_late(&mut self) {
        let now = self.now();
        if self.consents.again.is_due(now) {
            self.keep_consents();
        }
        if self.consents.audit.pace.is_due(now) {
            let bytes = self.consents.audit.to_bytes();
            let is_kept = self.keeper.keep(Record::Uses, &bytes);
            self.consents.audit.pace.written(is_kept, self.now());
            if !is_kept {
                self.report("the disk does not take the record of uses");
            }
        }
    }

    /// Tells the owner what went wrong.
    fn report(&self, text: &str) {
        if let Some(log) = &self.consents.owner.log {
            // A log that takes nothing is no reason to stop.
            let _ = log.append(LogLevel::Error, Text::new(text).unwrap_or_default());
        }
    }

    /// The consent that a device needs for this export, as long as it is what is published
    /// under its name.
    fn consent(&self, peer: &PublicKey, local: Local) -> Option<Consent> {
        let name = self.exports.get(local)?.service.as_deref()?;
        let published = self.published.get(name)?;
        (published.local == local).then(|| Consent::new(*peer, name, &published.interface))
    }

    /// Runs a call of something private, now, later or never.
    pub(crate) fn ask_first(&mut self, peer: PublicKey, local: Local, service: &str, job: Job) {
        let now = self.now();
        let needed = self.consent(&peer, local);
        let export = self.exports.get(local);
        let is_given = needed
            .as_ref()
            .is_some_and(|needed| self.consents.given.holds(needed));
        if is_given || export.is_some_and(|export| export.agreed.contains(&peer)) {
            return self.workers.call(job);
        }
        self.consents.refused.retain(|_, until| *until > now);
        if self.consents.refused.contains_key(&(peer, local)) {
            return self.refuse(job.token, Cause::Denied);
        }
        if let Some(asked) = self.consents.asked.get_mut(&peer) {
            return match asked.about == local && asked.held.len() < HELD {
                true => asked.held.push(job),
                false => self.refuse(job.token, Cause::QuotaExceeded),
            };
        }
        let owner = self.consents.owner.consent.as_ref();
        let Some(Ok(owner)) = owner.map(|owner| owner.as_ref().copy()) else {
            return self.refuse(job.token, Cause::Denied);
        };
        if self.consents.asked.len() >= QUESTIONS || !self.consents.given.has_room() {
            return self.refuse(job.token, Cause::QuotaExceeded);
        }
        let text = format!("may {} use {service}?", self.name_of(&peer).as_str());
        let question = self.consents.newest + 1;
        self.workers.ask(Question {
            number: question,
            owner: owner.into(),
            text: Text::new(&text).unwrap_or_default(),
        });
        self.consents.newest = question;
        let asked = Asked {
            question,
            about: local,
            held: Vec::from([job]),
        };
        self.consents.asked.insert(peer, asked);
    }

    /// The owner has answered, or not in time, which is a no.
    pub(crate) fn owner_said(&mut self, question: u64, yes: bool) {
        let mut asked = self.consents.asked.iter();
        let Some((peer, _)) = asked.find(|(_, asked)| asked.question == question) else {
            // The device is trusted no longer.
            return;
        };
        let peer = *peer;
        let Some(Asked { about, held, .. }) = self.consents.asked.remove(&peer) else {
            return;
        };
        let yes = yes && self.agree(peer, about);
        if !yes {
            let until = self.now() + NO;
            self.consents.refused.insert((peer, about), until);
        }
        for job in held {
            match yes {
                true => self.workers.call(job),
                false => self.refuse(job.token, Cause::Denied),
            }
        }
    }

    /// Takes out a call that waits for the owner's word; false if it does not.
    pub(crate) fn no_longer_asks(&mut self, token: Token) -> bool {
        let mut asked = self.consents.asked.values_mut();
        asked.any(|asked| {
            let before = asked.held.len();
            asked.held.retain(|job| job.token != token);
            asked.held.len() < before
        })
    }

    /// Lets a device use something; false if that cannot be made durable.
    fn agree(&mut self, peer: PublicKey, local: Local) -> bool {
        match self.consent(&peer, local) {
            Some(consent) => {
                let is_added = self.consents.given.add(consent.clone());
                let is_kept = is_added && self.keep_consents();
                if !is_kept {
                    self.consents.given.retain(|one| *one != consent);
                }
                is_kept
            }
            // It was withdrawn meanwhile: whoever has it open may go on, and nobody else.
            None => self.exports.agree(local, peer),
        }
    }

    /// A device is trusted no longer: what the owner said of it, or is still asked, does not
    /// hold when it is paired again. True when that is durable.
    pub(crate) fn forget_device(&mut self, peer: &PublicKey) -> bool {
        self.consents.refused.retain(|(of, _), _| of != peer);
        self.exports.disagree(|_| true, peer);
        if let Some(asked) = self.consents.asked.remove(peer) {
            self.workers.interrupt(Doing::Question(asked.question));
            for job in asked.held {
                self.refuse(job.token, Cause::Denied);
            }
        }
        let is_changed = self.consents.given.retain(|one| one.device != *peer);
        !is_changed || self.keep_consents()
    }

    /// A service is published no longer: what the owner said of it does not hold for what
    /// comes under its name. True when that is durable.
    pub(crate) fn forget_service(&mut self, service: &str, local: Local) -> bool {
        let given = self.consents.given.iter();
        let devices = given.filter(|one| one.service == service);
        let devices: Vec<_> = devices.map(|one| one.device).collect();
        for device in devices {
            // Who has it open keeps it.
            self.exports.agree(local, device);
        }
        let is_changed = self.consents.given.retain(|one| one.service != service);
        !is_changed || self.keep_consents()
    }

    /// The owner takes his word back.
    pub(crate) fn forget_consent(
        &mut self,
        peer: &PublicKey,
        service: &str,
    ) -> Result<(), BusError> {
        let is_open = self.exports.disagree(|name| name == service, peer);
        let is_it = |one: &Consent| one.device == *peer && one.service == service;
        let is_changed = self.consents.given.retain(|one| !is_it(one));
        match (is_changed, is_open) {
            (true, _) if !self.keep_consents() => Err(BusError::NotDurable),
            (false, false) => Err(BusError::NoService),
            _ => Ok(()),
        }
    }

    /// One of the consents.
    pub(crate) fn agreed(&self, index: u64) -> Option<Agreed> {
        let mut given = self.consents.given.iter();
        let one = given.nth(usize::try_from(index).ok()?)?;
        Some(Agreed {
            device: number(&one.device),
            name: self.name_of(&one.device),
            service: Text::new(&one.service).unwrap_or_default(),
            interface: Text::new(&one.interface).unwrap_or_default(),
        })
    }

    /// A device uses a service.
    pub(crate) fn note_use(&mut self, peer: &PublicKey, service: &str) {
        let (device, now) = (number(peer), self.now());
        if self.consents.audit.again(device, service, now) {
            return;
        }
        let used = Used {
            device,
            name: self.name_of(peer),
            service: Text::new(service).unwrap_or_default(),
            time: self.wall_time(),
            calls: 1,
        };
        self.consents.audit.note(used, now);
    }

    /// One of the uses that are remembered, the latest first.
    pub(crate) fn used(&self, index: u64) -> Option<Used> {
        self.consents.audit.get(index)
    }

    /// Seconds since 1970; 0 if nobody knows.
    fn wall_time(&self) -> u64 {
        let Some(clock) = &self.consents.owner.clock else {
            return 0;
        };
        let Ok(told) = clock.now() else {
            return 0;
        };
        let since = time::from_ticks(Instant::now().ticks().saturating_sub(told.ticks));
        (Duration::from_nanos(told.nanoseconds) + since).as_secs()
    }
}
