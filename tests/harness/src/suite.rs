//! One suite on one machine: boots until every case asked for has an outcome.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tessera_page::Page;
use tessera_test_cases::{Line, MATRIX, SELECTION_ARGUMENT, Selection, Suite};
use xtask::guest::{Event, Guest};
use xtask::setup::qemu;
use xtask::workspace::root;

use crate::Outcome;
use crate::images::Images;
use crate::plan::Job;
use crate::progress::Progress;

/// A suite that reports nothing for so long hangs. Its page has a task that has
/// told by then what each task waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the suite; `settled` gets each case's outcome as soon as it is known,
/// `matrix` each line of the outcome matrix.
pub fn run(
    job: &Job,
    suite: &'static Suite,
    cases: Selection,
    images: &Images,
    settled: &mut dyn FnMut(usize, Outcome),
    matrix: &mut dyn FnMut(&str),
) {
    let mut left = cases;
    while !left.is_empty() {
        let mut progress = Progress::new(suite, left);
        let defect = match boot(job, suite, left, images, &mut progress, settled, matrix) {
            Ok(defect) => defect,
            Err(error) => Some(format!("{error:#}")),
        };
        for (index, outcome) in progress.end(defect.as_deref()) {
            settled(index, outcome);
        }
        if progress.left() == left || defect.is_none() {
            // Nothing ran, or all did that was going to: the next boot would be the same.
            let reason = defect.unwrap_or("the suite ended without running it".into());
            for index in progress.left().iter() {
                settled(index, Err(reason.clone()));
            }
            return;
        }
        left = progress.left();
    }
}

/// One boot. Returns what was wrong with the machine, if anything was.
fn boot(
    job: &Job,
    suite: &Suite,
    cases: Selection,
    images: &Images,
    progress: &mut Progress,
    settled: &mut dyn FnMut(usize, Outcome),
    matrix: &mut dyn FnMut(&str),
) -> Result<Option<String>> {
    let system = root().join(format!("tests/systems/{}.toml", suite.system));
    let bus = if job.pci { "pci-" } else { "" };
    let name = format!("{}-{bus}smp{}-{}", job.arch, job.smp, suite.name);
    let (mut machine, image) = images.pack(job.arch, job.smp, &system, &name, |page| {
        select(page, suite.name, cases);
    })?;
    machine.pci = job.pci;
    let mut command = machine.qemu(qemu::ensure(job.arch, false)?, Path::new(&image));
    command.arg("-no-reboot");
    if suite.counted {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    let mut guest = Guest::start(command)?;
    let mut reported = Instant::now();
    loop {
        match guest.line(PATIENCE.saturating_sub(reported.elapsed())) {
            Event::Line(line) => {
                if Line::parse(&line).is_some() {
                    reported = Instant::now();
                }
                if let Some((_, row)) = line.split_once(MATRIX) {
                    matrix(row);
                }
                if let Some((index, outcome)) = progress.line(&line) {
                    settled(index, outcome);
                }
            }
            Event::End => break,
            Event::Silence => {
                let console = guest.tail();
                return Ok(Some(format!(
                    "the suite has reported nothing for {} s\n{console}\n--- asked why:\n{}",
                    PATIENCE.as_secs(),
                    guest.ask_why()
                )));
            }
        }
    }
    let ended = guest.end()?;
    let wrong = match ended.map(|status| (status.success(), status)) {
        Some((true, _)) if progress.is_done() => return Ok(None),
        Some((true, _)) => "the machine ended before the suite did".into(),
        Some((false, status)) => format!("the machine ended with {status}"),
        None => "the machine closed its console but did not end".into(),
    };
    Ok(Some(format!("{wrong}\n{}", guest.tail())))
}

/// Hands the suite's name and cases to the task that waits for them.
fn select(page: &mut Page, suite: &str, cases: Selection) {
    for task in &mut page.tasks {
        if let Some(place) = task.args.iter().position(|arg| arg == SELECTION_ARGUMENT) {
            task.args
                .splice(place..=place, [suite.to_string(), cases.to_string()]);
        }
    }
}
