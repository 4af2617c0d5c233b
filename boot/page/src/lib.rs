//! The compiled system page: which tasks run, and with what authority.
//!
//! People write a page in TOML (`boot/systems/*.toml`); `cargo xtask` checks it
//! and packs it in this form into the boot archive, where the supervisor reads
//! it. Every name in a compiled page has been resolved: what a task uses is
//! provided by a task of the page, by the supervisor or by the kernel.
//!
//! Reading order: [`Page`], [`Task`], what a task holds ([`authority`]), the
//! bytes ([`encode`], [`decode`]).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod authority;
mod codec;

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

pub use authority::{Device, Grant, Power, Right, SystemObject, Use, Virtio};
pub use codec::{PageError, decode, encode};

/// Name of the page's entry in the boot archive.
pub const ENTRY: &str = "system";
/// Name of the supervisor, the first task, which no page lists.
pub const SUPERVISOR: &str = "init";

/// A system: its tasks and the programs that they may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// What people call the system, as in `--system NAME`.
    pub name: String,
    /// How much RAM the system was made for, in bytes. The quotas fit in it.
    pub ram: u64,
    /// What the supervisor keeps for itself, in bytes.
    pub supervisor_quota: u64,
    /// The tasks, in the order in which they are started.
    pub tasks: Vec<Task>,
    /// Names of the archive's programs that may be started by a shell.
    pub programs: Vec<String>,
}

/// One task of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Unique in the page; what `ps` shows.
    pub name: String,
    /// The archive's program that it runs.
    pub program: String,
    /// Arguments, without the program's name.
    pub args: Vec<String>,
    /// All memory the task may cause to be used, in bytes.
    pub quota: u64,
    /// Ceiling of its heap, in bytes.
    pub heap: u64,
    /// Stack of its first thread, in bytes.
    pub stack: u64,
    /// Priority of its first thread; no thread of the task may have a higher one.
    pub priority: u8,
    /// The core of its first thread, counted round if there are fewer; else one
    /// that the supervisor chooses.
    pub core: Option<u8>,
    /// The processor time of its first thread; none if it runs whenever its
    /// priority lets it.
    pub reservation: Option<Reservation>,
    /// What happens when it ends or faults.
    pub restart: Restart,
    /// Endpoints that it serves: it holds the right to receive from each.
    pub provides: Vec<String>,
    /// Those of them whose calls it passes on, and ends as they ended elsewhere.
    pub proxies: Vec<String>,
    /// Endpoints that it may use.
    pub uses: Vec<Use>,
    /// Powers of the supervisor that it holds.
    pub powers: Vec<Power>,
    /// Objects of the kernel that it holds.
    pub system: Vec<SystemObject>,
    /// Devices whose registers and interrupt it holds.
    pub devices: Vec<Device>,
    /// What it may hand to a program that it starts, on request of its user.
    pub grants: Vec<Grant>,
}

/// Processor time: so much in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// In microseconds.
    pub budget_us: u32,
    /// In microseconds.
    pub period_us: u32,
}

/// What the supervisor does when a task ends or faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// Wait before the first restart; each further one doubles it.
    pub backoff_ms: u32,
    /// The wait stops growing there. A task that ran this long without a fault
    /// starts over with the first wait.
    pub max_backoff_ms: u32,
    /// After this many restarts without such a good run it stays down.
    pub max: u32,
}

/// When a task is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// However it ended.
    Always,
    /// If it faulted or was killed, but not if it ended by itself.
    OnFault,
    /// Not at all.
    Never,
}

impl Page {
    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The task that serves the endpoint of that name.
    pub fn provider(&self, endpoint: &str) -> Option<&Task> {
        self.tasks
            .iter()
            .find(|task| task.provides.iter().any(|name| name == endpoint))
    }

    /// Whether a task has a virtio device of this type.
    pub fn names(&self, kind: Virtio) -> bool {
        let mut devices = self.tasks.iter().flat_map(|task| &task.devices);
        devices.any(|device| device.virtio == Some(kind))
    }

    /// The number that every server sees as the badge of that task's requests:
    /// its place in the page, counted from 1.
    pub fn badge(&self, task: &str) -> Option<u64> {
        self.tasks
            .iter()
            .position(|t| t.name == task)
            .map(|index| index as u64 + 1)
    }
}
