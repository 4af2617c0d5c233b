//! `cargo xtask bench`: what things cost, in guest instructions.
//!
//! [`cases`] says what is measured and what the peers take; [`system`], [`boot`] and
//! [`memory`] measure it; [`show`] prints it; [`table`] keeps figures and compares
//! them; [`trace`] says where the instructions of one case go, [`cores`] what calls
//! between cores cost.

pub mod boot;
pub mod cases;
pub mod cores;
mod host;
pub mod memory;
pub mod show;
pub mod system;
pub mod table;
pub mod trace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::arch::Arch;
use crate::cli::Bench;
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::shown;
use boot::Boot;
use cases::{By, CASES, Case};
use system::{CLOCK, System, WAITING_CLOCK};
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
    if options.cores {
        for arch in archs {
            let program = qemu::ensure(arch, options.setup.yes)?;
            println!("{}", cores::measure(arch, &program)?);
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
    let mut version = String::new();
    let mut measured = Vec::new();
    for arch in archs {
        let program = qemu::ensure(arch, options.setup.yes)?;
        let (major, minor) = qemu::version_of(&program)?;
        version = format!("{major}.{minor}");
        measured.extend(measure(arch, &program, &chosen)?);
    }
    print!("{}", show::table(&measured));
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
        "{} figures are clearly above those of {}; if that is meant, `cargo xtask bench \
         --update` keeps the new ones",
        regressions.len(),
        shown(&file)
    );
    Ok(ExitCode::SUCCESS)
}

/// Measures these cases on one architecture.
fn measure(arch: Arch, program: &Path, chosen: &[&Case]) -> Result<Vec<Figure>> {
    let by = |by| chosen.iter().filter(move |case| case.by == by);
    let mut figures = Vec::new();
    let names: Vec<_> = by(By::Guest).map(|case| case.name).collect();
    if !names.is_empty() {
        let lines = System::build(arch, &names)?.run(program.into(), CLOCK, None)?;
        figures.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    let names: Vec<_> = by(By::Disk).map(|case| case.name).collect();
    if !names.is_empty() {
        let system = System::build_with_disk(arch, &names)?;
        let lines = system.run(program.into(), WAITING_CLOCK, None)?;
        figures.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    let names: Vec<_> = by(By::Files).map(|case| case.name).collect();
    if !names.is_empty() {
        let system = System::build_with_files(arch, &names)?;
        let lines = system.run(program.into(), WAITING_CLOCK, None)?;
        figures.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    let names: Vec<_> = by(By::Net).map(|case| case.name).collect();
    if !names.is_empty() {
        let host = host::Host::start()?;
        let system = System::build_with_host(arch, &names, &host)?;
        let lines = system.run(program.into(), WAITING_CLOCK, None)?;
        figures.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    let names: Vec<_> = by(By::Bus).map(|case| case.name).collect();
    if !names.is_empty() {
        let system = System::build_with_two_nics(arch, &names)?;
        let lines = system.run(program.into(), WAITING_CLOCK, None)?;
        figures.extend(lines.iter().map(|line| line.figure(arch.name())));
    }
    if by(By::Boot).next().is_some() {
        let line = Boot::build(arch)?.run(program.into(), None)?;
        figures.push(line.figure(arch.name()));
    }
    if by(By::Memory).next().is_some() {
        figures.push(memory::smallest(arch, program)?);
    }
    Ok(figures)
}

/// The case with this name.
fn named(name: &str) -> Result<&'static Case> {
    cases::find(name).with_context(|| {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        format!("there is no case `{name}`; there are {}", names.join(", "))
    })
}
