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
    /// Of those that it has now.
    lost: Rights,
    moves: bool,
}

/// Passes the capabilities that the sender's buffer names.
pub fn capabilities(
    k: Entered<'_>,
    sender: &Thread,
    receiver: &Thread,
    count: usize,
) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    let died = Failure::Sender(Cause::Died);
    let from = sender.task.get(k).ok_or(died)?;
    let to = receiver.task.get(k).ok_or(died)?;
    let named = sender.buffer(k);
    // Each word is read once: other threads of the task can write them.
    let how = named[word::PASSING].load(Relaxed);
    if count == 1 {
        return single(k, from, to, named, how, receiver.buffer(k));
    }
    let mut passing = [None; CAPABILITIES];
    look_up_all(k, from, named, how, &mut passing[..count]).map_err(Failure::Sender)?;

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

/// The same with one, which is most often what there is.
fn single(
    k: Entered<'_>,
    from: &Task,
    to: &Task,
    named: &Words,
    how: u64,
    buffer: &Words,
) -> Result<(), Failure> {
    let capability = look_up(k, from, named, how, 0).map_err(Failure::Sender)?;
    if buffer[word::OPEN].load(Relaxed) == 0 {
        return Err(Failure::Receiver(Cause::QuotaExceeded));
    }
    let full = |_| Failure::Receiver(Cause::QuotaExceeded);
    let handle = if capability.moves && capability.lost.is_empty() {
        // Nothing is counted anew.
        let moved = to.table.move_from(k, to, &from.table, capability.slot);
        moved.map_err(full)?
    } else {
        let made = to
            .table
            .insert(k, to, &capability.target, capability.rights);
        let handle = made.map_err(full)?;
        if let Some(slot) = to.table.find(k, handle) {
            derive(k, from, &capability, slot);
        }
        handle
    };
    buffer[word::CAPABILITIES].store(handle.0, Relaxed);
    Ok(())
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
    how: u64,
    passing: &mut [Option<Passing<'k>>],
) -> Result<(), Cause> {
    for index in 0..passing.len() {
        let found = look_up(k, task, named, how, index)?;
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

#[inline(always)]
fn look_up<'k>(
    k: Entered<'k>,
    task: &Task,
    named: &Words,
    how: u64,
    index: usize,
) -> Result<Passing<'k>, Cause> {
    let handle = Handle(named[word::CAPABILITIES + index].load(Relaxed));
    let slot = task.table.find(k, handle).ok_or(Cause::Denied)?;
    let target = slot.target(k).ok_or(Cause::Denied)?;
    let moves = how >> index & 1 == 0;
    let single = matches!(target, Target::Reply(..));
    if !handle.rights().contains(Rights::GRANT) || (single && !moves) {
        return Err(Cause::Denied);
    }
    let wanted = Rights::from_bits_retain((how >> (8 + 8 * index)) as u8);
    let rights = weaken(&target, handle.rights(), wanted);
    Ok(Passing {
        slot,
        target,
        rights,
        lost: handle.rights() - rights,
        moves,
    })
}

/// Rights without those that are lost; marks stay.
pub fn weaken(target: &Target<'_>, rights: Rights, lost: Rights) -> Rights {
    let marks = match target {
        Target::Endpoint(..) => Rights::FAR_ONLY,
        _ => Rights::empty(),
    };
    rights - (lost - marks)
}
