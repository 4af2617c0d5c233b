//! What the fake kernel keeps, all under one lock.

use super::clock;
use crate::{
    PAGE,
    handle::{Handle, ObjectType, Rights},
    label::Label,
    message_buffer::Access,
    registers::WORDS,
    status::{Cause, TransportError},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    vec::Vec,
};

static WORLD: Mutex<World> = Mutex::new(World {
    next: 1,
    tasks: BTreeMap::new(),
    threads: BTreeMap::new(),
    endpoints: BTreeMap::new(),
    calls: BTreeMap::new(),
    memories: BTreeMap::new(),
    log: Vec::new(),
    log_signal: None,
});

/// The world. A test that failed inside left it whole enough for the others.
pub(super) fn lock() -> MutexGuard<'static, World> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct World {
    next: u64,
    tasks: BTreeMap<u64, Table>,
    pub(super) threads: BTreeMap<u64, ThreadState>,
    pub(super) endpoints: BTreeMap<u64, EndpointState>,
    pub(super) calls: BTreeMap<u64, CallState>,
    pub(super) memories: BTreeMap<u64, Vec<Page>>,
    pub(super) log: Vec<u8>,
    pub(super) log_signal: Option<(u64, u64)>,
}

/// A page of memory, where pages begin.
#[derive(Clone)]
#[repr(C, align(4096))]
pub(super) struct Page([u8; PAGE]);

/// A task: its capabilities and threads.
#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    own: Handle,
    threads: usize,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

/// What a slot leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) rights: Rights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Task(u64),
    Endpoint { id: u64, badge: u64 },
    Memory(u64),
    Reply(u64),
    System,
}

impl Object {
    fn kind(self) -> ObjectType {
        match self {
            Object::Task(_) => ObjectType::Task,
            Object::Endpoint { .. } => ObjectType::Endpoint,
            Object::Memory(_) => ObjectType::Memory,
            Object::Reply(_) => ObjectType::Reply,
            Object::System => ObjectType::System,
        }
    }

    /// Its unique number.
    pub(super) fn number(self) -> u64 {
        match self {
            Object::Task(id) | Object::Memory(id) | Object::Reply(id) => id,
            Object::Endpoint { id, .. } => id,
            Object::System => 0,
        }
    }
}

pub(super) struct ThreadState {
    pub(super) task: u64,
    /// The call that it serves.
    pub(super) serving: Option<u64>,
    /// How many calls it has made, repeats not counted.
    pub(super) calls: u64,
    /// For what it waits, until it is woken.
    pub(super) waits: Option<Wait>,
    /// By which it is woken.
    pub(super) bell: Arc<Condvar>,
}

/// That a thread waits.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) on: On,
    /// Until then, at the latest.
    pub(super) until: u64,
}

/// What a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// Something comes to an endpoint.
    Endpoint(u64),
    /// A call of its own ends.
    Call(u64),
    /// Time passes.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointMode {
    Open = 0,
    Paused = 1,
    Closed = 2,
}

pub(super) struct EndpointState {
    pub(super) mode: EndpointMode,
    /// Raised by `expel`: a wait that began before it is cancelled.
    pub(super) epoch: u64,
    pub(super) queue: VecDeque<u64>,
    pub(super) signals: u64,
    pub(super) gone: VecDeque<u64>,
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) receivers: u64,
}

#[derive(Default)]
pub(super) struct Session {
    pub(super) copies: u64,
    pub(super) in_flight: u64,
    pub(super) limit: u64,
    pub(super) calls: u64,
    pub(super) bytes: u64,
}

/// A message on its way: everything but the capabilities, which stay with
/// their owner until it is delivered.
pub(super) struct Parcel {
    pub(super) label: Label,
    pub(super) words: [u64; WORDS],
    pub(super) bytes: Vec<u64>,
    pub(super) handles: Vec<Passed>,
}

/// How a capability is passed.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    pub(super) handle: Handle,
    /// Its owner keeps it.
    pub(super) copy: bool,
    /// Rights that do not arrive.
    pub(super) loses: Rights,
}

pub(super) struct CallState {
    pub(super) task: u64,
    pub(super) thread: u64,
    pub(super) badge: u64,
    pub(super) request_id: u64,
    pub(super) parcel: Parcel,
    pub(super) leases: Vec<Lent>,
    /// Slots that the caller opens for the reply.
    pub(super) open: usize,
    /// When it ends at the latest.
    pub(super) deadline: u64,
    pub(super) progress: Progress,
}

/// Memory that a call lends.
#[derive(Clone, Copy)]
pub(super) struct Lent {
    pub(super) address: u64,
    pub(super) length: u64,
    pub(super) access: Access,
    /// The call that lent it to the caller, if that lends it on.
    pub(super) outer: Option<(u64, usize)>,
}

pub(super) enum Progress {
    Queued,
    Received,
    /// The reply; its handles are the caller's already.
    Answered(Parcel),
    Failed(TransportError),
}

impl World {
    /// Whoever waits for this looks again whether he may go on.
    pub(super) fn wake(&mut self, on: On) {
        self.wake_those(|_, wait| wait.on == on);
    }

    /// The same of all who are meant.
    pub(super) fn wake_those(&mut self, is_meant: impl Fn(&ThreadState, Wait) -> bool) {
        for thread in self.threads.values_mut() {
            if thread.waits.is_some_and(|wait| is_meant(thread, wait)) {
                thread.waits = None;
                thread.bell.notify_one();
            }
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn create_task(&mut self) -> u64 {
        let task = self.number();
        self.tasks.insert(task, Table::default());
        let own = self.install(task, Object::Task(task), Rights::all());
        if let Some(table) = self.tasks.get_mut(&task) {
            table.own = own;
        }
        task
    }

    pub(super) fn own_handle(&self, task: u64) -> Handle {
        self.tasks.get(&task).map_or(Handle::NULL, |t| t.own)
    }

    /// A thread begins.
    pub(super) fn enter(&mut self, task: u64) -> u64 {
        if let Some(table) = self.tasks.get_mut(&task) {
            table.threads += 1;
        }
        let id = self.number();
        let state = ThreadState {
            task,
            serving: None,
            calls: 0,
            waits: None,
            bell: Arc::default(),
        };
        self.threads.insert(id, state);
        id
    }

    /// A thread ends: nobody is left hanging, and the last one ends the task.
    pub(super) fn leave(&mut self, id: u64) {
        let Some(thread) = self.threads.remove(&id) else {
            return;
        };
        if let Some(call) = thread.serving {
            self.fail(call, TransportError::delivered(Cause::Died));
        }
        if let Some(table) = self.tasks.get_mut(&thread.task) {
            table.threads -= 1;
            if table.threads == 0 {
                self.kill(thread.task);
            }
        }
        // The others may all have waited for this one.
        clock::advance(self);
    }

    pub(super) fn kill(&mut self, task: u64) {
        let Some(table) = self.tasks.remove(&task) else {
            return;
        };
        self.wake_those(|thread, _| thread.task == task);
        let died = TransportError::delivered(Cause::Died);
        let mine = self.threads.values_mut().filter(|t| t.task == task);
        let serving: Vec<u64> = mine.filter_map(|thread| thread.serving.take()).collect();
        let own = self.calls.iter().filter(|(_, call)| call.task == task);
        let own: Vec<u64> = own.map(|(&id, _)| id).collect();
        let ended = serving.into_iter().chain(own);
        ended.for_each(|call| self.fail(call, died));
        for slot in table.slots {
            if let Some(entry) = slot.entry {
                self.release(entry);
            }
        }
    }

    pub(super) fn is_alive(&self, task: u64) -> bool {
        self.tasks.contains_key(&task)
    }

    pub(super) fn count(&self, task: u64) -> usize {
        let table = self.tasks.get(&task);
        table.map_or(0, |table| {
            table.slots.iter().filter(|s| s.entry.is_some()).count()
        })
    }

    /// The first capability at `index` or later, and its index.
    pub(super) fn capability(&self, task: u64, index: u64) -> Option<(u64, Handle, Entry)> {
        let table = self.tasks.get(&task)?;
        let slots = table.slots.iter().enumerate().skip(index as usize);
        let mut used = slots.filter_map(|(index, slot)| slot.entry.map(|e| (index, slot, e)));
        let (index, slot, entry) = used.next()?;
        Some((
            index as u64,
            slot_handle(index, slot.generation, entry),
            entry,
        ))
    }

    pub(super) fn create_endpoint(&mut self, task: u64) -> Handle {
        let id = self.number();
        let state = EndpointState {
            mode: EndpointMode::Open,
            epoch: 0,
            queue: VecDeque::new(),
            signals: 0,
            gone: VecDeque::new(),
            sessions: BTreeMap::new(),
            receivers: 0,
        };
        self.endpoints.insert(id, state);
        let rights = Rights::all().difference(Rights::FAR_ONLY);
        self.install(task, Object::Endpoint { id, badge: 0 }, rights)
    }

    pub(super) fn create_memory(&mut self, task: u64, pages: usize) -> Handle {
        let id = self.number();
        self.memories.insert(id, std::vec![Page([0; PAGE]); pages]);
        let rights = Rights::READ | Rights::WRITE | Rights::EXECUTE | Rights::GRANT;
        self.install(task, Object::Memory(id), rights)
    }

    /// Where memory is that a task may use with this access. It stays there for good.
    pub(super) fn memory(&mut self, task: u64, handle: Handle, access: Rights) -> Option<u64> {
        let entry = self.lookup(task, handle)?;
        let memory = self.memories.get_mut(&entry.object.number())?;
        let allowed = entry.rights.contains(access);
        allowed.then_some(memory.as_mut_ptr() as u64)
    }

    /// Puts an entry into a table. A task that has ended takes nothing.
    pub(super) fn install(&mut self, task: u64, object: Object, rights: Rights) -> Handle {
        let Some(table) = self.tasks.get_mut(&task) else {
            return Handle::NULL;
        };
        // Slot 0 stays empty: the pseudo handles have that index.
        if table.slots.is_empty() {
            table.slots.push(Slot::default());
        }
        let mut slots = table.slots.iter().enumerate().skip(1);
        let free = slots.find(|(_, slot)| slot.entry.is_none()).map(|(i, _)| i);
        let index = free.unwrap_or_else(|| {
            table.slots.push(Slot::default());
            table.slots.len() - 1
        });
        let slot = &mut table.slots[index];
        slot.generation += 1;
        let entry = Entry { object, rights };
        slot.entry = Some(entry);
        let handle = slot_handle(index, slot.generation, entry);
        if let Object::Endpoint { id, badge } = object
            && badge != 0
            && let Some(endpoint) = self.endpoints.get_mut(&id)
        {
            endpoint.sessions.entry(badge).or_default().copies += 1;
        }
        handle
    }

    pub(super) fn lookup(&self, task: u64, handle: Handle) -> Option<Entry> {
        let slot = self.tasks.get(&task)?.slots.get(handle.index() as usize)?;
        let entry = slot.entry?;
        let same = slot_handle(handle.index() as usize, slot.generation, entry) == handle;
        same.then_some(entry)
    }

    /// Takes an entry out of a table without telling anybody.
    fn remove(&mut self, task: u64, handle: Handle) -> Option<Entry> {
        self.lookup(task, handle)?;
        let table = self.tasks.get_mut(&task)?;
        table.slots[handle.index() as usize].entry.take()
    }

    /// Deletes a capability.
    pub(super) fn delete(&mut self, task: u64, handle: Handle) -> bool {
        match self.remove(task, handle) {
            Some(entry) => {
                self.release(entry);
                true
            }
            None => false,
        }
    }

    /// Takes a kept reply out of a table, to answer it.
    pub(super) fn take_reply(&mut self, task: u64, handle: Handle) -> Option<u64> {
        match self.lookup(task, handle)?.object {
            Object::Reply(call) => {
                self.remove(task, handle);
                Some(call)
            }
            _ => None,
        }
    }

    /// A capability is gone from a table: its session, its endpoint or its
    /// caller may have to be told.
    fn release(&mut self, entry: Entry) {
        match entry.object {
            Object::Reply(call) => self.fail(call, TransportError::delivered(Cause::Dropped)),
            Object::Endpoint { id, badge } => {
                if let Some(endpoint) = self.endpoints.get_mut(&id)
                    && let Some(session) = endpoint.sessions.get_mut(&badge)
                {
                    session.copies -= 1;
                    if session.copies == 0 {
                        endpoint.sessions.remove(&badge);
                        endpoint.gone.push_back(badge);
                        self.wake(On::Endpoint(id));
                    }
                }
                if !self.is_held(id) {
                    self.close(id);
                }
            }
            _ => {}
        }
    }

    /// Whether anybody can still receive from an endpoint or decide about it.
    fn is_held(&self, endpoint: u64) -> bool {
        let tables = self.tasks.values();
        let mut entries = tables.flat_map(|t| t.slots.iter().filter_map(|slot| slot.entry));
        entries.any(|entry| {
            matches!(entry.object, Object::Endpoint { id, .. } if id == endpoint)
                && entry.rights.intersects(Rights::RECEIVE | Rights::CONTROL)
        })
    }

    /// Closes an endpoint: queued and later calls fail, not delivered.
    pub(super) fn close(&mut self, endpoint: u64) {
        if let Some(state) = self.endpoints.get_mut(&endpoint) {
            state.mode = EndpointMode::Closed;
            let queue = core::mem::take(&mut state.queue);
            let died = TransportError::refused(Cause::Died);
            queue.into_iter().for_each(|call| self.fail(call, died));
            self.wake(On::Endpoint(endpoint));
        }
    }

    /// Ends a call without an answer, unless it has ended.
    pub(super) fn fail(&mut self, call: u64, error: TransportError) {
        if let Some(state) = self.calls.get_mut(&call)
            && matches!(state.progress, Progress::Queued | Progress::Received)
        {
            state.progress = Progress::Failed(error);
            self.wake(On::Call(call));
        }
    }

    /// Ends the call that a thread waits for.
    pub(super) fn cancel(&mut self, thread: u64) {
        let mut calls = self.calls.iter();
        let waits = calls.find(|(_, call)| call.thread == thread);
        let Some((&call, state)) = waits else { return };
        let delivered = matches!(state.progress, Progress::Received);
        let cause = Cause::Cancelled;
        self.fail(call, TransportError { cause, delivered });
    }

    /// A lease of a call that is being served, and how often it was lent on;
    /// `None` too if a call has ended that lent part of it.
    pub(super) fn lease(&self, mut call: u64, mut index: usize) -> Option<(Lent, usize)> {
        let mut found = None;
        for depth in 0.. {
            let state = self.calls.get(&call)?;
            if !matches!(state.progress, Progress::Received) {
                return None;
            }
            let lent = *state.leases.get(index)?;
            let first = *found.get_or_insert(lent);
            match lent.outer {
                Some(outer) => (call, index) = outer,
                None => return Some((first, depth)),
            }
        }
        None
    }

    /// Moves or copies a capability into another table. Null if it is not there.
    pub(super) fn transfer(&mut self, from: u64, passed: Passed, to: u64) -> Handle {
        let Some(entry) = self.lookup(from, passed.handle) else {
            return Handle::NULL;
        };
        let loses = passed.loses.difference(Rights::FAR_ONLY);
        // First the new one, so that a session is never without copies.
        let new = self.install(to, entry.object, entry.rights.difference(loses));
        if !passed.copy
            && let Some(entry) = self.remove(from, passed.handle)
        {
            match entry.object {
                Object::Reply(_) => {}
                _ => self.release(entry),
            }
        }
        new
    }
}

fn slot_handle(index: usize, generation: u32, entry: Entry) -> Handle {
    Handle::new(index as u32, entry.rights, entry.object.kind(), generation)
}
