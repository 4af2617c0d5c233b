//! One file for each command.

pub mod bench;
pub mod boots;
pub mod build;
pub mod bus_fuzz;
pub mod bus_lab;
pub mod crash;
pub mod disk;
pub mod expand;
pub mod faults;
pub mod fuzz;
pub mod lint;
pub mod miri;
pub mod new;
pub mod nodes;
pub mod run;
pub mod sensor;
pub mod size;
pub mod test;

use std::process::ExitCode;

use anyhow::Result;

use crate::arch::Arch;
use crate::cli::{Cli, Command};
use crate::image::Parts;
use crate::workspace::Programs;
use crate::{page, setup};

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Run(options) => run::run(options),
        Command::Build(options) => build::build(options),
        Command::Test(options) => test::test(options),
        Command::Lint => lint::lint(),
        Command::Size(options) => size::size(options),
        Command::Miri(options) => miri::miri(&options),
        Command::Crash(options) => crash::crash(&options),
        Command::BusLab(options) => bus_lab::bus_lab(&options),
        Command::Sensor(options) => sensor::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Disk(options) => disk::disk(&options),
        Command::Bench(options) => bench::bench(options),
        Command::Fuzz(options) => fuzz::fuzz(options),
        Command::Faults(options) => faults::faults(&options),
        Command::Expand(options) => expand::expand(options),
        Command::New(options) => new::new(options),
    }
}

/// Reads, checks and builds a system.
pub fn build_system(system: &str, arch: Arch) -> Result<Parts> {
    let path = page::find(system)?;
    let mut programs = Programs::of_workspace()?;
    let page = page::load(&path, &mut programs)?;
    setup::targets::ensure(&[arch])?;
    Parts::build(arch, page, &programs)
}
