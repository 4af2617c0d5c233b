//! `cargo xtask size`: lines and bytes of the kernel, and what a system costs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use super::build_system;
use crate::arch::Arch;
use crate::cli::Sizes;
use crate::image::price::{self, sections};
use crate::lines;
use crate::workspace::{root, shown};

/// The folders that everyone has to trust.
const FOLDERS: [&str; 2] = ["kernel", "boot"];
/// How many lines they may have in all, and an architecture's share.
const AIM: (usize, usize) = (8000, 1200);

/// Runs the command.
pub fn size(options: Sizes) -> Result<ExitCode> {
    count_lines()?;
    for arch in options.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]) {
        let parts = build_system(&options.system.system, arch)?;
        println!("\nkernel on {arch}, bytes");
        for (name, bytes) in sections(&parts.built().kernel)? {
            println!("  {name:<12} {bytes:>9}");
        }
        println!("\n{}", price::table(&parts)?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn count_lines() -> Result<()> {
    println!("lines of code, without blank lines, comments and tests");
    let mut packages = BTreeMap::<PathBuf, usize>::new();
    let mut shares = [0; Arch::ALL.len()];
    for folder in FOLDERS {
        for (file, lines) in lines::in_folder(&root().join(folder))? {
            *packages.entry(package(&file)).or_default() += lines;
            for (share, arch) in shares.iter_mut().zip(Arch::ALL) {
                if belongs(&file, arch) {
                    *share += lines;
                }
            }
        }
    }
    for (package, lines) in &packages {
        println!("  {:<14} {lines:>9}", shown(package));
    }
    let total: usize = packages.values().sum();
    println!("  {:<14} {total:>9}   aim: at most {}", "in all", AIM.0);
    for (share, arch) in shares.iter().zip(Arch::ALL) {
        println!(
            "  {arch:<14} {share:>9}   of these, assembly included; aim: at most {}",
            AIM.1
        );
    }
    Ok(())
}

/// The folder of the package that a file belongs to.
fn package(file: &Path) -> PathBuf {
    let own = file
        .ancestors()
        .find(|folder| folder.join("Cargo.toml").is_file());
    own.unwrap_or(root()).to_path_buf()
}

/// Whether a file is one architecture's own: so says its folder or its name.
fn belongs(file: &Path, arch: Arch) -> bool {
    let inside = file.strip_prefix(root()).unwrap_or(file);
    inside.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.split('.').next() == Some(arch.name())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_nearest_package() {
        assert_eq!(
            package(&root().join("boot/archive/src/lib.rs")),
            root().join("boot/archive")
        );
        assert_eq!(
            package(&root().join("boot/src/main.rs")),
            root().join("boot")
        );
    }

    #[test]
    fn an_architecture_has_its_folders_and_files() {
        let of = |file: &str| belongs(&root().join(file), Arch::Riscv64);
        assert!(of("kernel/src/arch/riscv64/trap.S") && of("boot/src/riscv64.ld"));
        assert!(!of("kernel/src/arch/aarch64/trap.S") && !of("kernel/src/lib.rs"));
    }
}
