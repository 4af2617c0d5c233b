//! What a device exports, under all that its peers and its host may do with it.

use std::collections::{BTreeMap, BTreeSet};

use tessera_bus_lab::random::Rng;
use tessera_softbus_protocol::Millis;
use tessera_softbus_protocol::limits::{EXPORTS, GUESTS, SERVICES};
use tessera_softbus_protocol::suite::PublicKey;
use tessera_softbus_protocol::table::{Grantor, Local, Object, Service, Table};
use tessera_softbus_protocol::wire::{ObjectId, Rights};

use super::Target;

const EPOCH: u64 = 77;

/// Nothing that was taken back is called, nobody calls what was not given to it, and all
/// of it is bounded.
pub struct Tables {
    table: Table,
    /// Of what, and for whom, an object is that lives as far as is known here.
    given: BTreeMap<u64, (Local, PublicKey)>,
    /// What an object came of for its holder, if it did.
    came_of: BTreeMap<u64, u64>,
    /// Objects that can never be called again.
    over: BTreeSet<u64>,
    /// Calls that run.
    running: Vec<(PublicKey, u64)>,
    /// When each peer was known to live.
    alive: BTreeMap<PublicKey, Millis>,
    now: Millis,
    left: u32,
}

impl Tables {
    /// An empty table.
    pub fn new() -> Self {
        Tables {
            table: Table::new(EPOCH),
            given: BTreeMap::new(),
            came_of: BTreeMap::new(),
            over: BTreeSet::new(),
            running: Vec::new(),
            alive: BTreeMap::new(),
            now: 0,
            left: 3_000,
        }
    }

    /// An object that a peer may name: often one of its own.
    fn object(&self, rng: &mut Rng) -> ObjectId {
        let last = self.given.keys().next_back().copied().unwrap_or(0);
        let number = match rng.below(8) {
            0 => rng.word(),
            1..3 => rng.below(last + 2),
            _ => last.saturating_sub(rng.below(40)),
        };
        ObjectId {
            number,
            epoch: if rng.chance(20_000) {
                rng.word()
            } else {
                EPOCH
            },
        }
    }

    /// Who has an object, or somebody else.
    fn holder(&self, object: ObjectId, rng: &mut Rng) -> PublicKey {
        match self.given.get(&object.number) {
            Some((_, holder)) if rng.chance(850_000) => *holder,
            _ => peer(rng),
        }
    }

    fn give(&mut self, object: ObjectId, local: Local, to: PublicKey) {
        assert!(!self.over.contains(&object.number), "no number comes again");
        let before = self.given.insert(object.number, (local, to));
        assert!(before.is_none_or(|before| before == (local, to)));
    }

    fn check(&mut self, rng: &mut Rng) -> u64 {
        let object = self.object(rng);
        let caller = self.holder(object, rng);
        let alive = |peer: &PublicKey| self.alive.get(peer).copied();
        let operation = rng.word() as u8;
        let checked = self
            .table
            .check(&caller, object, operation, alive, self.now);
        let Ok(local) = checked else { return 1 };
        let given = self.given.get(&object.number);
        assert_eq!(given, Some(&(local, caller)), "it was given to the caller");
        assert!(!self.over.contains(&object.number), "it was not taken back");
        let root = self.came_of.get(&object.number);
        assert!(
            root.is_none_or(|root| !self.over.contains(root)),
            "nor was what it came of"
        );
        assert_eq!(object.epoch, EPOCH);
        self.table.began(&caller, object.number);
        self.running.push((caller, object.number));
        2
    }

    /// Takes something back, in one of the ways that there are.
    fn end(&mut self, rng: &mut Rng) -> u64 {
        let object = self.object(rng);
        let holder = self.holder(object, rng);
        let local = Local(rng.below(12));
        match rng.below(6) {
            0 => {
                let from = rng.chance(500_000).then_some(&holder);
                let (taken, all) = self.table.revoke(local, from);
                for taken in &taken {
                    self.over.insert(taken.object.number);
                }
                let mut given = self.given.iter();
                let its = |(of, by): &(Local, PublicKey)| {
                    *of == local && from.is_none_or(|from| from == by)
                };
                let ended = |number: &u64, over: &BTreeSet<u64>, table: &Table, by| {
                    let object = ObjectId {
                        number: *number,
                        epoch: EPOCH,
                    };
                    over.contains(number) || table.home(by, object, EVER, 0).is_err()
                };
                assert!(
                    given.all(|(number, given)| {
                        !its(given) || ended(number, &self.over, &self.table, &given.1)
                    }),
                    "all of it is taken back"
                );
                let runs = self.running.iter().filter(|(peer, number)| {
                    let is = |t: &&_| -> bool {
                        let t: &tessera_softbus_protocol::table::Taken = t;
                        t.peer == *peer && t.object.number == *number
                    };
                    all.iter().any(|taken| is(&taken))
                });
                assert_eq!(self.table.running(&all) as usize, runs.count());
            }
            1 => {
                let by = peer(rng);
                if let Ok((taken, _)) = self.table.take_back(&by, &holder, object) {
                    let taken = taken.iter().map(|taken| taken.object.number);
                    self.over.extend(taken);
                }
            }
            2 => {
                let count = [1, 1, 2, u32::MAX][rng.below(4) as usize];
                let taken = self.table.release(&holder, object, count);
                self.over
                    .extend(taken.iter().map(|taken| taken.object.number));
            }
            3 if rng.chance(50_000) => {
                let taken = self.table.forget(&holder);
                self.over
                    .extend(taken.iter().map(|taken| taken.object.number));
            }
            4 if rng.chance(50_000) => {
                self.table.revoke_from(&holder);
                assert!(!self.table.is_guest(&holder), "nothing is left of it");
                let its = self.given.iter().filter(|(_, (_, by))| *by == holder);
                self.over.extend(its.map(|(number, _)| *number));
            }
            _ => {
                self.table.drop_guest(&holder, is_trusted);
            }
        }
        4
    }

    /// A peer is given an object, often in an answer to one of its calls.
    fn export(&mut self, rng: &mut Rng) -> u64 {
        let local = Local(rng.below(12));
        let call = match self.running.len() as u64 {
            0 => None,
            calls => rng.chance(700_000).then(|| rng.below(calls) as usize),
        };
        let call = call.map(|place| self.running[place]);
        let to = call.map_or_else(|| peer(rng), |(caller, _)| caller);
        let through = call.map(|(_, number)| number);
        let is_over = |number| self.over.contains(number);
        match self.table.export(&to, local, rights(rng), through) {
            Ok(object) => {
                if let Some(number) = through {
                    let root = *self.came_of.get(&number).unwrap_or(&number);
                    assert!(!is_over(&number) && !is_over(&root), "it may have that");
                    self.came_of.insert(object.number, root);
                }
                self.give(object, local, to);
                32
            }
            Err(_) => 64,
        }
    }

    fn hand_on(&mut self, rng: &mut Rng) -> u64 {
        let object = self.object(rng);
        let by = self.holder(object, rng);
        let third = peer(rng);
        if !self.table.has_room_for(&third, is_trusted) {
            self.table.drop_guest(&third, is_trusted);
        }
        let grantor = Grantor {
            peer: by,
            number: object.number,
            bound: rng.below(5_000),
        };
        let alive = |peer: &PublicKey| self.alive.get(peer).copied();
        let (table, now) = (&mut self.table, self.now);
        let handed = table.hand_on(grantor, object.epoch, &third, rights(rng), alive, now);
        let Ok((handed, _)) = handed else { return 8 };
        let (local, holder) = self.given[&object.number];
        assert_eq!(holder, by, "who hands it on has it");
        assert!(!self.over.contains(&object.number), "it was not taken back");
        self.give(handed, local, third);
        16
    }
}

impl Default for Tables {
    fn default() -> Self {
        Tables::new()
    }
}

/// Everybody lives for ever.
const EVER: fn(&PublicKey) -> Option<u64> = |_| Some(u64::MAX);

fn peer(rng: &mut Rng) -> PublicKey {
    PublicKey([rng.below(GUESTS as u64 + 12) as u8; 32])
}

fn is_trusted(peer: &PublicKey) -> bool {
    peer.0[0] < 6
}

fn rights(rng: &mut Rng) -> Rights {
    match rng.below(4) {
        0 => Rights::only(&[rng.word() as u8, 3]),
        _ => Rights::ALL,
    }
}

impl Target for Tables {
    fn name(&self) -> &'static str {
        "tables"
    }

    fn execute(&mut self, rng: &mut Rng, input: &mut Vec<u8>) -> u64 {
        self.left -= 1;
        if self.left == 0 {
            *self = Tables::new();
        }
        let what = rng.below(16);
        input.push(what as u8);
        self.now += rng.below(200);
        let feature = match what {
            0..5 => self.check(rng),
            5..7 => self.export(rng),
            7..10 => self.hand_on(rng),
            10..12 => self.end(rng),
            12 => {
                let (key, now) = (peer(rng), self.now);
                self.alive.insert(key, now);
                128
            }
            13 | 14 if !self.running.is_empty() => {
                let place = rng.below(self.running.len() as u64) as usize;
                let (key, number) = self.running.swap_remove(place);
                self.table.ended(&key, number);
                256
            }
            _ => {
                let name = format!("service {}", rng.below(SERVICES as u64 + 9));
                let only = rng.chance(300_000).then(|| vec![peer(rng)]);
                let service = Service {
                    object: Object::Local(Local(rng.below(12)), rights(rng)),
                    interface: "Fuzz".into(),
                    only,
                };
                let opener = peer(rng);
                let is_there = self.table.publish(&name, service.clone());
                assert!(is_there || self.table.services(&opener).count() <= SERVICES);
                let may = is_there && service.only.is_none_or(|only| only.contains(&opener));
                assert_eq!(self.table.open(&opener, &name).is_ok(), may);
                if rng.chance(900_000) {
                    self.table.withdraw(&name);
                    assert!(self.table.open(&opener, &name).is_err());
                }
                512
            }
        };
        for gone in self.table.gone() {
            assert!(self.table.home(&gone.peer, gone.object, EVER, 0).is_err());
        }
        let someone = peer(rng);
        assert!(self.table.handed_by(&someone).count() <= EXPORTS);
        feature
    }
}
