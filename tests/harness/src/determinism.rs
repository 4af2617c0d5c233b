//! Two runs of one image on a machine whose clock counts instructions are the
//! same to the last byte and the last tick.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use xtask::guest::{Event, Guest};
use xtask::setup::qemu;
use xtask::workspace::root;

use crate::images::Images;
use crate::plan::Job;

/// How long the machine may say nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// Each instruction advances the clock by a nanosecond, waiting costs no time,
/// and what is random is not.
const MACHINE: &[&str] = &[
    "-icount",
    "shift=0,sleep=off",
    "-seed",
    "1",
    "-rtc",
    "clock=vm",
    "-no-reboot",
];

/// Boots twice and compares.
pub fn run(job: &Job, images: &Images) -> Result<()> {
    let first = console(job, images)?;
    let second = console(job, images)?;
    ensure!(
        first.lines().any(|line| line.ends_with(" ticks")),
        "the script did not run\n{first}"
    );
    for (index, (one, other)) in first.lines().zip(second.lines()).enumerate() {
        ensure!(
            one == other,
            "line {} differs\n  {one}\n  {other}",
            index + 1
        );
    }
    ensure!(first == second, "one run says more than the other");
    Ok(())
}

/// All that a run says.
fn console(job: &Job, images: &Images) -> Result<String> {
    let system = root().join("tests/systems/script.toml");
    let name = format!("{}-determinism", job.arch);
    let (machine, image) = images.pack(job.arch, job.smp, &system, &name, |_| ())?;
    let mut command = machine.qemu(qemu::ensure(job.arch, false)?, &image);
    command.args(MACHINE);
    let mut guest = Guest::start(command)?;
    loop {
        match guest.line(PATIENCE) {
            Event::Line(_) => {}
            Event::End => break,
            Event::Silence => bail!("the machine hangs\n{}\n{}", guest.tail(), guest.ask_why()),
        }
    }
    let status = guest.end()?;
    ensure!(
        status.is_some_and(|s| s.success()),
        "the machine does not end well\n{}",
        guest.tail()
    );
    Ok(guest.console())
}
