//! Programs of the boot archive.

use core::time::Duration;
use libipc::{
    interfaces::supervisor::{Ended, Limits, ProgramName},
    start::AnyError,
};
use tessera_bench::TIMES;

use crate::{
    World,
    measure::{Measured, repeat},
};

/// As a shell starts a program and waits for its end.
pub(crate) fn spawn(world: &World) -> Measured {
    repeat(TIMES / 128, || run(world, "bench-empty").map(drop))
}

/// By a program that handles the faults of another task.
pub(crate) fn fault(world: &World) -> Measured {
    let taken = run(world, "bench-faults")?;
    Ok((TIMES, Duration::from_nanos(taken)))
}

/// Its exit code.
fn run(world: &World, name: &str) -> Result<u64, AnyError> {
    let missing = || AnyError::new("the name is too long");
    let name = ProgramName::new(name).ok_or_else(missing)?;
    let program = world.start.load(name, Limits::default())?;
    program.run()?;
    let outcome = program.wait()?;
    match outcome.ended {
        Ended::Exited => Ok(outcome.code),
        _ => Err(AnyError::new("it did not end by itself")),
    }
}
