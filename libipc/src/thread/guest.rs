//! Threads made of a stack and the kernel's `Thread`.
#![allow(unsafe_code, reason = "a new thread's closure reaches it as a number")]

use super::{STACK, current, exit, forget_stack, note_stack};
use crate::{
    CallError, PAGE, capability,
    handle::{Handle, Rights},
    memory::Mapping,
    objects::{EndpointClient, ObjectError, ThreadClient, ThreadState},
    server::Receiver,
    sync::{Mutex, backoff},
    time::Instant,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{mem::ManuallyDrop, time::Duration};

/// Why a thread could not be made.
pub type SpawnError = CallError<ObjectError>;

/// A thread that runs on its own stack.
struct Running {
    thread: ThreadClient,
    stack: ManuallyDrop<Mapping>,
}

impl Running {
    fn ended(&self) -> bool {
        match self.thread.info() {
            Ok(info) => info.state == ThreadState::Dead,
            Err(_) => true,
        }
    }

    /// Gives the stack back; only after the thread has ended.
    fn release(mut self) {
        forget_stack(self.stack.address());
        // SAFETY: `self` is consumed, so nobody uses the stack again.
        unsafe { ManuallyDrop::drop(&mut self.stack) };
    }
}

/// Threads that nobody will join, until their stacks can be given back.
static DETACHED: Mutex<Vec<Running>> = Mutex::new(Vec::new());

fn reap() {
    let mut ended = Vec::new();
    {
        let mut detached = DETACHED.lock();
        let mut index = 0;
        while index < detached.len() {
            if detached[index].ended() {
                ended.push(detached.swap_remove(index));
            } else {
                index += 1;
            }
        }
    }
    ended.into_iter().for_each(Running::release);
}

/// How long a thread that waits for another trusts it to tell.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the new thread is handed.
struct Work {
    run: Box<dyn FnOnce() + Send>,
}

/// The right to wait for a thread's end. Dropping it lets the thread go on
/// alone.
pub struct JoinHandle<T> {
    running: Option<Running>,
    done: EndpointClient,
    result: Arc<Mutex<Option<T>>>,
}

/// Runs `work` on a thread with a stack of [`STACK`] bytes and the caller's
/// priority.
pub fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    let priority = current().info()?.priority;
    spawn_with(priority, STACK, work)
}

/// Runs `work` on a thread with this priority and at least this much stack.
pub fn spawn_with<T: Send + 'static>(
    priority: u64,
    stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, SpawnError> {
    reap();
    let task = capability::task();
    let done = task.create_endpoint()?;
    let result = Arc::new(Mutex::new(None));
    let (there, slot) = (done.as_ref().handle(), Arc::clone(&result));
    let run = Box::new(move || {
        *slot.lock() = Some(work());
        drop(slot);
        // If nobody is there to be told, nobody waits.
        let _ = crate::client::Borrowed::<EndpointClient>::new(there).signal(1);
    });
    let memory = task.create_memory(stack.div_ceil(PAGE) as u64)?;
    let stack = Mapping::new(&memory, Rights::READ | Rights::WRITE)?;
    let (lowest, length) = (stack.address(), stack.len());
    let work = Box::into_raw(Box::new(Work { run }));
    let (entry, top) = (entry as *const () as u64, (lowest + length) as u64);
    // SAFETY: `entry` takes the boxed work, which nobody else does, and the
    // stack is this thread's until it has ended.
    let thread = unsafe { task.create_thread(entry, top, 0, work as u64, priority) };
    let started = thread.and_then(|thread| {
        note_stack(lowest, length);
        thread.resume().map(|()| thread)
    });
    match started {
        Ok(thread) => Ok(JoinHandle {
            running: Some(Running {
                thread,
                stack: ManuallyDrop::new(stack),
            }),
            done,
            result,
        }),
        Err(error) => {
            forget_stack(lowest);
            // SAFETY: the thread that would have taken it never ran.
            drop(unsafe { Box::from_raw(work) });
            Err(error)
        }
    }
}

/// Where a new thread begins.
extern "C" fn entry(_start: usize, work: *mut Work) -> ! {
    {
        // SAFETY: `spawn_with` leaked it for this thread alone.
        let work = unsafe { Box::from_raw(work) };
        (work.run)();
        // Here its box is freed; behind `exit` nothing is.
    }
    exit(0)
}

impl<T> JoinHandle<T> {
    /// Waits for the thread's end and returns its result; `None` if it ended
    /// without one.
    pub fn join(mut self) -> Option<T> {
        let running = self.running.take()?;
        // It tells before it ends; one that is killed tells nothing.
        let mut done = Receiver::new(&self.done);
        while done.wait(Instant::after(PATIENCE)).is_err() && !running.ended() {}
        let mut attempt = 0;
        while !running.ended() {
            backoff(&mut attempt);
        }
        running.release();
        self.result.lock().take()
    }

    /// Lets the thread go on alone.
    pub fn detach(self) {}

    /// The thread.
    pub fn thread(&self) -> Option<&ThreadClient> {
        self.running.as_ref().map(|running| &running.thread)
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
        let handle: Option<Handle> = self.thread().map(|thread| thread.as_ref().handle());
        write!(f, "JoinHandle({handle:?})")
    }
}
