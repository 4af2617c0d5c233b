//! Damaged images: `damaged SEED IMAGES`.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use tessera_crash::damaged::Campaign;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let (Some(seed), Some(images), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: damaged SEED IMAGES");
    };
    let (seed, images): (u64, u64) = (seed.context("SEED")?, images.context("IMAGES")?);
    let scratch = std::env::temp_dir().join(format!("tessera-damage-{}", std::process::id()));
    let mut campaign = Campaign::new(&scratch, None)?;
    for seed in seed..seed + images {
        campaign.image(seed);
    }
    for (violation, (count, first)) in &campaign.counts.violations {
        println!("{count} times {violation}; first {first}");
    }
    ensure!(campaign.counts.violations.is_empty(), "violations");
    println!("{}", campaign.counts);
    Ok(())
}
