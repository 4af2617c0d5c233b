//! `cargo xtask miri`: the host tests of the kernel's logic under Miri.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::cli::Miri;
use crate::process::{find, output, run, step};
use crate::workspace::root;

/// Packages whose tests Miri runs.
const PACKAGES: &[&str] = &["tessera-kernel", "libipc-abi"];

/// Runs the command.
pub fn miri(options: &Miri) -> Result<ExitCode> {
    if find("rustup").is_none() {
        bail!("Miri needs a nightly toolchain, which rustup (https://rustup.rs) brings");
    }
    let works = rustup_cargo().args(["miri", "--version"]).output();
    if !works.is_ok_and(|result| result.status.success()) {
        bail!(
            "Miri is missing. Install it by \
             `rustup toolchain install nightly --profile minimal --component miri,rust-src \
             --no-self-update`"
        );
    }
    step(
        "Running",
        output(rustup_cargo().args(["miri", "--version"]))?.trim_end(),
    );
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    run(rustup_cargo()
        .current_dir(root())
        .args(["miri", "test", "--lib"])
        .args(packages)
        .arg("--")
        .args(&options.filter)
        // Physical addresses are the host's own: integers become pointers, which
        // the borrow checks cannot follow in reasonable time.
        .env(
            "MIRIFLAGS",
            "-Zmiri-disable-isolation -Zmiri-permissive-provenance -Zmiri-disable-stacked-borrows",
        )
        .env("PROPTEST_CASES", "4"))?;
    Ok(ExitCode::SUCCESS)
}

/// The nightly cargo, free of the settings of the one that runs us.
fn rustup_cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    for name in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "RUSTC",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}
