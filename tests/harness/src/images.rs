//! Builds each system once for each architecture, then packs it for each boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tessera_page::{Page, Virtio};
use tessera_test_cases::disk;
use xtask::arch::Arch;
use xtask::commands::build_system;
use xtask::commands::test::{GUEST_CPU, GUEST_SLOW_PATH};
use xtask::disk::{SMALLEST, create};
use xtask::image::Parts;
use xtask::machine::{Device, Machine, Network, Nic};
use xtask::workspace::target;

use crate::parted;

/// The virtio devices that a page names, in the order in which they count. Their disks
/// are fresh, beside the image.
fn devices(page: &Page, image: &Path) -> Result<Vec<Device>> {
    let named = page.tasks.iter().flat_map(|task| &task.devices);
    let mut named: Vec<_> = named
        .filter_map(|one| Some((one.virtio?, one.index)))
        .collect();
    named.sort();
    // Several network devices are on one Ethernet.
    let nets = named.iter().filter(|(kind, _)| *kind == Virtio::Net);
    let network = match nets.count() {
        0 | 1 => Network::User,
        _ => Network::Inside,
    };
    let make = |(kind, index)| match kind {
        // Who has something to write to it puts it there.
        Virtio::Console => Ok(None),
        Virtio::Block => {
            let path = image.with_extension(format!("disk{index}"));
            if page.tasks.iter().any(|task| task.program == "ext4") {
                let made = match index {
                    0 => ext4(path),
                    _ => parted::disk(path),
                };
                return made.map(Some);
            }
            std::fs::write(&path, disk::contents(index))?;
            Ok(Some(Device::Disk {
                image: path,
                read_only: disk::is_read_only(index),
            }))
        }
        Virtio::Entropy => Ok(Some(Device::Entropy)),
        Virtio::Net => Ok(Some(Device::Net(Nic {
            network: network.clone(),
            ..Nic::user()
        }))),
    };
    let made = named.into_iter().map(make);
    made.filter_map(Result::transpose).collect()
}

/// A disk with an empty file system.
fn ext4(image: PathBuf) -> Result<Device> {
    if image.exists() {
        std::fs::remove_file(&image)?;
    }
    create(&image, SMALLEST)?;
    Ok(Device::Disk {
        image,
        read_only: false,
    })
}

/// What has been built, by architecture and system.
#[derive(Default)]
pub struct Images {
    built: Mutex<BTreeMap<(String, PathBuf), Built>>,
}

/// The parts, or why they could not be built.
type Built = Result<Arc<Parts>, String>;

impl Images {
    /// Packs an image of the system in that page, as `change` wants its page,
    /// and returns it with the machine that it is for.
    pub fn pack(
        &self,
        arch: Arch,
        smp: u32,
        system: &Path,
        name: &str,
        change: impl FnOnce(&mut Page),
    ) -> Result<(Machine, PathBuf)> {
        let parts = self.parts(arch, system)?;
        let mut page = parts.page().clone();
        change(&mut page);
        let cpu = std::env::var(GUEST_CPU).ok();
        let mut machine = Machine::plain(arch, smp, page.ram).with_cpu(cpu.as_deref());
        machine.slow_path = std::env::var_os(GUEST_SLOW_PATH).is_some();
        let path = target().join("tessera/tests").join(format!("{name}.bin"));
        parts.write_to(&path, &page)?;
        machine.check(&path, &page)?;
        machine.devices = devices(&page, &path)?;
        Ok((machine, path))
    }

    /// Builds while others wait: cargo would make them wait anyway.
    fn parts(&self, arch: Arch, system: &Path) -> Result<Arc<Parts>> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (arch.name().to_string(), system.to_path_buf());
        let parts = built.entry(key).or_insert_with(|| {
            build_system(&system.to_string_lossy(), arch)
                .map(Arc::new)
                .map_err(|error| format!("{error:#}"))
        });
        parts.clone().map_err(anyhow::Error::msg)
    }
}
