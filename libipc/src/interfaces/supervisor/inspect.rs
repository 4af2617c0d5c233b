//! `Inspect`: what runs, and who waits for whom.

use super::{Name, SupervisorError};
use crate::objects::{Counters, TaskInfo, ThreadInfo};
use crate::{Wire, interface};

/// Tells what runs, and who waits for whom.
#[interface]
pub trait Inspect {
    /// The task with this index, from 0 on; `NotFound` past the last. The first
    /// is the supervisor.
    #[op(0, idempotent)]
    fn task(&mut self, index: u64) -> Result<TaskLine, SupervisorError>;

    /// The first thread of a task with cursor 0, then the one whose cursor the last
    /// answer gave as `info.next`, and what it waits for. `NotFound` if there is
    /// none, or that one has ended since.
    #[op(1, idempotent)]
    fn thread(&mut self, task: Name, cursor: u64) -> Result<ThreadLine, SupervisorError>;

    /// The machine's numbers.
    #[op(2, idempotent)]
    fn machine(&mut self) -> Result<Machine, SupervisorError>;
}

/// A task of the page, or a program that a shell started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct TaskLine {
    /// Its name in the page, or the program's name.
    pub name: Name,
    /// What the supervisor does with it.
    pub state: TaskState,
    /// Number of the task that started it, or 0 for one of the page.
    pub starter: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// The core that its first thread was put on.
    pub core: u64,
    /// The kernel's numbers, `info.id` among them; all zero if it does not run.
    pub info: TaskInfo,
}

/// What the supervisor does with a task. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
#[repr(u64)]
pub enum TaskState {
    /// It runs.
    Running = 0,
    /// It ended and will be started again after a while.
    Restarting = 1,
    /// It ended and stays so.
    Down = 2,
    /// It has been loaded and not yet been started.
    Loaded = 3,
}

/// A thread and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Wire)]
pub struct ThreadLine {
    /// The kernel's numbers.
    pub info: ThreadInfo,
    /// Interface of the call that it waits for, empty if there is none.
    pub interface: Name,
    /// Operation of that call.
    pub operation: Name,
    /// The endpoint that it calls or receives from, as the page names it.
    pub endpoint: Name,
    /// The task that serves the call, or that should.
    pub server: Name,
}

/// The machine's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Wire)]
pub struct Machine {
    /// The kernel's numbers.
    pub counters: Counters,
    /// When the supervisor began, in counter ticks.
    pub started: u64,
}
