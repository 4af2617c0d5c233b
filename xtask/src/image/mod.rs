//! From a checked page to one bootable image.
//!
//! 1. [`build`]: cargo builds the kernel and the programs.
//! 2. [`flatten`]: the kernel's ELF becomes what QEMU loads byte by byte.
//! 3. [`strip`]: a program's ELF loses what only debuggers read.
//! 4. [`symbols`], [`interfaces`]: names for backtraces and labels.
//! 5. [`price`]: what each task costs.
//!
//! The archive follows the kernel on the next page boundary.

pub mod build;
pub mod flatten;
pub mod interfaces;
pub mod price;
pub mod strip;
pub mod symbols;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tessera_archive::{INTERFACES, Kind, Writer};
use tessera_page::Page;

use crate::arch::Arch;
use crate::page::CheckedPage;
use crate::process::step;
use crate::workspace::{Programs, root, shown, target};
use build::Built;

/// All parts of an image, built.
#[derive(Debug)]
pub struct Parts {
    /// For which architecture.
    pub arch: Arch,
    page: CheckedPage,
    built: Built,
    interfaces: String,
}

impl Parts {
    /// Has cargo build the kernel and every program of `page`.
    pub fn build(arch: Arch, page: CheckedPage, programs: &Programs) -> Result<Self> {
        let built = build::build(arch, &page, programs)?;
        let interfaces = interfaces::table(root(), &programs.outside_folders())?;
        Ok(Self {
            arch,
            page,
            built,
            interfaces,
        })
    }

    /// The page as written.
    pub fn page(&self) -> &Page {
        &self.page.page
    }

    /// The kernel and the programs.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// Packs the image with `page`, which may differ from the written one in
    /// its tasks' arguments.
    pub fn pack(&self, page: &Page) -> Result<Vec<u8>> {
        let mut image = flatten::flatten(&self.built.kernel)
            .with_context(|| format!("the kernel {}", shown(&self.built.kernel_path)))?;
        image.extend(self.archive(page)?);
        flatten::set_image_size(self.arch, &mut image);
        Ok(image)
    }

    /// Packs the image as the page is written and puts it where QEMU finds it.
    pub fn write(&self) -> Result<PathBuf> {
        let path = target().join(format!("tessera/{}-{}.bin", self.page.page.name, self.arch));
        self.write_to(&path, &self.page.page)?;
        Ok(path)
    }

    /// Packs the image with `page` into the file at `path`.
    pub fn write_to(&self, path: &Path, page: &Page) -> Result<()> {
        let image = self.pack(page)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &image).with_context(|| format!("cannot write {}", path.display()))?;
        step(
            "Packed",
            format!("{} ({} KiB)", shown(path), image.len() / 1024),
        );
        Ok(())
    }

    fn archive(&self, page: &Page) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        writer.add(Kind::Page, tessera_page::ENTRY, tessera_page::encode(page))?;
        writer.add(
            Kind::Interfaces,
            INTERFACES,
            self.interfaces.clone().into_bytes(),
        )?;
        writer.add(Kind::Symbols, "kernel", symbols::table(&self.built.kernel)?)?;
        for (name, elf) in &self.built.programs {
            let stripped = strip::strip(elf).with_context(|| format!("program `{name}`"))?;
            writer.add(Kind::Program, name, stripped)?;
            writer.add(Kind::Symbols, name, symbols::table(elf)?)?;
        }
        for (name, path) in &self.page.files {
            let data =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            writer.add(Kind::File, name, data)?;
        }
        Ok(writer.finish())
    }
}
