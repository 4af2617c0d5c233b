//! Taking back what came from a capability.

use super::{derivation, slot::Slot};
use crate::{
    Entered,
    ipc::end,
    memory::space::{self, Progress},
    object::{
        task::Task,
        thread::{State, Thread},
    },
};
use libipc_abi::{PAGE, status::Cause};

/// Takes back all that came from the capability in `root`, one by one. Until
/// that is done the capability itself allows nothing.
pub fn revoke(k: Entered<'_>, root: &Slot) -> Progress {
    root.set_revoking(true);
    while let Some(child) = derivation::child(k, root) {
        if take_back(k, child) == Progress::Again || k.wanted() {
            return Progress::Again;
        }
    }
    root.set_revoking(false);
    Progress::Done
}

/// Takes one capability or mapping back. What came from it comes from its
/// parent then, so the tree shrinks by one each time.
fn take_back(k: Entered<'_>, slot: &Slot) -> Progress {
    if let Some(region) = slot.mapping(k) {
        return match region.task.get(k) {
            Some(task) => space::remove(k, task, region),
            None => Progress::Done,
        };
    }
    if let Some(owner) = owner(k, slot) {
        let handle = slot.handle();
        let waits = |thread: &&Thread| {
            matches!(thread.state.get(), State::Sending | State::Receiving)
                && thread.via.get() == handle.0
        };
        for thread in owner.threads.iter(k).filter(waits) {
            end::interrupt(k, thread, Cause::Revoked);
        }
        owner.table.delete(k, slot);
    }
    Progress::Done
}

/// The task in whose table a slot is: who pays for its page.
fn owner<'k>(k: Entered<'k>, slot: &Slot) -> Option<&'k Task> {
    let page = k.kernel.physical(slot) & !(PAGE as u64 - 1);
    k.kernel.frames.record(page).payer.get(k)
}
