//! A kernel in the test's own process, so that any server is tested with
//! `cargo test`: tasks with tables of their own on threads of the host, and the
//! very client, dispatch and receive code that runs on Tessera.
//!
//! Every thread belongs to a task; one that nobody spawned here, such as a
//! test's, gets a task of its own. There are endpoints with sessions, signals,
//! pause and close, messages with capabilities, leases and deadlines, kept
//! replies, memory objects, which [`Mapping`](crate::memory::Mapping) finds where they
//! are, and the log of [`system`]. What is not there (tasks and threads made by a
//! call, mappings at chosen addresses, interrupts, revocation) answers `WrongState`.
//!
//! ```
//! use libipc::{fake, objects::ObjectError};
//!
//! #[libipc::interface]
//! pub trait Counter {
//!     /// Adds `amount` and returns the sum.
//!     #[op(0)]
//!     fn add(&mut self, amount: u64) -> Result<u64, ObjectError>;
//! }
//!
//! struct Sum(u64);
//!
//! impl Counter for Sum {
//!     fn add(&mut self, amount: u64) -> Result<u64, ObjectError> {
//!         self.0 += amount;
//!         Ok(self.0)
//!     }
//! }
//!
//! fn main() {
//!     let counter: CounterClient =
//!         fake::serve(|endpoint| libipc::serve::<dyn Counter>(endpoint, &mut Sum(0)));
//!     assert_eq!(counter.add(2), Ok(2));
//!     assert_eq!(counter.add(3), Ok(5));
//! }
//! ```
#![allow(
    unsafe_code,
    reason = "the fake kernel copies between threads by address, as a kernel does"
)]

mod clock;
mod ipc;
mod objects;
mod world;

use crate::{
    Capability, PAGE,
    handle::{Handle, Rights},
    objects::{EndpointClient, MemoryClient, SystemClient},
    registers::{CallIn, CallOut},
};
use std::{boxed::Box, cell::OnceCell, thread};
use world::{Object, Passed, lock};

pub use clock::own_time;
pub(crate) use clock::ticks;

/// The calling thread as the kernel sees it.
struct Thread {
    id: u64,
    task: u64,
    buffer: *mut [u64; PAGE / 8],
}

impl Thread {
    /// One that has entered its task as `id`.
    fn new(task: u64, id: u64) -> Thread {
        let buffer = Box::into_raw(Box::new([0; PAGE / 8]));
        Thread { id, task, buffer }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        lock().leave(self.id);
        // SAFETY: it was made by `Thread::new`, and this thread makes no more
        // calls.
        drop(unsafe { Box::from_raw(self.buffer) });
    }
}

std::thread_local! {
    static THREAD: OnceCell<Thread> = const { OnceCell::new() };
}

fn with_thread<T>(work: impl FnOnce(&Thread) -> T) -> T {
    THREAD.with(|thread| {
        work(thread.get_or_init(|| {
            let mut world = lock();
            let task = world.create_task();
            Thread::new(task, world.enter(task))
        }))
    })
}

/// One system call.
pub(crate) fn trap(input: &CallIn) -> CallOut {
    let (id, task) = with_thread(|thread| (thread.id, thread.task));
    ipc::trap(id, task, input)
}

/// The calling thread's message buffer.
pub(crate) fn buffer() -> *mut u64 {
    with_thread(|thread| thread.buffer.cast())
}

/// Where memory of the calling task is, if it has this access: all tasks are one
/// process.
pub(crate) fn memory(memory: &MemoryClient, access: Rights) -> Option<u64> {
    let task = with_thread(|thread| thread.task);
    lock().memory(task, memory.as_ref().handle(), access)
}

/// The calling task's capability for itself.
pub(crate) fn task() -> Handle {
    let task = with_thread(|thread| thread.task);
    lock().own_handle(task)
}

/// A task: a capability table that the threads in it share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task(u64);

/// The calling thread's number.
pub(crate) fn thread() -> u64 {
    with_thread(|thread| thread.id)
}

/// Ends the call that a thread waits for.
pub(crate) fn cancel(thread: u64) {
    lock().cancel(thread);
}

/// The calling thread's task.
pub fn current() -> Task {
    Task(with_thread(|thread| thread.task))
}

impl Default for Task {
    fn default() -> Task {
        Task::new()
    }
}

impl Task {
    /// A task with nothing but a capability for itself.
    pub fn new() -> Task {
        Task(lock().create_task())
    }

    /// Runs `work` on a thread of this task.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let task = self.0;
        // Nobody takes it for one that waits before it runs.
        let id = lock().enter(task);
        thread::spawn(move || {
            THREAD.with(|thread| {
                let fresh = thread.set(Thread::new(task, id)).is_ok();
                assert!(fresh, "a new thread has made no call");
            });
            work()
        })
    }

    /// Runs `work` in this task, with a capability that the calling task gives
    /// it.
    pub fn spawn_with<C: From<Capability>, T: Send + 'static>(
        &self,
        capability: impl Into<Capability>,
        work: impl FnOnce(C) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let handle = self.give(capability);
        self.spawn(move || work(C::from(Capability::from_handle(handle))))
    }

    /// Moves a capability of the calling task into this one and returns its
    /// handle there.
    pub fn give(&self, capability: impl Into<Capability>) -> Handle {
        let from = current().0;
        let handle = capability.into().into_handle();
        let passed = Passed {
            handle,
            copy: false,
            loses: Rights::empty(),
        };
        lock().transfer(from, passed, self.0)
    }

    /// Ends the task: all its capabilities are gone, and the calls that it
    /// serves end as `Died`.
    pub fn kill(&self) {
        lock().kill(self.0);
    }

    /// How many capabilities it holds, its own included.
    pub fn capabilities(&self) -> usize {
        lock().count(self.0)
    }
}

/// Makes an endpoint, runs a server at it in a task of its own, and returns a
/// client with the badge 0.
pub fn serve<C: From<Capability>, T: Send + 'static>(
    run: impl FnOnce(&EndpointClient) -> T + Send + 'static,
) -> C {
    let endpoint = endpoint();
    let client = endpoint
        .as_ref()
        .derive(Rights::CALL | Rights::GRANT)
        .expect("the calling task holds the endpoint");
    Task::new().spawn_with(endpoint, move |endpoint: EndpointClient| run(&endpoint));
    C::from(client)
}

/// A new endpoint of the calling task.
pub fn endpoint() -> EndpointClient {
    crate::task()
        .create_endpoint()
        .expect("the fake kernel has no quota")
}

/// A capability for the machine, with a log that starts empty and is all tests'.
pub fn system() -> SystemClient {
    let handle = lock().install(current().0, Object::System, Rights::all());
    SystemClient::from(Capability::from_handle(handle))
}
