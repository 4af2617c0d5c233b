//! The smallest machine on which the smallest system comes up and answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::table::{Figure, MEBIBYTES};
use crate::arch::Arch;
use crate::commands::build_system;
use crate::guest::Guest;
use crate::machine::Machine;
use crate::process::step;

/// The system.
const SYSTEM: &str = "tiny";
/// What is typed, and what must come.
const TYPED: (&str, &str) = ("echo to''gether\r", "together");
/// A machine that has not come so far hangs; one that comes up needs a second.
const PATIENCE: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// From what the system is made for, down to the last size that works, or up to the
/// first.
pub fn smallest(arch: Arch, program: &Path) -> Result<Figure> {
    let parts = build_system(SYSTEM, arch)?;
    let image = parts.write()?;
    step("Measuring", format!("memory on {arch}"));
    let works = |mib: u64| answers(arch, mib, program.into(), &image);
    let mib = search(parts.page().ram / MIB, works).context("the system comes up with no size")?;
    Ok(Figure {
        arch: arch.name().into(),
        case: "memory".into(),
        instructions: mib,
        unit: MEBIBYTES.into(),
        traffic: None,
    })
}

/// The smallest size that works, if each larger one does.
fn search(begin: u64, works: impl Fn(u64) -> bool) -> Option<u64> {
    if works(begin) {
        let smaller = (1..begin).rev().take_while(|mib| works(*mib));
        return Some(smaller.last().unwrap_or(begin));
    }
    (begin + 1..=4 * begin).find(|mib| works(*mib))
}

/// Whether the shell answers on a machine with so much RAM.
fn answers(arch: Arch, mib: u64, program: PathBuf, image: &Path) -> bool {
    let mut command = Machine::plain(arch, 1, mib * MIB).qemu(program, image);
    command.arg("-no-reboot");
    let talk = || {
        let mut guest = Guest::start(command)?;
        guest.wait_for("$ ", PATIENCE)?;
        guest.send(TYPED.0)?;
        guest.wait_for(TYPED.1, PATIENCE)
    };
    // Why it does not is of no interest: it has too little memory.
    talk().is_ok()
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn the_smallest_is_found_from_either_side() {
        for begin in [3, 6, 7] {
            assert_eq!(search(begin, |mib| mib >= 6), Some(6), "from {begin}");
        }
        assert_eq!(search(6, |_| false), None);
    }
}
