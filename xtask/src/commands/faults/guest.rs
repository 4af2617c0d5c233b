//! Faults in the kernel, which tests in the guest notice.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Verdict;
use super::list::Fault;
use crate::arch::Arch;
use crate::process::{cargo, run};

/// The list of faults.
pub(super) const LIST: &str = "tests/faults.toml";

/// A system that most suites run in.
const SYSTEM: &str = "tests/systems/suite.toml";

/// Where a fault is to be noticed.
#[derive(Debug, Deserialize)]
pub(super) struct Suite {
    /// Part of the names of the tests that are to run first.
    suite: String,
    /// The architecture of the machine.
    pub(super) arch: Arch,
    #[serde(default = "one")]
    smp: u32,
}

fn one() -> u32 {
    1
}

/// The test that fails: of its suite, or if that is content, of all in the guest.
pub(super) fn caught(tree: &Path, fault: &Fault<Suite>) -> Result<Verdict> {
    let mut build = cargo();
    build.current_dir(tree).env_remove("CARGO_TARGET_DIR");
    build.args(["xtask", "build", "--system", SYSTEM]);
    build.args(["--arch", fault.notices.arch.name()]);
    if let Err(error) = run(&mut build) {
        return Ok(Verdict::None(format!("it does not build: {error}")));
    }
    let first = [
        &fault.notices.suite,
        "--smp",
        &fault.notices.smp.to_string(),
    ];
    match failing(tree, fault, &first)? {
        Verdict::Survived => failing(tree, fault, &[]),
        verdict => Ok(verdict),
    }
}

fn failing(tree: &Path, fault: &Fault<Suite>, which: &[&str]) -> Result<Verdict> {
    let mut command = cargo();
    command
        .current_dir(tree)
        .env_remove("CARGO_TARGET_DIR")
        .args([
            "xtask",
            "test",
            "--guest",
            "--arch",
            fault.notices.arch.name(),
        ])
        .args(which)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut tests = command.spawn()?;
    let mut said = String::new();
    for line in BufReader::new(tests.stdout.take().context("no output")?).lines() {
        let line = line?;
        if let Some(test) = failed_test(&line) {
            // One is enough, and others may hang for long.
            end(tests)?;
            return Ok(Verdict::Caught(test.into()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    if tests.wait()?.success() && !said.contains("\n0 passed") {
        return Ok(Verdict::Survived);
    }
    eprint!("{said}");
    Ok(Verdict::None("the tests do not run".into()))
}

/// Ends the process and all that it started, machines too.
fn end(mut process: Child) -> Result<()> {
    run(Command::new("kill").args(["--", &format!("-{}", process.id())]))?;
    process.wait()?;
    Ok(())
}

/// Reads `test NAME ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix("FAILED")?;
    name.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read() {
        let line = "test aarch64/smp1/ipc/signals_add_up ... FAILED";
        assert_eq!(failed_test(line), Some("aarch64/smp1/ipc/signals_add_up"));
        assert_eq!(failed_test("test a/b/c/d ... ok"), None);
        assert_eq!(failed_test("test result: FAILED. 1 passed"), None);
    }
}
