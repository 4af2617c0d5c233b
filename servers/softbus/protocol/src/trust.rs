//! Which devices are trusted, and how that is kept on the disk.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::bytes::{Malformed, Reader, Writer};
use crate::limits::{NAME, TRUSTED};
use crate::suite::PublicKey;

/// What the owner knows of a device that it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Its name, as it gave it when it was paired.
    pub name: String,
    /// What sort of device it is, a number that the host gives a meaning.
    pub kind: u8,
}

/// The devices that are trusted. The host keeps [`Trust::to_bytes`] durably and hands
/// it back when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust(BTreeMap<PublicKey, Trusted>);

impl Trust {
    const FORMAT: u8 = 1;

    /// Reads what was kept. [`Malformed`] if the disk does not hold what was written:
    /// then nobody is trusted.
    pub fn read(bytes: &[u8]) -> Result<Trust, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != Self::FORMAT {
            return Err(Malformed);
        }
        let count = usize::from(reader.u8()?);
        if count > TRUSTED {
            return Err(Malformed);
        }
        let mut trust = Trust::default();
        for _ in 0..count {
            let key = PublicKey(reader.array()?);
            let (kind, name) = (reader.u8()?, reader.text(NAME)?);
            trust.0.insert(key, Trusted { name, kind });
        }
        reader.end()?;
        Ok(trust)
    }

    /// What is to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(Self::FORMAT).u8(self.0.len() as u8);
        for (key, trusted) in &self.0 {
            writer.bytes(&key.0).u8(trusted.kind);
            writer.text(&trusted.name, NAME);
        }
        writer.0
    }

    /// Trusts a device; false if the table is full.
    #[must_use]
    pub fn add(&mut self, key: PublicKey, trusted: Trusted) -> bool {
        if self.0.len() >= TRUSTED && !self.0.contains_key(&key) {
            return false;
        }
        self.0.insert(key, trusted);
        true
    }

    /// No longer trusts a device; false if it did not.
    pub fn remove(&mut self, key: &PublicKey) -> bool {
        self.0.remove(key).is_some()
    }

    /// Whether it is trusted.
    pub fn holds(&self, key: &PublicKey) -> bool {
        self.0.contains_key(key)
    }

    /// Whether another device can be trusted.
    pub fn has_room(&self) -> bool {
        self.0.len() < TRUSTED
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&PublicKey, &Trusted)> {
        self.0.iter()
    }
}
