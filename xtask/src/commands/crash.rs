//! `cargo xtask crash`: what must not lose a file.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::{Crash, CrashPart};
use crate::crash::{failures, kills, recorded};
use crate::process::{cargo, run, step};
use crate::workspace::root;

/// Runs the command.
pub fn crash(options: &Crash) -> Result<ExitCode> {
    let all = CrashPart::value_variants();
    let wanted = |part: &&CrashPart| options.parts.is_empty() || options.parts.contains(part);
    for part in all.iter().filter(wanted) {
        match part {
            CrashPart::Simulated => on_host("Cutting", "campaign", options.seed, options.images)?,
            CrashPart::Damage => on_host("Damaging", "damaged", options.seed, options.damaged)?,
            CrashPart::Cuts => {
                let (cuts, remounts) = (options.cuts, options.remounts);
                recorded::cut(options.arch, options.seed, cuts, remounts)?;
            }
            CrashPart::Failures => failures::fail(options.arch, options.seed, options.failures)?,
            CrashPart::Kills => {
                kills::kill(options.arch, options.smp, options.seed, options.kills)?;
            }
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
