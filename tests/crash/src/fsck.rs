//! `e2fsck`, which knows nothing of this file system's code.

use crate::disk::{Image, Sector};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tessera_disk::SECTOR;

/// Asks `e2fsck` about images, by a file that is changed as little as can be.
pub struct Judge {
    path: PathBuf,
    file: File,
    /// What differs from the base in the file.
    written: Vec<u64>,
    base: BTreeMap<u64, Sector>,
    /// How often it was asked.
    pub asked: u64,
}

impl Judge {
    /// Keeps its file at `path`, with `base` in it.
    pub fn new(path: &Path, base: &Image) -> Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(base.sectors() * SECTOR as u64)?;
        let base: BTreeMap<u64, Sector> = base.all().map(|(n, sector)| (n, *sector)).collect();
        for (number, sector) in &base {
            file.write_all_at(sector, number * SECTOR as u64)?;
        }
        Ok(Judge {
            path: path.into(),
            file,
            written: Vec::new(),
            base,
            asked: 0,
        })
    }

    /// Whether the file system in the image is clean and whole, as it is.
    pub fn check(&mut self, image: &Image) -> Result<()> {
        self.put(image)?;
        let output = self.run(&["-fn"])?;
        if output.status.code() == Some(0) {
            return Ok(());
        }
        bail!("e2fsck -fn: {}", told(&output));
    }

    /// Whether it is, after `e2fsck` and not we replayed its journal.
    pub fn replay(&mut self, image: &Image) -> Result<()> {
        self.put(image)?;
        let replayed = self.run(&["-y", "-E", "journal_only"])?;
        let checked = self.run(&["-fn"])?;
        // What e2fsck wrote is not known.
        self.restore()?;
        if checked.status.code() == Some(0) {
            return Ok(());
        }
        bail!("replayed by e2fsck: {}{}", told(&replayed), told(&checked));
    }

    fn run(&mut self, arguments: &[&str]) -> Result<Output> {
        self.asked += 1;
        // Administrators have it in their path, others may not.
        let mut output = Err(std::io::ErrorKind::NotFound.into());
        for program in ["e2fsck", "/usr/sbin/e2fsck", "/sbin/e2fsck"] {
            let mut command = Command::new(program);
            output = command.args(arguments).arg(&self.path).output();
            if output.is_ok() {
                break;
            }
        }
        output.context("cannot run e2fsck, which the package e2fsprogs has")
    }

    fn put(&mut self, image: &Image) -> Result<()> {
        for number in std::mem::take(&mut self.written) {
            let sector = self.base.get(&number).unwrap_or(&[0; SECTOR]);
            self.file.write_all_at(sector, number * SECTOR as u64)?;
        }
        for (number, sector) in image.changed() {
            self.file.write_all_at(sector, number * SECTOR as u64)?;
            self.written.push(number);
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<()> {
        let length = self.file.metadata()?.len();
        self.file.set_len(0)?;
        self.file.set_len(length)?;
        for (number, sector) in &self.base {
            self.file.write_all_at(sector, number * SECTOR as u64)?;
        }
        self.written.clear();
        Ok(())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        // A scratch file that stays is no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().chain(errors.lines());
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
