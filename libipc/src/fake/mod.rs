//! A kernel in the test's own process: it grows next; so far it refuses.
use crate::{
    handle::Handle,
    registers::{CallIn, CallOut},
    status::{Cause, Status, TransportError},
};
use std::{boxed::Box, thread};

std::thread_local! {
    static BUFFER: *mut u64 = Box::leak(Box::new([0_u64; 512])).as_mut_ptr();
}

pub(crate) fn trap(input: &CallIn) -> CallOut {
    CallOut {
        status: Status::Error(TransportError::refused(Cause::Denied)).to_word(),
        label: input.label,
        words: input.words,
        badge: 0,
        request_id: 0,
    }
}

pub(crate) fn buffer() -> *mut u64 {
    BUFFER.with(|buffer| *buffer)
}

pub(crate) fn task() -> Handle {
    Handle::NULL
}

/// A task.
#[derive(Debug)]
pub struct Task;

/// The calling thread's task.
pub fn current() -> Task {
    Task
}

impl Task {
    /// Runs a thread in it.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        thread::spawn(work)
    }
}
