//! Threads of the host, in the fake task of the thread that makes them.

use crate::{CallError, fake, objects::ObjectError};

/// Why a thread could not be made.
pub type SpawnError = CallError<ObjectError>;

/// The right to wait for a thread's end.
#[derive(Debug)]
pub struct JoinHandle<T>(std::thread::JoinHandle<T>);

/// Runs `work` on another thread of the same task.
pub fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    Ok(JoinHandle(fake::current().spawn(work)))
}

/// The same; the host has neither priorities nor small stacks.
pub fn spawn_with<T: Send + 'static>(
    _priority: u64,
    _stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    spawn(work)
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns its result; `None` if it
    /// panicked.
    pub fn join(self) -> Option<T> {
        self.0.join().ok()
    }

    /// Lets the thread go on alone.
    pub fn detach(self) {}

    /// The host ends no threads: it goes on alone until its process ends.
    pub fn end(self) {}
}
