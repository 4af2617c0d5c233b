//! `Inspect`: what runs, and who waits for whom.

use super::Session;
use crate::{report, slots::Origin, supervisor::Supervisor};
use libipc::{
    interfaces::supervisor::{
        Inspect, Machine, Name, SupervisorError, TaskLine, TaskState, ThreadLine,
    },
    label::Label,
    objects::{ObjectError, TaskClient, TaskInfo},
};
use tessera_page::SUPERVISOR;

impl Inspect for Session<'_> {
    fn task(&mut self, index: u64) -> Result<TaskLine, SupervisorError> {
        let Some(index) = index.checked_sub(1) else {
            let info = libipc::task().info();
            return Ok(TaskLine {
                name: short(SUPERVISOR),
                state: TaskState::Running,
                starter: 0,
                restarts: 0,
                core: 0,
                info: info.map_err(|_| SupervisorError::Internal)?,
            });
        };
        let index = usize::try_from(index).map_err(|_| SupervisorError::NotFound)?;
        let slots = &self.supervisor.slots;
        let (_, slot) = slots.iter().nth(index).ok_or(SupervisorError::NotFound)?;
        let info = slot
            .running
            .as_ref()
            .and_then(|running| running.task.info().ok());
        let starter = slots
            .get(slot.starter())
            .and_then(|slot| slot.running.as_ref());
        Ok(TaskLine {
            name: short(&slot.name),
            state: slot.state(),
            starter: starter.map_or(0, |running| running.id),
            restarts: match &slot.origin {
                Origin::Page { history, .. } => history.total,
                Origin::Program(_) => 0,
            },
            core: slot.running.as_ref().map_or(0, |running| running.core),
            info: info.unwrap_or_default(),
        })
    }

    fn thread(&mut self, task: Name, cursor: u64) -> Result<ThreadLine, SupervisorError> {
        let number = self.supervisor.named(task.as_str())?;
        self.supervisor.with_task(number, |task| {
            let info = task.thread(cursor).map_err(|_| SupervisorError::NotFound)?;
            let called = info.label != 0;
            let label = Label(info.label);
            let (interface, operation) = report::names(label, self.supervisor.interfaces());
            Ok(ThreadLine {
                interface: short(interface.filter(|_| called).unwrap_or("")),
                operation: short(operation.filter(|_| called).unwrap_or("")),
                endpoint: short(self.supervisor.endpoint_name(info.endpoint)),
                server: short(self.supervisor.server_name(info.server_task, info.endpoint)),
                info,
            })
        })
    }

    fn machine(&mut self) -> Result<Machine, SupervisorError> {
        let counters = self.supervisor.system.counters();
        Ok(Machine {
            counters: counters.map_err(|_| SupervisorError::Internal)?,
            started: self.supervisor.started.ticks(),
        })
    }
}

/// A name, cut off where it is too long.
pub(super) fn short(name: &str) -> Name {
    Name::new(&name[..name.floor_char_boundary(32)]).unwrap_or_default()
}

impl Supervisor {
    /// The slot of the task that people call `text`; 0 is the supervisor.
    pub(super) fn named(&self, text: &str) -> Result<u64, SupervisorError> {
        let own: Result<TaskInfo, _> = libipc::task().info();
        let own = own.map_err(|_| SupervisorError::Internal)?;
        if text == SUPERVISOR || text.parse() == Ok(own.id) {
            return Ok(0);
        }
        self.slots.named(text)
    }

    /// Uses the kernel object of a task.
    pub(super) fn with_task<T>(
        &self,
        number: u64,
        act: impl FnOnce(&TaskClient) -> Result<T, SupervisorError>,
    ) -> Result<T, SupervisorError> {
        if number == 0 {
            return act(&libipc::task());
        }
        let slot = self.slots.get(number).ok_or(SupervisorError::NotFound)?;
        let running = slot.running.as_ref().ok_or(SupervisorError::WrongState)?;
        act(&running.task)
    }

    /// What the page calls the endpoint with this number, empty if it is not
    /// of the page.
    pub(super) fn endpoint_name(&self, id: u64) -> &str {
        if id != 0 && self.endpoint.info().is_ok_and(|info| info.id == id) {
            return SUPERVISOR;
        }
        let found = self.endpoints.iter().find(|endpoint| endpoint.id == id);
        found.map_or("", |endpoint| endpoint.name)
    }

    /// The task that serves a call, or that should.
    fn server_name(&self, task: u64, endpoint: u64) -> &str {
        if let Some((_, slot)) = self.slots.by_id(task) {
            return &slot.name;
        }
        let name = self.endpoint_name(endpoint);
        if name == SUPERVISOR {
            return SUPERVISOR;
        }
        let provider = self.page.provider(name);
        provider.map_or("", |task| &task.name)
    }
}

/// Used to tell an object that is gone from a call that failed.
pub(super) fn not_found(error: libipc::CallError<ObjectError>) -> SupervisorError {
    match error.server() {
        Some(ObjectError::NotFound) => SupervisorError::NotFound,
        _ => SupervisorError::Internal,
    }
}
