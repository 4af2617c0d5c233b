//! `cargo xtask run`: builds a system and boots it with its console here.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::build_system;
use crate::cli::Run;
use crate::machine::Machine;
use crate::page::units::Size;
use crate::process::{shown, step};
use crate::setup::qemu;

/// Runs the command; ends with the machine's exit code.
pub fn run(options: Run) -> Result<ExitCode> {
    let qemu = qemu::ensure(options.machine.arch, options.setup.yes)?;
    let parts = build_system(&options.system.system, options.machine.arch)?;
    let machine = Machine::new(&options.machine, parts.page().ram);
    ensure!(
        machine.memory >= parts.page().ram,
        "the system `{}` is made for at least {} of RAM, not for {}",
        parts.page().name,
        Size(parts.page().ram),
        Size(machine.memory)
    );
    let image = parts.write()?;
    let size = std::fs::metadata(&image)?.len();
    machine.check_fit(size)?;
    machine.check_budget(size, parts.page())?;

    let mut command = machine.qemu(qemu, &image);
    command.args(&options.qemu);
    step("Running", shown(&command));
    step(
        "Console",
        "this terminal. Ctrl-A X leaves, Ctrl-A C switches to QEMU's monitor",
    );
    let status = command.status().context("cannot start QEMU")?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => {
            eprintln!("error: the machine ended with exit code {code}");
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        None => {
            eprintln!("error: QEMU was killed ({status})");
            ExitCode::FAILURE
        }
    })
}
