//! `cargo xtask fuzz syscalls`: random system calls from hostile tasks.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::build_system;
use crate::cli::{Fuzz, FuzzSyscalls, FuzzTarget};
use crate::guest::{Event, Guest};
use crate::machine::Machine;
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::{root, target};

/// The system of the fuzzer; in its tasks' arguments stand `@count` and `@seed`.
const SYSTEM: &str = "tests/systems/fuzz.toml";
/// What the last line of a whole campaign begins with and has in it.
const SUMMARY: (&str, &str) = ("fuzz: ", " past the handle check");
/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the command.
pub fn fuzz(options: Fuzz) -> Result<ExitCode> {
    match options.target {
        FuzzTarget::Syscalls(options) => syscalls(&options),
    }
}

fn syscalls(options: &FuzzSyscalls) -> Result<ExitCode> {
    let arch = options.machine.arch;
    let qemu = qemu::ensure(arch, options.setup.yes)?;
    let parts = build_system(&root().join(SYSTEM).to_string_lossy(), arch)?;
    let mut page = parts.page().clone();
    for argument in page.tasks.iter_mut().flat_map(|task| &mut task.args) {
        match argument.as_str() {
            "@count" => *argument = options.count.to_string(),
            "@seed" => *argument = options.seed.to_string(),
            _ => {}
        }
    }
    let image = target().join(format!("tessera/fuzz-syscalls-{arch}.bin"));
    parts.write_to(&image, &page)?;
    let machine = Machine::new(&options.machine, page.ram);
    machine.check_fit(std::fs::metadata(&image)?.len())?;

    step(
        "Fuzzing",
        format!(
            "{} system calls on {arch}, seed {}",
            options.count, options.seed
        ),
    );
    let started = Instant::now();
    let mut command = machine.qemu(qemu, &image);
    command.arg("-no-reboot");
    let mut guest = Guest::start(command)?;
    let mut whole = false;
    loop {
        match guest.line(PATIENCE) {
            Event::Line(line) => {
                whole |= line.contains(SUMMARY.0) && line.contains(SUMMARY.1);
                println!("{line}");
            }
            Event::End => break,
            Event::Silence => {
                println!("{}", guest.ask_why());
                bail!("the machine has said nothing for {} s", PATIENCE.as_secs());
            }
        }
    }
    match guest.end()? {
        Some(status) if status.success() && !whole => {
            bail!("the machine ended before the campaign's last line")
        }
        Some(status) if status.success() => {
            step(
                "Finished",
                format!("after {} s", started.elapsed().as_secs()),
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(status) => bail!("the machine ended with {status}"),
        None => bail!("the machine closed its console but did not end"),
    }
}
