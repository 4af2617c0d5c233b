//! Threads of the task.

use crate::{client::Borrowed, handle::Handle, objects::ThreadClient, sync::Mutex};
use alloc::vec::Vec;

#[cfg(target_os = "none")]
#[path = "thread/guest.rs"]
mod selected;
#[cfg(not(target_os = "none"))]
#[path = "thread/host.rs"]
mod selected;

pub use selected::{JoinHandle, SpawnError, spawn, spawn_with};

/// Stack of a thread that [`spawn`] makes, in bytes. Its pages are filled at
/// first touch.
pub const STACK: usize = 128 * 1024;

/// The calling thread.
pub fn current() -> Borrowed<ThreadClient> {
    Borrowed::new(Handle::THREAD)
}

/// Lets other threads of the same priority run.
pub fn yield_now() {
    // It is never refused.
    let _ = current().yield_now();
}

/// Ends the calling thread; the code is that of the task if it is the last.
pub fn exit(code: u64) -> ! {
    loop {
        let _ = current().exit(code);
    }
}

/// Stacks that are known: lowest and highest address of each.
struct Stacks {
    /// The first thread's, for which nothing is allocated; none has no length.
    first: (usize, usize),
    others: Vec<(usize, usize)>,
}

static STACKS: Mutex<Stacks> = Mutex::new(Stacks {
    first: (0, 0),
    others: Vec::new(),
});

/// Remembers the first thread's stack.
#[cfg(target_os = "none")]
pub(crate) fn note_first_stack(address: usize, length: usize) {
    STACKS.lock().first = (address, address + length);
}

/// Remembers another thread's.
#[cfg(target_os = "none")]
pub(crate) fn note_stack(address: usize, length: usize) {
    STACKS.lock().others.push((address, address + length));
}

/// Forgets it.
#[cfg(target_os = "none")]
pub(crate) fn forget_stack(address: usize) {
    let mut stacks = STACKS.lock();
    stacks.others.retain(|&(lowest, _)| lowest != address);
}

/// Bytes left below the stack pointer, if it is in a stack that is known.
pub(crate) fn stack_left(pointer: usize) -> Option<usize> {
    let stacks = STACKS.lock();
    let mut all = stacks.others.iter().chain([&stacks.first]);
    let around = all.find(|(lowest, end)| (*lowest..=*end).contains(&pointer) && lowest != end);
    around.map(|(lowest, _)| pointer - lowest)
}
