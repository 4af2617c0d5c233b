//! `cargo xtask bench`: what things cost, in guest instructions.
//!
//! [`cases`] says what is measured and what the peers take; [`table`] keeps figures
//! and compares them.

pub mod cases;
pub mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::build_system;
use crate::arch::Arch;
use crate::cli::Bench;
use crate::guest::{Event, Guest};
use crate::machine::Machine;
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::{root, shown, target};
use cases::CASES;
use table::Figure;

/// The system that is measured; in its tasks' arguments stands `@cases`.
const SYSTEM: &str = "tests/systems/bench.toml";

/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the command.
pub fn bench(options: Bench) -> Result<ExitCode> {
    for name in &options.case {
        if cases::find(name).is_none() {
            let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
            bail!("there is no case `{name}`; there are {}", names.join(", "));
        }
    }
    let archs = options.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]);
    let mut version = String::new();
    let mut measured = Vec::new();
    for arch in archs {
        let program = qemu::ensure(arch, options.setup.yes)?;
        let (major, minor) = qemu::version_of(&program)?;
        version = format!("{major}.{minor}");
        measured.extend(run(arch, program, &options)?);
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

/// Measures on one architecture.
fn run(arch: Arch, program: std::path::PathBuf, options: &Bench) -> Result<Vec<Figure>> {
    let parts = build_system(&root().join(SYSTEM).to_string_lossy(), arch)?;
    let mut page = parts.page().clone();
    let wanted = if options.case.is_empty() {
        "all".to_string()
    } else {
        options.case.join(",")
    };
    for argument in page.tasks.iter_mut().flat_map(|task| &mut task.args) {
        if argument == "@cases" {
            argument.clone_from(&wanted);
        }
    }
    let image = target().join(format!("tessera/bench-{arch}.bin"));
    parts.write_to(&image, &page)?;
    let machine = Machine::plain(arch, 1, page.ram);
    machine.check_fit(std::fs::metadata(&image)?.len())?;

    step("Measuring", format!("{wanted} on {arch}"));
    let started = Instant::now();
    let mut command = machine.qemu(program, &image);
    command.args(["-no-reboot", "-icount", "shift=0,sleep=off"]);
    let mut guest = Guest::start(command)?;
    let (mut figures, mut whole) = (Vec::new(), false);
    loop {
        match guest.line(PATIENCE) {
            Event::Line(line) => {
                whole |= line.contains("[bench] done");
                match table::parse(arch.name(), &line) {
                    Some(Ok(figure)) => figures.push(figure),
                    Some(Err(reason)) => bail!("{arch}: {reason}"),
                    None => {}
                }
            }
            Event::End => break,
            Event::Silence => bail!("the machine has said nothing for {} s", PATIENCE.as_secs()),
        }
    }
    guest.end()?;
    ensure!(
        whole,
        "the machine ended before the last case:\n{}",
        guest.tail()
    );
    step(
        "Finished",
        format!("after {} s", started.elapsed().as_secs()),
    );
    Ok(figures)
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
