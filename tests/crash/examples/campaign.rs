//! A campaign: `campaign SEED IMAGES`. `cargo xtask crash` starts it.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};
use tessera_crash::campaign::Campaign;

/// One of so many requests of a workload is made to fail.
const SHARE: u64 = 16;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let (Some(seed), Some(images), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: campaign SEED IMAGES");
    };
    let (mut seed, images): (u64, u64) = (seed.context("SEED")?, images.context("IMAGES")?);
    let scratch = std::env::temp_dir().join(format!("tessera-crash-{}", std::process::id()));
    let mut campaign = Campaign::new(&scratch, None)?;
    let started = Instant::now();
    let mut shown = started;
    while campaign.counts.images < images {
        campaign.workload(seed)?;
        campaign.failure(seed, SHARE)?;
        seed += 1;
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            println!("{}", campaign.counts);
        }
    }
    println!("no violation in {} s", started.elapsed().as_secs());
    println!("{}", campaign.counts);
    Ok(())
}
