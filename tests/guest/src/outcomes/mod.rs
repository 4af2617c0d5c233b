//! A campaign of calls to servers that answer, answer late, never answer, throw
//! the request away, or die of it. Each call ends in exactly one way, both sides
//! agree on which, and none ends later than its deadline and a tick.

mod servers;

use crate::{
    check::{Failure, Verdict},
    fuzz::Random,
    raw,
    run::{PRIORITY, World, say},
};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use libipc::{
    handle::Handle,
    label::Label,
    objects::EndpointClient,
    status::{Cause, Status},
    thread,
    time::{self, Instant},
};
use servers::Kind;

/// Calls to each server between two comparisons.
const ROUND: usize = 500;
const STACK: usize = 16 * 1024;
/// Callers come before servers, so that nothing but the kernel delays them.
const CALLERS: u64 = PRIORITY - 10;
const SERVERS: u64 = PRIORITY - 20;
/// How long a thread runs before its equals: what a call may be late by, for
/// another caller may be running.
const TICK: core::time::Duration = core::time::Duration::from_millis(10);

/// How a call ended, for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Outcome {
    Answered = 0,
    TimedOutWaiting = 1,
    TimedOutServed = 2,
    Dropped = 3,
    Died = 4,
}

const OUTCOMES: [&str; 5] = [
    "answered",
    "timed out, not delivered",
    "timed out, delivered",
    "dropped",
    "died",
];

/// What became of a request, by its server's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Said {
    /// It never saw it.
    Nothing = 0,
    /// The kernel took the answer for the caller.
    Answered = 1,
    /// The kernel said that nobody waits any more.
    TooLate = 2,
    /// It threw the request away, or kept it for ever.
    Dropped = 3,
    /// It ended.
    Died = 4,
}

/// Both sides' words of one round with one server.
struct Round {
    outcomes: [AtomicU8; ROUND],
    said: [AtomicU8; ROUND],
}

const NONE: u8 = u8::MAX;

static ROUNDS: [Round; Kind::ALL.len()] = [const {
    Round {
        outcomes: [const { AtomicU8::new(NONE) }; ROUND],
        said: [const { AtomicU8::new(0) }; ROUND],
    }
}; Kind::ALL.len()];

/// By kind of server and outcome.
static COUNTS: [[AtomicU64; OUTCOMES.len()]; Kind::ALL.len()] =
    [const { [const { AtomicU64::new(0) }; OUTCOMES.len()] }; Kind::ALL.len()];
/// Ticks by which the latest call was late.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Makes at least `count` calls and prints how they ended.
pub(crate) fn run(world: &World, count: u64, seed: u64) -> Verdict {
    let mut servers = alloc::vec::Vec::new();
    for kind in Kind::ALL {
        let endpoint = libipc::task().create_endpoint()?;
        let handle = endpoint.as_ref().handle();
        let thread = thread::spawn_with(SERVERS, STACK, move || servers::serve(kind, handle))?;
        servers.push((endpoint, thread));
    }
    let rounds = count.div_ceil((ROUND * Kind::ALL.len()) as u64);
    for round in 0..rounds {
        let mut callers = alloc::vec::Vec::new();
        for (kind, (endpoint, _)) in Kind::ALL.into_iter().zip(&servers) {
            let handle = endpoint.as_ref().handle();
            let random = Random::new(seed, round * Kind::ALL.len() as u64 + kind as u64);
            let calls = move || calls(kind, handle, random);
            callers.push(thread::spawn_with(CALLERS, STACK, calls)?);
        }
        for caller in callers {
            let result = caller.join();
            result.ok_or_else(|| Failure::new("a caller ended without a result"))??;
        }
        for (kind, (endpoint, _)) in Kind::ALL.into_iter().zip(&servers) {
            compare(kind, endpoint)?;
        }
        if (round + 1) % 40 == 0 {
            let calls = (round + 1) * (ROUND * Kind::ALL.len()) as u64;
            say(world, format_args!("outcomes: {calls} calls"));
        }
    }
    for (endpoint, thread) in servers {
        endpoint.close()?;
        thread.join();
    }
    report(world)
}

/// One round with one server.
fn calls(kind: Kind, handle: Handle, mut random: Random) -> Result<(), Failure> {
    for number in 0..ROUND as u64 {
        let deadline = Instant::after(kind.patience(&mut random)).ticks();
        let out = raw::call_until(handle, servers::LABEL, &[number], deadline);
        let late = Instant::now().ticks().saturating_sub(deadline);
        LATEST.fetch_max(late, Relaxed);
        let outcome = match raw::status(&out) {
            Some(Status::Message) if out.words[0] == servers::answer(number) => Outcome::Answered,
            Some(Status::Error(error)) => match (error.cause, error.delivered) {
                (Cause::TimedOut, false) => Outcome::TimedOutWaiting,
                (Cause::TimedOut, true) => Outcome::TimedOutServed,
                (Cause::Dropped, true) => Outcome::Dropped,
                (Cause::Died, true) => Outcome::Died,
                _ => return Err(Failure::new(format_args!("{kind:?}: {error:?}"))),
            },
            _ => return Err(Failure::new(format_args!("{kind:?}: {out:?}"))),
        };
        let place = &ROUNDS[kind as usize].outcomes[number as usize];
        if place.swap(outcome as u8, Relaxed) != NONE {
            return Err(Failure::new("a call ended twice"));
        }
    }
    Ok(())
}

/// Both sides say the same of each call of the round.
fn compare(kind: Kind, endpoint: &EndpointClient) -> Verdict {
    // When this is answered the server is done with all that came before.
    let sync = Label::call(servers::SYNC, 0);
    let out = raw::call(endpoint.as_ref().handle(), sync, &[]);
    check_eq!(raw::status(&out), Some(Status::Message));
    let round = &ROUNDS[kind as usize];
    for (outcome, said) in round.outcomes.iter().zip(&round.said) {
        let (outcome, said) = (outcome.swap(NONE, Relaxed), said.swap(0, Relaxed));
        let Some(counted) = COUNTS[kind as usize].get(usize::from(outcome)) else {
            return Err(Failure::new("a call never ended"));
        };
        counted.fetch_add(1, Relaxed);
        const PAIRS: [(Outcome, Said); 7] = [
            (Outcome::Answered, Said::Answered),
            (Outcome::TimedOutWaiting, Said::Nothing),
            (Outcome::TimedOutServed, Said::TooLate),
            (Outcome::TimedOutServed, Said::Dropped),
            (Outcome::TimedOutServed, Said::Died),
            (Outcome::Dropped, Said::Dropped),
            (Outcome::Died, Said::Died),
        ];
        let agree = PAIRS
            .iter()
            .any(|pair| (pair.0 as u8, pair.1 as u8) == (outcome, said));
        if !agree {
            let text = format_args!("{kind:?}: the caller has {outcome}, the server {said}");
            return Err(Failure::new(text));
        }
    }
    Ok(())
}

fn report(world: &World) -> Verdict {
    let mut sums = [0; OUTCOMES.len()];
    for kind in Kind::ALL {
        for (sum, count) in sums.iter_mut().zip(&COUNTS[kind as usize]) {
            *sum += count.load(Relaxed);
        }
    }
    for (name, sum) in OUTCOMES.iter().zip(sums) {
        say(world, format_args!("outcomes: {sum:>9} {name}"));
    }
    let (latest, tick) = (LATEST.load(Relaxed), time::to_ticks(TICK));
    say(
        world,
        format_args!(
            "outcomes: {} calls, the latest ended {latest} counter ticks after its deadline; a \
             tick of the scheduler is {tick}",
            sums.iter().sum::<u64>(),
        ),
    );
    check!(sums.iter().all(|sum| *sum > 0));
    check!(latest <= tick);
    Ok(())
}
