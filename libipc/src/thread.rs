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

/// Lowest and highest address of the stacks that are known.
static STACKS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Remembers a stack.
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host has stacks of its own")
)]
pub(crate) fn note_stack(address: usize, length: usize) {
    if length > 0 {
        STACKS.lock().push((address, address + length));
    }
}

/// Forgets a stack.
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, reason = "the host has stacks of its own")
)]
pub(crate) fn forget_stack(address: usize) {
    STACKS.lock().retain(|&(lowest, _)| lowest != address);
}

/// Bytes left below the stack pointer, if it is in a stack that is known.
pub(crate) fn stack_left(pointer: usize) -> Option<usize> {
    let stacks = STACKS.lock();
    let mut around = stacks.iter();
    let around = around.find(|(lowest, end)| (*lowest..=*end).contains(&pointer));
    around.map(|(lowest, _)| pointer - lowest)
}
