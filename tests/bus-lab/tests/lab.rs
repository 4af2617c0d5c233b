//! A short campaign: the long one is `cargo xtask bus-lab`.

#![forbid(unsafe_code)]

use clap::Parser;
use tessera_bus_lab::{Options, Report, run};

fn lab(options: &str) -> Report {
    let options = Options::parse_from(["bus-lab"].into_iter().chain(options.split(' ')));
    run(&options, |_| {})
}

fn holds(options: &str) {
    let report = lab(options);
    assert!(report.is_good(), "{report}");
}

#[test]
fn equal_seeds_make_equal_events() {
    let [one, same, other] = [7, 7, 8].map(|seed| lab(&format!("--nodes 6 --seed {seed}")).digest);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn ten_devices_keep_every_invariant() {
    holds("--nodes 10 --seeds 24");
}

#[test]
fn many_devices_keep_every_invariant() {
    holds("--nodes 60 --minutes 4 --seeds 3 --calls 60 --crashes 60");
}

#[test]
fn real_cryptography_changes_nothing() {
    let options = "--nodes 6 --minutes 2 --seeds 4 --calls 30";
    let report = lab(&format!("{options} --real-crypto"));
    assert!(report.truth.broken.is_empty(), "{report}");
    assert!(report.truth.occasions.len() > 15, "{report}");
}

/// Nobody is lost where nothing is lost, and nobody takes longer than a second, whoever
/// starts again meanwhile, but for one in a hundred of those that came together with many
/// others.
#[test]
fn without_disturbance_everybody_is_listed_in_a_second() {
    let all = [(2, 20, 0, 0), (2, 10, 20, 0), (8, 10, 0, 0), (8, 10, 20, 0)];
    let many = [(32, 10, 0, 1), (32, 5, 20, 1)];
    for (nodes, seeds, crashes, most) in all.into_iter().chain(many) {
        let report = lab(&format!(
            "--nodes {nodes} --seeds {seeds} --loss 0% --minutes 1 --partitions 0 \
             --crashes {crashes} --peaceful"
        ));
        let truth = &report.truth;
        assert!(truth.broken.is_empty(), "{report}");
        assert!(!truth.listed.is_empty() && truth.unlisted == 0, "{report}");
        let late = truth.listed.iter().filter(|time| **time > 1_000).count();
        assert!(100 * late <= most * truth.listed.len(), "{report}");
        assert_eq!(truth.false_losses, 0, "{report}");
    }
}
