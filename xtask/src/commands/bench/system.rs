//! The system that is measured: built, booted, and what it says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::host::Host;
use super::table::{self, Line};
use crate::arch::Arch;
use crate::commands::build_system;
use crate::disk::{self, DiskImage};
use crate::guest::{Event, Guest};
use crate::image::Parts;
use crate::machine::{Device, Machine, Nic};
use crate::process::step;
use crate::trace::Plugin;
use crate::workspace::{root, target};

/// In its tasks' arguments stands `@cases`.
const SYSTEM: &str = "tests/systems/bench.toml";

/// The same, with a disk.
const DISK_SYSTEM: &str = "tests/systems/bench-disk.toml";

/// Files, in memory and on a disk.
const FILES_SYSTEM: &str = "tests/systems/bench-files.toml";

/// A network.
const NET_SYSTEM: &str = "tests/systems/bench-net.toml";

/// Two devices on a network of their own.
const BUS_SYSTEM: &str = "tests/systems/bench-bus.toml";

/// Bytes of the disk with files.
const FILES_DISK: u64 = 128 << 20;

/// Bytes of a file there, more than the guest's page cache.
const COLD: usize = 16 << 20;

/// Bytes of the disk.
const DISK: u64 = 16 << 20;

/// Each instruction takes a nanosecond, waiting takes no time, and what is random is
/// the same each time.
pub const CLOCK: &[&str] = &[
    "-icount",
    "shift=0,sleep=off",
    "-rtc",
    "clock=vm",
    "-seed",
    "1",
];

/// The same where the machine waits for a device, which takes the time of the host.
pub const WAITING_CLOCK: &[&str] = &[
    "-icount",
    "shift=0,sleep=on",
    "-rtc",
    "clock=vm",
    "-seed",
    "1",
];

/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A system, packed to measure some cases.
#[derive(Debug)]
pub struct System {
    /// What it was made of.
    pub parts: Parts,
    machine: Machine,
    image: PathBuf,
    wanted: String,
}

impl System {
    /// Builds it for these cases, or all of them if there are none.
    pub fn build(arch: Arch, cases: &[&str]) -> Result<Self> {
        Self::build_as(SYSTEM, arch, 1, cases)
    }

    /// Builds the one with a disk for these cases. The disk is an empty file.
    pub fn build_with_disk(arch: Arch, cases: &[&str]) -> Result<Self> {
        let mut system = Self::build_as(DISK_SYSTEM, arch, 1, cases)?;
        let image = system.image.with_extension("disk");
        std::fs::File::create(&image)?.set_len(DISK)?;
        system.add_disk(image);
        Ok(system)
    }

    /// Builds the one with a network, on which the host serves.
    pub(super) fn build_with_host(arch: Arch, cases: &[&str], host: &Host) -> Result<Self> {
        let ports = [("@udp", host.udp), ("@tcp", host.tcp)];
        let ports = ports.map(|(name, port)| (name, port.to_string()));
        let mut system = Self::build_with(NET_SYSTEM, arch, 1, cases, &ports)?;
        system.machine.devices = vec![Device::Entropy, Device::Net(Nic::user())];
        Ok(system)
    }

    /// Builds the one that is two devices, on a network within the machine.
    pub fn build_with_two_nics(arch: Arch, cases: &[&str]) -> Result<Self> {
        let mut system = Self::build_as(BUS_SYSTEM, arch, 1, cases)?;
        let nic = Device::Net(Nic::inside());
        system.machine.devices = vec![Device::Entropy, nic.clone(), nic];
        Ok(system)
    }

    /// Builds the one with files. On its disk is one that the guest has not read yet.
    pub fn build_with_files(arch: Arch, cases: &[&str]) -> Result<Self> {
        let mut system = Self::build_as(FILES_SYSTEM, arch, 1, cases)?;
        let path = system.image.with_extension("disk");
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        disk::create(&path, FILES_DISK)?;
        let mut image = DiskImage::open(&path)?;
        image.put("cold", &vec![1; COLD])?;
        image.close()?;
        system.add_disk(path);
        Ok(system)
    }

    fn add_disk(&mut self, image: PathBuf) {
        self.machine.devices = vec![Device::Disk {
            image,
            read_only: false,
        }];
    }

    /// Builds another system, for a machine with so many cores.
    pub fn build_as(system: &str, arch: Arch, cores: u32, cases: &[&str]) -> Result<Self> {
        Self::build_with(system, arch, cores, cases, &[])
    }

    /// The same with arguments in the places of names.
    fn build_with(
        system: &str,
        arch: Arch,
        cores: u32,
        cases: &[&str],
        named: &[(&str, String)],
    ) -> Result<Self> {
        let parts = build_system(&root().join(system).to_string_lossy(), arch)?;
        let mut page = parts.page().clone();
        let wanted = match cases {
            [] => page.name.clone(),
            _ => cases.join(","),
        };
        for argument in page.tasks.iter_mut().flat_map(|task| &mut task.args) {
            if argument == "@cases" {
                *argument = cases.join(",");
            }
            if let Some((_, value)) = named.iter().find(|(name, _)| name == argument) {
                argument.clone_from(value);
            }
        }
        let image = target().join(format!("tessera/{}-{arch}.bin", page.name));
        parts.write_to(&image, &page)?;
        let machine = Machine::plain(arch, cores, page.ram);
        machine.check(&image, &page)?;
        Ok(Self {
            parts,
            machine,
            image,
            wanted,
        })
    }

    /// Boots it with a clock ([`CLOCK`], or the host's if there are no arguments) and
    /// returns what it measured, once it has ended.
    pub fn run(
        &self,
        program: PathBuf,
        clock: &[&str],
        plugin: Option<&Plugin>,
    ) -> Result<Vec<Line>> {
        let arch = self.machine.arch;
        // To count each instruction takes long.
        let patience = if plugin.is_some() {
            10 * PATIENCE
        } else {
            PATIENCE
        };
        step("Measuring", format!("{} on {arch}", self.wanted));
        let started = Instant::now();
        let mut command = self.machine.qemu(program, &self.image);
        command.args(clock).arg("-no-reboot");
        if let Some(plugin) = plugin {
            plugin.load(&mut command);
        }
        let mut guest = Guest::start(command)?;
        let (mut lines, mut whole) = (Vec::new(), false);
        loop {
            match guest.line(patience) {
                Event::Line(line) => {
                    whole |= line.contains("[bench] done");
                    match table::parse(&line) {
                        Some(Ok(line)) => lines.push(line),
                        Some(Err(reason)) => bail!("{arch}: {reason}"),
                        None => {}
                    }
                }
                Event::End => break,
                Event::Silence => {
                    bail!(
                        "the machine has said nothing for {} s:\n{}",
                        patience.as_secs(),
                        guest.tail()
                    )
                }
            }
        }
        guest.end()?;
        ensure!(
            whole,
            "the machine ended before the last case:\n{}",
            guest.tail()
        );
        step(
            "Finished",
            format!("after {} s", started.elapsed().as_secs()),
        );
        Ok(lines)
    }
}
