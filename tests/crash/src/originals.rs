//! File systems that are whole, to be damaged.

use crate::{
    disk::{Image, SimulatedDisk},
    random::Random,
    workload::{Session, change, contents, mount, no_accounts},
};
use anyhow::{Context, Result, anyhow, ensure};
use std::{collections::BTreeMap, fs, path::Path, process::Command, rc::Rc};
use tessera_disk::SECTOR;
use tessera_ext4::mounted::{Time, format};
use tessera_files::volume::Volume;

use crate::history::Found;

/// Sectors of each: what the smallest journal leaves is little.
const SECTORS: u64 = 48 << 10;

/// A file system, and what is in it.
pub struct Original {
    /// What it is good for.
    pub name: &'static str,
    /// The disk.
    pub image: Image,
    /// All that can be read from it.
    pub contents: BTreeMap<String, Found>,
}

impl Original {
    fn new(name: &'static str, image: Image) -> Result<Self> {
        let image = image.into_base();
        let volume = mount(&SimulatedDisk::new(image.clone()));
        let volume = volume.map_err(|error| anyhow!("{name} cannot be mounted: {error}"))?;
        let contents = contents(&volume);
        Ok(Original {
            name,
            image,
            contents: contents.map_err(|error| anyhow!("{name} cannot be read: {error}"))?,
        })
    }
}

/// All of them. `scratch` is a folder that is not there, for `mke2fs` to work in.
pub fn originals(scratch: &Path) -> Result<Vec<Original>> {
    Ok(vec![
        at_rest()?,
        cut_off()?,
        large()?,
        foreign(
            "1 KiB blocks, by mke2fs",
            scratch,
            &["-t", "ext4", "-b", "1024"],
        )?,
        foreign(
            "no checksums, by mke2fs",
            scratch,
            &["-t", "ext4", "-O", "^metadata_csum,^64bit"],
        )?,
        foreign(
            "no extents, by mke2fs",
            scratch,
            &["-t", "ext3", "-b", "1024"],
        )?,
    ])
}

fn empty() -> Result<SimulatedDisk> {
    let mut disk = SimulatedDisk::new(Image::new(SECTORS));
    format(&mut disk, Time::default()).map_err(|error| anyhow!("cannot format: {error}"))?;
    Ok(disk)
}

/// What a workload leaves, its journal empty.
fn at_rest() -> Result<Original> {
    let disk = cut_off()?.image;
    let disk = SimulatedDisk::new(disk);
    let mut volume = mount(&disk).map_err(|error| anyhow!("{error}"))?;
    volume.rest().map_err(|error| anyhow!("{error}"))?;
    Original::new("at rest", disk.image())
}

/// What a workload leaves that is cut off with much in its journal.
fn cut_off() -> Result<Original> {
    let disk = empty()?;
    let mut random = Random::new(5);
    Session::new(&disk, None)?.run(120, &mut random)?;
    Original::new("cut off", disk.image())
}

/// A directory with an index, and a file in more pieces than an inode can name.
fn large() -> Result<Original> {
    let disk = empty()?;
    let mut volume = mount(&disk).map_err(|error| anyhow!("{error}"))?;
    let mut accounts = no_accounts();
    let root = volume.root();
    let mut build = || {
        let many = volume.create_directory(root, "many", change(&mut accounts))?;
        for number in 0..400 {
            let name = format!("a-name-that-takes-some-room-{number:05}");
            volume.create_file(many, &name, change(&mut accounts))?;
        }
        for name in ["pieces", "others"] {
            volume.create_file(root, name, change(&mut accounts))?;
        }
        for page in 0..500_u64 {
            let name = if page % 2 == 0 { "pieces" } else { "others" };
            let file = volume.lookup(root, name)?;
            // Every other page, so that no extent is continued.
            let position = page * 4096;
            let mut inlet = |_: u64, into: &mut [u8]| {
                into.fill(page as u8 | 1);
                Ok(())
            };
            volume.write(file, position, 4096, &mut inlet, change(&mut accounts))?;
            volume.sync(file)?;
        }
        volume.rest()
    };
    build().map_err(|error: libipc::interfaces::FileError| anyhow!("large: {error}"))?;
    Original::new("large", disk.image())
}

/// A file system that this code did not make.
fn foreign(name: &'static str, scratch: &Path, options: &[&str]) -> Result<Original> {
    let files = scratch.join("files");
    fs::create_dir_all(files.join("deep/deeper"))?;
    for (index, path) in ["one", "deep/two", "deep/deeper/three"].iter().enumerate() {
        fs::write(
            files.join(path),
            vec![b'a' + index as u8; 9000 << (2 * index)],
        )?;
    }
    for number in 0..60 {
        fs::write(files.join(format!("deep/a-longer-name-{number}")), [number])?;
    }
    let path = scratch.join("image");
    let file = fs::File::create(&path)?;
    file.set_len(SECTORS * SECTOR as u64)?;
    let mut made = Err(std::io::ErrorKind::NotFound.into());
    for program in ["mke2fs", "/usr/sbin/mke2fs", "/sbin/mke2fs"] {
        // The same image each time, but for the times of its files.
        made = Command::new(program)
            .args([
                "-q",
                "-F",
                "-E",
                "hash_seed=5a5a5a5a-0000-0000-0000-000000000000",
            ])
            .args(["-U", "5a5a5a5a-0000-0000-0000-000000000000", "-J", "size=4"])
            .args(options)
            .arg("-d")
            .args([&files, &path])
            .output();
        if made.is_ok() {
            break;
        }
    }
    let made = made.context("cannot run mke2fs, which the package e2fsprogs has")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "mke2fs: {said}");
    let bytes = fs::read(&path)?;
    fs::remove_dir_all(scratch)?;
    let mut image = Image::new(SECTORS);
    for (number, sector) in (0..).zip(bytes.chunks_exact(SECTOR)) {
        image.write(number, &Rc::new(sector.try_into()?));
    }
    Original::new(name, image)
}
