//! `bus-fuzz`, which `cargo xtask fuzz bus` starts.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tessera_bus_fuzz::campaign::run;

/// Feeds the parsers of the soft bus what no peer should send.
#[derive(Debug, Parser)]
struct Options {
    /// Executions in all
    executions: u64,
    /// Seed of the inputs
    seed: u64,
    /// Only this target
    target: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let started = Instant::now();
    let mut shown = started;
    let only = options.target.as_deref();
    let counts = run(
        options.executions,
        options.seed,
        only,
        |target, executions| {
            if shown.elapsed() > Duration::from_secs(10) {
                shown = Instant::now();
                eprintln!("{target}: {executions} executions");
            }
        },
    );
    match counts {
        Ok(counts) => {
            println!("{counts}");
            eprintln!("in {} s", started.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(found) => {
            println!("{found}");
            ExitCode::FAILURE
        }
    }
}
