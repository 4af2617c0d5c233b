//! Brings what xtask needs to the machine it runs on: Rust targets and QEMU.

pub mod packages;
pub mod qemu;
pub mod targets;

use std::io::{IsTerminal, Write, stderr, stdin};

use anyhow::Result;

/// Whether something may be installed: at once with `--yes` or in CI, after
/// asking if a person is at the terminal, otherwise not.
pub fn may_install(yes: bool, what: &str) -> Result<bool> {
    if yes || std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") {
        return Ok(true);
    }
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Ok(false);
    }
    eprint!("{what}. Install it now? [Y/n] ");
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
