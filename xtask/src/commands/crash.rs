//! `cargo xtask crash`: cuts the power of a simulated disk.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Crash;
use crate::process::{cargo, run, step};
use crate::workspace::root;

/// Runs the command.
pub fn crash(options: &Crash) -> Result<ExitCode> {
    let (seed, images) = (options.seed, options.images);
    step("Cutting", format!("{images} images, seeds from {seed} on"));
    // Optimized: most of the time goes to recoveries.
    run(cargo()
        .current_dir(root())
        .args(["run", "--quiet", "--release", "--package", "tessera-crash"])
        .args(["--example", "campaign"])
        .args(["--", &seed.to_string(), &images.to_string()]))?;
    Ok(ExitCode::SUCCESS)
}
