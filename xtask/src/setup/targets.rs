//! Rust's bare-metal targets. Inside `cargo xtask` rustup does not look at the
//! toolchain file, so what it lists is brought here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::arch::Arch;
use crate::process::{find, output, run, step};

/// Makes sure that the targets of these architectures are there.
pub fn ensure(arches: &[Arch]) -> Result<()> {
    let wanted = arches
        .iter()
        .flat_map(|arch| [arch.kernel_target(), arch.user_target()]);
    let missing = missing(&sysroot()?, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "this Rust toolchain lacks the targets {}. Install them, \
             or use rustup (https://rustup.rs), which this command then asks for them",
            missing.join(", ")
        );
    }
    step("Installing", format!("Rust targets {}", missing.join(", ")));
    // This adds to the toolchain that runs us and never updates rustup itself.
    run(Command::new("rustup").args(["target", "add"]).args(missing))
}

fn sysroot() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Ok(output(Command::new(rustc).args(["--print", "sysroot"]))?
        .trim_end()
        .into())
}

fn missing<'t>(sysroot: &Path, targets: impl IntoIterator<Item = &'t str>) -> Vec<&'t str> {
    let there = |target: &str| {
        sysroot
            .join("lib/rustlib")
            .join(target)
            .join("lib")
            .is_dir()
    };
    targets
        .into_iter()
        .filter(|target| !there(target))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_targets_are_named() {
        let sysroot = std::env::temp_dir().join(format!("xtask-sysroot-{}", std::process::id()));
        std::fs::create_dir_all(sysroot.join("lib/rustlib/here/lib")).unwrap();
        let found = missing(&sysroot, ["here", "gone"]);
        std::fs::remove_dir_all(&sysroot).unwrap();
        assert_eq!(found, ["gone"]);
    }
}
