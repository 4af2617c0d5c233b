//! `bus-lab`, which `cargo xtask bus-lab` starts.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tessera_bus_lab::{Options, run};

fn main() -> ExitCode {
    let options = Options::parse();
    let mut shown = Duration::ZERO;
    let report = run(&options, |report| {
        if report.took() - shown > Duration::from_secs(10) {
            shown = report.took();
            let broken = report.truth.broken.len();
            eprintln!(
                "{} of {} simulations, {} events, {broken} broken",
                report.seeds, options.seeds, report.truth.steps
            );
        }
    });
    print!("{report}");
    eprintln!("in {:.1} s", report.took().as_secs_f64());
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
