//! `Program`: a shell looks after a program.

use super::Session;
use crate::{
    give::Giver,
    launch::{self, LaunchError},
    slots::{Program as State, Running},
    wiring,
};
use alloc::{string::String, vec};
use libipc::{
    Capability, Lease,
    handle::Rights,
    interfaces::supervisor::{CapabilityName, Ended, Outcome, Program, SupervisorError},
    objects::EndpointClient,
    server::Reply,
};

/// Most bytes of arguments; what does not fit into the start information beside the
/// capabilities is refused when the program is started.
const ARGUMENTS: usize = 12 << 10;

/// Most capabilities that a program is given.
const GIVEN: usize = 128;

/// Most calls that wait for the end of one program.
const WAITING: usize = 8;

impl Session<'_> {
    /// The program, and its task while there is one.
    fn program(&mut self) -> Result<(&mut State, Option<&mut Running>), SupervisorError> {
        let slot = self.supervisor.slots.get_mut(self.number);
        let slot = slot.ok_or(SupervisorError::NotFound)?;
        match &mut slot.origin {
            crate::slots::Origin::Program(program) => Ok((program, slot.running.as_deref_mut())),
            crate::slots::Origin::Page { .. } => Err(SupervisorError::NotFound),
        }
    }

    /// The same, of a program that has not been started yet.
    fn loaded(&mut self) -> Result<(&mut State, &mut Running), SupervisorError> {
        match self.program()? {
            (program, Some(running)) if !program.started => {
                if running.given.len() >= GIVEN {
                    return Err(SupervisorError::TooMany);
                }
                Ok((program, running))
            }
            _ => Err(SupervisorError::WrongState),
        }
    }
}

impl Program for Session<'_> {
    fn arguments(&mut self, text: Lease) -> Result<(), SupervisorError> {
        let (program, _) = self.loaded()?;
        if text.len() > ARGUMENTS {
            return Err(SupervisorError::BadArguments);
        }
        let mut bytes = vec![0; text.len()];
        let read = text.read_at(0, &mut bytes);
        read.map_err(|_| SupervisorError::BadArguments)?;
        let text = String::from_utf8(bytes).map_err(|_| SupervisorError::BadArguments)?;
        if !text.is_empty() && !text.ends_with('\0') {
            return Err(SupervisorError::BadArguments);
        }
        program.arguments = text;
        Ok(())
    }

    fn give(
        &mut self,
        name: CapabilityName,
        capability: Capability,
    ) -> Result<(), SupervisorError> {
        let (_, running) = self.loaded()?;
        let rights = capability.rights();
        if !rights.contains(Rights::GRANT) {
            return Err(SupervisorError::Right);
        }
        launch::give(running, name.as_str(), &capability, rights).map_err(bad_name)
    }

    fn grant(&mut self, name: CapabilityName) -> Result<(), SupervisorError> {
        let number = self.number;
        let starter = self.loaded()?.0.starter;
        let page = self.supervisor.page;
        let shell = page.tasks.get(starter as usize - 1);
        let holding = shell.and_then(|shell| wiring::grant(shell, name.as_str()));
        let holding = holding.ok_or(SupervisorError::NotGrantable)?;
        // An endpoint sees the shell, on whose behalf the program calls; a power
        // of the supervisor is the program's own.
        let client = match holding.what {
            wiring::What::Client(..) => starter,
            _ => number,
        };
        let slot = self.supervisor.slots.get_mut(number);
        let running = slot.and_then(|slot| slot.running.take());
        let mut running = running.ok_or(SupervisorError::WrongState)?;
        let given = Giver::new(self.supervisor, client).give(&mut running, &holding);
        if let Some(slot) = self.supervisor.slots.get_mut(number) {
            slot.running = Some(running);
        }
        given.map_err(bad_name)
    }

    fn run(&mut self) -> Result<u64, SupervisorError> {
        let (number, seed) = (self.number, self.supervisor.random.draw());
        self.loaded()?;
        let supervisor = &mut *self.supervisor;
        let slot = supervisor.slots.get_mut(number);
        let slot = slot.ok_or(SupervisorError::NotFound)?;
        let running = slot.running.as_mut().ok_or(SupervisorError::WrongState)?;
        let crate::slots::Origin::Program(program) = &mut slot.origin else {
            return Err(SupervisorError::NotFound);
        };
        let arguments = program.arguments.split_terminator('\0');
        let (name, scratch) = (&slot.name, &mut *supervisor.scratch);
        let prepared = launch::prepare(running, name, arguments, program.priority, seed, scratch);
        prepared?.run(running, &supervisor.endpoint)?;
        program.started = true;
        program.arguments = String::new();
        Ok(running.id)
    }

    fn wait(&mut self, reply: Reply<Outcome, SupervisorError>) {
        let answer = match self.program() {
            Err(error) => Err(error),
            Ok((program, _)) => match program.outcome {
                Some(outcome) => Ok(outcome),
                None => {
                    program.waiting.retain(|reply| !reply.cancelled());
                    if program.waiting.len() < WAITING {
                        program.waiting.push(reply);
                        return;
                    }
                    Err(SupervisorError::TooMany)
                }
            },
        };
        // Who no longer waits need not be told.
        let _ = reply.answer(answer);
    }

    fn notify(&mut self, endpoint: EndpointClient, signals: u64) -> Result<(), SupervisorError> {
        let (program, _) = self.program()?;
        if !endpoint.as_ref().rights().contains(Rights::SIGNAL) {
            return Err(SupervisorError::Right);
        }
        if program.outcome.is_some() {
            // It ended before anybody could be told.
            let told = endpoint.signal(signals);
            return told.map_err(|_| SupervisorError::Internal);
        }
        program.notify = Some((endpoint, signals));
        Ok(())
    }

    fn kill(&mut self) -> Result<(), SupervisorError> {
        let (program, _) = self.program()?;
        if program.outcome.is_none() {
            let killed = Outcome {
                ended: Ended::Killed,
                code: 0,
            };
            self.supervisor.end(self.number, killed);
        }
        Ok(())
    }
}

/// A name that does not fit is the caller's mistake here, not its arguments.
fn bad_name(error: LaunchError) -> SupervisorError {
    match error {
        LaunchError::Start => SupervisorError::BadName,
        other => other.into(),
    }
}
