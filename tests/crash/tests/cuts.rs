//! A short campaign, and one for each bug that must be found.

use std::path::PathBuf;
use tessera_crash::{campaign::Campaign, fault::Fault};

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tessera-crash-{name}-{}", std::process::id()))
}

#[test]
fn nothing_that_was_promised_is_lost() {
    let mut campaign = Campaign::new(&scratch("good"), None).unwrap();
    for seed in 0..3 {
        campaign.workload(seed).unwrap();
        campaign.failure(seed, 64).unwrap();
    }
    println!("{}", campaign.counts);
}

#[test]
fn every_seeded_bug_is_found() {
    const WORKLOADS: u64 = 40;
    for fault in Fault::ALL {
        let mut campaign = Campaign::new(&scratch("fault"), Some(fault)).unwrap();
        let found = (0..WORKLOADS).find_map(|seed| campaign.workload(seed).err());
        let found = found.unwrap_or_else(|| panic!("{fault:?} is not found"));
        println!("{fault:?}: {found:#}, after {}", campaign.counts);
    }
}
