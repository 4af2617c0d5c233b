//! `cargo xtask faults`: seeds faults in the kernel, one by one, and looks which
//! case in the guest notices each.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::bus_faults;
use crate::arch::Arch;
use crate::cli::Faults;
use crate::process::{cargo, output, run, step};
use crate::workspace::{root, target};

/// The list of faults.
const LIST: &str = "tests/faults.toml";

/// A system that most suites run in.
const SYSTEM: &str = "tests/systems/suite.toml";

/// A fault, as the list describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    what: String,
    file: PathBuf,
    find: String,
    replace: String,
    /// Part of the names of the tests that are to run first.
    suite: String,
    arch: Arch,
    #[serde(default = "one")]
    smp: u32,
}

fn one() -> u32 {
    1
}

/// The list.
#[derive(Debug, Deserialize)]
struct List {
    fault: Vec<Fault>,
}

fn list() -> Result<Vec<Fault>> {
    let text = std::fs::read_to_string(root().join(LIST))?;
    let list: List = toml::from_str(&text).context(LIST)?;
    Ok(list.fault)
}

impl Fault {
    /// The text of its file with the fault in it.
    fn seeded(&self) -> Result<String> {
        let file = self.file.display();
        let text = std::fs::read_to_string(root().join(&self.file))
            .with_context(|| format!("{}: {file}", self.name))?;
        let places = text.matches(&self.find).count();
        ensure!(
            places == 1,
            "{}: what it replaces stands {places} times in {file}; change {LIST}",
            self.name
        );
        Ok(text.replace(&self.find, &self.replace))
    }
}

/// Runs the command.
pub fn faults(options: &Faults) -> Result<ExitCode> {
    if options.bus {
        return bus_faults::faults(options.name.as_deref());
    }
    let wanted = |fault: &Fault| {
        let name = options.name.as_ref();
        name.is_none_or(|name| fault.name.contains(name.as_str()))
            && options.arch.is_none_or(|arch| fault.arch == arch)
    };
    let mut faults = list()?;
    faults.retain(wanted);
    ensure!(!faults.is_empty(), "no fault in {LIST} has such a name");
    let tree = target().join("tessera/faults");
    copy_tree(&tree)?;
    let mut survivors = Vec::new();
    for fault in &faults {
        step("Seeding", format!("{}: {}", fault.name, fault.what));
        let place = tree.join(&fault.file);
        let sound = std::fs::read_to_string(&place)?;
        std::fs::write(&place, fault.seeded()?)?;
        let caught = caught(&tree, fault);
        std::fs::write(&place, sound)?;
        match caught? {
            Some(test) => println!("{:27} caught by {test}", fault.name),
            None => {
                println!("{:27} SURVIVED", fault.name);
                survivors.push(&*fault.name);
            }
        }
    }
    let (seeded, survived) = (faults.len(), survivors.len());
    println!("{} of {seeded} caught", seeded - survived);
    if survived > 0 {
        bail!("nobody noticed {}", survivors.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder a copy of the working tree. What is the same already keeps
/// its time, so that little is built again.
pub(super) fn copy_tree(to: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.current_dir(root());
    let files = output(git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let files: BTreeSet<_> = files.split_terminator('\0').collect();
    let stays = |path: &Path| {
        let file = path.strip_prefix(to).unwrap_or(path);
        files.contains(&*file.to_string_lossy()) && root().join(file).exists()
    };
    remove_files(to, &stays)?;
    for &file in &files {
        let (from, to) = (root().join(file), to.join(file));
        // One that was deleted is still in the index.
        let Ok(mut text) = std::fs::read(&from) else {
            continue;
        };
        if file == "Cargo.toml" {
            // A fault may leave something unused.
            let lints = String::from_utf8(text)?;
            text = lints
                .replace("warnings = \"deny\"", "warnings = \"allow\"")
                .into();
        }
        if std::fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&to, text)?;
    }
    Ok(())
}

/// Removes the files that do not stay; what was built does.
fn remove_files(folder: &Path, stays: &impl Fn(&Path) -> bool) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => remove_files(&path, stays)?,
            false if stays(&path) => {}
            false => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}

/// The test that fails: of its suite, or if that is content, of all in the guest.
fn caught(tree: &Path, fault: &Fault) -> Result<Option<String>> {
    let mut build = cargo();
    build.current_dir(tree).env_remove("CARGO_TARGET_DIR");
    build.args(["xtask", "build", "--system", SYSTEM]);
    build.args(["--arch", fault.arch.name()]);
    run(&mut build).with_context(|| format!("{}: it does not build so", fault.name))?;
    let first = [&fault.suite, "--smp", &fault.smp.to_string()];
    match failing(tree, fault, &first)? {
        Some(test) => Ok(Some(test)),
        None => failing(tree, fault, &[]),
    }
}

fn failing(tree: &Path, fault: &Fault, which: &[&str]) -> Result<Option<String>> {
    let mut command = cargo();
    command
        .current_dir(tree)
        .env_remove("CARGO_TARGET_DIR")
        .args(["xtask", "test", "--guest", "--arch", fault.arch.name()])
        .args(which)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut tests = command.spawn()?;
    let mut said = String::new();
    for line in BufReader::new(tests.stdout.take().context("no output")?).lines() {
        let line = line?;
        if let Some(test) = failed_test(&line) {
            // One is enough, and others may hang for long.
            end(tests)?;
            return Ok(Some(test.into()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    ensure!(
        tests.wait()?.success() && !said.contains("\n0 passed"),
        "{}: the tests do not run\n{said}",
        fault.name
    );
    Ok(None)
}

/// Ends the process and all that it started, machines too.
fn end(mut process: Child) -> Result<()> {
    run(Command::new("kill").args(["--", &format!("-{}", process.id())]))?;
    process.wait()?;
    Ok(())
}

/// Reads `test NAME ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix("FAILED")?;
    name.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_still_be_seeded() {
        let faults = list().unwrap();
        let names: BTreeSet<_> = faults.iter().map(|fault| &fault.name).collect();
        assert_eq!(names.len(), faults.len(), "names are unique");
        for fault in &faults {
            let sound = std::fs::read_to_string(root().join(&fault.file)).unwrap();
            assert_ne!(fault.seeded().unwrap(), sound, "{}", fault.name);
        }
    }

    #[test]
    fn failures_are_read() {
        let line = "test aarch64/smp1/ipc/signals_add_up ... FAILED";
        assert_eq!(failed_test(line), Some("aarch64/smp1/ipc/signals_add_up"));
        assert_eq!(failed_test("test a/b/c/d ... ok"), None);
        assert_eq!(failed_test("test result: FAILED. 1 passed"), None);
    }
}
