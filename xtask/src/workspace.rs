//! Where things are, and which program belongs to which package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::{cargo, output};

/// The root folder of the project.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The folder for everything that is built.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A path as people write it: relative to the project, if it is inside.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A program that cargo can build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Name of the binary target.
    pub target: String,
    /// Its package.
    pub package: String,
    /// The `Cargo.toml` of a package outside this workspace.
    pub manifest: Option<PathBuf>,
}

/// All programs that a system page can name.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    by_target: BTreeMap<String, Binary>,
}

impl Programs {
    /// Those of this workspace.
    pub fn of_workspace() -> Result<Self> {
        let by_target = binaries(&root().join("Cargo.toml"))?
            .into_iter()
            .map(|binary| (binary.target.clone(), binary))
            .collect();
        Ok(Self { by_target })
    }

    /// Makes a list without asking cargo.
    pub fn from_names(names: &[&str]) -> Self {
        let binary = |name: &&str| Binary {
            target: (*name).into(),
            package: (*name).into(),
            manifest: None,
        };
        Self {
            by_target: names
                .iter()
                .map(|name| ((*name).into(), binary(name)))
                .collect(),
        }
    }

    /// The program that a page calls `name`.
    pub fn find(&self, name: &str) -> Option<&Binary> {
        self.by_target
            .get(name)
            .or_else(|| self.by_target.get(&format!("tessera-{name}")))
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Binary> {
        self.by_target.values()
    }

    /// The names by which pages may call the programs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_target
            .keys()
            .map(|name| name.strip_prefix("tessera-").unwrap_or(name))
    }

    /// Folders of the packages outside this workspace.
    pub fn outside_folders(&self) -> Vec<PathBuf> {
        let manifests = self
            .by_target
            .values()
            .filter_map(|binary| binary.manifest.as_deref());
        manifests
            .filter_map(|manifest| Some(manifest.parent()?.to_path_buf()))
            .collect()
    }

    /// Adds the programs of a package outside this workspace.
    pub fn add_outside(&mut self, manifest: &Path) -> Result<()> {
        for mut binary in binaries(manifest)? {
            binary.manifest = Some(manifest.to_path_buf());
            self.by_target.insert(binary.target.clone(), binary);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Binaries of the packages that are written against `libipc`: all others run
/// on the host or are the kernel.
fn binaries(manifest: &Path) -> Result<Vec<Binary>> {
    let text = output(
        cargo()
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(manifest),
    )?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cannot read what `cargo metadata` says")?;
    let mut found = Vec::new();
    let for_guest = |package: &Package| package.dependencies.iter().any(|d| d.name == "libipc");
    for package in metadata.packages.into_iter().filter(for_guest) {
        for target in package.targets {
            if target.kind.iter().any(|kind| kind == "bin") {
                let package = package.name.clone();
                found.push(Binary {
                    target: target.name,
                    package,
                    manifest: None,
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_the_supervisor_under_its_short_name() {
        let programs = Programs::of_workspace().unwrap();
        let init = programs.find("init").unwrap();
        assert_eq!(init.package, "tessera-init");
        assert!(programs.names().any(|name| name == "console"));
        assert!(programs.find("no-such-program").is_none());
        assert!(programs.find("xtask").is_none());
    }
}
