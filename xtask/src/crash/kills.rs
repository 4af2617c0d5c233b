//! Servers of a disk are killed while it is used, and the shell too.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::{PATIENCE, System, quoted};
use crate::arch::Arch;
use crate::disk::DiskImage;
use crate::guest::{Event, Guest};
use crate::process::{find, run};

/// Whom to kill, by turns: the file server and the block driver, which has less to do.
const VICTIMS: [&str; 3] = ["data", "disk", "data"];

/// So many kills, and then the shell is asked again.
const PAUSE: u64 = 10;

/// What the shell says when it listens.
const PROMPT: &str = "$ ";

/// Kills so many times, and says what was hit.
pub fn kill(arch: Arch, smp: u32, seed: u64, count: u64) -> Result<String> {
    let system = System::build("kills", arch, smp)?;
    let disk = system.disk("disk.img")?;
    let (number, seed) = (count.to_string(), seed.to_string());
    let mut arguments = vec!["kill", &number, &seed];
    arguments.extend(VICTIMS);
    let image = system.pack("kill", "@kill", &arguments)?;
    let device = format!("driver=file,node-name=disk0,filename={}", quoted(&disk));
    let mut guest = Guest::start(system.machine(&image, &device)?)?;
    guest.wait_for(PROMPT, PATIENCE)?;

    let (mut talks, mut done) = (0, false);
    while !done {
        // The shell answers, whatever is killed meanwhile.
        talks += 1;
        guest.send(&format!("echo talk {talks} | wc\r"))?;
        let wanted = format!("1  2  {}", 6 + talks.to_string().len());
        let (mut answered, mut kills) = (false, 0);
        let started = Instant::now();
        while !answered || (kills < PAUSE && !done) {
            ensure!(
                answered || started.elapsed() < PATIENCE,
                "the shell does not answer\n{}",
                guest.tail()
            );
            let line = next(&mut guest)?;
            answered |= line.contains(&wanted);
            kills += u64::from(line.contains("[kill] "));
            done |= line.contains("[kill] done ");
        }
    }
    // All works go on after the last one.
    let mut rounds = 0;
    while rounds < 2 {
        rounds += u64::from(next(&mut guest)?.contains("[work] round "));
    }
    guest.send("run --grant shutdown poweroff\r")?;
    while guest.line(PATIENCE) != Event::End {}
    let ended = guest.end()?.is_some_and(|status| status.success());
    let console = guest.console();
    fs::write(system.file("console"), &console)?;
    ensure!(
        ended && !console.contains("[work] WRONG"),
        "no good end\n{}",
        guest.tail()
    );
    let done = tell(&console, count)?;
    check(&disk)?;
    Ok(format!("killed {done}; the shell answered {talks} times"))
}

/// Prints what was hit how often, and returns the sum.
fn tell(console: &str, count: u64) -> Result<String> {
    let (mut steps, mut done) = (BTreeMap::<&str, u64>::new(), None);
    for line in console.lines() {
        match line
            .split_once("[kill] ")
            .map(|(_, told)| told.split_once(' '))
        {
            Some(Some(("done", told))) => done = Some(told.to_owned()),
            Some(Some((_, step))) => *steps.entry(step).or_default() += 1,
            _ => {}
        }
    }
    let mut steps: Vec<_> = steps.into_iter().collect();
    steps.sort_by_key(|(_, times)| u64::MAX - times);
    for (step, times) in &steps {
        println!("{times:>5} {step}");
    }
    let kills: u64 = steps.iter().map(|(_, times)| times).sum();
    ensure!(kills == count, "{kills} kills were told");
    done.context("the kills were not counted")
}

/// The next line; an error if it is that of a wrong byte.
fn next(guest: &mut Guest) -> Result<String> {
    match guest.line(PATIENCE) {
        Event::Line(line) if line.contains("[work] WRONG") => bail!("{line}"),
        Event::Line(line) => Ok(line),
        Event::End => bail!("the machine ended\n{}", guest.tail()),
        Event::Silence => {
            let why = guest.ask_why();
            bail!("the machine hangs\n{}\n{why}", guest.tail())
        }
    }
}

/// The file system is whole.
fn check(disk: &std::path::Path) -> Result<()> {
    DiskImage::open(disk)?.close()?;
    let judge = ["e2fsck", "/usr/sbin/e2fsck", "/sbin/e2fsck"];
    let judge = judge.iter().find_map(|program| find(program));
    let judge = judge.context("there is no e2fsck, which the package e2fsprogs has")?;
    run(Command::new(judge).arg("-fn").arg(disk))
}
