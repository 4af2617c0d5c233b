//! `KillAny`: kills any task.

use super::{Name, SupervisorError};
use crate::interface;

/// Kills any task but the supervisor.
#[interface]
pub trait KillAny {
    /// Kills `task`. One of the page is then started again as its policy says.
    #[op(0)]
    fn kill(&mut self, task: Name) -> Result<(), SupervisorError>;
}
