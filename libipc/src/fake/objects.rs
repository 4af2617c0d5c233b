//! The fake kernel's objects: the same traits and dispatch as the kernel's.

mod message;
mod task;

use message::{Reply, Request};

use super::{
    ipc::{Caller, output, set_signals},
    world::{EndpointMode, Entry, Object, On, Progress, World, lock},
};
use crate::{
    PAGE, arch,
    handle::{Handle, Rights},
    label::{Flags, Label},
    message_buffer::Access,
    registers::{CallIn, CallOut, WORDS},
    status::{Cause, Status, TransportError},
    wire::ErrorCode,
};
use libipc_abi::objects::{
    self as abi, Counters, DmaClient, EndpointClient, EndpointInfo, InterruptClient, MemoryClient,
    ObjectError, ReplyClient, ReservationClient, SessionInfo, Shutdown,
};

type Answer<T> = Result<T, ObjectError>;

/// An object being called: what it is, with which rights, and by whom.
struct Called<'w> {
    world: &'w mut World,
    caller: Caller,
    handle: Handle,
    entry: Entry,
}

/// Calls a kernel object.
pub(super) fn call(caller: Caller, input: &CallIn) -> Result<CallOut, TransportError> {
    let mut world = lock();
    let entry = match input.handle {
        Handle::THREAD => Entry {
            object: Object::Task(caller.task),
            rights: Rights::empty(),
        },
        Handle::REQUEST => {
            let serving = world.threads.get(&caller.thread).and_then(|t| t.serving);
            Entry {
                object: Object::Reply(serving.unwrap_or(0)),
                rights: Rights::ANSWER,
            }
        }
        handle => world
            .lookup(caller.task, handle)
            .ok_or(TransportError::refused(Cause::Denied))?,
    };
    let mut called = Called {
        world: &mut world,
        caller,
        handle: input.handle,
        entry,
    };
    let mut request = Request {
        input,
        next: 0,
        capabilities: 0,
    };
    let mut reply = Reply::default();
    let result = called.dispatch(input.label, &mut request, &mut reply);
    let code = match result.map_err(TransportError::refused)? {
        Ok(()) => {
            let label = Label::control(Flags::empty(), Label::OK)
                .with_bytes(8 * reply.count.saturating_sub(WORDS))
                .with_capabilities(reply.capabilities);
            return Ok(output(Status::Message, label, reply.words));
        }
        Err(code) => code,
    };
    if let Some(cause) = ObjectError::from_code(code).and_then(ObjectError::cause) {
        return Err(TransportError::refused(cause));
    }
    reply.words[0] = code;
    let label = Label::control(Flags::empty(), Label::SERVER_ERROR);
    Ok(output(Status::Message, label, reply.words))
}

impl Called<'_> {
    fn dispatch(
        &mut self,
        label: Label,
        request: &mut Request<'_>,
        reply: &mut Reply,
    ) -> Result<Result<(), u64>, Cause> {
        let operation = label.operation();
        let known = |interface: crate::operation::Interface| {
            if label.hash() == interface.hash {
                Ok(())
            } else {
                Err(Cause::VersionMismatch)
            }
        };
        if self.handle == Handle::THREAD {
            known(abi::thread::INTERFACE)?;
            return abi::thread::dispatch(self, operation, request, reply);
        }
        match self.entry.object {
            Object::Task(_) => {
                known(abi::task::INTERFACE)?;
                abi::task::dispatch(self, operation, request, reply)
            }
            Object::Endpoint { .. } => {
                known(abi::endpoint::INTERFACE)?;
                abi::endpoint::dispatch(self, operation, request, reply)
            }
            Object::Memory(_) => {
                known(abi::memory::INTERFACE)?;
                abi::memory::dispatch(self, operation, request, reply)
            }
            Object::Reply(_) => {
                known(abi::reply::INTERFACE)?;
                abi::reply::dispatch(self, operation, request, reply)
            }
            Object::System => {
                known(abi::system::INTERFACE)?;
                abi::system::dispatch(self, operation, request, reply)
            }
        }
    }

    fn need(&self, rights: Rights) -> Answer<()> {
        if self.entry.rights.contains(rights) {
            Ok(())
        } else {
            Err(ObjectError::Denied)
        }
    }

    /// The object's unique number.
    fn id(&self) -> u64 {
        self.entry.object.number()
    }

    fn endpoint(&mut self) -> Answer<&mut super::world::EndpointState> {
        let id = self.id();
        self.world.endpoints.get_mut(&id).ok_or(ObjectError::Died)
    }

    /// The endpoint that an argument names, for signals.
    fn signalled(&self, endpoint: EndpointClient) -> Answer<u64> {
        match self.world.lookup(self.caller.task, endpoint.0) {
            Some(Entry {
                object: Object::Endpoint { id, .. },
                rights,
            }) if rights.contains(Rights::SIGNAL) => Ok(id),
            _ => Err(ObjectError::Denied),
        }
    }

    fn lease(&self, index: u64, access: Access, offset: u64, length: u64) -> Answer<u64> {
        let call = self.world.calls.get(&self.id());
        let call = call.filter(|call| matches!(call.progress, Progress::Received));
        let call = call.ok_or(ObjectError::WrongState)?;
        let index = usize::try_from(index).map_err(|_| ObjectError::OutOfRange)?;
        if index >= call.leases.len() {
            return Err(ObjectError::OutOfRange);
        }
        let (lease, _) = self
            .world
            .lease(self.id(), index)
            .ok_or(ObjectError::LeaseFault)?;
        let end = offset.checked_add(length).ok_or(ObjectError::OutOfRange)?;
        if end > lease.length {
            return Err(ObjectError::OutOfRange);
        }
        if !lease.access.contains(access) {
            return Err(ObjectError::Denied);
        }
        Ok(lease.address + offset)
    }
}

/// Copies between two ranges of the test's own memory.
fn copy(from: u64, into: u64, length: u64) {
    // SAFETY: one range is a slice that the calling thread borrows while it is
    // in this call; the other is such a slice too, or lent by a caller that
    // waits for the world's lock before it returns, or a memory object's.
    unsafe { core::ptr::copy(from as *const u8, into as *mut u8, length as usize) };
}

/// Rights after a derivation: fewer, and the mark may only be added.
fn reduced(old: Rights, wanted: u64) -> Rights {
    let wanted = Rights::from_bits_retain(wanted as u8);
    old.intersection(wanted) | (old | wanted).intersection(Rights::FAR_ONLY)
}

impl abi::Endpoint for Called<'_> {
    fn mint(&mut self, badge: u64, rights: u64, limit: u64) -> Answer<EndpointClient> {
        self.need(Rights::RECEIVE)?;
        let id = self.id();
        if badge != 0 {
            self.endpoint()?.sessions.entry(badge).or_default().limit = limit;
        }
        let object = Object::Endpoint { id, badge };
        let rights = reduced(self.entry.rights, rights);
        let handle = self.world.install(self.caller.task, object, rights);
        Ok(EndpointClient(handle))
    }
    fn pause(&mut self) -> Answer<()> {
        self.need(Rights::CONTROL)?;
        let endpoint = self.endpoint()?;
        match endpoint.mode {
            EndpointMode::Closed => Err(ObjectError::WrongState),
            _ => {
                endpoint.mode = EndpointMode::Paused;
                Ok(())
            }
        }
    }
    fn resume(&mut self) -> Answer<()> {
        self.need(Rights::CONTROL)?;
        let endpoint = self.endpoint()?;
        match endpoint.mode {
            EndpointMode::Closed => Err(ObjectError::WrongState),
            _ => {
                endpoint.mode = EndpointMode::Open;
                let id = self.id();
                self.world.wake(On::Endpoint(id));
                Ok(())
            }
        }
    }
    fn close(&mut self) -> Answer<()> {
        self.need(Rights::CONTROL)?;
        let id = self.id();
        self.world.close(id);
        Ok(())
    }
    fn expel(&mut self) -> Answer<()> {
        self.need(Rights::CONTROL)?;
        self.endpoint()?.epoch += 1;
        let id = self.id();
        self.world.wake(On::Endpoint(id));
        Ok(())
    }
    fn info(&mut self) -> Answer<EndpointInfo> {
        if !self
            .entry
            .rights
            .intersects(Rights::CONTROL | Rights::RECEIVE)
        {
            return Err(ObjectError::Denied);
        }
        let id = self.id();
        let endpoint = self.endpoint()?;
        Ok(EndpointInfo {
            id,
            state: endpoint.mode as u64,
            queued: endpoint.queue.len() as u64,
            receivers: endpoint.receivers,
            signals: endpoint.signals,
            sessions: endpoint.sessions.len() as u64,
        })
    }
    fn session(&mut self, index: u64) -> Answer<SessionInfo> {
        self.need(Rights::RECEIVE)?;
        let sessions = &self.endpoint()?.sessions;
        let (badge, session) = sessions
            .iter()
            .nth(index as usize)
            .ok_or(ObjectError::NotFound)?;
        let more = index as usize + 1 < sessions.len();
        Ok(SessionInfo {
            badge: *badge,
            copies: session.copies,
            in_flight: session.in_flight,
            limit: session.limit,
            calls: session.calls,
            bytes: session.bytes,
            next: if more { index + 1 } else { 0 },
        })
    }
}

impl Called<'_> {
    /// The address of a range of a memory object.
    fn range(&mut self, offset: u64, length: u64) -> Answer<u64> {
        let id = self.id();
        let memory = self.world.memories.get_mut(&id).ok_or(ObjectError::Died)?;
        let end = offset.checked_add(length).ok_or(ObjectError::OutOfRange)?;
        if end > (memory.len() * PAGE) as u64 {
            return Err(ObjectError::OutOfRange);
        }
        Ok(memory.as_mut_ptr() as u64 + offset)
    }
}

impl abi::Memory for Called<'_> {
    fn pages(&mut self) -> Answer<u64> {
        let memory = self.world.memories.get(&self.id());
        memory.map(|m| m.len() as u64).ok_or(ObjectError::Died)
    }
    fn read(&mut self, offset: u64, into: u64, length: u64) -> Answer<()> {
        self.need(Rights::READ)?;
        copy(self.range(offset, length)?, into, length);
        Ok(())
    }
    fn write(&mut self, offset: u64, from: u64, length: u64) -> Answer<()> {
        self.need(Rights::WRITE)?;
        copy(from, self.range(offset, length)?, length);
        Ok(())
    }
}

impl abi::Reply for Called<'_> {
    fn keep(&mut self) -> Answer<ReplyClient> {
        let thread = self.world.threads.get_mut(&self.caller.thread);
        let serving = thread.and_then(|thread| thread.serving.take());
        let call = serving.ok_or(ObjectError::WrongState)?;
        let object = Object::Reply(call);
        let handle = self.world.install(self.caller.task, object, Rights::ANSWER);
        Ok(ReplyClient(handle))
    }
    fn read(&mut self, lease: u64, offset: u64, into: u64, length: u64) -> Answer<()> {
        copy(
            self.lease(lease, Access::READ, offset, length)?,
            into,
            length,
        );
        Ok(())
    }
    fn write(&mut self, lease: u64, offset: u64, from: u64, length: u64) -> Answer<()> {
        copy(
            from,
            self.lease(lease, Access::WRITE, offset, length)?,
            length,
        );
        Ok(())
    }
    fn cancelled(&mut self) -> Answer<bool> {
        let call = self.world.calls.get(&self.id());
        Ok(!call.is_some_and(|call| matches!(call.progress, Progress::Received)))
    }
    fn deadline(&mut self) -> Answer<u64> {
        let call = self.world.calls.get(&self.id());
        let call = call.filter(|call| matches!(call.progress, Progress::Received));
        call.map(|call| call.deadline)
            .ok_or(ObjectError::WrongState)
    }
}

impl abi::System for Called<'_> {
    fn shutdown(&mut self, how: Shutdown) -> Answer<()> {
        self.need(Rights::SHUTDOWN)?;
        panic!("the machine stopped: {how:?}")
    }
    fn counters(&mut self) -> Answer<Counters> {
        self.need(Rights::COUNTERS)?;
        Ok(Counters {
            now: arch::ticks(),
            frequency: 1_000_000_000,
            ..Counters::default()
        })
    }
    fn read_log(&mut self, from: u64, into: u64, length: u64) -> Answer<(u64, u64)> {
        self.need(Rights::LOG)?;
        let start = from.min(self.world.log.len() as u64);
        let rest = &self.world.log[start as usize..];
        let count = length.min(rest.len() as u64);
        copy(rest.as_ptr() as u64, into, count);
        Ok((start, count))
    }
    fn write_log(&mut self, from: u64, length: u64) -> Answer<()> {
        self.need(Rights::LOG)?;
        let old = self.world.log.len();
        self.world.log.resize(old + length as usize, 0);
        copy(from, self.world.log[old..].as_mut_ptr() as u64, length);
        if let Some((endpoint, bits)) = self.world.log_signal {
            set_signals(self.world, endpoint, bits);
        }
        Ok(())
    }
    fn bind_log(&mut self, endpoint: &EndpointClient, signals: u64) -> Answer<()> {
        self.need(Rights::LOG)?;
        self.world.log_signal = Some((self.signalled(*endpoint)?, signals));
        Ok(())
    }
    fn release_console(&mut self) -> Answer<()> {
        self.need(Rights::LOG)
    }
    fn device_memory(&mut self, _: u64, _: u64) -> Answer<MemoryClient> {
        Err(ObjectError::WrongState)
    }
    fn interrupt(&mut self, _: u64) -> Answer<InterruptClient> {
        Err(ObjectError::WrongState)
    }
    fn create_reservation(&mut self, _: u64, _: u64) -> Answer<ReservationClient> {
        Err(ObjectError::WrongState)
    }
    fn create_dma(&mut self) -> Answer<DmaClient> {
        Err(ObjectError::WrongState)
    }
}
