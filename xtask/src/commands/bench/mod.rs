//! `cargo xtask bench`: what things cost, in guest instructions.
//!
//! [`cases`] says what is measured and what the peers take; [`system`] runs it;
//! [`table`] keeps figures and compares them; [`trace`] says where the instructions
//! of one case go.

pub mod cases;
pub mod system;
pub mod table;
pub mod trace;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::arch::Arch;
use crate::cli::Bench;
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::shown;
use cases::{CASES, Case};
use system::System;
use table::Figure;

/// Runs the command.
pub fn bench(options: Bench) -> Result<ExitCode> {
    let archs = options.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]);
    if let Some(name) = &options.trace {
        let case = named(name)?;
        for arch in archs {
            trace::trace(case, arch, options.instructions, options.setup.yes)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<_> = options
        .case
        .iter()
        .map(|name| named(name))
        .collect::<Result<_>>()?;
    let chosen = if chosen.is_empty() {
        CASES.iter().collect()
    } else {
        chosen
    };
    let names: Vec<_> = chosen.iter().map(|case| case.name).collect();
    let mut version = String::new();
    let mut measured = Vec::new();
    for arch in archs {
        let program = qemu::ensure(arch, options.setup.yes)?;
        let (major, minor) = qemu::version_of(&program)?;
        version = format!("{major}.{minor}");
        let lines = System::build(arch, &names)?.run(program, None)?;
        measured.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    show(&measured);
    if let Some(file) = &options.json {
        table::write(file, &measured)?;
    }
    let file = table::file(&version);
    let mut kept = table::read(&file)?;
    if options.update {
        table::merge(&mut kept, &measured);
        table::write(&file, &kept)?;
        step("Kept", shown(&file));
        return Ok(ExitCode::SUCCESS);
    }
    if kept.is_empty() {
        println!("no figures are kept for QEMU {version}: `--update` keeps these");
    }
    let regressions = table::regressions(&kept, &measured);
    for line in &regressions {
        eprintln!("regression: {line}");
    }
    ensure!(
        regressions.is_empty(),
        "{} figures are more than {} % above those of {}; if that is meant, `cargo xtask bench \
         --update` keeps the new ones",
        regressions.len(),
        table::TOLERANCE,
        shown(&file)
    );
    Ok(ExitCode::SUCCESS)
}

/// The case with this name.
fn named(name: &str) -> Result<&'static Case> {
    cases::find(name).with_context(|| {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        format!("there is no case `{name}`; there are {}", names.join(", "))
    })
}

fn show(figures: &[Figure]) {
    println!(
        "{:<13} {:<8} {:>12} {:>8} {:>6}  {:>18} {:>6}",
        "case", "arch", "instructions", "bar", "", "peer", "ratio"
    );
    for case in CASES {
        for figure in figures.iter().filter(|figure| figure.case == case.name) {
            let arch = Arch::ALL
                .into_iter()
                .find(|arch| arch.name() == figure.arch);
            let Some(arch) = arch else { continue };
            let bar = case.bar.of(arch);
            let verdict = if figure.instructions <= bar {
                ""
            } else {
                "above"
            };
            let (peer, ratio) = case.peer.map_or_else(Default::default, |(name, of)| {
                let of = of.of(arch);
                let ratio = figure.instructions as f64 / of as f64;
                (format!("{name} {of}"), format!("{ratio:.2}"))
            });
            println!(
                "{:<13} {:<8} {:>12} {bar:>8} {verdict:>6}  {peer:>18} {ratio:>6}",
                case.name, figure.arch, figure.instructions
            );
        }
    }
    println!("\nguest instructions for one operation, loop included (-icount shift=0,sleep=off):");
    for case in CASES {
        if figures.iter().any(|figure| figure.case == case.name) {
            println!("  {:<13} {}", case.name, case.what);
        }
    }
}
