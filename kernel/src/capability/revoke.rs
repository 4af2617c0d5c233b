//! Taking back what came from a capability.

use super::{derivation, object::Target, slot::Slot};
use crate::{
    Entered, ipc,
    memory::space::{self, Progress},
    object::task::Task,
};
use libipc_abi::PAGE;

/// Takes back all that came from the capability in `root`, one by one, and then
/// ends the waits through what is gone. Until that is done the capability itself
/// allows nothing. `look` is for [`ipc::waits::revoke`].
pub fn revoke(k: Entered<'_>, root: &Slot, look: &mut u64) -> Progress {
    root.set_revoking(true);
    while let Some(child) = derivation::child(k, root) {
        if take_back(k, child) == Progress::Again || k.wanted() {
            return Progress::Again;
        }
    }
    // All that came from it led to the same endpoint.
    if let Some(Target::Endpoint(endpoint, ..)) = root.target(k)
        && ipc::waits::revoke(k, endpoint, look) == Progress::Again
    {
        return Progress::Again;
    }
    root.set_revoking(false);
    Progress::Done
}

/// Takes one capability, mapping or binding back. What came from it comes from its
/// parent then, so the tree shrinks by one each time.
fn take_back(k: Entered<'_>, slot: &Slot) -> Progress {
    if let Some(region) = slot.mapping(k) {
        return match region.task.get(k) {
            Some(task) => space::remove(k, task, region),
            None => Progress::Done,
        };
    }
    if let Some(binding) = slot.binding(k) {
        binding.end(k);
        return Progress::Done;
    }
    if let Some(owner) = owner(k, slot) {
        owner.table.delete(k, slot);
    }
    Progress::Done
}

/// The task in whose table a slot is: who pays for its page.
fn owner<'k>(k: Entered<'k>, slot: &Slot) -> Option<&'k Task> {
    let page = k.kernel.physical(slot) & !(PAGE as u64 - 1);
    k.kernel.frames.record(page).payer.get(k)
}
