//! `cargo xtask faults`: seeds faults in a copy of the tree, one by one, and looks who
//! notices each: a case in the guest those of the kernel, the laboratory those of the
//! soft bus's protocol.

mod guest;
mod lab;
mod list;
mod tree;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use serde::de::DeserializeOwned;

use crate::cli::Faults;
use crate::process::step;
use crate::workspace::target;
use list::Fault;

/// What became of a fault.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// By whom.
    Caught(String),
    /// Whoever is to notice it says that all is well.
    Survived,
    /// Nobody could say, and why: that it does not build, or that whoever is to notice it
    /// broke down.
    None(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Caught(by) => write!(f, "caught by {by}"),
            Verdict::Survived => write!(f, "SURVIVED"),
            Verdict::None(why) => write!(f, "NO VERDICT: {why}"),
        }
    }
}

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
    caught: impl Fn(&Path, &Fault<N>) -> Result<Verdict>,
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
    list::check(&faults, &copy)?;
    let mut verdicts = Vec::new();
    for fault in &faults {
        step("Seeding", format!("{}: {}", fault.name, fault.what));
        let verdict = fault.seed(&copy, || caught(&copy, fault))?;
        println!("{:35} {verdict}", fault.name);
        verdicts.push((&*fault.name, verdict));
    }
    sum_up(&verdicts)?;
    println!("all {} caught", faults.len());
    Ok(ExitCode::SUCCESS)
}

/// An error that names those that were not caught, if there are any.
fn sum_up(verdicts: &[(&str, Verdict)]) -> Result<()> {
    let those = |is_so: fn(&Verdict) -> bool| {
        let names = verdicts.iter().filter(|(_, verdict)| is_so(verdict));
        names.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let survived = those(|verdict| *verdict == Verdict::Survived);
    let unknown = those(|verdict| matches!(verdict, Verdict::None(_)));
    let caught = verdicts.len() - survived.len() - unknown.len();
    let mut complaint = format!("{caught} of {} caught", verdicts.len());
    for (what, names) in [("nobody noticed", &survived), ("no verdict on", &unknown)] {
        if !names.is_empty() {
            complaint += &format!("; {what} {}", names.join(", "));
        }
    }
    ensure!(caught == verdicts.len(), complaint);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_survived_is_told_from_what_could_not_be_tried() {
        let caught = |name| (name, Verdict::Caught("Outcome".into()));
        let unbuilt = || Verdict::None("it does not build".into());
        assert!(sum_up(&[caught("one"), caught("two")]).is_ok());
        let all = [
            caught("one"),
            ("two", Verdict::Survived),
            ("three", unbuilt()),
            ("four", Verdict::Survived),
        ];
        assert_eq!(
            sum_up(&all).unwrap_err().to_string(),
            "1 of 4 caught; nobody noticed two, four; no verdict on three"
        );
        assert_eq!(
            sum_up(&all[2..3]).unwrap_err().to_string(),
            "0 of 1 caught; no verdict on three"
        );
        assert_eq!(unbuilt().to_string(), "NO VERDICT: it does not build");
    }
}
