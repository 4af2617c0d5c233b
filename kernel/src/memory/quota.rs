//! Who pays: every frame is charged to a task's quota.
//!
//! What the children of a task may use counts as used by the task, so the sum
//! over all tasks never exceeds what there is, and no task can make another's
//! allocation fail.

use crate::{Entered, object::task::Task};
use libipc_abi::objects::ObjectError;

/// Charges `frames` to `payer`.
pub fn charge(payer: &Task, frames: u64) -> Result<(), ObjectError> {
    let used = payer.used.get();
    if payer.limit.get().saturating_sub(used) < frames {
        return Err(ObjectError::QuotaExceeded);
    }
    payer.used.set(used + frames);
    Ok(())
}

/// Takes back a charge. A dead task that uses nothing any more gives its quota
/// back to its parent and ends.
pub fn refund(k: Entered<'_>, payer: &Task, frames: u64) {
    payer.used.take(frames);
    payer.end_if_empty(k);
}

/// A frame full of zeros, charged to `payer`.
pub fn allocate(k: Entered<'_>, payer: &Task) -> Result<u64, ObjectError> {
    charge(payer, 1)?;
    Ok(k.kernel.frames.pop())
}

/// A frame with anything in it, for what no program sees, charged to `payer`.
pub fn allocate_dirty(k: Entered<'_>, payer: &Task) -> Result<u64, ObjectError> {
    charge(payer, 1)?;
    Ok(k.kernel.frames.pop_dirty())
}

/// Gives a frame back that is full of zeros.
pub fn free_zeroed(k: Entered<'_>, payer: &Task, physical: u64) {
    k.kernel.frames.push_zeroed(physical);
    refund(k, payer, 1);
}

/// Gives a frame of either kind back.
pub fn free(k: Entered<'_>, payer: &Task, physical: u64) {
    k.kernel.frames.push(physical);
    refund(k, payer, 1);
}
