//! Calls on threads.

use super::{Caller, task::checked_priority};
use crate::{
    Entered,
    arch::{Arch, Port},
    fault,
    ipc::end,
    memory::{slab, space::Progress},
    object::thread::{State, Thread},
    schedule::{inherit, ready},
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
        // One that is held goes on when that is over.
        if self.thread.state.get() == State::Stopped && !self.thread.held.get() {
            ready::wake(self.caller.k, self.thread);
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
                ready::unready(k, self.thread);
                self.thread.state.set(State::Stopped);
            }
            State::Throttled => {
                ready::clear_alarm(k, self.thread);
                self.thread.state.set(State::Stopped);
            }
            _ => end::interrupt(k, self.thread, Cause::Cancelled),
        }
        if ready::runs_elsewhere(k, self.thread) {
            self.thread.core(k).kick(k);
            return self.caller.finished(Progress::Again);
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
        inherit::settle(k, self.thread);
        Ok(())
    }

    fn exit(&mut self, code: u64) -> Result<(), ObjectError> {
        if !self.is_caller() {
            self.living(Rights::CONTROL)?;
            if ready::stop(self.caller.k, self.thread) == Progress::Again {
                return self.caller.finished(Progress::Again);
            }
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

    fn set_passive(&mut self, passive: bool) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        self.thread.passive.set(passive);
        Ok(())
    }

    fn set_core(&mut self, core: u64) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        let k = self.caller.k;
        let number = usize::try_from(core).ok();
        let number = number.filter(|number| *number < k.kernel.cores().len());
        ready::set_core(k, self.thread, number.ok_or(ObjectError::OutOfRange)?);
        Ok(())
    }
}

/// What a thread is doing. While another core runs it, its program counter is the
/// one with which it last left the kernel.
pub(super) fn info(k: Entered<'_>, thread: &Thread) -> ThreadInfo {
    let state = match thread.state.get() {
        State::Dead => ThreadState::Dead,
        _ if thread.pending_fault().is_some() => ThreadState::Faulted,
        State::Stopped => ThreadState::Stopped,
        State::Ready => ThreadState::Ready,
        State::Throttled => ThreadState::Throttled,
        State::Sending => ThreadState::Sending,
        State::Waiting => ThreadState::Waiting,
        State::Receiving => ThreadState::Receiving,
    };
    let server = thread.server.get(k);
    let core = thread.core(k);
    let passing = if core.current.is(thread) {
        core.passing(Port::now())
    } else {
        0
    };
    let task = thread.task.get(k);
    let next = task.and_then(|task| task.threads.after(k, thread));
    ThreadInfo {
        id: thread.id.get(),
        state,
        priority: u64::from(thread.effective.get()),
        time: thread.time.get() + passing,
        endpoint: thread
            .endpoint
            .get(k)
            .map_or(0, |endpoint| endpoint.id.get()),
        label: thread.label().0,
        server: server.map_or(0, |server| server.id.get()),
        server_task: server
            .and_then(|server| server.task.get(k))
            .map_or(0, |task| task.id.get()),
        deadline: thread.alarm.deadline(),
        pc: Port::registers(&thread.context).pc,
        core: thread.next_core.get() as u64,
        next: next.map_or(0, |next| slab::name(k, next)),
    }
}
