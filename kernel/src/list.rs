//! Doubly linked lists through the objects themselves: adding and removing
//! allocates nothing and takes constant time.

use crate::{Entered, cell::Link};
use core::marker::PhantomData;

/// An object's place in a list. While it is in none, both lead nowhere.
#[derive(Debug)]
pub struct Node<T> {
    next: Link<T>,
    previous: Link<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Node<T> {
    /// In no list.
    pub const fn new() -> Self {
        Node {
            next: Link::none(),
            previous: Link::none(),
        }
    }
}

/// Says which of an object's nodes a list uses.
pub trait Through<T> {
    /// The node.
    fn node(object: &T) -> &Node<T>;
}

/// A list of objects that all have a node for it. An object is in at most one
/// list through the same node; its owner knows in which.
#[derive(Debug)]
pub struct List<T, N> {
    first: Link<T>,
    last: Link<T>,
    through: PhantomData<N>,
}

impl<T, N> Default for List<T, N> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T, N> List<T, N> {
    /// A list of nothing.
    pub const fn empty() -> Self {
        List {
            first: Link::none(),
            last: Link::none(),
            through: PhantomData,
        }
    }
}

impl<T, N: Through<T>> List<T, N> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first object.
    pub fn first<'k>(&self, k: Entered<'k>) -> Option<&'k T> {
        self.first.get(k)
    }

    /// The last object.
    pub fn last<'k>(&self, k: Entered<'k>) -> Option<&'k T> {
        self.last.get(k)
    }

    /// The object after `object`.
    pub fn after<'k>(&self, k: Entered<'k>, object: &T) -> Option<&'k T> {
        N::node(object).next.get(k)
    }

    /// The object before `object`.
    pub fn before<'k>(&self, k: Entered<'k>, object: &T) -> Option<&'k T> {
        N::node(object).previous.get(k)
    }

    /// All objects, from the first on. The current one may be removed.
    pub fn iter<'l, 'k: 'l>(&'l self, k: Entered<'k>) -> impl Iterator<Item = &'k T> + 'l
    where
        T: 'k,
    {
        let mut next = self.first(k);
        core::iter::from_fn(move || {
            let object = next?;
            next = self.after(k, object);
            Some(object)
        })
    }

    /// Adds `object` at the end.
    pub fn push(&self, k: Entered<'_>, object: &T) {
        match self.last.get(k) {
            Some(last) => {
                N::node(object).previous.set(Some(last));
                N::node(last).next.set(Some(object));
            }
            None => self.first.set(Some(object)),
        }
        self.last.set(Some(object));
    }

    /// Adds `object` at the front.
    pub fn push_front(&self, k: Entered<'_>, object: &T) {
        match self.first.get(k) {
            Some(first) => {
                N::node(object).next.set(Some(first));
                N::node(first).previous.set(Some(object));
            }
            None => self.last.set(Some(object)),
        }
        self.first.set(Some(object));
    }

    /// Adds `object` behind `place`, or at the front.
    pub fn insert_after(&self, k: Entered<'_>, place: Option<&T>, object: &T) {
        let Some(place) = place else {
            return self.push_front(k, object);
        };
        let Some(next) = self.after(k, place) else {
            return self.push(k, object);
        };
        N::node(object).previous.set(Some(place));
        N::node(object).next.set(Some(next));
        N::node(next).previous.set(Some(object));
        N::node(place).next.set(Some(object));
    }

    /// Takes `object`, which is in this list, out of it.
    pub fn remove(&self, k: Entered<'_>, object: &T) {
        let node = N::node(object);
        let (next, previous) = (node.next.take(k), node.previous.take(k));
        match previous {
            Some(previous) => N::node(previous).next.set(next),
            None => self.first.set(next),
        }
        match next {
            Some(next) => N::node(next).previous.set(previous),
            None => self.last.set(previous),
        }
    }

    /// Takes `first`, which is the first object, out.
    #[inline(always)]
    pub fn pop_first(&self, k: Entered<'_>, first: &T) {
        match N::node(first).next.get(k) {
            Some(next) => {
                N::node(first).next.set(None);
                N::node(next).previous.set(None);
                self.first.set(Some(next));
            }
            None => {
                self.first.set(None);
                self.last.set(None);
            }
        }
    }

    /// Takes the first object out.
    pub fn pop<'k>(&self, k: Entered<'k>) -> Option<&'k T> {
        let first = self.first.get(k)?;
        self.remove(k, first);
        Some(first)
    }
}
