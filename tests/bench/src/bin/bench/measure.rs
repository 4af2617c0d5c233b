//! Measuring: how long something takes by the machine's clock, between the marks
//! of a trace.

use core::time::Duration;
use libipc::{start::AnyError, time::Instant};
use tessera_bench::mark;

use crate::World;

/// How often something was done, and how long that took.
pub(crate) type Measured = Result<(u64, Duration), AnyError>;

/// Times `what`, which was done before so that nothing of it is the first time.
pub(crate) fn repeat(times: u64, mut what: impl FnMut() -> Result<(), AnyError>) -> Measured {
    for _ in 0..16 {
        what()?;
    }
    once(times, what)
}

/// Times `what` as it is done from the first time on.
#[inline(always)]
pub(crate) fn once(times: u64, mut what: impl FnMut() -> Result<(), AnyError>) -> Measured {
    let begin = Instant::now();
    mark::open();
    for _ in 0..times {
        what()?;
    }
    mark::close();
    Ok((times, begin.elapsed()))
}

/// Times what waits: the time that the machine idles is not counted.
pub(crate) fn busy(
    world: &World,
    times: u64,
    mut what: impl FnMut() -> Result<(), AnyError>,
) -> Measured {
    let idle = || Ok::<_, AnyError>(libipc::time::from_ticks(world.counters.counters()?.idle));
    what()?;
    let before = idle()?;
    let (times, taken) = once(times, what)?;
    Ok((times, taken.saturating_sub(idle()? - before)))
}
