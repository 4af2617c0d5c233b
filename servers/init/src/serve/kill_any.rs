//! `KillAny`: kills any task.

use super::Session;
use alloc::format;
use libipc::interfaces::supervisor::{Ended, KillAny, Name, Outcome, SupervisorError};

impl KillAny for Session<'_> {
    fn kill(&mut self, task: Name) -> Result<(), SupervisorError> {
        let number = self.supervisor.named(task.as_str())?;
        if number == 0 {
            return Err(SupervisorError::Supervisor);
        }
        let slot = self.supervisor.slots.get(number);
        if slot.is_none_or(|slot| slot.running.is_none()) {
            return Err(SupervisorError::WrongState);
        }
        let line = format!("init: `{}` is killed by request\n", task.as_str());
        self.supervisor.log(&line);
        let killed = Outcome {
            ended: Ended::Killed,
            code: 0,
        };
        self.supervisor.end(number, killed);
        Ok(())
    }
}
