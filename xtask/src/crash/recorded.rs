//! The log of a disk under a session, cut at every write.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{System, hold, judge, quoted};
use crate::arch::Arch;
use crate::process::output;

/// Operations of a session.
const OPERATIONS: u64 = 100;

/// Torn images for each write, besides the whole ones.
const SPREAD: u64 = 1;

/// Holds sessions until their logs have so many writes and flushes; `remounts` of the
/// images are mounted by a guest as well. Says how many there were.
pub fn cut(arch: Arch, seed: u64, cuts: u64, remounts: u64) -> Result<String> {
    let (system, judge) = (System::build("crash", arch, 1)?, judge()?);
    let share = (cuts * (1 + SPREAD) / remounts.max(1)).max(1);
    let (mut done, mut mounted, mut next) = (0, 0, seed);
    while done < cuts {
        let base = system.parted("base.img")?;
        let (disk, log) = (system.file("disk.img"), system.file("log"));
        fs::copy(&base, &disk)?;
        fs::write(&log, [])?;
        let count = OPERATIONS.to_string();
        let arguments = ["play", &next.to_string(), &count, "marks"];
        let image = system.pack("play", "@session", &arguments)?;
        let device = format!(
            "driver=blklogwrites,node-name=disk0,log-sector-size=512,\
             file.driver=file,file.filename={},log.driver=file,log.filename={}",
            quoted(&disk),
            quoted(&log)
        );
        hold(system.machine(&image, &device)?).with_context(|| format!("seed {next}"))?;

        let kept = system.file("kept");
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        let said = output(
            Command::new(&judge)
                .arg("cut")
                .args([&base, &log])
                .args([&next.to_string(), &SPREAD.to_string()])
                .arg(&kept)
                .arg(share.to_string()),
        )?;
        print!("{said}");
        let entries = said.split_once(" in the log").map(|(entries, _)| entries);
        let entries = entries.context("the log was not counted")?;
        let numbers = entries
            .split(' ')
            .filter_map(|word| word.parse::<u64>().ok());
        done += numbers.sum::<u64>();
        if mounted < remounts {
            mounted += remount(&system, &kept)?;
        }
        next += 1;
    }
    Ok(format!(
        "cut {done} times in {} sessions, {mounted} images mounted by the guest",
        next - seed
    ))
}

/// Lets the guest show the images that were kept: it must see what we see.
fn remount(system: &System, kept: &Path) -> Result<u64> {
    let image = system.pack("show", "@session", &["show"])?;
    let mut count = 0;
    for file in fs::read_dir(kept)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "img") {
            continue;
        }
        let device = format!("driver=file,node-name=disk0,filename={}", quoted(&path));
        let console = hold(system.machine(&image, &device)?)?;
        let lines = console.lines();
        let shown = lines.filter_map(|line| Some(line.split_once("[session] shows ")?.1));
        let mut shown: Vec<&str> = shown.map(str::trim_end).collect();
        shown.sort_unstable();
        let expected = fs::read_to_string(path.with_extension("txt"))?;
        let mut expected: Vec<&str> = expected.lines().collect();
        expected.sort_unstable();
        ensure!(
            shown == expected,
            "{} shows\n{}\nand not\n{}",
            path.display(),
            shown.join("\n"),
            expected.join("\n")
        );
        count += 1;
    }
    Ok(count)
}
