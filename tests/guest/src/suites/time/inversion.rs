//! Who waits for whom, and with what priority that makes who is waited for run.

use super::{HIGH, SMALL, Serving, Spinner};
use crate::{
    check::{Failure, Verdict},
    run::{PRIORITY, World},
    wait,
};
use core::time::Duration;
use libipc::{objects::ThreadState, thread, time::Instant};

/// Below all that spin here.
const LOW: u64 = PRIORITY - 40;
const MIDDLE: u64 = PRIORITY - 20;
/// What a call takes, in microseconds of processor time.
const WORK: u64 = 5000;

pub(super) fn who_is_in_line_is_not_held_up_by_those_between(_: &mut World) -> Verdict {
    let server = Serving::new(LOW, None)?;
    let first = server.client()?;
    let low = thread::spawn_with(LOW, SMALL, move || first.spin(WORK).is_ok())?;
    wait::for_state(low.thread(), ThreadState::Waiting)?;
    let between = Spinner::new(MIDDLE)?;
    // Who spins between them lets the server do nothing for the low one.
    let used = server.used()?;
    libipc::time::sleep(Duration::from_millis(20));
    check_eq!(server.used()?, used);
    // This thread's call stands in line behind that one's.
    let (client, begun) = (server.client()?, Instant::now());
    check!(client.spin(WORK).is_ok());
    check!(begun.elapsed() < Duration::from_micros(3 * WORK));
    drop(between);
    check_eq!(low.join(), Some(true));
    Ok(())
}

pub(super) fn a_raised_priority_travels_down_the_chain(_: &mut World) -> Verdict {
    let last = Serving::new(LOW, None)?;
    let first = Serving::new(LOW, Some(last.client()?))?;
    let client = first.client()?;
    let low = thread::spawn_with(LOW, SMALL, move || client.spin(WORK).is_ok())?;
    wait::for_state(low.thread(), ThreadState::Waiting)?;
    wait::for_state(Some(first.thread()?), ThreadState::Waiting)?;
    let between = Spinner::new(MIDDLE)?;
    let used = last.used()?;
    libipc::time::sleep(Duration::from_millis(20));
    check_eq!(last.used()?, used);
    let thread = low.thread().ok_or_else(|| Failure::new("it has ended"))?;
    thread.set_priority(HIGH)?;
    check_eq!(last.thread()?.info()?.priority, HIGH);
    libipc::time::sleep(Duration::from_micros(2 * WORK));
    check!(last.used()? - used > 0);
    wait::for_state(Some(last.thread()?), ThreadState::Receiving)?;
    check_eq!(last.thread()?.info()?.priority, LOW);
    drop(between);
    check_eq!(low.join(), Some(true));
    Ok(())
}
