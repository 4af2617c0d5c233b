//! `cargo xtask fuzz boots`: boots the smallest system again and again, from
//! reset to its end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::build_system;
use crate::cli::FuzzBoots;
use crate::guest::Guest;
use crate::machine::Machine;
use crate::process::step;
use crate::setup::qemu;

/// The system.
const SYSTEM: &str = "tiny";
/// What its shell says when it listens.
const PROMPT: &str = "$ ";
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command: all boots, then an error if any did not end well.
pub fn boots(options: &FuzzBoots) -> Result<()> {
    let (arch, count) = (options.machine.arch, options.count);
    let qemu = qemu::ensure(arch, options.setup.yes)?;
    let parts = build_system(SYSTEM, arch)?;
    let machine = Machine::new(&options.machine, parts.page().ram);
    let image = parts.write()?;
    machine.check(&image, parts.page())?;
    step("Booting", format!("`{SYSTEM}` {count} times on {arch}"));
    let mut failed = 0;
    for number in 1..=count {
        if let Err(error) = boot(&machine, &qemu, &image) {
            failed += 1;
            println!("boot {number}: {error:#}");
        }
        if number % 100 == 0 {
            println!("{number} boots, {failed} failed");
        }
    }
    ensure!(failed == 0, "{failed} of {count} boots did not end well");
    println!("{count} boots, all ended well");
    Ok(())
}

/// From reset to the prompt, and off.
fn boot(machine: &Machine, qemu: &Path, image: &Path) -> Result<()> {
    let mut command = machine.qemu(qemu.to_path_buf(), image);
    command.arg("-no-reboot");
    let mut guest = Guest::start(command)?;
    guest.wait_for(PROMPT, PATIENCE)?;
    guest.send("poweroff\r")?;
    let status = guest.end()?;
    ensure!(
        status.is_some_and(|status| status.success()),
        "the machine does not end well\n{}",
        guest.tail()
    );
    Ok(())
}
