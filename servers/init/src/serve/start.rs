//! `Start`: loads programs for a shell.

use super::Session;
use crate::{
    badge::Badge,
    image::{self, Source},
    launch::{self, Sizes},
    layout::SPAN,
    slots::{Origin, Program, Slot},
    supervisor::Supervisor,
};
use alloc::{string::String, vec::Vec};
use libipc::{
    Bytes, Lease, PAGE, Text,
    interfaces::{
        loader::{ElfError, NOTE, Plan},
        supervisor::{CapabilityName, Limits, ProgramClient, ProgramName, Start, SupervisorError},
    },
};
use tessera_loader::check;

/// Most programs of one shell, those included whose end nobody has asked for.
const PROGRAMS: usize = 64;

/// What a program gets unless its shell says otherwise.
const HEAP: u64 = 512 << 10;
const STACK: u64 = 64 << 10;
/// Room in the usual quota for page tables, buffers and objects.
const OBJECTS: u64 = 256 << 10;

impl Start for Session<'_> {
    fn load(
        &mut self,
        program: ProgramName,
        limits: Limits,
    ) -> Result<ProgramClient, SupervisorError> {
        let (supervisor, name) = (&mut *self.supervisor, program.as_str());
        supervisor.startable(name)?;
        let packed = supervisor.packed(name);
        let packed = packed.map_err(|_| SupervisorError::BadProgram)?;
        let mut file = packed;
        supervisor.load_program(
            self.number,
            name,
            packed.name,
            limits,
            &packed.plan,
            &mut file,
        )
    }

    fn load_file(
        &mut self,
        name: ProgramName,
        limits: Limits,
        plan: Plan,
        file: Lease,
    ) -> Result<ProgramClient, SupervisorError> {
        let allowed = tessera_loader::Limits {
            file: file.len() as u64,
            span: SPAN,
        };
        check(&plan, allowed).map_err(|_| SupervisorError::BadProgram)?;
        let name = name.as_str();
        let mut file = Lent(file);
        self.supervisor
            .load_program(self.number, name, "", limits, &plan, &mut file)
    }

    fn note(&mut self, program: ProgramName) -> Result<Bytes<NOTE>, SupervisorError> {
        self.supervisor.startable(program.as_str())?;
        let packed = self.supervisor.packed(program.as_str());
        Ok(packed.map_err(|_| SupervisorError::BadProgram)?.plan.note)
    }

    fn program(&mut self, index: u64) -> Result<ProgramName, SupervisorError> {
        let programs = &self.supervisor.page.programs;
        let name = usize::try_from(index)
            .ok()
            .and_then(|index| programs.get(index));
        let name = name.ok_or(SupervisorError::NotFound)?;
        Text::new(name).ok_or(SupervisorError::BadName)
    }

    fn grantable(&mut self, index: u64) -> Result<CapabilityName, SupervisorError> {
        let task = self.supervisor.page.tasks.get(self.number as usize - 1);
        let grants = task.map_or(&[][..], |task| &task.grants);
        let grant = usize::try_from(index)
            .ok()
            .and_then(|index| grants.get(index));
        let grant = grant.ok_or(SupervisorError::NotFound)?;
        Text::new(grant.name()).ok_or(SupervisorError::BadName)
    }
}

/// A file that the caller lent.
struct Lent<'r>(Lease<'r>);

impl Source for Lent<'_> {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ElfError> {
        let offset = usize::try_from(offset).map_err(|_| ElfError::Unreadable)?;
        self.0
            .read_at(offset, into)
            .map_err(|_| ElfError::Unreadable)
    }
}

impl Supervisor {
    /// Whether the page lets shells start the archive's program of this name.
    fn startable(&self, program: &str) -> Result<(), SupervisorError> {
        match self.page.programs.iter().any(|name| name == program) {
            true => Ok(()),
            false => Err(SupervisorError::NotFound),
        }
    }

    /// Makes a task of a program for the task of slot `starter`, which pays.
    fn load_program(
        &mut self,
        starter: u64,
        name: &str,
        packed: &'static str,
        limits: Limits,
        plan: &Plan,
        source: &mut impl Source,
    ) -> Result<ProgramClient, SupervisorError> {
        if name.is_empty() || name.contains(char::is_control) {
            return Err(SupervisorError::BadName);
        }
        if self.slots.started_by(starter).count() >= PROGRAMS {
            return Err(SupervisorError::TooMany);
        }
        let priority = self.priority_of(starter).saturating_sub(1).max(1);
        let number = self.slots.add(Slot {
            name: name.into(),
            program: packed,
            origin: Origin::Program(Program {
                starter,
                priority,
                arguments: String::new(),
                outcome: None,
                started: false,
                held: true,
                waiting: Vec::new(),
                notify: None,
            }),
            running: None,
        });
        let loaded = self.load_into(number, starter, sizes(plan, limits), plan, source);
        if loaded.is_err() {
            self.discard(number);
        }
        loaded
    }

    fn load_into(
        &mut self,
        number: u64,
        starter: u64,
        sizes: Sizes,
        plan: &Plan,
        source: &mut impl Source,
    ) -> Result<ProgramClient, SupervisorError> {
        let random = self.random.draw();
        let handler = (&self.endpoint, Badge::Fault(number));
        let payer = self
            .slots
            .get(starter)
            .and_then(|slot| slot.running.as_ref());
        let payer = &payer.ok_or(SupervisorError::WrongState)?.task;
        let scratch = &mut *self.scratch;
        let loaded = launch::load(payer, plan, source, sizes, random, handler, scratch);
        let mut running = loaded?;
        running.core = self.free_core();
        if let Some(slot) = self.slots.get_mut(number) {
            slot.running = Some(running);
        }
        Ok(self.mint_own(Badge::Program(number))?.into())
    }

    /// Priority of a task's first thread.
    fn priority_of(&self, number: u64) -> u64 {
        match self.slots.get(number).map(|slot| &slot.origin) {
            Some(Origin::Page { index, .. }) => self.page.tasks[*index].priority.into(),
            Some(Origin::Program(program)) => program.priority,
            None => 1,
        }
    }

    /// Throws a program away that has not been started.
    pub(super) fn discard(&mut self, number: u64) {
        if let Some(slot) = self.slots.remove(number)
            && let Some(running) = slot.running
        {
            // It has no thread: nobody is there to be told.
            let _ = running.task.kill();
        }
    }
}

/// What a program may use, with what is usual in place of zeros.
fn sizes(plan: &Plan, limits: Limits) -> Sizes {
    let or = |size: u64, usual: u64| if size == 0 { usual } else { size };
    let (heap, stack) = (or(limits.heap, HEAP), or(limits.stack, STACK));
    let pages: u64 = plan.segments().iter().map(image::pages).sum();
    let image = pages * PAGE as u64;
    let all = image.saturating_add(heap).saturating_add(stack);
    Sizes {
        quota: or(limits.quota, all.saturating_add(OBJECTS)),
        heap,
        stack,
    }
}
