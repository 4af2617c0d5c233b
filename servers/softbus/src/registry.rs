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

/// Interfaces that clients have told of; more than that are refused.
const TOLD: usize = 64;

/// The classes of operations.
#[derive(Debug)]
pub struct Registry {
    known: BTreeMap<u32, BTreeMap<u8, Class>>,
    own: BTreeSet<u32>,
    /// The hashes by which an interface is called, by its name.
    named: BTreeMap<&'static str, Vec<u32>>,
    told: usize,
}

impl Registry {
    /// Knows the system's own interfaces.
    pub fn new() -> Self {
        let mut registry = Registry {
            known: BTreeMap::new(),
            own: BTreeSet::new(),
            named: BTreeMap::new(),
            told: 0,
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

    /// Learns of an interface, as [`bus::classes`] writes it, unless it is known. False
    /// if there are too many.
    pub fn learn(&mut self, hash: u32, table: &[u8]) -> bool {
        if table.is_empty() || self.known.contains_key(&hash) {
            return true;
        }
        if self.told == TOLD {
            return false;
        }
        self.told += 1;
        self.known.insert(hash, parse(table));
        true
    }

    /// The hashes of calls of an interface that is known by its name.
    pub fn hashes(&self, name: &str) -> Option<&[u32]> {
        self.named.get(name).map(Vec::as_slice)
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
        assert!(registry.learn(1, &[0, 2, 7, 1, 9]));
        assert_eq!(registry.class(1, 0), Class::Recorded);
        assert_eq!(
            (registry.class(1, 7), registry.class(1, 9)),
            (Class::Idempotent, Class::Once)
        );
        // Nobody changes what is known.
        assert!(registry.learn(sensor, &[0, 0]));
        assert_eq!(registry.class(sensor, 0), Class::Idempotent);
        assert!((2..65).all(|hash| registry.learn(hash, &[0, 1])));
        assert!(!registry.learn(65, &[0, 1]));
    }
}
