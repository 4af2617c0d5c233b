//! What really happened, and what must hold. Each invariant counts how often there was
//! an occasion to break it; one that never had an occasion proves nothing and fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tessera_softbus_protocol::Millis;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Every call ends exactly once.
    Outcome,
    /// A call that is `once` or `recorded` runs at most once. Occasion: it was under way
    /// while its stream was replaced or broke.
    AtMostOnce,
    /// A call that is said not to have run did not, and does not.
    NotDelivered,
    /// Nobody is served who is not trusted, or was not given the object. Occasion:
    /// somebody tried.
    Unpaired,
    /// A stranger that opens a stream gets not a byte but for a cookie.
    Silence,
    /// Nothing begins through an object that was taken back.
    Revoked,
    /// When a revocation returns, nothing runs.
    NothingRuns,
    /// Nothing begins through a hand-over that was taken back.
    TakenBack,
    /// No operation runs that was not given with the object, whatever its holder takes
    /// for given. Occasion: one was called.
    Rights,
    /// No object of an earlier run of its owner is called.
    Epoch,
    /// An object that was not taken back ends with its owner's run, and not before.
    /// Occasion: one ended.
    Lives,
    /// What is lent, written and answered arrives as it was.
    Contents,
    /// An object that comes home is the local one.
    Home,
    /// What a device publishes of another one's is called there, not through it.
    /// Occasion: somebody opened it.
    Direct,
    /// A peer makes nobody hold more than its credit. Occasion: it tried.
    Memory,
    /// No datagram that is forged, altered or repeated makes a peer appear.
    Ghost,
    /// Nor makes it go.
    FalseGone,
    /// A pairing that is told is on the disk.
    Durable,
    /// A wrong PIN makes no trust.
    WrongPin,
    /// A peer that goes silent is missed within 2 s.
    LossNoticed,
    /// Calls to it have ended 500 ms after that.
    EndAfterLoss,
    /// A call ends by its deadline.
    Deadline,
    /// At most 50 announcements a second are heard.
    Announcements,
    /// After healing, idempotent calls succeed.
    Healed,
}

impl Check {
    /// All of them.
    pub const ALL: [Check; 24] = [
        Check::Outcome,
        Check::AtMostOnce,
        Check::NotDelivered,
        Check::Unpaired,
        Check::Silence,
        Check::Revoked,
        Check::NothingRuns,
        Check::TakenBack,
        Check::Rights,
        Check::Epoch,
        Check::Lives,
        Check::Contents,
        Check::Home,
        Check::Direct,
        Check::Memory,
        Check::Ghost,
        Check::FalseGone,
        Check::Durable,
        Check::WrongPin,
        Check::LossNoticed,
        Check::EndAfterLoss,
        Check::Deadline,
        Check::Announcements,
        Check::Healed,
    ];
}

/// An object of a device.
#[derive(Clone, Copy, Debug)]
pub struct Thing {
    /// Whose, and of which run.
    pub owner: usize,
    /// See `owner`.
    pub run: u32,
    /// It was taken back from everybody.
    pub revoked: bool,
}

/// See the module.
#[derive(Default)]
pub struct Truth {
    /// Occasions.
    pub occasions: BTreeMap<Check, u64>,
    /// What was broken.
    pub broken: Vec<(Check, String)>,
    /// How often each call ran.
    pub runs: HashMap<u64, u32>,
    /// Calls of which it was said that they did not run.
    pub undelivered: BTreeSet<u64>,
    /// Objects, by their local number.
    pub things: HashMap<u64, Thing>,
    /// Whom an object was given to by its owner.
    pub first: HashMap<u64, usize>,
    /// What an object came of for whom it was given to: it ends with that.
    pub came_of: BTreeMap<u64, (u64, usize)>,
    /// Who was handed what, by whom.
    pub handed: BTreeMap<(u64, usize), usize>,
    /// Who trusts whom no longer.
    pub parted: BTreeSet<(usize, usize)>,
    /// What was taken back of that.
    pub returned: BTreeSet<(u64, usize)>,
    /// Losses that were noticed: how long after.
    pub noticed: Vec<Millis>,
    /// Peers that came: how long until they were listed.
    pub listed: Vec<Millis>,
    /// Those of which the network lost nothing on the way... that never were.
    pub unlisted: u64,
    /// Peers that were lost although they were there.
    pub false_losses: u64,
    /// Most announcements in a second.
    pub most_hellos: u64,
    /// Eligible calls and those that succeeded.
    pub healed: (u64, u64),
    /// How calls ended.
    pub endings: BTreeMap<String, u64>,
    /// Streams that were replaced or broke.
    pub reconnects: u64,
    /// Events of the simulation.
    pub steps: u64,
}

impl Truth {
    /// There was an occasion.
    pub fn occasion(&mut self, check: Check) {
        *self.occasions.entry(check).or_default() += 1;
    }

    /// Something must hold; there was an occasion.
    pub fn must(&mut self, check: Check, holds: bool, why: impl FnOnce() -> String) {
        self.occasion(check);
        self.never(check, !holds, why);
    }

    /// Something must not be; it is no occasion that it is not.
    pub fn never(&mut self, check: Check, is: bool, why: impl FnOnce() -> String) {
        if is && self.broken.len() < 100 {
            self.broken.push((check, why()));
        }
    }

    /// An object answers a call of a device through another one.
    pub fn comes_of(&mut self, made: u64, local: u64, peer: usize) {
        self.first.insert(made, peer);
        // What is got through what was got ends with the first of them.
        let above = self
            .came_of
            .get(&local)
            .filter(|(_, holder)| *holder == peer);
        let root = above.map_or(local, |(root, _)| *root);
        self.came_of.insert(made, (root, peer));
    }

    /// What came of an object for one device, or for all.
    fn of(&self, local: u64, only: Option<usize>) -> Vec<u64> {
        let came = self.came_of.iter();
        let its = came.filter(|(_, (root, holder))| {
            *root == local && only.is_none_or(|only| only == *holder)
        });
        its.map(|(made, _)| *made).collect()
    }

    /// An object, and all that came of it.
    pub fn of_all(&self, local: u64) -> Vec<u64> {
        let mut all = vec![local];
        for made in self.of(local, None) {
            all.extend(self.of_all(made));
        }
        all
    }

    /// An object was taken back from everybody.
    pub fn revokes(&mut self, local: u64) {
        if let Some(thing) = self.things.get_mut(&local) {
            thing.revoked = true;
        }
    }

    /// A hand-over was taken back, with all that came of it.
    pub fn returns(&mut self, local: u64, third: usize) {
        if self.returned.insert((local, third)) {
            for made in self.of(local, Some(third)) {
                self.returns(made, third);
            }
            let further: Vec<usize> = self
                .handed
                .iter()
                .filter(|((of, _), by)| *of == local && **by == third)
                .map(|((_, to), _)| *to)
                .collect();
            further.into_iter().for_each(|to| self.returns(local, to));
        }
    }

    /// Adds what happened in another simulation.
    pub fn add(&mut self, other: Truth) {
        for (check, count) in other.occasions {
            *self.occasions.entry(check).or_default() += count;
        }
        for (ending, count) in other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
        self.broken.extend(other.broken);
        self.noticed.extend(other.noticed);
        self.listed.extend(other.listed);
        self.unlisted += other.unlisted;
        self.false_losses += other.false_losses;
        self.most_hellos = self.most_hellos.max(other.most_hellos);
        self.healed.0 += other.healed.0;
        self.healed.1 += other.healed.1;
        self.reconnects += other.reconnects;
        self.steps += other.steps;
    }
}
