//! What is executed while marks in the guest are open: how often each instruction,
//! and on the way to what.
//!
//! 1. [`Plugin`]: QEMU counts, with a plugin that is built for it.
//! 2. [`log`]: what that wrote down.
//! 3. [`code`]: functions and text of an ELF file; [`place`] finds out which file
//!    the memory under an instruction was loaded from.
//! 4. [`report`]: tables by stage, by symbol and by instruction.

pub mod code;
pub mod log;
pub mod place;
pub mod report;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::image::build::Built;
use crate::workspace::target;
use code::Code;
use log::Log;
use place::Places;
use report::Trace;

/// QEMU's plugin, ready to count instructions.
#[derive(Debug)]
pub struct Plugin {
    library: PathBuf,
    file: PathBuf,
    /// The kernel's code that saves and restores registers.
    rim: std::ops::Range<u64>,
    /// The programs, and the kernel under this name.
    code: Vec<Code>,
    /// Whether it counts from reset on, not between marks.
    from_reset: bool,
}

/// What the kernel is called among the programs.
pub const KERNEL: &str = "kernel";

impl Plugin {
    /// Builds it, for these programs.
    pub fn new(arch: Arch, built: &Built, from_reset: bool) -> Result<Self> {
        let kernel = Code::read(KERNEL, &built.kernel)?;
        let rim = kernel
            .rim()
            .context("the kernel has no traps by the names of `trap.S`")?;
        let mut code = vec![kernel];
        for (name, elf) in &built.programs {
            code.push(Code::read(name, elf).with_context(|| format!("program `{name}`"))?);
        }
        let plugin = Self {
            library: crate::plugin::build("instructions")?,
            file: target().join(format!("tessera/trace-{arch}.txt")),
            rim,
            code,
            from_reset,
        };
        std::fs::write(&plugin.file, "")?;
        Ok(plugin)
    }

    /// Has QEMU load it.
    pub fn load(&self, qemu: &mut Command) {
        let (library, file) = (self.library.display(), self.file.display());
        let (from, to) = (self.rim.start, self.rim.end);
        let reset = if self.from_reset { ",from=reset" } else { "" };
        qemu.arg("-plugin");
        qemu.arg(format!("{library},trace={file},rim={from:x}-{to:x}{reset}"));
    }

    /// What was counted, once QEMU has ended.
    pub fn counted(&self) -> Result<Trace> {
        let text = std::fs::read_to_string(&self.file).context("the plugin's counts")?;
        let log = Log::read(&text)?;
        let places = Places::find(&log, &self.code);
        Ok(Trace::new(&log, &places, &self.code))
    }
}
