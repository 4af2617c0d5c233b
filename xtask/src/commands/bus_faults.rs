//! `cargo xtask faults --bus`: seeds faults in the soft bus's protocol, one by one, and
//! looks whether the laboratory notices each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::faults::copy_tree;
use crate::process::{cargo, run, step};
use crate::workspace::{root, target};

/// The list of faults, and where the protocol is.
const LIST: &str = "tests/bus-lab/faults.toml";
const SOURCE: &str = "servers/softbus/protocol/src";

/// A fault, as the list describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    what: String,
    file: PathBuf,
    find: String,
    replace: String,
    /// Options of the simulations that are to notice it.
    options: String,
    /// The invariant that it breaks.
    check: String,
}

/// The list.
#[derive(Debug, Deserialize)]
struct List {
    fault: Vec<Fault>,
}

fn list() -> Result<Vec<Fault>> {
    let text = std::fs::read_to_string(root().join(LIST))?;
    let list: List = toml::from_str(&text).context(LIST)?;
    Ok(list.fault)
}

impl Fault {
    /// The text of its file with the fault in it.
    fn seeded(&self) -> Result<String> {
        let file = self.file.display();
        let text = std::fs::read_to_string(root().join(SOURCE).join(&self.file))
            .with_context(|| format!("{}: {file}", self.name))?;
        let places = text.matches(&self.find).count();
        ensure!(
            places == 1,
            "{}: what it replaces stands {places} times in {file}; change {LIST}",
            self.name
        );
        Ok(text.replace(&self.find, &self.replace))
    }
}

/// Seeds the faults whose names contain this.
pub fn faults(name: Option<&str>) -> Result<ExitCode> {
    let mut faults = list()?;
    faults.retain(|fault| name.is_none_or(|name| fault.name.contains(name)));
    ensure!(!faults.is_empty(), "no fault in {LIST} has such a name");
    let tree = target().join("tessera/faults");
    copy_tree(&tree)?;
    let mut survivors = Vec::new();
    for fault in &faults {
        step("Seeding", format!("{}: {}", fault.name, fault.what));
        let place = tree.join(SOURCE).join(&fault.file);
        let sound = std::fs::read_to_string(&place)?;
        std::fs::write(&place, fault.seeded()?)?;
        let broken = broken(&tree, fault);
        std::fs::write(&place, sound)?;
        let broken = broken?;
        if broken.contains(&fault.check) {
            println!("{:30} breaks {}", fault.name, broken.join(", "));
        } else {
            println!("{:30} SURVIVED, breaks {broken:?}", fault.name);
            survivors.push(&*fault.name);
        }
    }
    let (seeded, survived) = (faults.len(), survivors.len());
    println!("{} of {seeded} caught", seeded - survived);
    if survived > 0 {
        bail!("the laboratory did not notice {}", survivors.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The invariants that are broken with the fault.
fn broken(tree: &std::path::Path, fault: &Fault) -> Result<Vec<String>> {
    let lab = |verb: &str| {
        let mut command = cargo();
        command.current_dir(tree).env_remove("CARGO_TARGET_DIR");
        command.args([verb, "--quiet", "--profile", "lab"]);
        command.args(["--package", "tessera-bus-lab", "--bin=bus-lab"]);
        command
    };
    run(&mut lab("build")).with_context(|| format!("{}: it does not build so", fault.name))?;
    let mut lab = lab("run");
    let output = lab.arg("--").args(fault.options.split(' ')).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let broken = said
        .lines()
        .filter_map(|line| line.strip_suffix("  BROKEN"));
    let names = broken.filter_map(|line| line.split_whitespace().next_back());
    Ok(names.map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_still_be_seeded() {
        for fault in &list().unwrap() {
            let sound = root().join(SOURCE).join(&fault.file);
            let sound = std::fs::read_to_string(sound).unwrap();
            assert_ne!(fault.seeded().unwrap(), sound, "{}", fault.name);
        }
    }
}
