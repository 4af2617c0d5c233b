//! A task that reads, as the supervisor makes it.

use super::{Make, Task};
use alloc::{boxed::Box, string::String};
use core::time::Duration;
use libipc::{
    Capability,
    handle::Rights,
    interfaces::supervisor::{CapabilityName, Limits, ProgramClient, ProgramName, StartClient},
    objects::ObjectError,
    task,
};
use tessera_softbus_parser::{BusParserClient, ENDPOINT};

/// What one may use.
const LIMITS: Limits = Limits {
    quota: 448 << 10,
    heap: 128 << 10,
    stack: 32 << 10,
};

/// How long the supervisor may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the supervisor for tasks.
pub struct Supervised {
    start: StartClient,
    program: String,
}

impl Supervised {
    /// Tasks that run this program of the page.
    pub fn new(start: StartClient, program: &str) -> Self {
        Supervised {
            start: start.with_timeout(PATIENCE),
            program: program.into(),
        }
    }
}

impl Make for Supervised {
    fn make(&mut self) -> Option<(BusParserClient, Task)> {
        let name = ProgramName::new(&self.program)?;
        let program = self.start.load(name, LIMITS).ok()?;
        let program = Running(program.with_timeout(PATIENCE));
        // When it ends nobody else can receive, so that calls end as well.
        let (client, served) = endpoint().ok()?;
        // It gets this, and nothing else.
        program
            .0
            .give(CapabilityName::new(ENDPOINT)?, served)
            .ok()?;
        program.0.run().ok()?;
        Some((client, Box::new(program)))
    }
}

/// Where it is asked, and what it serves.
fn endpoint() -> Result<(BusParserClient, Capability), libipc::CallError<ObjectError>> {
    let endpoint = task().create_endpoint()?;
    let client = endpoint.mint_client(1)?;
    let endpoint: &Capability = endpoint.as_ref();
    Ok((client, endpoint.derive(Rights::RECEIVE | Rights::GRANT)?))
}

struct Running(ProgramClient);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.0.kill();
    }
}
