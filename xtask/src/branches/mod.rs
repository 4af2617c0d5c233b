//! Which of the kernel's conditional branches a campaign reached.
//!
//! 1. [`map`]: the branches of the kernel's text, each with the source that it
//!    comes from, by the line tables of the ELF file; [`decode`] knows the
//!    instructions.
//! 2. [`Plugin`]: QEMU counts which way each goes, with a plugin that is built
//!    for it.
//! 3. [`report`]: a table of what was reached, and a list of what was not.
//!
//! A branch is reached when it was executed at all. That it went both ways is
//! counted too; it cannot if one way leads to a panic only: bounds checks that
//! the compiler could not remove are such branches.

pub mod decode;
pub mod map;
pub mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::workspace::target;
use map::Branch;
use report::Counts;

/// QEMU's plugin, ready to count the branches of a kernel.
#[derive(Debug)]
pub struct Plugin {
    branches: Vec<Branch>,
    library: PathBuf,
    /// The branches for the plugin, and its counts for us.
    list: PathBuf,
    counts: PathBuf,
}

impl Plugin {
    /// Builds the plugin and finds the branches of the kernel at `path`.
    pub fn new(arch: Arch, kernel: &Path) -> Result<Self> {
        let library = crate::plugin::build("branches")?;
        let plugin = Self {
            branches: map::branches(arch, kernel)?,
            library,
            list: target().join(format!("tessera/branches-{arch}.txt")),
            counts: target().join(format!("tessera/counts-{arch}.txt")),
        };
        let mut list = String::new();
        for branch in &plugin.branches {
            let Branch {
                address,
                taken,
                next,
                ..
            } = branch;
            writeln!(list, "{address:x} {taken:x} {next:x}")?;
        }
        std::fs::write(&plugin.list, list)?;
        std::fs::write(&plugin.counts, "")?;
        Ok(plugin)
    }

    /// Has QEMU load it.
    pub fn load(&self, qemu: &mut Command) {
        let [library, list, counts] =
            [&self.library, &self.list, &self.counts].map(|path| path.display());
        qemu.arg("-plugin");
        qemu.arg(format!("{library},branches={list},counts={counts}"));
    }

    /// The branches and what was counted, once QEMU has ended.
    pub fn counted(&self) -> Result<Vec<(Branch, Counts)>> {
        let text = std::fs::read_to_string(&self.counts).context("the plugin's counts")?;
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let (address, count) = count(line).with_context(|| format!("no count: `{line}`"))?;
            counts.insert(address, count);
        }
        let counted = |branch: &Branch| {
            let count = counts.get(&branch.address).copied();
            count.map(|count| (branch.clone(), count))
        };
        let counted = self.branches.iter().map(counted).collect::<Option<_>>();
        let mut counted: Vec<_> = counted.context("the plugin has not counted all branches")?;
        leave_out_unused_passes(&mut counted);
        Ok(counted)
    }
}

/// Of a pass that is there twice, leaves out the one that this machine has not entered if
/// it has entered the other.
fn leave_out_unused_passes(counted: &mut Vec<(Branch, Counts)>) {
    let (mut entered, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (branch, counts) in counted.iter() {
        if let Some((address, name)) = branch.pass.clone()
            && *counts != [0, 0]
        {
            entered.insert(address);
            names.insert(name);
        }
    }
    counted.retain(|(branch, _)| match &branch.pass {
        Some((address, name)) => entered.contains(address) || !names.contains(name),
        None => true,
    });
}

/// Reads `address taken passed`.
fn count(line: &str) -> Option<(u64, Counts)> {
    let mut words = line.split(' ');
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let mut number = || words.next()?.parse().ok();
    Some((address, [number()?, number()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        assert_eq!(count("ff80 3 0"), Some((0xff80, [3, 0])));
        assert_eq!(count("ff80 3"), None);
    }

    #[test]
    fn of_a_pass_that_is_there_twice_one_counts() {
        let branch = |begin, name: &str, counts| {
            let branch = Branch {
                pass: Some((begin, name.into())),
                ..Branch::default()
            };
            (branch, counts)
        };
        let mut counted = vec![
            branch(1, "pass_call", [1, 0]),
            branch(1, "pass_call", [0, 0]),
            branch(2, "pass_call", [0, 0]),
            // Nobody came here on either kind of machine: that is a gap.
            branch(3, "pass_signal", [0, 0]),
            branch(4, "pass_signal", [0, 0]),
            (Branch::default(), [0, 0]),
        ];
        leave_out_unused_passes(&mut counted);
        assert_eq!(counted.len(), 5);
        let begins: Vec<_> = counted
            .iter()
            .filter_map(|(b, _)| b.pass.as_ref())
            .collect();
        assert!(begins.iter().all(|(begin, _)| *begin != 2));
    }
}
