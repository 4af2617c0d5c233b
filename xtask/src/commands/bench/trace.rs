//! `cargo xtask bench --trace CASE`: where the instructions of a case go.

use std::path::Path;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow, bail, ensure};

use super::boot::Boot;
use super::cases::{By, Case};
use super::host::Host;
use super::system::{CLOCK, System, WAITING_CLOCK};
use super::table::Line;
use crate::arch::Arch;
use crate::branches::map::place;
use crate::setup::qemu;
use crate::trace::Plugin;
use crate::trace::report::Trace;

/// Traces the case and prints the tables.
pub fn trace(case: &Case, arch: Arch, instructions: bool, yes: bool) -> Result<()> {
    let program = qemu::ensure(arch, yes)?;
    // The program whose marks open and close the count.
    let client = match case.by {
        By::Disk => "bench-disk",
        By::Files => "bench-files",
        By::Net => "bench-net",
        By::Bus => "bench-bus",
        _ => "bench",
    };
    let (line, plugin, kernel) = match case.by {
        By::Guest | By::Disk | By::Files | By::Net | By::Bus => {
            let names = [case.name];
            let host = Host::start()?;
            let (system, clock) = match case.by {
                By::Disk => (System::build_with_disk(arch, &names)?, WAITING_CLOCK),
                By::Files => (System::build_with_files(arch, &names)?, WAITING_CLOCK),
                By::Net => (System::build_with_host(arch, &names, &host)?, WAITING_CLOCK),
                By::Bus => (System::build_with_two_nics(arch, &names)?, WAITING_CLOCK),
                _ => (System::build(arch, &names)?, CLOCK),
            };
            let built = system.parts.built();
            let plugin = Plugin::new(arch, built, false)?;
            let lines = system.run(program, clock, Some(&plugin))?;
            let line = lines.into_iter().next();
            let line = line.context("the case measured nothing")?;
            (line, plugin, built.kernel_path.clone())
        }
        By::Boot => {
            let boot = Boot::build(arch)?;
            let built = boot.parts.built();
            let plugin = Plugin::new(arch, built, true)?;
            let line = boot.run(program, Some(&plugin))?;
            (line, plugin, built.kernel_path.clone())
        }
        By::Memory => bail!("`{}` counts no instructions", case.name),
    };
    let trace = plugin.counted()?;
    ensure!(trace.sum() > 0, "nothing was counted between the marks");
    show(&trace, client, case.name, arch, &line);
    if instructions {
        println!();
        print!("{}", listing(&trace, line.times, &kernel)?);
    }
    Ok(())
}

fn show(trace: &Trace, client: &str, case: &str, arch: Arch, line: &Line) {
    let (times, measured) = (line.times, line.nanoseconds);
    let each = |count: u64| count as f64 / times as f64;
    println!("{case} on {arch}: one operation, the mean of {times}\n");
    println!("{}", trace.by_stage(times, client));
    println!("{}", trace.by_symbol(times));
    println!(
        "by the machine's clock {:.2} instructions; the trace has {:+.2}",
        each(measured),
        each(trace.sum()) - each(measured)
    );
}

fn listing(trace: &Trace, times: u64, kernel: &Path) -> Result<String> {
    let lines = Loader::new(kernel)
        .map_err(|error| anyhow!("{error}"))
        .context("the kernel's line tables")?;
    Ok(trace.by_instruction(times, |address| {
        let Ok((file, line, _)) = place(&lines, address) else {
            return String::new();
        };
        format!("{file}:{line}")
    }))
}
