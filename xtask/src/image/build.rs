//! Cargo builds the kernel and the programs, each for its target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::page::CheckedPage;
use crate::process::{cargo, run, step};
use crate::workspace::{Binary, Programs, root, target};

/// ELF files.
#[derive(Debug)]
pub struct Built {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// Where it lies.
    pub kernel_path: PathBuf,
    /// Every program by the name that the page has for it.
    pub programs: BTreeMap<String, Vec<u8>>,
}

/// For the counts of branches and instructions; nothing of it is loaded.
const LINE_TABLES: &str = "profile.release.debug=\"line-tables-only\"";

/// Builds all that `page` names.
pub fn build(arch: Arch, page: &CheckedPage, programs: &Programs) -> Result<Built> {
    step("Building", format!("the kernel for {arch}"));
    run(guest_cargo(arch.kernel_target())
        .args(["--config", LINE_TABLES])
        .args(["--package", "tessera-boot"]))
    .context("the kernel does not build")?;
    let kernel_path = target()
        .join(arch.kernel_target())
        .join("release/tessera-boot");
    let kernel = read(&kernel_path)?;

    let binaries: BTreeMap<&str, &Binary> = page
        .programs
        .iter()
        .filter_map(|name| Some((name.as_str(), programs.find(name)?)))
        .collect();
    step(
        "Building",
        format!("{} programs for {arch}", binaries.len()),
    );
    let mut inside = guest_cargo(arch.user_target());
    let ours = binaries.values().filter(|binary| binary.manifest.is_none());
    let packages: BTreeSet<_> = ours.clone().map(|binary| &binary.package).collect();
    inside.args(
        packages
            .iter()
            .flat_map(|package| ["--package", package.as_str()]),
    );
    inside.args(ours.flat_map(|binary| ["--bin", binary.target.as_str()]));
    run(&mut inside).context("the programs of the system do not build")?;

    let mut built = Built {
        kernel,
        kernel_path,
        programs: BTreeMap::new(),
    };
    for (name, binary) in binaries {
        let folder = match &binary.manifest {
            None => target(),
            Some(manifest) => build_outside(arch, binary, manifest)?,
        };
        let elf = folder
            .join(arch.user_target())
            .join("release")
            .join(&binary.target);
        built.programs.insert(name.to_string(), read(&elf)?);
    }
    Ok(built)
}

/// Builds a program of a package outside this workspace, with the flags that
/// this one's configuration has for programs. Returns its target folder.
fn build_outside(arch: Arch, binary: &Binary, manifest: &Path) -> Result<PathBuf> {
    step(
        "Building",
        format!("{} from {}", binary.target, manifest.display()),
    );
    let folder = target().join("outside").join(&binary.package);
    run(guest_cargo(arch.user_target())
        .arg("--config")
        .arg(root().join(".cargo/config.toml"))
        .arg("--manifest-path")
        .arg(manifest)
        .args(["--bin", &binary.target, "--target-dir"])
        .arg(&folder))?;
    Ok(folder)
}

/// `cargo build` for a target of the guest. Flags from outside are not for it:
/// they would replace those of the configuration.
fn guest_cargo(target: &str) -> Command {
    let mut command = cargo();
    command
        .current_dir(root())
        .args(["build", "--quiet", "--release", "--target", target])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    command
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
