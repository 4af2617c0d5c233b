//! Sessions in a guest. `recorded cut BASE LOG SEED SPREAD FOLDER SHARE` cuts the log of
//! a disk, and keeps one of so many images with what it shows; `recorded left BASE DISK
//! SEED CONSOLE` looks at a disk that failed. `cargo xtask crash` starts it.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, anyhow, bail};
use std::{
    fmt::Write,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};
use tessera_crash::{
    campaign::Campaign,
    client::{Shown, shown},
    disk::{Image, SimulatedDisk},
    recorded::{FIRST, account, image, inside, later, parse, partition, told},
    workload::{contents, mount},
};
use tessera_disk::SECTOR;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let scratch = std::env::temp_dir().join(format!("tessera-recorded-{}", std::process::id()));
    match arguments[..] {
        ["cut", base, log, seed, spread, folder, share] => {
            let disk = fs::read(base)?;
            let base = image(partition(&disk)?)?;
            let steps = inside(parse(&fs::read(log)?)?)?;
            let (seed, spread, share) = (seed.parse()?, spread.parse()?, share.parse::<u64>()?);
            let (history, steps) = account(steps, base.sectors() - 1, seed)?;
            let mut campaign = Campaign::on(base, &scratch, None)?;
            let writes = steps
                .iter()
                .filter(|step| matches!(step, tessera_crash::disk::Step::Write(..)));
            println!(
                "{} writes and {} flushes in the log",
                writes.clone().count(),
                steps.len() - writes.count()
            );
            campaign.log(
                &history,
                &steps,
                spread,
                seed,
                &mut |number, image| match number % share {
                    0 => keep(Path::new(folder), number, &disk[..SECTOR], image),
                    _ => Ok(()),
                },
            )?;
            println!("{}", campaign.counts);
        }
        ["left", base, disk, seed, console] => {
            let base = image(partition(&fs::read(base)?)?)?;
            let disk = later(&base, partition(&fs::read(disk)?)?)?;
            let mut campaign = Campaign::on(base, &scratch, None)?;
            let history = told(&fs::read_to_string(console)?, seed.parse()?)?;
            campaign.left(&history, &disk)?;
        }
        _ => bail!("usage: recorded cut|left ..."),
    }
    Ok(())
}

/// Writes an image to a file, behind a table, and what it shows to another.
fn keep(folder: &Path, number: u64, table: &[u8], image: &Image) -> Result<()> {
    let path = folder.join(format!("{number}.img"));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    file.set_len((FIRST + image.sectors()) * SECTOR as u64)?;
    file.write_all_at(table, 0)?;
    for (number, sector) in image.all() {
        file.write_all_at(sector, (FIRST + number) * SECTOR as u64)?;
    }
    let volume = mount(&SimulatedDisk::new(image.clone())).map_err(|error| anyhow!("{error}"))?;
    let mut text = String::new();
    for (path, shown) in shown(&contents(&volume).map_err(|error| anyhow!("{error}"))?) {
        match shown {
            Shown::Directory => writeln!(text, "{path}/")?,
            Shown::File(sum) => writeln!(text, "{path} {sum}")?,
        }
    }
    Ok(fs::write(folder.join(format!("{number}.txt")), text)?)
}
