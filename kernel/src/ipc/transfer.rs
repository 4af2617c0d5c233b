//! Capabilities in messages: all arrive or none does.

use crate::{
    Entered,
    capability::{derivation, object::Target, slot::Slot},
    memory::frames::Words,
    object::{task::Task, thread::Thread},
};
use core::sync::atomic::Ordering::Relaxed;
use libipc_abi::{
    buffer::{CAPABILITIES, word},
    handle::{Handle, Rights},
    status::Cause,
};

/// Whose fault it is that capabilities could not be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The sender does not hold what it wants to pass, or may not pass it.
    Sender(Cause),
    /// The receiver has no room.
    Receiver(Cause),
}

impl Failure {
    /// The cause, whoever is to blame.
    pub fn cause(self) -> Cause {
        match self {
            Failure::Sender(cause) | Failure::Receiver(cause) => cause,
        }
    }
}

/// A capability on its way.
#[derive(Clone, Copy)]
struct Passing<'k> {
    slot: &'k Slot,
    target: Target<'k>,
    rights: Rights,
    moves: bool,
}

/// Passes the capabilities that the sender's buffer names.
#[inline(always)]
pub fn capabilities(
    k: Entered<'_>,
    sender: &Thread,
    receiver: &Thread,
    count: usize,
) -> Result<(), Failure> {
    match count {
        0 => Ok(()),
        1 => single(k, sender, receiver),
        _ => several(k, sender, receiver, count),
    }
}

/// One, which is most often what there is, and most often moves as it is.
#[inline(never)]
fn single(k: Entered<'_>, sender: &Thread, receiver: &Thread) -> Result<(), Failure> {
    let (from, to) = tasks(k, sender, receiver)?;
    let named = sender.buffer(k);
    // Each word is read once: other threads of the task can write them.
    let how = named[word::PASSING].load(Relaxed);
    let handle = Handle(named[word::CAPABILITIES].load(Relaxed));
    let (moves, lost) = (how & 1 == 0, Rights::from_bits_retain((how >> 8) as u8));
    let denied = Failure::Sender(Cause::Denied);
    let slot = from.table.named(k, handle).ok_or(denied)?;
    let rights = handle.rights();
    if !rights.contains(Rights::GRANT) || slot.is_revoking() {
        return Err(denied);
    }
    let buffer = receiver.buffer(k);
    if !moves || rights.intersects(lost) {
        return changed(k, from, to, slot, how, buffer);
    }
    let full = Failure::Receiver(Cause::QuotaExceeded);
    if buffer[word::OPEN].load(Relaxed) == 0 {
        return Err(full);
    }
    // Nothing is counted anew.
    let moved = to.table.move_from(k, to, &from.table, slot);
    let handle = moved.map_err(|_| full)?;
    buffer[word::CAPABILITIES].store(handle.0, Relaxed);
    Ok(())
}

/// One that is copied, or loses rights.
#[inline(never)]
fn changed(
    k: Entered<'_>,
    from: &Task,
    to: &Task,
    slot: &Slot,
    how: u64,
    buffer: &Words,
) -> Result<(), Failure> {
    let passing = Passing::new(k, slot, how, 0).map_err(Failure::Sender)?;
    let full = Failure::Receiver(Cause::QuotaExceeded);
    if buffer[word::OPEN].load(Relaxed) == 0 {
        return Err(full);
    }
    let made = to.table.insert(k, to, &passing.target, passing.rights);
    let handle = made.map_err(|_| full)?;
    if let Some(slot) = to.table.find(k, handle) {
        derive(k, from, &passing, slot);
    }
    buffer[word::CAPABILITIES].store(handle.0, Relaxed);
    Ok(())
}

#[inline(never)]
fn several(
    k: Entered<'_>,
    sender: &Thread,
    receiver: &Thread,
    count: usize,
) -> Result<(), Failure> {
    let (from, to) = tasks(k, sender, receiver)?;
    let mut passing = [None; CAPABILITIES];
    look_up_all(k, from, sender.buffer(k), &mut passing[..count]).map_err(Failure::Sender)?;

    let buffer = receiver.buffer(k);
    if buffer[word::OPEN].load(Relaxed) < count as u64 {
        return Err(Failure::Receiver(Cause::QuotaExceeded));
    }
    let mut handles = [Handle::NULL; CAPABILITIES];
    for (index, capability) in passing.iter().flatten().enumerate() {
        match to
            .table
            .insert(k, to, &capability.target, capability.rights)
        {
            Ok(handle) => handles[index] = handle,
            Err(_) => {
                for handle in &handles[..index] {
                    if let Some(slot) = to.table.find(k, *handle) {
                        forget(k, to, slot);
                    }
                }
                return Err(Failure::Receiver(Cause::QuotaExceeded));
            }
        }
    }
    for (index, capability) in passing.iter().flatten().enumerate() {
        buffer[word::CAPABILITIES + index].store(handles[index].0, Relaxed);
        if let Some(slot) = to.table.find(k, handles[index]) {
            derive(k, from, capability, slot);
        }
    }
    Ok(())
}

/// Whose capabilities they are, and whose they are to be.
#[inline(always)]
fn tasks<'k>(
    k: Entered<'k>,
    sender: &Thread,
    receiver: &Thread,
) -> Result<(&'k Task, &'k Task), Failure> {
    let tasks = sender.task.get(k).zip(receiver.task.get(k));
    tasks.ok_or(Failure::Sender(Cause::Died))
}

/// `slot` holds what was passed: it takes the place of what it comes from, or is
/// derived from that.
fn derive(k: Entered<'_>, from: &Task, capability: &Passing<'_>, slot: &Slot) {
    if capability.moves {
        derivation::replace(k, capability.slot, slot);
        forget(k, from, capability.slot);
    } else {
        derivation::add(k, capability.slot, slot);
    }
}

/// Deletes one of two capabilities to the same: no reply is dropped by it.
fn forget(k: Entered<'_>, task: &Task, slot: &Slot) {
    match task.table.take(k, slot) {
        Some((Target::Reply(thread, _), _)) => thread.release(k),
        Some((target, rights)) => target.release(k, rights),
        None => {}
    }
}

fn look_up_all<'k>(
    k: Entered<'k>,
    task: &Task,
    named: &Words,
    passing: &mut [Option<Passing<'k>>],
) -> Result<(), Cause> {
    // Each word is read once: other threads of the task can write them.
    let how = named[word::PASSING].load(Relaxed);
    for index in 0..passing.len() {
        let handle = Handle(named[word::CAPABILITIES + index].load(Relaxed));
        let slot = task.table.find(k, handle).ok_or(Cause::Denied)?;
        let found = Passing::new(k, slot, how, index)?;
        // What moves is gone afterwards, so it cannot be passed twice.
        let mut others = passing[..index].iter().flatten();
        if others.any(|other| core::ptr::eq(other.slot, found.slot) && (found.moves || other.moves))
        {
            return Err(Cause::Malformed);
        }
        passing[index] = Some(found);
    }
    Ok(())
}

impl<'k> Passing<'k> {
    /// The capability in this slot, which the message names as the one of this index.
    fn new(k: Entered<'k>, slot: &'k Slot, how: u64, index: usize) -> Result<Self, Cause> {
        let held = slot.handle().rights();
        let target = slot.target(k).ok_or(Cause::Denied)?;
        let moves = how >> index & 1 == 0;
        let single = matches!(target, Target::Reply(..));
        if !held.contains(Rights::GRANT) || (single && !moves) {
            return Err(Cause::Denied);
        }
        let lost = Rights::from_bits_retain((how >> (8 + 8 * index)) as u8);
        Ok(Passing {
            slot,
            target,
            rights: weaken(&target, held, lost),
            moves,
        })
    }
}

/// Rights without those that are lost; marks stay.
pub fn weaken(target: &Target<'_>, rights: Rights, lost: Rights) -> Rights {
    let marks = match target {
        Target::Endpoint(..) => Rights::FAR_ONLY,
        _ => Rights::empty(),
    };
    rights - (lost - marks)
}
