//! System pages: read from TOML, checked, compiled for the supervisor.
//!
//! 1. [`schema`]: the keys, and what is wrong with one value alone.
//! 2. [`check`]: what is wrong with the page as a whole, and its compiled form;
//!    `task`: the same of one task; `accounts`: who owns what it keeps.
//! 3. [`cycles`]: calls that could wait for each other for ever.
//! 4. [`problem`]: how a page's errors are told, with file and line.

mod accounts;
pub mod check;
pub mod cycles;
pub mod problem;
pub mod schema;
mod task;
pub mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tessera_page::Page;

use crate::workspace::{Programs, root};
use problem::Problems;

/// A page that has been read and checked.
#[derive(Clone, Debug)]
pub struct CheckedPage {
    /// What the supervisor gets.
    pub page: Page,
    /// All programs, to build and pack: the tasks' own and those of the shell.
    pub programs: Vec<String>,
    /// Files to pack: name under `/boot` and where they are.
    pub files: BTreeMap<String, PathBuf>,
}

/// Where the page of that name, or at that path, is.
pub fn find(system: &str) -> Result<PathBuf> {
    let folder = root().join("boot/systems");
    if system.ends_with(".toml") || system.contains('/') {
        let path = std::env::current_dir()?.join(system);
        if !path.is_file() {
            bail!("there is no system page `{system}`");
        }
        return Ok(path);
    }
    let path = folder.join(format!("{system}.toml"));
    if !path.is_file() {
        let mut names: Vec<_> = std::fs::read_dir(&folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(String::from))
            .collect();
        names.sort();
        bail!(
            "there is no system `{system}`; there are {}, or give the path of a page",
            names.join(", ")
        );
    }
    Ok(path)
}

/// Reads and checks the page at `path`. `programs` grows by what the page's
/// `sources` name.
pub fn load(path: &Path, programs: &mut Programs) -> Result<CheckedPage> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the system page {}", path.display()))?;
    let mut problems = Problems::new(path, &text);
    let Some(raw) = schema::parse(&text, &mut problems) else {
        bail!(problems.into_error());
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    for (name, manifest) in &raw.sources {
        let manifest = folder.join(manifest.get_ref());
        programs
            .add_outside(&manifest)
            .with_context(|| format!("the source of program `{}`", name.get_ref()))?;
    }
    let checked = check::check(&raw, folder, programs, &mut problems);
    match problems.is_empty() {
        true => Ok(checked),
        false => bail!(problems.into_error()),
    }
}
