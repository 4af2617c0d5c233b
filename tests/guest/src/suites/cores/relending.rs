//! Leases that reach a third core.

use super::{count, on, other, result};
use crate::{
    check::{Failure, Verdict},
    child::{Plan, given, patience},
    raw::{self, ReadTo},
    run::World,
    wait,
};
use alloc::vec;
use core::time::Duration;
use libipc::{
    CallError, FOREVER, Start,
    client::Borrowed,
    handle::Handle,
    label::Label,
    message_buffer::{Access, Outer},
    objects::{EndpointClient, ObjectError, ReplyClient},
    status::{Cause, Status, TransportError},
    thread::JoinHandle,
    time::Instant,
};

const CALL: Label = Label::call(1, 1).with_leases(1);
const LENGTH: u64 = 64 << 10;

/// How the last copy ended, and how many went well before.
type Copies = (u64, Result<(), CallError<ObjectError>>);

/// Endpoints of a chain of three, and who receives there.
struct Chain {
    endpoints: [EndpointClient; 2],
    between: JoinHandle<bool>,
    third: JoinHandle<Copies>,
}

impl Chain {
    /// The one between is on the first core, the third on the second.
    fn on(cores: [u64; 2]) -> Result<Chain, Failure> {
        let endpoints = [
            libipc::task().create_endpoint()?,
            libipc::task().create_endpoint()?,
        ];
        let [first, second] = [&endpoints[0], &endpoints[1]].map(|e| e.as_ref().handle());
        let chain = Chain {
            between: between(cores[0], first, second)?,
            third: third(cores[1], second)?,
            endpoints,
        };
        for endpoint in &chain.endpoints {
            wait::until(|| Ok(endpoint.info()?.receivers == 1))?;
        }
        Ok(chain)
    }

    /// The lender has ended: that reached the third as the fault of who lent.
    /// `false` if it ended before anything could be lent on.
    fn finish(self) -> Result<bool, Failure> {
        let lent_on = result(self.between)?;
        let (_, end) = result(self.third)?;
        let fault = TransportError::refused(Cause::LeaseFault);
        check!(!lent_on || end == Err(CallError::Transport(fault)));
        Ok(lent_on)
    }
}

/// Lends what it is lent on, until a deadline of its own. When nothing is there
/// any more to be lent on, it ends the third's wait.
fn between(core: u64, from: Handle, to: Handle) -> Result<JoinHandle<bool>, Failure> {
    on(core, move || {
        raw::receive(from, FOREVER);
        let outer = Outer {
            request: Handle::REQUEST,
            lease: 0,
            offset: 0,
        };
        raw::relend(0, outer, LENGTH, Access::READ);
        let out = raw::call_until(to, CALL, &[], patience().ticks());
        if let Some(error) = raw::error(&out)
            && !error.delivered
        {
            let _ = Borrowed::<EndpointClient>::new(to).close();
        }
        raw::status(&out) == Some(Status::Message)
    })
}

/// Copies what it is lent until that fails, then answers.
fn third(core: u64, from: Handle) -> Result<JoinHandle<Copies>, Failure> {
    on(core, move || {
        let mut room = vec![0_u8; LENGTH as usize];
        raw::receive(from, FOREVER);
        let request = Borrowed::<ReplyClient>::new(Handle::REQUEST);
        let mut copies = 0;
        loop {
            let copied = request.read_to([0, 0], room.as_mut_ptr() as u64, LENGTH);
            if copied.is_err() {
                raw::reply(&[]);
                return (copies, copied);
            }
            copies += 1;
        }
    })
}

fn lend_for_ever(mut start: Start) -> Verdict {
    let endpoint: EndpointClient = start.take("endpoint")?;
    let memory = vec![5_u8; LENGTH as usize];
    raw::lend(0, memory.as_ptr() as u64, LENGTH, 1);
    raw::call(endpoint.as_ref().handle(), CALL, &[]);
    Ok(())
}

pub(super) fn a_lender_dies_while_its_lease_is_copied_by_the_third(world: &mut World) -> Verdict {
    let (core, cores) = (other(world)?, count(world)?);
    for round in 0..10 {
        let chain = Chain::on([(core + round) % cores, (core + 1) % cores])?;
        let child = Plan::new(lend_for_ever)
            .give(&[given("endpoint", &chain.endpoints[0])])
            .on((core + 2 * round) % cores)
            .start(&world.image)?;
        wait::until(|| Ok(chain.endpoints[1].info()?.receivers == 0))?;
        libipc::time::sleep(Duration::from_micros(500 * round));
        child.kill()?;
        check!(chain.finish()?);
    }
    Ok(())
}

pub(super) fn a_lender_times_out_while_its_lease_is_copied_by_the_third(
    world: &mut World,
) -> Verdict {
    let (core, cores) = (other(world)?, count(world)?);
    let memory = vec![5_u8; LENGTH as usize];
    for round in 0..10 {
        let mut time = Duration::from_micros(10_000 + 700 * round);
        loop {
            let chain = Chain::on([(core + round) % cores, (core + 1) % cores])?;
            raw::lend(0, memory.as_ptr() as u64, LENGTH, 1);
            let deadline = Instant::after(time).ticks();
            let first = chain.endpoints[0].as_ref().handle();
            let out = raw::call_until(first, CALL, &[], deadline);
            let timed_out = TransportError::delivered(Cause::TimedOut);
            check_eq!(raw::error(&out), Some(timed_out));
            if chain.finish()? {
                break;
            }
            // A slow machine: the third has not been reached in that time.
            time *= 2;
        }
    }
    Ok(())
}
