//! Tasks that a program makes.
#![allow(
    unsafe_code,
    reason = "what is unsafe in one's own task is safe in another"
)]

use crate::{
    CallError,
    handle::Rights,
    objects::{EndpointClient, MemoryClient, ObjectError, TaskClient, ThreadClient},
};
use core::ops::Deref;

/// A task that this program made. Its address space is another one, so nothing
/// that is placed there can break what this program's own code relies on.
#[derive(Debug)]
pub struct Child(TaskClient);

impl Child {
    /// Makes a task with a quota of `frames`, taken from `payer`'s.
    pub fn create(payer: &TaskClient, frames: u64) -> Result<Child, CallError<ObjectError>> {
        payer.create_task(frames).map(Child)
    }

    /// Makes one with a quota of `frames` and memory of `pages`, which has `rights` to
    /// itself and tells `handler` of its faults, with this badge: the task, the memory,
    /// its number and its handle for itself. See [`TaskClient::create_program`].
    pub fn with_memory(
        payer: &TaskClient,
        frames: u64,
        pages: u64,
        rights: Rights,
        handler: &EndpointClient,
        badge: u64,
    ) -> Result<(Child, MemoryClient, u64, u64), CallError<ObjectError>> {
        let made = payer.create_program(frames, pages, rights.bits().into(), handler, badge)?;
        Ok((Child(made.0), made.1, made.2, made.3))
    }

    /// See [`TaskClient::map`].
    pub fn map(
        &self,
        memory: &MemoryClient,
        address: u64,
        offset: u64,
        pages: u64,
        access: u64,
    ) -> Result<(), CallError<ObjectError>> {
        // SAFETY: it is not the caller's own task.
        unsafe { self.0.map(memory, address, offset, pages, access) }
    }

    /// See [`TaskClient::unmap`].
    pub fn unmap(&self, address: u64, pages: u64) -> Result<(), CallError<ObjectError>> {
        // SAFETY: it is not the caller's own task.
        unsafe { self.0.unmap(address, pages) }
    }

    /// See [`TaskClient::protect`].
    pub fn protect(
        &self,
        address: u64,
        pages: u64,
        access: u64,
    ) -> Result<(), CallError<ObjectError>> {
        // SAFETY: it is not the caller's own task.
        unsafe { self.0.protect(address, pages, access) }
    }

    /// See [`TaskClient::create_thread`].
    pub fn create_thread(
        &self,
        entry: u64,
        stack: u64,
        start: u64,
        argument: u64,
        priority: u64,
    ) -> Result<ThreadClient, CallError<ObjectError>> {
        // SAFETY: it is not the caller's own task.
        unsafe {
            self.0
                .create_thread(entry, stack, start, argument, priority)
        }
    }

    /// See [`TaskClient::start_thread`].
    pub fn start_thread(
        &self,
        entry: u64,
        stack: u64,
        argument: u64,
        priority: u64,
        watcher: &EndpointClient,
        signals: u64,
    ) -> Result<u64, CallError<ObjectError>> {
        // SAFETY: it is not the caller's own task.
        unsafe {
            self.0
                .start_thread(entry, stack, argument, priority, watcher, signals)
        }
    }
}

impl Deref for Child {
    type Target = TaskClient;
    fn deref(&self) -> &TaskClient {
        &self.0
    }
}
