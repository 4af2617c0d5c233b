//! A map that can be put back to what it was.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Deref;

/// A map with savepoints.
///
/// What is changed behind a savepoint is kept once, as it was, so that an operation
/// costs what it changes and not what the map holds. Reading goes by `Deref`.
#[derive(Clone)]
pub(crate) struct UndoMap<K, V> {
    map: BTreeMap<K, V>,
    /// What was there before each change, in order.
    undo: Vec<(K, Option<V>)>,
    /// Where in `undo` each savepoint begins, the innermost last.
    savepoints: Vec<usize>,
}

impl<K: Copy + Ord, V: Clone> UndoMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            map: BTreeMap::new(),
            undo: Vec::new(),
            savepoints: Vec::new(),
        }
    }

    /// Sets a savepoint, within those that are set.
    pub(crate) fn set_savepoint(&mut self) {
        self.savepoints.push(self.undo.len());
    }

    /// Takes the innermost savepoint back and keeps what was changed.
    pub(crate) fn keep(&mut self) {
        self.savepoints.pop();
        if self.savepoints.is_empty() {
            self.undo.clear();
        }
    }

    /// Takes the innermost savepoint back with all that was changed behind it.
    pub(crate) fn roll_back(&mut self) {
        let start = self.savepoints.pop().unwrap_or(0);
        for (key, before) in self.undo.drain(start..).rev() {
            match before {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
    }

    /// A value to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.note(key);
        self.map.get_mut(key)
    }

    /// A value in which something changes that needs no undoing.
    pub(crate) fn get_mut_unnoted(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.note(&key);
        self.map.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.note(key);
        self.map.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        let keys: Vec<K> = self.map.keys().copied().collect();
        for key in keys {
            self.remove(&key);
        }
    }

    fn note(&mut self, key: &K) {
        let Some(&start) = self.savepoints.last() else {
            return;
        };
        if !self.undo[start..].iter().any(|(noted, _)| noted == key) {
            self.undo.push((*key, self.map.get(key).cloned()));
        }
    }
}

impl<K, V> Deref for UndoMap<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}
