//! Crashes of whole machines: a guest's disk is cut off or fails, or its servers are
//! killed. What is left is judged by the programs of `tests/crash`.
//!
//! [`recorded`] cuts the log of a disk, [`failures`] lets requests fail, [`kills`]
//! kills servers.

pub mod failures;
pub mod kills;
pub mod recorded;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tessera_disk::SECTOR;

use crate::arch::Arch;
use crate::commands::build_system;
use crate::disk::{SMALLEST, create, mbr};
use crate::guest::{Event, Guest};
use crate::image::Parts;
use crate::machine::Machine;
use crate::process::{cargo, run};
use crate::setup::qemu;
use crate::workspace::{root, target};

/// The first sector of the partition, which `tests/crash` knows too, and the type of its
/// kind.
const FIRST: u64 = 8;
const LINUX: u8 = 0x83;
/// Bytes of the page behind it.
const PAGE: usize = 4096;

/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A system that sessions run in.
struct System {
    arch: Arch,
    smp: u32,
    parts: Parts,
    qemu: PathBuf,
    /// Where its files are.
    folder: PathBuf,
}

impl System {
    /// Builds the system of that page.
    fn build(name: &str, arch: Arch, smp: u32) -> Result<Self> {
        let page = root().join(format!("tests/systems/{name}.toml"));
        let folder = target().join(format!("tessera/crash/{name}-{arch}"));
        fs::create_dir_all(&folder)?;
        Ok(System {
            arch,
            smp,
            parts: build_system(&page.to_string_lossy(), arch)?,
            qemu: qemu::ensure(arch, false)?,
            folder,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Packs an image in whose page these arguments stand for `place`.
    fn pack(&self, name: &str, place: &str, arguments: &[&str]) -> Result<PathBuf> {
        let mut page = self.parts.page().clone();
        for task in &mut page.tasks {
            if let Some(at) = task.args.iter().position(|argument| argument == place) {
                let arguments = arguments.iter().map(ToString::to_string);
                task.args.splice(at..=at, arguments);
            }
        }
        let image = self.file(&format!("{name}.bin"));
        self.parts.write_to(&image, &page)?;
        Ok(image)
    }

    /// An empty file system.
    fn disk(&self, name: &str) -> Result<PathBuf> {
        let path = self.file(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        create(&path, SMALLEST)?;
        Ok(path)
    }

    /// A disk with that in its only partition, and behind it a page for marks, which is
    /// nobody's.
    fn parted(&self, name: &str) -> Result<PathBuf> {
        let inner = fs::read(self.disk("inner.img")?)?;
        let path = self.file(name);
        let sectors = SMALLEST / SECTOR as u64;
        let mut bytes = mbr(&[(FIRST, sectors, LINUX)]).to_vec();
        bytes.resize(FIRST as usize * SECTOR, 0);
        bytes.extend(inner);
        bytes.extend([0; PAGE]);
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// QEMU with a disk that is this block device.
    fn machine(&self, image: &Path, device: &str) -> Result<Command> {
        let machine = Machine::plain(self.arch, self.smp, self.parts.page().ram);
        machine.check(image, self.parts.page())?;
        let mut command = machine.qemu(self.qemu.clone(), image);
        let bus = self.arch.virtio_bus(0).unwrap_or(0);
        command
            .arg("-no-reboot")
            .args(["-blockdev", device])
            .arg("-device")
            .arg(format!(
                "virtio-blk-device,drive=disk0,bus=virtio-mmio-bus.{bus}"
            ));
        Ok(command)
    }
}

/// A path as QEMU takes it in the middle of an option.
fn quoted(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// Runs a session to its good end and returns what it said.
fn hold(command: Command) -> Result<String> {
    let mut guest = Guest::start(command)?;
    // Others say something even if it hangs.
    let mut said = Instant::now();
    loop {
        match guest.line(PATIENCE.saturating_sub(said.elapsed())) {
            Event::Line(line) if line.contains("[session] ") => said = Instant::now(),
            Event::Line(_) => {}
            Event::End => break,
            Event::Silence => {
                let why = guest.ask_why();
                bail!("the machine hangs\n{}\n{why}", guest.tail());
            }
        }
    }
    let ended = guest.end()?.is_some_and(|status| status.success());
    let console = guest.console();
    ensure!(
        ended && console.contains("[session] done"),
        "the session does not end well\n{}",
        guest.tail()
    );
    Ok(console)
}

/// Builds the program that judges sessions, optimized.
fn judge() -> Result<PathBuf> {
    run(cargo()
        .current_dir(root())
        .args(["build", "--quiet", "--profile", "crash"])
        .args(["--package", "tessera-crash", "--example", "recorded"]))?;
    Ok(target().join("crash/examples/recorded"))
}
