//! The emulator: found by its program's name, else installed; new enough.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages::{self, Plan};
use crate::arch::Arch;
use crate::process::{find, output, run, step};

/// The oldest version that is known to work.
const OLDEST: (u32, u32) = (7, 2);

/// The emulator for `arch`, which is installed if it is missing and may be.
pub fn ensure(arch: Arch, yes: bool) -> Result<PathBuf> {
    let program = match find(arch.qemu()) {
        Some(program) => program,
        None => install(arch, yes)?,
    };
    check_version(&program)?;
    Ok(program)
}

fn install(arch: Arch, yes: bool) -> Result<PathBuf> {
    let missing = format!("`{}` is missing", arch.qemu());
    match packages::plan(find, packages::is_root()) {
        Plan::Install(commands) => {
            let shown: Vec<_> = commands.iter().map(|words| words.join(" ")).collect();
            if !super::may_install(yes, &format!("{missing}: `{}`", shown.join(" && ")))? {
                bail!(
                    "{missing}. Install it by `{}`, or give --yes",
                    shown.join(" && ")
                );
            }
            for words in commands {
                step("Running", words.join(" "));
                run(Command::new(&words[0]).args(&words[1..]))?;
            }
        }
        Plan::Tell(command) => bail!("{missing}. Install it by `{command}`"),
        Plan::AskAdministrator(command) => {
            bail!("{missing}. Ask the administrator to run `{command}`")
        }
        Plan::Unknown => bail!("{missing}. Install QEMU {}.{} or newer", OLDEST.0, OLDEST.1),
    }
    find(arch.qemu()).with_context(|| format!("`{}` is missing even now", arch.qemu()))
}

/// Major and minor number of the emulator's version.
pub fn version_of(program: &Path) -> Result<(u32, u32)> {
    let said = output(Command::new(program).arg("--version"))?;
    version(&said).with_context(|| format!("cannot tell the version of {}", program.display()))
}

fn check_version(program: &Path) -> Result<()> {
    let version = version_of(program)?;
    if version < OLDEST {
        bail!(
            "{} has version {}.{}; {}.{} or newer is needed",
            program.display(),
            version.0,
            version.1,
            OLDEST.0,
            OLDEST.1
        );
    }
    Ok(())
}

/// Major and minor number in `QEMU emulator version 7.2.22 (...)`.
fn version(said: &str) -> Option<(u32, u32)> {
    let (_, rest) = said.split_once("version ")?;
    let mut numbers = rest
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version("QEMU emulator version 7.2.22 (Debian 1:7.2)\n..."),
            Some((7, 2))
        );
        assert_eq!(version("QEMU emulator version 10.0.0-rc1"), Some((10, 0)));
        assert_eq!(version("something else"), None);
        assert!((7, 1) < OLDEST && (8, 0) > OLDEST);
    }
}
