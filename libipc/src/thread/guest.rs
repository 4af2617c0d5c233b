//! Threads made of a stack, an endpoint that tells of their end, and the kernel's
//! `Thread`.
#![allow(unsafe_code, reason = "a new thread's closure reaches it as a number")]

use super::{STACK, exit, forget_stack, note_stack};
use crate::{
    CallError, PAGE, arch, capability,
    handle::{Handle, Rights},
    label::{Flags, Label},
    memory::Mapping,
    objects::{CALLERS_PRIORITY, EndpointClient, ObjectError, ThreadClient, ThreadState},
    registers::{CallIn, WORDS},
    status::Status,
    sync::{Mutex, backoff},
    time::Instant,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{cell::OnceCell, mem::ManuallyDrop};

/// Why a thread could not be made.
pub type SpawnError = CallError<ObjectError>;

/// A thread and what it needs besides the kernel's object.
struct Place {
    stack: Mapping,
    /// The kernel signals here when the thread has ended, and nobody else does.
    ended: EndpointClient,
    /// The thread's cursor, and a capability for it once somebody has asked.
    cursor: u64,
    thread: OnceCell<ThreadClient>,
}

/// Most places that are kept. What they have is charged: a stack of [`STACK`] each.
const KEPT: usize = 2;

/// Places of threads that have ended, for the next ones: their stacks are mapped and
/// have the pages that were touched.
static FREE: Mutex<[Option<Box<Place>>; KEPT]> = Mutex::new([const { None }; KEPT]);

impl Place {
    /// With at least this much stack.
    fn take(stack: usize) -> Result<Box<Place>, SpawnError> {
        if stack == STACK
            && let Some(place) = FREE.lock().iter_mut().find_map(Option::take)
        {
            return Ok(place);
        }
        let task = capability::task();
        let ended = task.create_endpoint()?;
        let memory = task.create_memory(stack.div_ceil(PAGE) as u64)?;
        let stack = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
        note_stack(stack.address(), stack.len());
        Ok(Box::new(Place {
            stack,
            ended,
            cursor: 0,
            thread: OnceCell::new(),
        }))
    }

    /// Nobody uses it any more, and its endpoint has no signal.
    fn give(mut self: Box<Self>) {
        self.thread = OnceCell::new();
        if self.stack.len() == STACK {
            let mut free = FREE.lock();
            if let Some(room) = free.iter_mut().find(|room| room.is_none()) {
                *room = Some(self);
            }
        }
    }

    /// Its thread; `NotFound` if it has ended and nobody asked before.
    fn thread(&self) -> Result<&ThreadClient, SpawnError> {
        if let Some(thread) = self.thread.get() {
            return Ok(thread);
        }
        let thread = capability::task().started_thread(self.cursor)?;
        Ok(self.thread.get_or_init(|| thread))
    }

    /// Whether its thread is no more, for who cannot wait for that.
    fn is_dead(&self) -> bool {
        match self.thread().and_then(ThreadClient::info) {
            Ok(info) => info.state == ThreadState::Dead,
            Err(error) => error == CallError::Server(ObjectError::NotFound),
        }
    }

    /// Waits for the end of its thread; `false` if it was not told of by `deadline`,
    /// or the wait ended otherwise.
    fn has_ended(&self, deadline: Instant) -> bool {
        let output = arch::trap(&CallIn {
            handle: self.ended.as_ref().handle(),
            label: Label::control(Flags::RECEIVE, 0),
            words: [0; WORDS],
            deadline: deadline.ticks(),
            request: Handle::NULL,
        });
        output.status == Status::Signals.to_word()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        forget_stack(self.stack.address());
    }
}

/// The place of a thread that may run, which nobody else uses before it has ended.
struct Running(ManuallyDrop<Box<Place>>);

impl Running {
    /// The thread has ended, and its end was told.
    fn release(self) {
        ManuallyDrop::into_inner(self.0).give();
    }

    /// Waits for the thread's end.
    fn wait(self) {
        let mut attempt = 0;
        while !self.0.has_ended(Instant::FOREVER) {
            // Somebody cancelled the wait, or took the endpoint away.
            if self.0.is_dead() {
                return drop(ManuallyDrop::into_inner(self.0));
            }
            backoff(&mut attempt);
        }
        self.release();
    }
}

/// Threads that nobody will join, until their places are free.
static DETACHED: Mutex<Vec<Running>> = Mutex::new(Vec::new());

fn reap() {
    let ended: Vec<Running> = {
        let mut detached = DETACHED.lock();
        let ended = |running: &mut Running| running.0.has_ended(Instant::PAST);
        detached.extract_if(.., ended).collect()
    };
    ended.into_iter().for_each(Running::release);
}

/// What a thread is to do, and what came of it.
struct Work<F, T> {
    run: Mutex<Option<F>>,
    result: Mutex<Option<T>>,
}

/// What came of the work of some kind.
trait Outcome<T>: Send + Sync {
    fn take(&self) -> Option<T>;
}

impl<F: Send, T: Send> Outcome<T> for Work<F, T> {
    fn take(&self) -> Option<T> {
        self.result.lock().take()
    }
}

/// The right to wait for a thread's end. Dropping it lets the thread go on
/// alone.
pub struct JoinHandle<T> {
    running: Option<Running>,
    outcome: Arc<dyn Outcome<T>>,
}

/// Runs `work` on a thread with a stack of [`STACK`] bytes and the caller's
/// priority.
pub fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    spawn_with(CALLERS_PRIORITY, STACK, work)
}

/// Runs `work` on a thread with this priority and at least this much stack.
pub fn spawn_with<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
    priority: u64,
    stack: usize,
    work: F,
) -> Result<JoinHandle<T>, SpawnError> {
    reap();
    let mut place = Place::take(stack)?;
    let outcome = Arc::new(Work {
        run: Mutex::new(Some(work)),
        result: Mutex::new(None),
    });
    let work = Arc::into_raw(Arc::clone(&outcome));
    let (entry, top) = (
        entry::<F, T> as *const () as u64,
        (place.stack.address() + place.stack.len()) as u64,
    );
    // SAFETY: `entry` takes this count of the work, which nobody else does, and the
    // stack is this thread's until it has ended.
    let started = unsafe {
        capability::task().start_thread(entry, top, work as u64, priority, &place.ended, 1)
    };
    match started {
        Ok(cursor) => {
            place.cursor = cursor;
            Ok(JoinHandle {
                running: Some(Running(ManuallyDrop::new(place))),
                outcome,
            })
        }
        Err(error) => {
            // SAFETY: the thread that would have taken it never ran.
            drop(unsafe { Arc::from_raw(work) });
            place.give();
            Err(error)
        }
    }
}

/// Where a new thread begins.
extern "C" fn entry<F: FnOnce() -> T, T>(work: *const Work<F, T>) -> ! {
    {
        // SAFETY: `spawn_with` leaked this count for this thread alone.
        let work = unsafe { Arc::from_raw(work) };
        let run = work.run.lock().take();
        let result = run.map(|run| run());
        *work.result.lock() = result;
        // Here the count ends; behind `exit` nothing does.
    }
    exit(0)
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns its result; `None` if it ended
    /// without one.
    pub fn join(mut self) -> Option<T> {
        self.running.take()?.wait();
        self.outcome.take()
    }

    /// Lets the thread go on alone.
    pub fn detach(self) {}

    /// Ends the thread wherever it is, for a task that is about to end: what it holds,
    /// locks included, stays held.
    pub fn end(self) {
        if let Some(thread) = self.thread() {
            // One that has ended by itself needs no more.
            let _ = thread.exit(0);
        }
    }

    /// Ends the wait in which the thread is, if it is in one: a call then ends as
    /// `Cancelled`.
    pub fn cancel(&self) {
        if let Some(thread) = self.thread() {
            // One that has ended waits for nothing.
            let _ = thread.cancel();
        }
    }

    /// The thread; `None` if it has ended and nobody asked before, or the task has no
    /// room for the capability.
    pub fn thread(&self) -> Option<&ThreadClient> {
        self.running.as_ref()?.0.thread().ok()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            DETACHED.lock().push(running);
        }
    }
}

impl<T> core::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let cursor = self.running.as_ref().map(|running| running.0.cursor);
        write!(f, "JoinHandle({cursor:x?})")
    }
}
