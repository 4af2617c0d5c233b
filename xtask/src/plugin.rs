//! QEMU's plugin, which is built when it is needed; `xtask/plugin` is its source.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::{cargo, run, step};
use crate::workspace::{root, target};

/// Builds it and says where it is. It counts `what`.
pub fn build(what: &str) -> Result<PathBuf> {
    step("Building", format!("the plugin that counts {what}"));
    run(cargo()
        .current_dir(root())
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "tessera-plugin",
        ])
        .env_remove("CARGO_BUILD_TARGET"))
    .context("the plugin does not build")?;
    let library = format!("release/{DLL_PREFIX}tessera_plugin{DLL_SUFFIX}");
    Ok(target().join(library))
}
