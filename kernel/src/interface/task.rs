//! Calls on tasks.

use super::Caller;
use crate::{
    arch::{Access, Arch, Port},
    capability::{object::Target, revoke},
    cell::Word,
    ipc::{session, transfer::weaken},
    memory::{
        copy::{self, Place},
        slab,
        space::{self, Mapping, Progress},
    },
    object::{
        endpoint::Endpoint,
        memory::Memory,
        task::Task,
        thread::{Start, State, Thread},
    },
    schedule::{core::Core, ready},
};
use libipc_abi::{
    USER_END,
    handle::{Handle, ObjectType, Rights},
    objects::{
        self, CALLERS_PRIORITY, Capability, CapabilityInfo, EndpointClient, MemoryClient,
        ObjectError, RegistersInfo, TaskClient, TaskInfo, ThreadClient, ThreadInfo,
    },
};

/// Threads whose counts `info` adds to their task's first. What others did since they
/// ran on the slow path last is left out.
const TOLD: usize = 64;

/// A task that is called.
pub(super) struct On<'c, 'k> {
    pub(super) caller: &'c mut Caller<'k>,
    pub(super) task: &'k Task,
}

/// Bits of an access argument: those of the rights to memory.
fn access(bits: u64) -> Result<Access, ObjectError> {
    let known = Access::READ | Access::WRITE | Access::EXECUTE;
    u8::try_from(bits)
        .ok()
        .and_then(Access::from_bits)
        .filter(|access| known.contains(*access))
        .ok_or(ObjectError::BadArgument)
}

/// A priority that the caller may give.
pub(super) fn checked_priority(caller: &Caller<'_>, priority: u64) -> Result<u8, ObjectError> {
    let priority = u8::try_from(priority).map_err(|_| ObjectError::BadArgument)?;
    // Nobody makes what outranks him.
    if priority > caller.thread.priority.get() {
        return Err(ObjectError::Denied);
    }
    Ok(priority)
}

impl<'k> On<'_, 'k> {
    /// Checks the right, and that the task still lives.
    fn living(&self, rights: Rights) -> Result<(), ObjectError> {
        self.caller.need(rights)?;
        if self.task.dying.get() {
            Err(ObjectError::Died)
        } else {
            Ok(())
        }
    }

    /// A thread, stopped.
    fn make_thread(&self, start: &Start) -> Result<&'k Thread, ObjectError> {
        if start.entry >= USER_END || start.stack > USER_END {
            return Err(ObjectError::BadAddress);
        }
        Thread::create(self.caller.k, self.task, start)
    }

    /// A capability for memory that was just made.
    fn give_memory(&self, memory: &Memory) -> Result<MemoryClient, ObjectError> {
        let rights = Rights::GRANT | Rights::READ | Rights::WRITE | Rights::EXECUTE;
        let given = self.caller.give(&Target::Memory(memory), rights);
        if given.is_err() {
            memory.discard(self.caller.k);
        }
        given.map(MemoryClient)
    }

    fn thread_at(&self, cursor: u64) -> Result<&'k Thread, ObjectError> {
        self.caller.need(Rights::INSPECT)?;
        let k = self.caller.k;
        let thread = match cursor {
            0 => self.task.threads.first(k),
            _ => slab::named(k, cursor).filter(|thread: &&Thread| thread.task.is(self.task)),
        };
        thread.ok_or(ObjectError::NotFound)
    }
}

impl objects::Task for On<'_, '_> {
    fn create_task(&mut self, frames: u64) -> Result<TaskClient, ObjectError> {
        self.living(Rights::CREATE)?;
        let task = Task::create(self.caller.k, self.task, frames)?;
        let given = self.caller.give(&Target::Task(task), Rights::all());
        if given.is_err() {
            task.kill(self.caller.k);
        }
        given.map(TaskClient)
    }

    fn create_thread(
        &mut self,
        entry: u64,
        stack: u64,
        start: u64,
        argument: u64,
        priority: u64,
    ) -> Result<ThreadClient, ObjectError> {
        self.living(Rights::CREATE)?;
        let priority = checked_priority(self.caller, priority)?;
        let start = Start {
            entry,
            stack,
            arguments: [start, argument],
            priority,
        };
        let thread = self.make_thread(&start)?;
        let given = self.caller.give(&Target::Thread(thread), Rights::all());
        if given.is_err() {
            thread.end(self.caller.k);
            thread.detach(self.caller.k);
        }
        given.map(ThreadClient)
    }

    fn create_endpoint(&mut self) -> Result<EndpointClient, ObjectError> {
        self.living(Rights::CREATE)?;
        let k = self.caller.k;
        let endpoint = Endpoint::create(k, self.task)?;
        let rights = Rights::all() - Rights::FAR_ONLY;
        let given = self
            .caller
            .give(&Target::Endpoint(endpoint, None, 0), rights);
        if given.is_err() {
            crate::memory::slab::retire(k, endpoint);
        }
        given.map(EndpointClient)
    }

    fn create_memory(&mut self, pages: u64) -> Result<MemoryClient, ObjectError> {
        self.living(Rights::CREATE)?;
        self.give_memory(Memory::create(self.caller.k, self.task, pages)?)
    }

    fn map(
        &mut self,
        memory: &MemoryClient,
        address: u64,
        offset: u64,
        pages: u64,
        wanted: u64,
    ) -> Result<(), ObjectError> {
        self.living(Rights::MAP)?;
        let wanted = access(wanted)?;
        let source = self.caller.slot(memory.0)?;
        let Some(Target::Memory(object)) = source.target(self.caller.k) else {
            return Err(ObjectError::Denied);
        };
        let most = Access::from_bits_truncate(memory.0.rights().bits()) - Access::DEVICE;
        let mapping = Mapping {
            memory: object,
            source: Some(source),
            address,
            offset,
            pages,
            access: wanted,
            most,
            tables: Word::new(self.caller.progress()),
        };
        match space::map(self.caller.k, self.task, &mapping)? {
            Progress::Done => Ok(()),
            Progress::Again => self.caller.interrupted(mapping.tables.get()),
        }
    }

    fn unmap(&mut self, address: u64, pages: u64) -> Result<(), ObjectError> {
        self.living(Rights::MAP)?;
        let progress = space::unmap(self.caller.k, self.task, address, pages)?;
        self.caller.finished(progress)
    }

    fn protect(&mut self, address: u64, pages: u64, wanted: u64) -> Result<(), ObjectError> {
        self.living(Rights::MAP)?;
        let wanted = access(wanted)?;
        let progress = space::protect(self.caller.k, self.task, address, pages, wanted)?;
        self.caller.finished(progress)
    }

    fn install(&mut self, capability: &Capability, rights: u64) -> Result<u64, ObjectError> {
        self.living(Rights::INSTALL)?;
        let k = self.caller.k;
        let slot = self.caller.slot(capability.0)?;
        let target = slot.target(k).ok_or(ObjectError::Denied)?;
        let held = capability.0.rights();
        if !held.contains(Rights::GRANT) || matches!(target, Target::Reply(..)) {
            return Err(ObjectError::Denied);
        }
        let rights = lessened(&target, held, rights)?;
        self.task
            .table
            .insert_from(k, self.task, &target, rights, slot)
            .map(|handle| handle.0)
    }

    fn derive(&mut self, handle: u64, rights: u64) -> Result<u64, ObjectError> {
        self.living(Rights::INSTALL)?;
        let k = self.caller.k;
        let handle = Handle(handle);
        let slot = self.task.table.find(k, handle).ok_or(ObjectError::Denied)?;
        let target = slot.target(k).ok_or(ObjectError::Denied)?;
        if matches!(target, Target::Reply(..)) {
            return Err(ObjectError::Denied);
        }
        let added = match target {
            Target::Endpoint(..) => Rights::from_bits_truncate(rights as u8) & Rights::FAR_ONLY,
            _ => Rights::empty(),
        };
        let rights = lessened(&target, handle.rights(), rights)? | added;
        self.task
            .table
            .insert_from(k, self.task, &target, rights, slot)
            .map(|handle| handle.0)
    }

    fn delete(&mut self, handle: u64) -> Result<(), ObjectError> {
        self.living(Rights::INSTALL)?;
        let k = self.caller.k;
        let slot = self
            .task
            .table
            .find(k, Handle(handle))
            .ok_or(ObjectError::Denied)?;
        self.task.table.delete(k, slot);
        Ok(())
    }

    fn set_fault_handler(&mut self, handler: &EndpointClient) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        let k = self.caller.k;
        let target = self
            .caller
            .argument(handler.0, ObjectType::Endpoint, Rights::CALL)?;
        let Target::Endpoint(endpoint, session, _) = target else {
            return Err(ObjectError::Denied);
        };
        let source = self.caller.slot(handler.0)?;
        let binding = &self.task.fault_handler;
        binding.bind(k, source, endpoint, session, 0);
        Ok(())
    }

    fn kill(&mut self) -> Result<(), ObjectError> {
        self.caller.need(Rights::CONTROL)?;
        let k = self.caller.k;
        self.task.kill(k);
        if core::ptr::eq(self.task, self.caller.task) {
            // The caller's own threads end when the kernel is left.
            self.caller.thread.state.set(State::Stopped);
            return Ok(());
        }
        while !self.task.reaped.get() {
            if self.task.reap(k) == Progress::Again {
                return self.caller.finished(Progress::Again);
            }
        }
        Ok(())
    }

    fn info(&mut self) -> Result<TaskInfo, ObjectError> {
        self.caller.need(Rights::INSPECT)?;
        let task = self.task;
        let k = self.caller.k;
        let now = Port::now();
        for thread in task.threads.iter(k).take(TOLD) {
            thread.tell_task(task);
        }
        let runs = |core: &&Core| {
            let current = core.current.get(k);
            current.is_some_and(|thread| thread.task.is(task))
        };
        let running = k.kernel.cores().iter().filter(runs);
        Ok(TaskInfo {
            id: task.id.get(),
            quota: task.limit.get(),
            used: task.used.get(),
            time: task.time.get() + running.map(|core| core.passing(now)).sum::<u64>(),
            calls: task.calls.get(),
            received: task.received.get(),
            capabilities: task.table.count.get(),
            slots: u64::from(task.table.slots.get()),
            threads: task.alive.get(),
        })
    }

    fn thread(&mut self, cursor: u64) -> Result<ThreadInfo, ObjectError> {
        let thread = self.thread_at(cursor)?;
        Ok(super::thread::info(self.caller.k, thread))
    }

    fn capability(&mut self, index: u64) -> Result<CapabilityInfo, ObjectError> {
        self.caller.need(Rights::INSPECT)?;
        let k = self.caller.k;
        let table = &self.task.table;
        let first = u32::try_from(index).map_err(|_| ObjectError::NotFound)?;
        for index in first..table.slots.get() {
            let Some(slot) = table.slot(k, index) else {
                break;
            };
            if let Some(target) = slot.target(k) {
                let badge = match target {
                    Target::Endpoint(_, Some(session), _) => session.badge.get(),
                    _ => 0,
                };
                return Ok(CapabilityInfo {
                    handle: slot.handle().0,
                    object: target.id(),
                    badge,
                    next: u64::from(index) + 1,
                });
            }
            // A table has up to a million slots: let interrupts in, then go on.
            if index % 64 == 63 && k.wanted() {
                Port::set_word(&self.caller.thread.context, 0, u64::from(index) + 1);
                self.caller.again = true;
                break;
            }
        }
        Err(ObjectError::NotFound)
    }

    fn registers(&mut self, cursor: u64) -> Result<RegistersInfo, ObjectError> {
        let thread = self.thread_at(cursor)?;
        if core::ptr::eq(thread, self.caller.thread) {
            return Err(ObjectError::WrongState);
        }
        let k = self.caller.k;
        if ready::stop(k, thread) == Progress::Again {
            self.caller.again = true;
            return Err(ObjectError::WrongState);
        }
        let registers = Port::registers(&thread.context);
        ready::go_on(k, thread);
        Ok(registers)
    }

    fn history(&mut self, cursor: u64) -> Result<[u64; 16], ObjectError> {
        let thread = self.thread_at(cursor)?;
        Ok(core::array::from_fn(|back| thread.remembered(back as u64)))
    }

    fn peek(&mut self, address: u64, into: u64, length: u64) -> Result<(), ObjectError> {
        self.living(Rights::INSPECT)?;
        let (from, to) = (
            Place::Task(self.task, address),
            Place::Task(self.caller.task, into),
        );
        let result = copy::copy(self.caller.k, from, to, length);
        self.caller.copied(result, [0, 1], 2)
    }

    fn set_shared(&mut self) -> Result<(), ObjectError> {
        self.living(Rights::CONTROL)?;
        if self.task.alone.get() {
            return Err(ObjectError::FarOnly);
        }
        self.task.shared.set(true);
        Ok(())
    }

    fn start_thread(
        &mut self,
        entry: u64,
        stack: u64,
        argument: u64,
        priority: u64,
        watcher: &EndpointClient,
        signals: u64,
    ) -> Result<u64, ObjectError> {
        self.living(Rights::CREATE)?;
        let priority = match priority {
            CALLERS_PRIORITY => self.caller.thread.priority.get(),
            priority => checked_priority(self.caller, priority)?,
        };
        let (source, endpoint) = self.caller.signalled(watcher.0)?;
        let start = Start {
            entry,
            stack,
            arguments: [argument, 0],
            priority,
        };
        let thread = self.make_thread(&start)?;
        let k = self.caller.k;
        thread.started.set(true);
        thread.watcher.bind(k, source, endpoint, None, signals);
        ready::wake(k, thread);
        Ok(slab::name(k, thread))
    }

    fn started_thread(&mut self, cursor: u64) -> Result<ThreadClient, ObjectError> {
        self.living(Rights::CREATE)?;
        let found = slab::named(self.caller.k, cursor);
        let started = |thread: &&Thread| thread.task.is(self.task) && thread.started.get();
        let thread: &Thread = found.filter(started).ok_or(ObjectError::NotFound)?;
        let given = self.caller.give(&Target::Thread(thread), Rights::all());
        given.map(ThreadClient)
    }

    fn create_program(
        &mut self,
        frames: u64,
        pages: u64,
        rights: u64,
        handler: &EndpointClient,
        badge: u64,
    ) -> Result<(TaskClient, MemoryClient, u64, u64), ObjectError> {
        let made = self.create_task(frames)?;
        let (k, table) = (self.caller.k, &self.caller.task.table);
        let slot = self.caller.slot(made.0)?;
        let Some(Target::Task(task)) = slot.target(k) else {
            return Err(ObjectError::Denied);
        };
        let target = Target::Task(task);
        let furnish = || {
            let (source, endpoint) = self.caller.received(handler.0)?;
            let session = session::create(k, endpoint, badge, u64::MAX)?;
            let binding = &task.fault_handler;
            binding.bind(k, source, endpoint, Some(session), 0);
            let rights = lessened(&target, made.0.rights(), rights)?;
            let own = task.table.insert_from(k, task, &target, rights, slot)?;
            let memory = self.give_memory(Memory::create(k, task, pages)?)?;
            Ok((made, memory, task.id.get(), own.0))
        };
        furnish().inspect_err(|_| {
            task.kill(k);
            table.delete(k, slot);
        })
    }

    fn revoke(&mut self, handle: u64) -> Result<(), ObjectError> {
        self.living(Rights::INSTALL)?;
        let k = self.caller.k;
        let slot = self.task.table.find_any(k, Handle(handle));
        let mut look = self.caller.progress();
        match revoke::revoke(k, slot.ok_or(ObjectError::Denied)?, &mut look) {
            Progress::Done => Ok(()),
            Progress::Again => self.caller.interrupted(look),
        }
    }
}

/// `held` without what is not in `wanted`; marks stay.
fn lessened(target: &Target<'_>, held: Rights, wanted: u64) -> Result<Rights, ObjectError> {
    let wanted = u8::try_from(wanted).map_err(|_| ObjectError::BadArgument)?;
    Ok(weaken(target, held, Rights::from_bits_retain(!wanted)))
}
