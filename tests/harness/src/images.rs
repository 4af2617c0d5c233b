//! Builds each system once for each architecture, then packs it for each boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tessera_page::Page;
use xtask::arch::Arch;
use xtask::commands::build_system;
use xtask::commands::test::{GUEST_CPU, GUEST_SLOW_PATH};
use xtask::image::Parts;
use xtask::machine::Machine;
use xtask::workspace::target;

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
        machine.check_fit(std::fs::metadata(&path)?.len())?;
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
