//! Calls on threads.

use super::{Caller, task::checked_priority};
use crate::{
    Entered, fault,
    ipc::end,
    object::thread::{State, Thread},
};
use libipc_abi::{
    handle::Rights,
    objects::{self, FaultKind, ObjectError, ThreadInfo, ThreadState},
    status::Cause,
};

/// A thread that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) thread: &'k Thread,
}

impl On<'_, '_> {
    fn is_caller(&self) -> bool {
        core::ptr::eq(self.thread, self.caller.thread)
    }

    fn living(&self, rights: Rights) -> Result<(), ObjectError> {
        self.caller.need(rights)?;
        if self.thread.state.get() == State::Dead {
            Err(ObjectError::Died)
        } else {
            Ok(())
        }
    }

    fn only_caller(&self) -> Result<(), ObjectError> {
        if self.is_caller() {
            Ok(())
        } else {
            Err(ObjectError::WrongState)
        }
    }
}

impl objects::Thread for On<'_, '_> {
    fn resume(&mut self) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        self.thread.suspended.set(false);
        if self.thread.state.get() == State::Stopped {
            self.caller.k.core.wake(self.caller.k, self.thread);
        }
        Ok(())
    }

    fn suspend(&mut self) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        let k = self.caller.k;
        self.thread.suspended.set(true);
        if self.thread.pending_fault().is_some() {
            // Its handler decides about it first.
            return Ok(());
        }
        match self.thread.state.get() {
            State::Ready => {
                k.core.unready(k, self.thread);
                self.thread.state.set(State::Stopped);
            }
            _ => end::interrupt(k, self.thread, Cause::Cancelled),
        }
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        end::interrupt(self.caller.k, self.thread, Cause::Cancelled);
        Ok(())
    }

    fn set_priority(&mut self, priority: u64) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        let priority = checked_priority(self.caller, priority)?;
        let k = self.caller.k;
        self.thread.priority.set(priority);
        let served = self
            .thread
            .client
            .get(k)
            .map_or(0, |client| client.effective.get());
        k.core.set_effective(k, self.thread, priority.max(served));
        Ok(())
    }

    fn exit(&mut self, code: u64) -> Result<(), ObjectError> {
        if !self.is_caller() {
            self.living(Rights::CONTROL)?;
        }
        fault::exit(self.caller.k, self.thread, code);
        Ok(())
    }

    fn yield_now(&mut self) -> Result<(), ObjectError> {
        self.only_caller()?;
        self.caller.k.core.yield_now();
        Ok(())
    }

    fn info(&mut self) -> Result<ThreadInfo, ObjectError> {
        self.caller.need(Rights::INSPECT)?;
        Ok(info(self.caller.k, self.thread))
    }

    fn panic(&mut self, address: u64, length: u64) -> Result<(), ObjectError> {
        self.only_caller()?;
        fault::report(
            self.caller.k,
            self.thread,
            FaultKind::Panic,
            address,
            length,
        );
        Ok(())
    }
}

/// What a thread is doing.
pub(super) fn info(k: Entered<'_>, thread: &Thread) -> ThreadInfo {
    let state = match thread.state.get() {
        State::Dead => ThreadState::Dead,
        _ if thread.pending_fault().is_some() => ThreadState::Faulted,
        State::Stopped => ThreadState::Stopped,
        State::Ready => ThreadState::Ready,
        State::Sending => ThreadState::Sending,
        State::Waiting => ThreadState::Waiting,
        State::Receiving => ThreadState::Receiving,
    };
    let server = thread.server.get(k);
    use crate::arch::{Arch, Port};
    ThreadInfo {
        id: thread.id.get(),
        state,
        priority: u64::from(thread.effective.get()),
        time: thread.time.get(),
        endpoint: thread
            .endpoint
            .get(k)
            .map_or(0, |endpoint| endpoint.id.get()),
        label: thread.label.get(),
        server: server.map_or(0, |server| server.id.get()),
        server_task: server
            .and_then(|server| server.task.get(k))
            .map_or(0, |task| task.id.get()),
        deadline: thread.alarm.deadline(),
        pc: Port::registers(&thread.context).pc,
    }
}
