//! `cargo xtask bus-lab`: devices on the soft bus, simulated.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::BusLab;
use crate::process::cargo;
use crate::workspace::root;

/// Runs the command.
pub fn bus_lab(options: &BusLab) -> Result<ExitCode> {
    // Optimized: a thousand devices are to live for minutes.
    let status = cargo()
        .current_dir(root())
        .args(["run", "--quiet", "--profile", "lab"])
        .args(["--package", "tessera-bus-lab", "--"])
        .args(&options.options)
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
