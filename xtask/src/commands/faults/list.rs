//! Lists of faults.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::workspace::root;

/// A fault, as a list describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Fault<N> {
    /// Its name.
    pub(super) name: String,
    /// What is wrong with it in place.
    pub(super) what: String,
    /// Where it is.
    pub(super) file: PathBuf,
    find: String,
    replace: String,
    /// Who is to notice it.
    #[serde(flatten)]
    pub(super) notices: N,
}

#[derive(Debug, Deserialize)]
struct List<N> {
    #[serde(bound(deserialize = "N: Deserialize<'de>"))]
    fault: Vec<Fault<N>>,
}

/// Reads a list.
pub(super) fn read<N: DeserializeOwned>(list: &str) -> Result<Vec<Fault<N>>> {
    let text = std::fs::read_to_string(root().join(list))?;
    let List { fault } = toml::from_str(&text).with_context(|| list.to_string())?;
    Ok(fault)
}

/// Whether all of them can be seeded in a copy of the tree; an error names those that cannot.
pub(super) fn check<N>(faults: &[Fault<N>], tree: &Path) -> Result<()> {
    let errors = faults.iter().filter_map(|fault| fault.seeded(tree).err());
    let errors: Vec<_> = errors.map(|error| format!("{error:#}")).collect();
    ensure!(errors.is_empty(), errors.join("\n"));
    Ok(())
}

impl<N> Fault<N> {
    /// Seeds it in a copy of the tree, does something there, and takes it out again.
    pub(super) fn seed<R>(&self, tree: &Path, does: impl FnOnce() -> Result<R>) -> Result<R> {
        let place = tree.join(&self.file);
        let sound = std::fs::read_to_string(&place)?;
        std::fs::write(&place, self.seeded(tree)?)?;
        let done = does();
        std::fs::write(&place, sound)?;
        done
    }

    /// The text of its file in a tree, with the fault in it.
    fn seeded(&self, tree: &Path) -> Result<String> {
        let file = self.file.display();
        let text = std::fs::read_to_string(tree.join(&self.file))
            .with_context(|| format!("{}: {file}", self.name))?;
        let places = text.matches(&self.find).count();
        ensure!(
            places == 1,
            "{}: what it replaces stands {places} times in {file}",
            self.name
        );
        Ok(text.replace(&self.find, &self.replace))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{guest, lab};
    use super::*;

    fn can_be_seeded<N: DeserializeOwned>(list: &str) {
        let faults = read::<N>(list).unwrap();
        let names: BTreeSet<_> = faults.iter().map(|fault| &fault.name).collect();
        assert_eq!(names.len(), faults.len(), "names are unique");
        for fault in &faults {
            let sound = std::fs::read_to_string(root().join(&fault.file)).unwrap();
            assert_ne!(fault.seeded(root()).unwrap(), sound, "{}", fault.name);
        }
    }

    #[test]
    fn every_fault_can_still_be_seeded() {
        can_be_seeded::<guest::Suite>(guest::LIST);
        can_be_seeded::<lab::Simulations>(lab::LIST);
    }

    #[test]
    fn all_that_cannot_be_seeded_are_named_at_once() {
        let fault = |name: &str, file: &str, find: &str| Fault {
            name: name.into(),
            what: String::new(),
            file: file.into(),
            find: find.into(),
            replace: String::new(),
            notices: (),
        };
        let sound = || fault("sound", "Cargo.toml", "[workspace]\n");
        let stale = fault("stale", "Cargo.toml", "what never stood there");
        let twice = fault("twice", "Cargo.toml", "version");
        let lost = fault("lost", "no-such-file", "");
        assert!(check(&[sound()], root()).is_ok());
        let error = check(&[stale, sound(), twice, lost], root()).unwrap_err();
        let error = error.to_string();
        let names = error.lines().map(|line| line.split(':').next().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["stale", "twice", "lost"]);
    }
}
