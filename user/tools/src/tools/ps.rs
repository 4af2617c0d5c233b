//! `ps`: what runs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::Error;
use crate::format;
use crate::io::{Io, System, TaskRow};

/// What it says of itself.
pub const ABOUT: About = About {
    needs: &["inspect"],
    ..About::new(
        "ps",
        "ps",
        "show tasks: state, processor time, memory against quota, calls made and received",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, _: &Arguments<'_>) -> Result<i32, Error> {
    let tasks = io.system().tasks()?;
    io.write(shown(&tasks, |_| None).as_bytes())?;
    Ok(0)
}

/// A line a task, with a share of the processor if it is known.
pub(super) fn shown(tasks: &[TaskRow], share: impl Fn(&TaskRow) -> Option<u64>) -> String {
    let titles = [
        "ID", "STATE", "TIME", "MEMORY", "QUOTA", "CALLS", "RECEIVED", "RESTARTS", "CORE", "CPU", "NAME",
    ];
    let titles = titles.map(String::from).to_vec();
    let mut rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|task| {
            let share = share(task).map_or("-".into(), |share| alloc::format!("{share}%"));
            [
                task.id.to_string(),
                task.state.clone(),
                format::duration(task.time),
                format::bytes(task.used),
                format::bytes(task.quota),
                task.calls.to_string(),
                task.received.to_string(),
                task.restarts.to_string(),
                task.core.to_string(),
                share,
                task.name.clone(),
            ]
            .to_vec()
        })
        .collect();
    rows.insert(0, titles);
    if tasks.iter().all(|task| share(task).is_none()) {
        rows.iter_mut().for_each(|row| drop(row.remove(9)));
    }
    format::table(&rows, &[0, 2, 3, 4, 5, 6, 7, 8])
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_line_a_task() {
        let mut fake = Fake::new();
        fake.grant("inspect");
        assert_eq!(fake.run(&["ps"]), 0);
        assert_eq!(
            fake.output(),
            "ID  STATE        TIME  MEMORY  QUOTA  CALLS  RECEIVED  RESTARTS  CORE  NAME\n \
             1  receiving  1.000s     64K     1M      5         9         0     0  console\n \
             2  ready      0.500s      1M    16M     12         0         2     1  shell\n"
        );
    }

    #[test]
    fn needs_inspect() {
        let mut fake = Fake::new();
        assert_eq!(fake.run(&["ps"]), 1);
        assert_eq!(
            fake.errors(),
            "ps: needs the capability `inspect`: run --grant inspect ps\n"
        );
    }
}
