//! What the supervisor knows of each task: those of the page, and the programs
//! that shells started.

use crate::{devices::Held, restart::History};
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use libipc::{
    child::Child,
    handle::Handle,
    interfaces::supervisor::{Outcome, SupervisorError, TaskState},
    objects::{EndpointClient, MemoryClient, ReservationClient},
    server::Reply,
};

/// A task, whether it runs or not.
#[derive(Debug)]
pub struct Slot {
    /// What `ps` shows.
    pub name: String,
    /// The archive's program that it runs, whose symbols name its functions;
    /// empty if the program did not come from there.
    pub program: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// Its kernel object and what belongs to it, while there is one: large, so it is not
    /// moved.
    pub running: Option<Box<Running>>,
}

/// Where a task comes from.
#[derive(Debug)]
pub enum Origin {
    /// The page, where it has this index.
    Page {
        /// Index in the page.
        index: usize,
        /// How often it ended.
        history: History,
        /// When it is started again, in milliseconds, if it is.
        again: Option<u64>,
    },
    /// A shell.
    Program(Program),
}

/// What is known of a program that a shell started.
#[derive(Debug)]
pub struct Program {
    /// Slot of whoever started it.
    pub starter: u64,
    /// Its priority.
    pub priority: u64,
    /// Its arguments, without its name; each ends with a zero byte.
    pub arguments: String,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Whether it was started.
    pub started: bool,
    /// Whether somebody still holds its capability.
    pub held: bool,
    /// Those who wait for its end.
    pub waiting: Vec<Reply<Outcome, SupervisorError>>,
    /// Who is sent signals at its end.
    pub notify: Option<(EndpointClient, u64)>,
}

/// The kernel object of a task.
#[derive(Debug)]
pub struct Running {
    /// The task, with all rights.
    pub task: Child,
    /// Its number.
    pub id: u64,
    /// What it calls itself.
    pub handle: Handle,
    /// Addresses of its parts.
    pub layout: crate::layout::Layout,
    /// Where its code begins, with what is added to addresses in its file.
    pub entry: u64,
    /// The core that its first thread is put on.
    pub core: u64,
    /// Time of its first thread.
    pub time: Option<ReservationClient>,
    /// Sizes of its stack and heap.
    pub sizes: (u64, u64),
    /// What it has besides its program's file, and where in it the stack begins, until
    /// it has its start information.
    pub own: Option<(MemoryClient, u64)>,
    /// Handles that it was given, and their names.
    pub given: Vec<(String, u64)>,
    /// Arguments that say which devices it got.
    pub arguments: Vec<String>,
    /// Devices of it that reach memory by themselves.
    pub devices: Vec<Held>,
}

impl Slot {
    /// What `ps` shows of its state.
    pub fn state(&self) -> TaskState {
        match &self.origin {
            Origin::Program(program) if program.outcome.is_some() => TaskState::Down,
            Origin::Program(program) if !program.started => TaskState::Loaded,
            Origin::Page { again: Some(_), .. } => TaskState::Restarting,
            _ if self.running.is_some() => TaskState::Running,
            _ => TaskState::Down,
        }
    }

    /// The program that a shell started.
    pub fn as_program(&mut self) -> Option<&mut Program> {
        match &mut self.origin {
            Origin::Program(program) => Some(program),
            Origin::Page { .. } => None,
        }
    }

    /// Slot of whoever started it, or 0 for a task of the page.
    pub fn starter(&self) -> u64 {
        match &self.origin {
            Origin::Program(program) => program.starter,
            Origin::Page { .. } => 0,
        }
    }
}

/// All tasks by number. Those of the page have their badge, counted from 1;
/// programs follow, and no number is used twice.
#[derive(Debug, Default)]
pub struct Slots {
    slots: BTreeMap<u64, Box<Slot>>,
    next: u64,
}

impl Slots {
    /// Adds a task and returns its number.
    pub fn add(&mut self, slot: Slot) -> u64 {
        self.next += 1;
        self.slots.insert(self.next, Box::new(slot));
        self.next
    }

    /// The task with this number.
    pub fn get(&self, number: u64) -> Option<&Slot> {
        self.slots.get(&number).map(|slot| &**slot)
    }

    /// The task with this number.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&number).map(|slot| &mut **slot)
    }

    /// Forgets a task.
    pub fn remove(&mut self, number: u64) -> Option<Box<Slot>> {
        self.slots.remove(&number)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Slot)> {
        self.slots.iter().map(|(number, slot)| (*number, &**slot))
    }

    /// Numbers of those that the task of this number started.
    pub fn started_by(&self, starter: u64) -> impl Iterator<Item = u64> {
        let started = self
            .iter()
            .filter(move |(_, slot)| slot.starter() == starter);
        started.map(|(number, _)| number)
    }

    /// The task whose kernel object has this number.
    pub fn by_id(&self, id: u64) -> Option<(u64, &Slot)> {
        let is_it = |slot: &Slot| {
            slot.running
                .as_ref()
                .is_some_and(|running| running.id == id)
        };
        self.iter().find(|(_, slot)| is_it(slot))
    }

    /// The task that people call `text`: its name, or its number in the kernel.
    pub fn named(&self, text: &str) -> Result<u64, SupervisorError> {
        if let Ok(id) = text.parse()
            && let Some((number, _)) = self.by_id(id)
        {
            return Ok(number);
        }
        let mut found = self.iter().filter(|(_, slot)| {
            let over = matches!(&slot.origin, Origin::Program(p) if p.outcome.is_some());
            slot.name == text && !over
        });
        match (found.next(), found.next()) {
            (Some((number, _)), None) => Ok(number),
            (Some(_), Some(_)) => Err(SupervisorError::Ambiguous),
            (None, _) => Err(SupervisorError::NotFound),
        }
    }

    /// How many tasks each of so many cores has; the first has the supervisor.
    pub fn load(&self, cores: u64) -> Vec<u64> {
        let mut load = alloc::vec![0; cores.max(1) as usize];
        load[0] = 1;
        for (_, slot) in self.iter() {
            let core = slot.running.as_ref().map(|running| running.core as usize);
            if let Some(count) = core.and_then(|core| load.get_mut(core)) {
                *count += 1;
            }
        }
        load
    }

    /// When the next task is to be started again, in milliseconds.
    pub fn next_restart(&self) -> Option<(u64, u64)> {
        let waiting = self.iter().filter_map(|(number, slot)| match slot.origin {
            Origin::Page { again, .. } => again.map(|at| (at, number)),
            Origin::Program(_) => None,
        });
        waiting.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, over: bool) -> Slot {
        Slot {
            name: name.into(),
            program: "",
            origin: Origin::Program(Program {
                starter: 1,
                priority: 1,
                arguments: String::new(),
                outcome: over.then_some(Outcome {
                    ended: libipc::interfaces::supervisor::Ended::Exited,
                    code: 0,
                }),
                started: true,
                held: true,
                waiting: Vec::new(),
                notify: None,
            }),
            running: None,
        }
    }

    #[test]
    fn names_lead_to_one_task_that_is_not_over() {
        let mut slots = Slots::default();
        let first = slots.add(program("cat", true));
        assert_eq!(slots.named("cat"), Err(SupervisorError::NotFound));
        let second = slots.add(program("cat", false));
        assert_eq!(slots.named("cat"), Ok(second));
        slots.add(program("cat", false));
        assert_eq!(slots.named("cat"), Err(SupervisorError::Ambiguous));
        assert_eq!(slots.named("7"), Err(SupervisorError::NotFound));
        assert_eq!(slots.started_by(1).count(), 3);
        assert!(slots.remove(first).is_some());
        assert!(slots.add(program("ls", false)) > second);
    }
}
