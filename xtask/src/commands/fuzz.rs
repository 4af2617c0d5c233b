//! `cargo xtask fuzz`: campaigns in the guest.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{boots, build_system, bus_fuzz};
use crate::branches::{Plugin, report};
use crate::cli::{Fuzz, FuzzOptions, FuzzSyscalls, FuzzTarget};
use crate::guest::{Event, Guest};
use crate::machine::Machine;
use crate::process::step;
use crate::setup::qemu;
use crate::workspace::{root, target};

/// The system that campaigns run in; in its tasks' arguments stand `@campaign`,
/// `@count` and `@seed`.
const SYSTEM: &str = "tests/systems/fuzz.toml";

/// What there is to run.
struct Campaign {
    /// What it is called here.
    name: &'static str,
    /// What the guest calls it.
    argument: &'static str,
    /// What stands in the last line of a whole campaign.
    summary: &'static str,
    /// Whether the machine's clock counts instructions.
    counted: bool,
}

/// Random system calls from hostile tasks.
const SYSCALLS: Campaign = Campaign {
    name: "system calls",
    argument: "fuzz",
    summary: " past the handle check",
    counted: false,
};

/// Calls to good and bad servers. Whether one is late is no question of the host.
const CALLS: Campaign = Campaign {
    name: "calls",
    argument: "outcomes",
    summary: " counter ticks after its deadline",
    counted: true,
};

/// A machine that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the command.
pub fn fuzz(options: Fuzz) -> Result<ExitCode> {
    match options.target {
        FuzzTarget::Bus(options) => return bus_fuzz::fuzz(&options),
        FuzzTarget::Syscalls(options) => {
            let plugin = run(&SYSCALLS, &options.campaign, options.branches)?;
            if let Some(plugin) = plugin {
                show(&plugin, &options)?;
            }
        }
        FuzzTarget::Boots(options) => boots::boots(&options)?,
        FuzzTarget::Calls(options) => _ = run(&CALLS, &options, false)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints which branches were reached, and writes down which were not.
fn show(plugin: &Plugin, options: &FuzzSyscalls) -> Result<()> {
    let counted = plugin.counted()?;
    print!("{}", report::table(&counted));
    match options.gaps.as_deref() {
        None => {}
        Some(path) if path == "-" => print!("{}", report::gaps(&counted)),
        Some(path) => std::fs::write(path, report::gaps(&counted))
            .with_context(|| format!("cannot write {}", path.display()))?,
    }
    let (reached, wanted) = (report::layer(&counted).percent(), options.at_least);
    if let Some(wanted) = wanted.filter(|wanted| reached < *wanted) {
        bail!("{reached:.1} % of the syscall layer's branches were reached, not {wanted} %");
    }
    Ok(())
}

/// Runs the campaign to its good end; with the counts of the branches that it
/// reached, if they are wanted.
fn run(campaign: &Campaign, options: &FuzzOptions, branches: bool) -> Result<Option<Plugin>> {
    let arch = options.machine.arch;
    let qemu = qemu::ensure(arch, options.setup.yes)?;
    let parts = build_system(&root().join(SYSTEM).to_string_lossy(), arch)?;
    let mut page = parts.page().clone();
    for argument in page.tasks.iter_mut().flat_map(|task| &mut task.args) {
        match argument.as_str() {
            "@campaign" => *argument = campaign.argument.into(),
            "@count" => *argument = options.count.to_string(),
            "@seed" => *argument = options.seed.to_string(),
            _ => {}
        }
    }
    let image = target().join(format!("tessera/{}-{arch}.bin", campaign.argument));
    parts.write_to(&image, &page)?;
    let plugin = branches
        .then(|| Plugin::new(arch, &parts.built().kernel_path))
        .transpose()?;
    let machine = Machine::new(&options.machine, page.ram);
    machine.check(&image, &page)?;

    step(
        "Fuzzing",
        format!(
            "{} {} on {arch}, seed {}",
            options.count, campaign.name, options.seed
        ),
    );
    let started = Instant::now();
    let mut command = machine.qemu(qemu, &image);
    command.arg("-no-reboot");
    if campaign.counted {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    if let Some(plugin) = &plugin {
        plugin.load(&mut command);
    }
    let mut guest = Guest::start(command)?;
    let mut whole = false;
    loop {
        match guest.line(PATIENCE) {
            Event::Line(line) => {
                whole |= line.contains(campaign.summary);
                println!("{line}");
            }
            Event::End => break,
            Event::Silence => {
                println!("{}", guest.ask_why());
                bail!("the machine has said nothing for {} s", PATIENCE.as_secs());
            }
        }
    }
    match guest.end()? {
        Some(status) if status.success() && !whole => {
            bail!("the machine ended before the campaign's last line")
        }
        Some(status) if status.success() => {
            step(
                "Finished",
                format!("after {} s", started.elapsed().as_secs()),
            );
            Ok(plugin)
        }
        Some(status) => bail!("the machine ended with {status}"),
        None => bail!("the machine closed its console but did not end"),
    }
}
