//! `top`: what runs, busiest first, again and again.

use alloc::format;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::ps;
use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::io::{Io, System, TaskRow};

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (0, 1),
    needs: &["inspect"],
    ..About::new(
        "top",
        "top [TIMES]",
        "show the busiest tasks every second, until Ctrl-C or so many times",
    )
};

const INTERVAL: u64 = 1000;
/// Clears the screen and puts the cursor in its corner.
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let times = match arguments.operands.first() {
        None => u64::MAX,
        Some(operand) => operand.text.parse().map_err(|_| {
            Error::Usage(format!("`{}` is no number of times", operand.text))
        })?,
    };
    let mut before = io.system().tasks()?;
    for _ in 0..times {
        io.sleep(INTERVAL)?;
        let mut tasks = io.system().tasks()?;
        tasks.sort_by_key(|task| Reverse(spent(&before, task)));
        let total: u64 = tasks.iter().map(|task| spent(&before, task)).sum();
        let share = |task: &TaskRow| Some(spent(&before, task) * 100 / total.max(1));
        if times == u64::MAX {
            io.write(CLEAR)?;
        }
        io.write(ps::shown(&tasks, share).as_bytes())?;
        io.flush()?;
        before = tasks;
    }
    Ok(0)
}

/// Processor time of `task` since it was seen `before`.
fn spent(before: &[TaskRow], task: &TaskRow) -> u64 {
    let same: Vec<&TaskRow> = before.iter().filter(|old| old.id == task.id).collect();
    let earlier = same.first().map_or(0, |old| old.time);
    task.time.saturating_sub(earlier)
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn the_busiest_comes_first() {
        let mut fake = Fake::new();
        fake.grant("inspect");
        assert_eq!(fake.run(&["top", "1"]), 0);
        let text = fake.output();
        let lines: alloc::vec::Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("CPU  NAME"), "{text}");
        assert!(lines[1].ends_with("75%  shell"), "{text}");
        assert!(lines[2].ends_with("25%  console"), "{text}");
        assert_eq!(fake.slept, 1000);
        assert_eq!(fake.run(&["top", "often"]), 2);
    }
}
