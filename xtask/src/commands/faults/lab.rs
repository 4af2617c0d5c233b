//! Faults in the soft bus's protocol, which the laboratory notices.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::list::Fault;
use crate::process::{cargo, run};

/// The list of faults.
pub(super) const LIST: &str = "tests/bus-lab/faults.toml";

/// Where a fault is to be noticed.
#[derive(Debug, Deserialize)]
pub(super) struct Simulations {
    /// Options of the simulations.
    options: String,
    /// The invariant that it breaks.
    check: String,
}

/// What the fault breaks, if that is what it is to break.
pub(super) fn caught(tree: &Path, fault: &Fault<Simulations>) -> Result<Option<String>> {
    let broken = broken(tree, fault)?;
    Ok(broken
        .contains(&fault.notices.check)
        .then(|| broken.join(", ")))
}

/// The invariants that are broken with the fault.
fn broken(tree: &Path, fault: &Fault<Simulations>) -> Result<Vec<String>> {
    let lab = |verb: &str| {
        let mut command = cargo();
        command.current_dir(tree).env_remove("CARGO_TARGET_DIR");
        command.args([verb, "--quiet", "--profile", "lab"]);
        command.args(["--package", "tessera-bus-lab", "--bin=bus-lab"]);
        command
    };
    run(&mut lab("build")).with_context(|| format!("{}: it does not build so", fault.name))?;
    let mut lab = lab("run");
    let output = lab
        .arg("--")
        .args(fault.notices.options.split(' '))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let broken = said
        .lines()
        .filter_map(|line| line.strip_suffix("  BROKEN"));
    let names = broken.filter_map(|line| line.split_whitespace().next_back());
    Ok(names.map(Into::into).collect())
}
