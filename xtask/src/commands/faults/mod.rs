//! `cargo xtask faults`: seeds faults in a copy of the tree, one by one, and looks who
//! notices each: a case in the guest those of the kernel, the laboratory those of the
//! soft bus's protocol.

mod guest;
mod lab;
mod list;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use serde::de::DeserializeOwned;

use crate::cli::Faults;
use crate::process::step;
use crate::workspace::target;
use list::Fault;

/// Runs the command.
pub fn faults(options: &Faults) -> Result<ExitCode> {
    if options.bus {
        return seed(lab::LIST, options, |_| true, lab::caught);
    }
    let is_wanted = |suite: &guest::Suite| options.arch.is_none_or(|arch| suite.arch == arch);
    seed(guest::LIST, options, is_wanted, guest::caught)
}

/// Seeds those faults of a list that are wanted. Who notices one is what `caught` says.
fn seed<N: DeserializeOwned>(
    list: &str,
    options: &Faults,
    is_wanted: impl Fn(&N) -> bool,
    caught: impl Fn(&Path, &Fault<N>) -> Result<Option<String>>,
) -> Result<ExitCode> {
    let mut faults = list::read::<N>(list)?;
    let named = |fault: &Fault<N>| {
        let name = options.name.as_deref();
        name.is_none_or(|name| fault.name.contains(name))
    };
    faults.retain(|fault| named(fault) && is_wanted(&fault.notices));
    ensure!(!faults.is_empty(), "no fault in {list} has such a name");
    let copy = target().join("tessera/faults");
    tree::copy(&copy)?;
    let mut survivors = Vec::new();
    for fault in &faults {
        step("Seeding", format!("{}: {}", fault.name, fault.what));
        match fault.seed(&copy, || caught(&copy, fault))? {
            Some(by) => println!("{:35} caught by {by}", fault.name),
            None => {
                println!("{:35} SURVIVED", fault.name);
                survivors.push(&*fault.name);
            }
        }
    }
    let (seeded, survived) = (faults.len(), survivors.len());
    println!("{} of {seeded} caught", seeded - survived);
    if survived > 0 {
        bail!("nobody noticed {}", survivors.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}
