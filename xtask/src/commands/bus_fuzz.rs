//! `cargo xtask fuzz bus`: the parsers of the soft bus, on the host.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::cli::FuzzBus;
use crate::process::{cargo, output, run, step};
use crate::workspace::{root, target};

const PACKAGE: [&str; 6] = [
    "--quiet",
    "--profile",
    "lab",
    "--package",
    "tessera-bus-fuzz",
    "--bin=bus-fuzz",
];

/// Runs the command.
pub fn fuzz(options: &FuzzBus) -> Result<ExitCode> {
    let mut arguments = vec![options.executions.to_string(), options.seed.to_string()];
    arguments.extend(options.only.clone());
    if options.coverage {
        return coverage(&arguments);
    }
    let mut fuzzer = cargo();
    fuzzer.current_dir(root()).arg("run").args(PACKAGE);
    let status = fuzzer.arg("--").args(&arguments).status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs it built with counters, and prints which lines were reached.
fn coverage(arguments: &[String]) -> Result<ExitCode> {
    let folder = target().join("tessera/coverage");
    let mut build = cargo();
    build.current_dir(root()).arg("build").args(PACKAGE);
    // What is built on the way, such as macros, writes its counters nowhere of use.
    build.env("LLVM_PROFILE_FILE", folder.join("built.profraw"));
    build.env("RUSTFLAGS", "-Cinstrument-coverage");
    run(build.env("CARGO_TARGET_DIR", &folder))?;
    let (program, raw) = (folder.join("lab/bus-fuzz"), folder.join("bus.profraw"));
    let mut fuzzer = Command::new(&program);
    run(fuzzer.args(arguments).env("LLVM_PROFILE_FILE", &raw))?;
    let data = folder.join("bus.profdata");
    let mut merge = tool("llvm-profdata")?;
    run(merge
        .args(["merge", "-sparse"])
        .arg(&raw)
        .arg("-o")
        .arg(&data))?;
    let mut report = tool("llvm-cov")?;
    report
        .arg("report")
        .arg(&program)
        .arg("-instr-profile")
        .arg(&data);
    run(report.arg(root().join("servers/softbus/protocol/src")))?;
    Ok(ExitCode::SUCCESS)
}

/// A tool of the toolchain, which is brought if it is not there.
fn tool(name: &str) -> Result<Command> {
    let place = || -> Result<PathBuf> {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let bin = Path::new("lib/rustlib").join(host.trim()).join("bin");
        Ok(Path::new(sysroot.trim()).join(bin).join(name))
    };
    let path = place()?;
    if !path.exists() {
        step("Installing", "llvm-tools");
        run(Command::new("rustup").args(["component", "add", "llvm-tools"]))
            .context("the toolchain has no llvm-tools")?;
    }
    Ok(Command::new(path))
}
