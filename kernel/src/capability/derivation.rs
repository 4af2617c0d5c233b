//! Who comes from whom: the tree of derivations, through the slots themselves.
//!
//! The children of a slot form a ring. Only the ring's head, which the parent
//! names as its child, names the parent; so every operation takes constant
//! time, however many children there are. Children whose parent had none
//! itself are left in a ring without a head.

use super::slot::Slot;
use crate::{Entered, cell::Link};

/// A slot's place in the tree.
#[derive(Default)]
pub struct Place {
    /// Head of a ring: the slot that all of the ring comes from.
    parent: Link<Slot>,
    /// Head of the ring of what comes from this slot.
    child: Link<Slot>,
    next: Link<Slot>,
    previous: Link<Slot>,
}

impl Place {
    /// In no tree.
    pub const fn none() -> Place {
        Place {
            parent: Link::none(),
            child: Link::none(),
            next: Link::none(),
            previous: Link::none(),
        }
    }
}

/// Notes that `slot`, which is in no ring, comes from `parent`.
pub fn add(k: Entered<'_>, parent: &Slot, slot: &Slot) {
    match parent.place.child.take(k) {
        Some(head) => {
            head.place.parent.set(None);
            join(k, head, slot);
        }
        None => join(k, slot, slot),
    }
    head_of(parent, slot);
}

/// Whether a slot is in no tree: it comes from nothing, and nothing from it.
#[inline(always)]
pub fn is_alone(slot: &Slot) -> bool {
    // Who has a parent is in its ring.
    slot.place.child.is_none() && slot.place.next.is_none()
}

/// Takes a slot out of the tree. What came from it comes from its parent now.
pub fn remove(k: Entered<'_>, slot: &Slot) {
    if is_alone(slot) {
        return;
    }
    let parent = slot.place.parent.take(k);
    let children = slot.place.child.take(k);
    if let Some(children) = children {
        children.place.parent.set(None);
    }
    let next = slot.place.next.take(k);
    let previous = slot.place.previous.take(k);
    // Not alone in its ring: what is left is linked up, children in between.
    let ring = match (previous, next) {
        (Some(previous), Some(next)) if !core::ptr::eq(next, slot) => {
            let last = children.and_then(|first| first.place.previous.get(k));
            link(previous, children.unwrap_or(next));
            if let Some(last) = last {
                link(last, next);
            }
            Some(next)
        }
        _ => children,
    };
    if let Some(parent) = parent {
        parent.place.child.set(None);
        if let Some(head) = ring {
            head_of(parent, head);
        }
    }
}

/// Puts `new`, which is in no ring, in the place of `old`.
pub fn replace(k: Entered<'_>, old: &Slot, new: &Slot) {
    if is_alone(old) {
        return;
    }
    if let Some(children) = old.place.child.take(k) {
        head_of(new, children);
    }
    let next = old.place.next.take(k);
    let previous = old.place.previous.take(k);
    if let (Some(previous), Some(next)) = (previous, next) {
        if core::ptr::eq(next, old) {
            link(new, new);
        } else {
            link(previous, new);
            link(new, next);
        }
    }
    if let Some(parent) = old.place.parent.take(k) {
        head_of(parent, new);
    }
}

/// The first slot that comes from this one.
pub fn child<'k>(k: Entered<'k>, slot: &Slot) -> Option<&'k Slot> {
    slot.place.child.get(k)
}

fn head_of(parent: &Slot, head: &Slot) {
    parent.place.child.set(Some(head));
    head.place.parent.set(Some(parent));
}

fn link(before: &Slot, after: &Slot) {
    before.place.next.set(Some(after));
    after.place.previous.set(Some(before));
}

/// Puts `slot` before `head` into its ring; a ring of one if they are the same.
fn join(k: Entered<'_>, head: &Slot, slot: &Slot) {
    if let Some(last) = head.place.previous.get(k) {
        link(last, slot);
    }
    link(slot, head);
}

/// All slots that come from this one directly.
#[cfg(test)]
pub(crate) fn children<'k>(k: Entered<'k>, slot: &Slot) -> impl Iterator<Item = &'k Slot> {
    let head = child(k, slot);
    let mut next = head;
    core::iter::from_fn(move || {
        let current = next?;
        next = current
            .place
            .next
            .get(k)
            .filter(|after| !core::ptr::eq(*after, head.unwrap()));
        Some(current)
    })
}
