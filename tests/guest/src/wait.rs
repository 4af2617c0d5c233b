//! Waiting for other threads, with an end.

use crate::{check::Failure, child::patience, raw};
use core::time::Duration;
use libipc::{
    objects::{ThreadClient, ThreadState},
    registers::CallOut,
    status::{Cause, TransportError},
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

/// Makes a call whose deadline comes [`soon`], again until some server has
/// received it: on a busy host the deadline can pass before one does.
pub(crate) fn once_received(mut call: impl FnMut(u64) -> CallOut) -> CallOut {
    let early = TransportError::refused(Cause::TimedOut);
    loop {
        let out = call(soon().ticks());
        if raw::error(&out) != Some(early) {
            return out;
        }
    }
}
