//! Waiting for other threads, with an end.

use crate::{check::Failure, child::patience};
use core::time::Duration;
use libipc::{
    objects::{ThreadClient, ThreadState},
    time::{self, Instant},
};

/// Waits until `done` says so.
#[track_caller]
pub(crate) fn until(mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let end = patience();
    while !done()? {
        if end.passed() {
            return Err(Failure::new("that does not come"));
        }
        time::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Waits until the thread is in that state.
#[track_caller]
pub(crate) fn for_state(thread: Option<&ThreadClient>, state: ThreadState) -> Result<(), Failure> {
    let thread = thread.ok_or_else(|| Failure::new("the thread has ended"))?;
    until(|| Ok(thread.info()?.state == state))
}

/// A deadline that comes soon, but not before another thread has run.
pub(crate) fn soon() -> Instant {
    Instant::after(Duration::from_millis(20))
}
