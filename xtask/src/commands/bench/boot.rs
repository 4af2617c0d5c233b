//! From reset to the first answer: the default system, whose shell runs a script
//! instead of reading from the console.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tessera_page::Virtio;

use super::table::Line;
use crate::arch::Arch;
use crate::guest::{Event, Guest};
use crate::image::Parts;
use crate::machine::{Device, Machine};
use crate::process::step;
use crate::trace::Plugin;
use crate::workspace::{Programs, root, target};
use crate::{page, setup};

/// The system that people get.
const SYSTEM: &str = "standard";
/// The shell's script, and what it is called in the archive.
const SCRIPT: (&str, &str) = ("tests/systems/files/boot", "boot");
/// The program of the script that tells how long the machine was busy.
const CLOCK: &str = "bench-clock";
/// RAM of the machine.
const MEMORY: u64 = 128 << 20;
/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The system, packed.
#[derive(Debug)]
pub struct Boot {
    /// What it was made of.
    pub parts: Parts,
    machine: Machine,
    image: PathBuf,
}

impl Boot {
    /// Builds the default system, with the script and its clock in the archive.
    pub fn build(arch: Arch) -> Result<Self> {
        let mut programs = Programs::of_workspace()?;
        let mut system = page::load(&page::find(SYSTEM)?, &mut programs)?;
        setup::targets::ensure(&[arch])?;
        system.programs.push(CLOCK.into());
        system.page.programs.push(CLOCK.into());
        let (file, name) = SCRIPT;
        system.files.insert(name.into(), root().join(file));
        let mut tasks = system.page.tasks.iter_mut();
        let shell = tasks.find(|task| task.name == "shell");
        let shell = shell.with_context(|| format!("`{SYSTEM}` has no shell"))?;
        shell.args.push(format!("/boot/{name}"));
        let parts = Parts::build(arch, system, &programs)?;
        let image = target().join(format!("tessera/bench-boot-{arch}.bin"));
        parts.write_to(&image, parts.page())?;
        let mut machine = Machine::plain(arch, 1, MEMORY);
        if parts.page().names(Virtio::Entropy) {
            machine.devices.push(Device::Entropy);
        }
        Ok(Self {
            parts,
            machine,
            image,
        })
    }

    /// Boots it to its end.
    pub fn run(&self, program: PathBuf, plugin: Option<&Plugin>) -> Result<Line> {
        step("Measuring", format!("boot on {}", self.machine.arch));
        let mut command = self.machine.qemu(program, &self.image);
        command.args(super::system::CLOCK).arg("-no-reboot");
        if let Some(plugin) = plugin {
            plugin.load(&mut command);
        }
        let mut guest = Guest::start(command)?;
        loop {
            match guest.line(PATIENCE) {
                Event::Line(_) => {}
                Event::End => break,
                Event::Silence => {
                    bail!("the machine has said nothing for {} s", PATIENCE.as_secs())
                }
            }
        }
        guest.end()?;
        let console = guest.console();
        // The answer of `ls /` has come over the console before.
        let answered = console.lines().any(|line| line.contains("boot/"));
        ensure!(answered, "`ls /` has not answered:\n{}", guest.tail());
        let busy = clocks(&console).and_then(|clocks| first(&clocks));
        let busy = busy.with_context(|| format!("no clock was told:\n{}", guest.tail()))?;
        Ok(Line {
            case: "boot".into(),
            times: 1,
            nanoseconds: busy,
            traffic: None,
        })
    }
}

/// What the clocks said, all of them.
fn clocks(console: &str) -> Option<Vec<u64>> {
    let said = console
        .lines()
        .filter_map(|line| line.split_once("[clock] "));
    said.map(|(_, number)| number.trim().parse().ok()).collect()
}

/// What the first said, without what it took to start it: as long as the second took.
fn first(clocks: &[u64]) -> Option<u64> {
    match clocks {
        [first, second] => first.checked_sub(second.checked_sub(*first)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_the_clock_is_not_counted() {
        let console = "boot/\n[clock] 1000\n$ [clock] 1010\n";
        assert_eq!(clocks(console).unwrap(), [1000, 1010]);
        assert_eq!(first(&[1000, 1010]), Some(990));
        assert_eq!(first(&[1000]), None);
        assert_eq!(clocks("[clock] x\n"), None);
    }
}
