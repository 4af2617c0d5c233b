//! `cargo xtask disk`: looks into disk images, and puts files there.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use tessera_files::volume::FileKind;

use crate::cli::{Disk, DiskAction};
use crate::disk::{DiskImage, create};
use crate::process::{find, run, step};

/// Runs the command.
pub fn disk(options: &Disk) -> Result<ExitCode> {
    match &options.action {
        DiskAction::Create { image, size } => create(image, size.0)?,
        DiskAction::Ls { image, path } => {
            let image = DiskImage::open(image)?;
            for entry in image.list(path)? {
                match entry.kind {
                    FileKind::File => println!("{:>12}  {}", entry.size, entry.name),
                    FileKind::Directory => println!("{:>12}  {}/", "", entry.name),
                }
            }
            image.close()?;
        }
        DiskAction::Put { image, file, path } => {
            let bytes = std::fs::read(file);
            let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
            let mut image = DiskImage::open(image)?;
            image.put(path, &bytes)?;
            image.close()?;
        }
        DiskAction::Get { image, path, file } => {
            let image = DiskImage::open(image)?;
            let bytes = image.get(path)?;
            image.close()?;
            match file {
                Some(file) => std::fs::write(file, bytes)
                    .with_context(|| format!("cannot write {}", file.display()))?,
                None => std::io::stdout().write_all(&bytes)?,
            }
        }
        DiskAction::Check { image } => check(image)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Replays the journal, reads everything, and asks `e2fsck` if it is there.
fn check(path: &Path) -> Result<()> {
    let image = DiskImage::open(path)?;
    let (mut files, mut bytes) = (0, 0);
    let mut open = vec![String::from("/")];
    while let Some(directory) = open.pop() {
        for entry in image.list(&directory)? {
            let path = format!("{directory}{}", entry.name);
            match entry.kind {
                FileKind::File => {
                    bytes += image.get(&path)?.len();
                    files += 1;
                }
                FileKind::Directory => open.push(format!("{path}/")),
            }
        }
    }
    image.close()?;
    step("Read", format!("{files} files of {bytes} bytes"));
    let judge = ["e2fsck", "/usr/sbin/e2fsck", "/sbin/e2fsck"];
    match judge.iter().find_map(|program| find(program)) {
        Some(program) => run(Command::new(program).arg("-fn").arg(path)),
        None => {
            step("Skipping", "e2fsck: the package e2fsprogs has it");
            Ok(())
        }
    }
}
