//! Floating-point state: after a call what C's calls preserve and no more, kept when
//! preempted, nobody else's.

use crate::{
    check::{Failure, Verdict},
    child::Plan,
    raw,
    run::World,
};
use core::time::Duration;
use libipc::{
    Start, thread,
    time::{self, Instant},
};

fn pattern(seed: u64) -> [u64; raw::FLOATING] {
    core::array::from_fn(|index| seed ^ 0x0101_0101_0101_0101u64.wrapping_mul(index as u64 + 1))
}

/// What a call leaves of these registers while others ran.
fn preserved(values: [u64; raw::FLOATING]) -> [u64; raw::FLOATING] {
    core::array::from_fn(|index| match raw::is_preserved(index) {
        true => values[index],
        false => 0,
    })
}

pub(super) fn floating_point_is_dropped_by_a_call(_: &mut World) -> Verdict {
    let values = pattern(7);
    let later = Instant::after(Duration::from_millis(2)).ticks();
    check_eq!(raw::floating_after_sleep(values, later), preserved(values));
    Ok(())
}

pub(super) fn floating_point_survives_preemption(_: &mut World) -> Verdict {
    // Each spins for some slices, so that they take turns.
    let end = Instant::after(Duration::from_millis(80)).ticks();
    let others: [_; 2] = core::array::from_fn(|index| {
        let values = pattern(0x1000 + index as u64);
        thread::spawn(move || raw::floating_after_spin(values, end) == values)
    });
    let values = pattern(0x9999);
    check_eq!(raw::floating_after_spin(values, end), values);
    for other in others {
        check!(other?.join() == Some(true));
    }
    Ok(())
}

fn hold_a_secret(_: Start) -> Verdict {
    loop {
        let end = Instant::after(Duration::from_secs(1)).ticks();
        raw::floating_after_spin(pattern(0x5ec2_e700), end);
    }
}

pub(super) fn floating_point_does_not_leak_between_tasks(world: &mut World) -> Verdict {
    let child = Plan::new(hold_a_secret).start(&world.image)?;
    for _ in 0..20 {
        time::sleep(Duration::from_millis(2));
        let values = pattern(1);
        // Who does not wait may find all of it again, but nothing else.
        let seen = raw::floating_after_sleep(values, 0);
        let kept = preserved(values);
        let mut registers = seen.iter().zip(values.iter().zip(kept));
        if !registers.all(|(seen, (own, kept))| *seen == *own || *seen == kept) {
            return Err(Failure::new(format_args!("registers hold {seen:x?}")));
        }
    }
    check!(child.task.info()?.time > 0);
    child.kill()
}
