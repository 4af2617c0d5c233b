//! A thread: registers, and its place in the system's waits.

use crate::{
    Entered,
    arch::{Access, Arch, Context, Entry, Port},
    cell::{Bits, Link, Word},
    list::{Node, Through},
    memory::{
        frames, quota,
        slab::{self, Named, Object},
        space,
    },
    object::{
        binding::Binding, endpoint::Endpoint, reservation::Reservation, session::Session,
        task::Task,
    },
    schedule::{alarm::Alarm, budget, core::Core},
};
use bitflags::bitflags;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use libipc_abi::{
    PAGE,
    buffer::{LEASES, LeaseDescriptor, word},
    label::Label,
    objects::{FaultKind, ObjectError},
};

/// Calls of which the labels are kept for fault reports.
pub const HISTORY: usize = 16;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Running, or in the run queue. Zero, as it is what is written most often.
    Ready = 0,
    /// Made, and not yet started, or suspended.
    Stopped = 1,
    /// Its call is in an endpoint's queue.
    Sending = 2,
    /// Its call was received.
    Waiting = 3,
    /// It is in an endpoint's queue of receivers, or sleeps.
    Receiving = 4,
    /// It has ended.
    Dead = 5,
    /// It is ready but for time: it waits until its reservation is full again.
    Throttled = 6,
}

impl Bits for State {
    fn to_bits(self) -> u64 {
        self as u64
    }
    fn from_bits(bits: u64) -> Self {
        // Compiles to nothing, as the numbers are in order.
        match bits {
            0 => State::Ready,
            1 => State::Stopped,
            2 => State::Sending,
            3 => State::Waiting,
            4 => State::Receiving,
            5 => State::Dead,
            _ => State::Throttled,
        }
    }
}

bitflags! {
    /// What is out of the ordinary with a thread. The fast path looks at all of it at
    /// once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Special: u64 {
        /// Its alarm is set.
        const ALARM = 1 << 0;
        /// It has a reservation, or runs on one.
        const TIME = 1 << 1;
        /// A fault waits for its handler.
        const FAULT = 1 << 2;
        /// It has touched floating point lately: [`Arch::fp_rests`] was not true since.
        const FLOAT = 1 << 3;
    }
}

/// A lease of a call, as the caller described it.
#[derive(Default)]
pub struct Lease {
    address: Word<u64>,
    length: Word<u64>,
    access: Word<u64>,
}

impl Lease {
    /// What was noted.
    pub fn get(&self) -> LeaseDescriptor {
        LeaseDescriptor {
            address: self.address.get(),
            length: self.length.get(),
            access: self.access.get(),
        }
    }

    /// Notes a lease that was checked.
    pub fn set(&self, lease: &LeaseDescriptor) {
        self.address.set(lease.address);
        self.length.set(lease.length);
        self.access.set(lease.access);
    }
}

/// A fault that its handler has not answered yet. Its message is made from it.
#[derive(Default)]
pub struct PendingFault {
    /// [`FaultKind`] + 1, or 0 for none.
    pub kind: Word<u64>,
    /// See [`libipc_abi::objects::Fault::fault`].
    pub address: Word<u64>,
    /// The architecture's word on it.
    pub code: Word<u64>,
}

/// A thread.
#[repr(C, align(64))]
pub struct Thread {
    /// User registers; assembly reads and writes them. First, so that a pointer
    /// to them is one to the thread.
    pub context: Context,
    /// Unique number; its low 24 bits are in request ids.
    pub id: Word<u64>,
    /// Its task.
    pub task: Link<Task>,
    /// Its task's address space.
    pub space: Word<u64>,
    /// What it is doing.
    pub state: Word<State>,
    /// [`Special`].
    special: Word<u64>,
    /// The core that runs it, or has it in its run queue or alarms.
    home: Link<Core>,
    /// The core that it is to run on. Another one only while a core runs it:
    /// that one moves it when it leaves the kernel next.
    pub next_core: Word<usize>,
    /// 0 to 255.
    pub priority: Word<u8>,
    /// The same, or its client's or what presses it if that is higher.
    pub effective: Word<u8>,
    /// The rank of the first in line at the endpoint that it serves, if it is one
    /// of those that are pressed ([`crate::schedule::inherit`]).
    pub press: Word<u8>,
    /// By what it has its place in line, while its call waits in one.
    pub rank: Word<u8>,
    first_of_rank: Node<Thread>,
    /// Its own time; counted in the reservation's uses.
    pub reservation: Link<Reservation>,
    /// The time that it runs on: its own, or its client's while it serves. None
    /// if it may run whenever its priority lets it.
    pub runs_on: Link<Reservation>,
    /// As a server it goes to its client's core, and has no time but the
    /// client's.
    pub passive: Word<bool>,
    /// In the run queue, or in a queue of the endpoint.
    queue: Node<Thread>,
    in_task: Node<Thread>,
    /// When its wait ends.
    pub alarm: Alarm,
    /// Physical address of the message buffer.
    pub buffer: Word<u64>,
    /// Its address in the task.
    pub buffer_address: Word<u64>,
    /// Calls and faults so far: what a kept reply belongs to, and where in the
    /// history the last one's label is.
    pub call_number: Word<u64>,
    /// What the id of a call has but for its number: the thread's in the upper 24 bits.
    id_base: Word<u64>,
    /// The id of the first attempt of its current call.
    pub first_id: Word<u64>,
    /// The endpoint that it calls or receives from; counted in its uses.
    pub endpoint: Link<Endpoint>,
    /// The session of its call; counted in its calls in flight.
    pub session: Link<Session>,
    /// The handle that it calls through.
    pub via: Word<u64>,
    /// The leases of its call, as many as its label says.
    pub leases: [Lease; LEASES],
    /// The thread that serves its call and has not kept the reply.
    pub server: Link<Thread>,
    /// The thread whose call it serves. Each is the other's `server`.
    pub client: Link<Thread>,
    /// The endpoint that it last received from; counted in its uses.
    pub serves: Link<Endpoint>,
    /// Callers that wait for one another, ending with this thread.
    pub depth: Word<u64>,
    /// A fault instead of a call.
    pub fault: PendingFault,
    /// It was made and started at once: who made it has no capability for it, and
    /// gets one if he asks.
    pub started: Word<bool>,
    /// Signalled when it has ended.
    pub watcher: Binding,
    /// Somebody wants it stopped.
    pub suspended: Word<bool>,
    /// It is kept from running for a moment ([`crate::schedule::ready::stop`]).
    pub held: Word<bool>,
    /// Labels of the last calls, a ring.
    pub history: [Word<u64>; HISTORY],
    /// Processor time, in counter ticks.
    pub time: Word<u64>,
    /// Messages that it received and that are not in its task's count.
    pub received: Word<u64>,
    /// Of its time and calls, what is in its task's.
    told: (Word<u64>, Word<u64>),
    /// Capabilities that lead here, kept replies included, and the task's list.
    pub uses: Word<u64>,
}

impl Object for Thread {
    const CLASS: usize = 6;
}

impl Named for Thread {
    fn id(&self) -> u64 {
        self.id.get()
    }
}

/// The run queue, or a queue of an endpoint.
#[derive(Debug)]
pub struct InQueue;

impl Through<Thread> for InQueue {
    fn node(object: &Thread) -> &Node<Thread> {
        &object.queue
    }
}

/// The first of each rank in an endpoint's line.
#[derive(Debug)]
pub struct FirstOfRank;

impl Through<Thread> for FirstOfRank {
    fn node(object: &Thread) -> &Node<Thread> {
        &object.first_of_rank
    }
}

/// The threads of a task.
#[derive(Debug)]
pub struct InTask;

impl Through<Thread> for InTask {
    fn node(object: &Thread) -> &Node<Thread> {
        &object.in_task
    }
}

/// Where a thread begins.
pub struct Start {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Argument registers.
    pub arguments: [u64; 2],
    /// 0 to 255.
    pub priority: u8,
}

impl Thread {
    /// A thread of `task`, stopped, with its message buffer mapped.
    pub fn create<'k>(
        k: Entered<'k>,
        task: &'k Task,
        start: &Start,
    ) -> Result<&'k Thread, ObjectError> {
        let (address, buffer) = take_buffer(k, task)?;
        let made = slab::create_zeroed::<Thread>(k, task);
        let thread = made.inspect_err(|_| free_buffer(k, task, address, buffer))?;
        thread.id.set(k.kernel.new_id());
        thread.id_base.set(thread.id.get() << 40);
        thread.next_core.set(k.core.number);
        thread.priority.set(start.priority);
        thread.effective.set(start.priority);
        thread.buffer.set(buffer);
        thread.buffer_address.set(address);
        thread.uses.set(1);
        thread.set_home(k.core);
        thread.task.set(Some(task));
        thread.space.set(task.space.get());
        thread.state.set(State::Stopped);
        task.threads.push(k, thread);
        task.alive.add(1);
        Port::start(
            &thread.context,
            start.entry,
            start.stack,
            start.arguments,
            address,
        );
        Ok(thread)
    }

    /// The core that it belongs to.
    pub fn core<'k>(&self, k: Entered<'k>) -> &'k Core {
        self.home.get(k).unwrap_or(k.core)
    }

    /// It belongs to this core from now on.
    pub fn set_home(&self, core: &Core) {
        self.home.set(Some(core));
    }

    /// The task of a thread that runs.
    #[inline(always)]
    pub fn own_task<'k>(&self, k: Entered<'k>) -> &'k Task {
        let task = self.task.get(k);
        debug_assert!(task.is_some(), "a dead thread does not run");
        // SAFETY: it has one from the start, which is taken from it when it is dead
        // (`detach`).
        #[allow(unsafe_code, reason = "asked at each message")]
        unsafe {
            task.unwrap_unchecked()
        }
    }

    /// The message buffer.
    pub fn buffer<'k>(&self, k: Entered<'k>) -> &'k frames::Words {
        frames::words(k, self.buffer.get())
    }

    /// The fault that waits for its handler.
    #[inline(always)]
    pub fn pending_fault(&self) -> Option<FaultKind> {
        use FaultKind::*;
        // Compiles to a subtraction, as the numbers are in order.
        Some(match self.fault.kind.get().checked_sub(1)? {
            0 => Read,
            1 => Write,
            2 => Execute,
            3 => Illegal,
            4 => Alignment,
            5 => Breakpoint,
            6 => Exit,
            7 => Panic,
            _ => Quota,
        })
    }

    /// This waits for its handler from now on.
    #[inline(always)]
    pub fn set_fault(&self, kind: Option<FaultKind>) {
        self.fault.kind.set(kind.map_or(0, |kind| kind as u64 + 1));
        self.mark(Special::FAULT, kind.is_some());
    }

    /// Whether a fault waits for its handler.
    #[inline(always)]
    pub fn has_fault(&self) -> bool {
        self.fault.kind.get() != 0
    }

    /// From now on it runs on this.
    #[inline(always)]
    pub fn run_on(&self, time: Option<&Reservation>) {
        self.runs_on.set(time);
        self.mark(Special::TIME, time.is_some() || !self.reservation.is_none());
    }

    /// Forgets that it has touched floating point, if that makes no difference now.
    #[inline(always)]
    pub fn look_at_float(&self) {
        if Port::fp_rests(&self.context) {
            self.mark(Special::FLOAT, false);
        }
    }

    /// Notes what is out of the ordinary, or is not any more.
    #[inline(always)]
    pub fn mark(&self, what: Special, is: bool) {
        let mut special = self.special();
        special.set(what, is);
        self.special.set(special.bits());
    }

    /// What is out of the ordinary.
    #[inline(always)]
    pub fn special(&self) -> Special {
        Special::from_bits_retain(self.special.get())
    }

    /// What is out of the ordinary with either.
    #[inline(always)]
    pub fn special_with(&self, other: &Thread) -> Special {
        self.special() | other.special()
    }

    /// The id of its current call: thread 24 bits, number 40. A call that repeats
    /// the last one has that one's.
    pub fn request_id(&self) -> u64 {
        // A fault is no call of the program's, which may repeat its last one.
        match self.has_fault() {
            true => self.id_of(self.call_number.get()),
            false => self.first_id.get(),
        }
    }

    /// The id of its call with this number.
    #[inline(always)]
    pub fn id_of(&self, number: u64) -> u64 {
        self.id_base.get().wrapping_add(number)
    }

    /// A lease of its call.
    pub fn lease(&self, index: usize) -> Option<LeaseDescriptor> {
        let leases = self.leases.get(..self.label().leases())?;
        leases.get(index).map(Lease::get)
    }

    /// Whether it belongs to this core.
    #[inline(always)]
    pub fn is_at(&self, core: &Core) -> bool {
        self.home.is(core)
    }

    /// A call begins: notes its label for fault reports, and returns its number.
    #[inline(always)]
    pub fn remember(&self, label: u64) -> u64 {
        let number = self.call_number.add(1);
        self.history[number as usize % HISTORY].set(label);
        number
    }

    /// The label of its call; 0 if it makes none.
    pub fn label(&self) -> Label {
        Label(match self.state.get() {
            State::Sending | State::Waiting => self.remembered(0),
            _ => 0,
        })
    }

    /// The label of the call that was `back` calls ago; 0 if there was none.
    pub fn remembered(&self, back: u64) -> u64 {
        match self.call_number.get().checked_sub(back) {
            Some(number) if number > 0 => self.history[number as usize % HISTORY].get(),
            _ => 0,
        }
    }

    /// Adds to its task's counts what is new in its own. The fast path leaves
    /// them alone, for the task's other threads may run on other cores.
    pub fn tell_task(&self, task: &Task) {
        let (time, calls) = (self.time.get(), self.call_number.get());
        task.time.add(time - self.told.0.replace(time));
        task.calls.add(calls - self.told.1.replace(calls));
        task.received.add(self.received.replace(0));
    }

    /// Ends the thread, whatever it is doing, unless another core runs it: then
    /// it is stopped first. Calls that it serves end in `Died`, its own call is
    /// forgotten.
    pub fn end(&self, k: Entered<'_>) {
        if self.state.get() == State::Dead {
            return;
        }
        crate::ipc::end::leave(k, self);
        self.bury(k);
    }

    /// The thread is in no wait and serves nobody: gives back what it had.
    pub fn bury(&self, k: Entered<'_>) {
        crate::ipc::receive::serve(k, self, None);
        self.set_reservation(k, None);
        self.state.set(State::Dead);
        if let Some(task) = self.task.get(k) {
            self.tell_task(task);
            task.alive.take(1);
            let (address, buffer) = (self.buffer_address.get(), self.buffer.replace(0));
            if task.spare_buffer.get() == 0 && !task.dying.get() {
                task.spare_buffer.set(address);
            } else {
                free_buffer(k, task, address, buffer);
            }
        }
        self.watcher.signal(k);
        self.watcher.end(k);
    }

    /// From now on this is the thread's own time.
    pub fn set_reservation(&self, k: Entered<'_>, reservation: Option<&Reservation>) {
        if let Some(reservation) = reservation {
            reservation.uses.add(1);
            reservation.thread.set(Some(self));
        }
        let old = self.reservation.take(k);
        self.reservation.set(reservation);
        budget::settle(k, self);
        if let Some(old) = old {
            old.thread.set(None);
            old.release(k);
        }
    }

    /// Takes a dead thread out of its task.
    pub fn detach(&self, k: Entered<'_>) {
        if let Some(task) = self.task.take(k) {
            task.threads.remove(k, self);
            self.release(k);
        }
    }

    /// One use less; the last one ends the object.
    pub fn release(&self, k: Entered<'_>) {
        if self.uses.take(1) == 0 {
            slab::retire(k, self);
        }
    }
}

/// From one message buffer to the next, with an absent page as a guard between.
const PLACE: u64 = 2 * PAGE as u64;

/// How many message buffers fit.
const PLACES: u64 = (1 << 30) / PLACE;

/// A message buffer for a thread, mapped: its address and its frame. One that an ended
/// thread has left is used again, with a new header.
fn take_buffer(k: Entered<'_>, task: &Task) -> Result<(u64, u64), ObjectError> {
    if let Some((address, buffer)) = take_spare(k, task) {
        for word in &frames::words(k, buffer)[..word::BYTES] {
            word.store(0, Relaxed);
        }
        return Ok((address, buffer));
    }
    let address = space::BUFFERS + free_place(task)? * PLACE;
    let entry = space::make_leaf(k, task, address)?;
    let buffer = quota::allocate(k, task)?;
    take_place(task, entry);
    // After the zeros in the frame, which its other threads may see at once.
    entry.store(
        Port::page_entry(buffer, Access::READ | Access::WRITE),
        Release,
    );
    Ok((address, buffer))
}

/// The buffer that an ended thread has left.
fn take_spare(k: Entered<'_>, task: &Task) -> Option<(u64, u64)> {
    let address = Some(task.spare_buffer.replace(0)).filter(|address| *address != 0)?;
    let entry = space::leaf(k, task, address)?;
    match Port::entry(entry.load(Relaxed), 0) {
        Entry::Page(buffer, _) => Some((address, buffer)),
        _ => None,
    }
}

/// Unmaps a buffer and gives its frame back.
fn free_buffer(k: Entered<'_>, task: &Task, address: u64, buffer: u64) {
    if let Some(entry) = space::leaf(k, task, address) {
        give_place(task, (address - space::BUFFERS) / PLACE, entry);
        Port::invalidate_pages(task.asid.get(), address, 1);
    }
    quota::free(k, task, buffer);
}

/// Gives the buffer back that an ended thread of a dying task has left.
pub fn free_spare(k: Entered<'_>, task: &Task) {
    if let Some((address, buffer)) = take_spare(k, task) {
        free_buffer(k, task, address, buffer);
    }
}

/// A free place for a message buffer.
fn free_place(task: &Task) -> Result<u64, ObjectError> {
    match task.free_place.get() {
        0 if task.new_place.get() < PLACES => Ok(task.new_place.get()),
        0 => Err(ObjectError::QuotaExceeded),
        place => Ok(place - 1),
    }
}

/// The place that [`free_place`] found, whose table entry this is, is in use.
fn take_place(task: &Task, entry: &AtomicU64) {
    if task.free_place.get() == 0 {
        task.new_place.add(1);
    } else {
        task.free_place.set(entry.load(Relaxed) / PAGE as u64);
    }
}

/// A place is free. Free places are a list through their table entries: what is
/// in an absent page's bits above those of its kind is nothing to the processor.
fn give_place(task: &Task, place: u64, entry: &AtomicU64) {
    if task.dying.get() {
        return entry.store(0, Relaxed);
    }
    entry.store(task.free_place.get() * PAGE as u64, Relaxed);
    task.free_place.set(place + 1);
}
