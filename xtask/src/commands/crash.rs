//! `cargo xtask crash`: what must not lose a file.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::{Crash, CrashPart};
use crate::crash::{failures, kills, recorded};
use crate::process::{cargo, last_line, step};
use crate::workspace::root;

/// Runs the command, and says at the end what each part did.
pub fn crash(options: &Crash) -> Result<ExitCode> {
    let all = CrashPart::value_variants();
    let wanted = |part: &&CrashPart| options.parts.is_empty() || options.parts.contains(part);
    let (arch, smp, seed) = (options.arch, options.smp, options.seed);
    let mut done = Vec::new();
    for part in all.iter().filter(wanted) {
        let counts = match part {
            CrashPart::Simulated => on_host("Cutting", "campaign", seed, options.images)?,
            CrashPart::Damage => on_host("Damaging", "damaged", seed, options.damaged)?,
            CrashPart::Cuts => recorded::cut(arch, seed, options.cuts, options.remounts)?,
            CrashPart::Failures => failures::fail(arch, seed, options.failures)?,
            CrashPart::Kills => kills::kill(arch, smp, seed, options.kills)?,
        };
        step("Done", &counts);
        let name = part.to_possible_value();
        let name = name.map_or(String::new(), |value| value.get_name().to_owned());
        done.push(format!("{name:>12}: {counts}"));
    }
    println!("no violation on {arch} with seeds from {seed} on:");
    done.iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::SUCCESS)
}

/// Runs one of the harness's own programs, which says last what it has counted.
fn on_host(verb: &str, example: &str, seed: u64, images: u64) -> Result<String> {
    step(verb, format!("{images} images, seeds from {seed} on"));
    // Optimized: most of the time goes to the file system's code.
    last_line(
        cargo()
            .current_dir(root())
            .args(["run", "--quiet", "--profile", "crash"])
            .args(["--package", "tessera-crash", "--example", example])
            .args(["--", &seed.to_string(), &images.to_string()]),
    )
}
