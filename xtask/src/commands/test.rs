//! `cargo xtask test`: the tests of the host, then those inside the guest.

use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::cli::Test;
use crate::process::{cargo, shown, step};
use crate::setup::{qemu, targets};
use crate::workspace::root;

/// Set for the harness in `tests/harness`; without it it has no tests, as plain
/// `cargo test` runs those of the host.
pub const GUEST_TESTS: &str = "TESSERA_GUEST_TESTS";
/// The one architecture to test, if set.
pub const GUEST_ARCH: &str = "TESSERA_GUEST_ARCH";
/// The one number of cores to test on, if set.
pub const GUEST_SMP: &str = "TESSERA_GUEST_SMP";
/// Set if the guest's kernel is to have no fast path.
pub const GUEST_SLOW_PATH: &str = "TESSERA_GUEST_SLOW_PATH";

/// Whether to print the outcome matrix, if set.
pub const GUEST_MATRIX: &str = "TESSERA_GUEST_MATRIX";

/// The CPU model to test on, if set.
pub const GUEST_CPU: &str = "TESSERA_GUEST_CPU";

/// What came of some tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: usize,
    failed: usize,
}

/// Runs the command. The last line says how many tests passed and failed.
pub fn test(options: Test) -> Result<ExitCode> {
    let mut totals = Totals::default();
    let mut good = true;
    if !options.guest {
        step("Testing", "on the host");
        let mut command = cargo();
        command.args(["test", "--workspace", "--no-fail-fast"]);
        good &= run(&mut command, &options, &mut totals)?;
    }
    if !options.host {
        let arches = options.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]);
        if !options.list {
            targets::ensure(&arches)?;
            for arch in &arches {
                qemu::ensure(*arch, options.setup.yes)?;
            }
            step("Testing", "in the guest");
        }
        let mut command = cargo();
        command.args(["test", "--package", "tessera-harness", "--test", "guest"]);
        command.env(GUEST_TESTS, "1");
        if let Some(arch) = options.arch {
            command.env(GUEST_ARCH, arch.name());
        }
        if options.matrix {
            command.env(GUEST_MATRIX, "1");
        }
        if let Some(smp) = options.smp {
            command.env(GUEST_SMP, smp.to_string());
        }
        if let Some(cpu) = &options.cpu {
            command.env(GUEST_CPU, cpu);
        }
        if options.slow_path {
            command.env(GUEST_SLOW_PATH, "yes");
        }
        good &= run(&mut command, &options, &mut totals)?;
    }
    if !options.list {
        println!("{} passed, {} failed", totals.passed, totals.failed);
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs `cargo test`, shows what it says and adds up its results.
fn run(command: &mut Command, options: &Test, totals: &mut Totals) -> Result<bool> {
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if options.list {
        command.arg("--quiet");
    }
    command.arg("--");
    command.args(options.list.then_some("--list"));
    command.args(&options.filter);
    let cannot = format!("cannot run `{}`", shown(command));
    let mut child = command.spawn().with_context(|| cannot.clone())?;
    let output = child.stdout.take().context(cannot.clone())?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        if !options.list || text.ends_with(": test") {
            stdout().write_all(&line)?;
            stdout().write_all(b"\n")?;
        }
        if let Some(result) = result(&text) {
            totals.passed += result.passed;
            totals.failed += result.failed;
        }
    }
    Ok(child.wait().context(cannot)?.success())
}

/// Reads `test result: ok. 3 passed; 0 failed; ...`.
fn result(line: &str) -> Option<Totals> {
    let (_, rest) = line.split_once("test result: ")?;
    let count = |what: &str| {
        let (before, _) = rest.split_once(what)?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    Some(Totals {
        passed: count(" passed")?,
        failed: count(" failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; \
                    0 filtered out; finished in 0.00s";
        assert_eq!(
            result(line),
            Some(Totals {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(result("test a ... ok"), None);
    }
}
