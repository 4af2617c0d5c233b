//! `cargo xtask crash`: what disks do to file systems.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::{Crash, CrashPart};
use crate::process::{cargo, run, step};
use crate::workspace::root;

/// Runs the command.
pub fn crash(options: &Crash) -> Result<ExitCode> {
    let all = CrashPart::value_variants();
    let wanted = |part: &&CrashPart| options.parts.is_empty() || options.parts.contains(part);
    for part in all.iter().filter(wanted) {
        match part {
            CrashPart::Cuts => on_host("Cutting", "campaign", options.seed, options.images)?,
            CrashPart::Damage => on_host("Damaging", "damaged", options.seed, options.damaged)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one of the harness's own programs.
fn on_host(verb: &str, example: &str, seed: u64, images: u64) -> Result<()> {
    step(verb, format!("{images} images, seeds from {seed} on"));
    // Optimized: most of the time goes to the file system's code.
    run(cargo()
        .current_dir(root())
        .args(["run", "--quiet", "--profile", "crash"])
        .args(["--package", "tessera-crash", "--example", example])
        .args(["--", &seed.to_string(), &images.to_string()]))
}
