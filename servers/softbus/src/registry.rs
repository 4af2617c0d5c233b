//! What a repeat of an operation does, by the hash of its interface: all that the bus has
//! to know of an interface.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use libipc::{
    interfaces::{
        Block, Clock, Directory, Entropy, File, Log, Pipes, Sensor, Stream, bus, screen::Screen,
    },
    operation::{AGREE, Class, Interface},
    server::Dispatch,
};

/// Interfaces that a client may tell of.
const TOLD: usize = 16;

/// The classes of operations.
#[derive(Debug)]
pub struct Registry {
    known: BTreeMap<u32, BTreeMap<u8, Class>>,
    own: BTreeSet<u32>,
    /// The hashes by which an interface is called, by its name.
    named: BTreeMap<&'static str, Vec<u32>>,
    /// Who told of which.
    told: BTreeSet<(u64, u32)>,
}

impl Registry {
    /// Knows the system's own interfaces.
    pub fn new() -> Self {
        let mut registry = Registry {
            known: BTreeMap::new(),
            own: BTreeSet::new(),
            named: BTreeMap::new(),
            told: BTreeSet::new(),
        };
        let own: [&Interface; 10] = [
            &<dyn Block as Dispatch>::INTERFACE,
            &<dyn Clock as Dispatch>::INTERFACE,
            &<dyn Directory as Dispatch>::INTERFACE,
            &<dyn Entropy as Dispatch>::INTERFACE,
            &<dyn File as Dispatch>::INTERFACE,
            &<dyn Log as Dispatch>::INTERFACE,
            &<dyn Pipes as Dispatch>::INTERFACE,
            &<dyn Screen as Dispatch>::INTERFACE,
            &<dyn Sensor as Dispatch>::INTERFACE,
            &<dyn Stream as Dispatch>::INTERFACE,
        ];
        for interface in own {
            let classes = parse(&bus::classes(interface));
            let mut hashes = Vec::from(interface.older);
            hashes.extend([interface.hash, interface.name_hash]);
            registry.named.insert(interface.name, hashes);
            for hash in interface.older.iter().chain([&interface.hash]) {
                registry.known.insert(*hash, classes.clone());
                registry.own.insert(*hash);
            }
        }
        registry
    }

    /// Learns of an interface from a client, as [`bus::classes`] writes it. False if it
    /// has told of too many. An operation of which clients say different things is not
    /// repeated: nobody can make another's calls run twice.
    pub fn learn(&mut self, client: u64, hash: u32, table: &[u8]) -> bool {
        if table.is_empty() || self.own.contains(&hash) {
            return true;
        }
        let by_client = self.told.range((client, 0)..=(client, u32::MAX)).count();
        if by_client >= TOLD && !self.told.contains(&(client, hash)) {
            return false;
        }
        self.told.insert((client, hash));
        let said = parse(table);
        match self.known.get_mut(&hash) {
            Some(known) => known.retain(|operation, class| said.get(operation) == Some(class)),
            None => {
                self.known.insert(hash, said);
            }
        }
        true
    }

    /// The hashes of calls of an interface that is known by its name.
    pub fn hashes(&self, name: &str) -> Option<&[u32]> {
        self.named.get(name).map(Vec::as_slice)
    }

    /// Whether an interface that is known by another name is called by this hash.
    pub fn is_of_another(&self, hash: u32, name: &str) -> bool {
        let mut others = self.named.iter().filter(|(other, _)| **other != name);
        others.any(|(_, hashes)| hashes.contains(&hash))
    }

    /// Whether no operation of the interface reads memory that it may write: so it is with
    /// the system's own.
    pub fn only_fills(&self, hash: u32) -> bool {
        self.own.contains(&hash)
    }

    /// What a repeat of an operation does; of one that nobody has told of, that it must
    /// not be.
    pub fn class(&self, hash: u32, operation: u8) -> Class {
        if operation == AGREE {
            return Class::Idempotent;
        }
        let classes = self.known.get(&hash);
        let class = classes.and_then(|classes| classes.get(&operation));
        class.copied().unwrap_or(Class::Once)
    }
}

fn parse(table: &[u8]) -> BTreeMap<u8, Class> {
    let (pairs, _) = table.as_chunks();
    let class = |[number, class]: &[u8; 2]| {
        let class = match class {
            1 => Class::Idempotent,
            2 => Class::Recorded,
            _ => Class::Once,
        };
        (*number, class)
    };
    pairs.iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_repeated() {
        let mut registry = Registry::new();
        let sensor = <dyn Sensor as Dispatch>::INTERFACE.hash;
        assert_eq!(registry.class(sensor, 0), Class::Idempotent);
        assert_eq!(registry.class(sensor, 9), Class::Once);
        assert_eq!(registry.class(1, 0), Class::Once);
        assert_eq!(registry.class(1, AGREE), Class::Idempotent);
        assert!(registry.learn(7, 1, &[0, 2, 7, 1, 9]));
        assert_eq!(registry.class(1, 0), Class::Recorded);
        assert_eq!(
            (registry.class(1, 7), registry.class(1, 9)),
            (Class::Idempotent, Class::Once)
        );
        // Nobody changes what is the system's own.
        assert!(registry.learn(7, sensor, &[0, 0]));
        assert_eq!(registry.class(sensor, 0), Class::Idempotent);
    }

    #[test]
    fn a_client_harms_no_other_by_what_it_tells() {
        let mut registry = Registry::new();
        assert!(registry.learn(7, 1, &[0, 1, 1, 1, 2, 2]));
        assert!(registry.learn(8, 1, &[0, 0, 1, 1, 3, 1]));
        let classes = [0, 1, 2, 3].map(|operation| registry.class(1, operation));
        let [once, agreed] = [Class::Once, Class::Idempotent];
        assert_eq!(classes, [once, agreed, once, once]);
        // Each has a share, and may say again what it said.
        assert!((2..17).all(|hash| registry.learn(7, hash, &[0, 1])));
        assert!(!registry.learn(7, 17, &[0, 1]) && registry.learn(7, 16, &[0, 1]));
        assert!(registry.learn(8, 17, &[0, 1]));
    }
}
