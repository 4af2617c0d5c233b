//! Threads of the host, in the fake task of the thread that makes them.

use crate::{CallError, fake, objects::ObjectError};
use std::sync::{Arc, OnceLock};

/// Why a thread could not be made.
pub type SpawnError = CallError<ObjectError>;

/// The right to wait for a thread's end.
#[derive(Debug)]
pub struct JoinHandle<T> {
    handle: std::thread::JoinHandle<T>,
    /// Its number, as soon as it runs.
    number: Arc<OnceLock<u64>>,
}

/// Runs `work` on another thread of the same task.
pub fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    let number = Arc::<OnceLock<u64>>::default();
    let own = number.clone();
    let handle = fake::current().spawn(move || {
        own.get_or_init(fake::thread);
        work()
    });
    Ok(JoinHandle { handle, number })
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
        self.handle.join().ok()
    }

    /// Lets the thread go on alone.
    pub fn detach(self) {}

    /// Ends the call that the thread waits for, if it does, as `Cancelled`. Other waits go
    /// on.
    pub fn cancel(&self) {
        if let Some(number) = self.number.get() {
            fake::cancel(*number);
        }
    }

    /// The host ends no threads: it goes on alone until its process ends.
    pub fn end(self) {}
}
