//! Runs the cases asked for, one by one, and tells how each goes.

use crate::{
    check::{Failure, Verdict},
    child::Image,
    fuzz, outcomes,
    raw::Printer,
    suites,
};
use alloc::{collections::BTreeMap, format};
use libipc::{
    Capability, ExitCode, Start,
    interfaces::{DirectoryClient, PipesClient},
    objects::{InterruptClient, MemoryClient, Shutdown, SystemClient},
};
use tessera_test_cases::{Line, Selection, Suite};

/// The suite's own priority; its page says so.
pub(crate) const PRIORITY: u64 = 100;

/// What cases have to work with.
pub(crate) struct World {
    /// This program, to make children of.
    pub(crate) image: Image,
    /// Reads the machine's counters.
    pub(crate) counters: SystemClient,
    /// Reads and writes the kernel's log.
    pub(crate) log: SystemClient,
    /// Makes reservations, where the page lets it.
    time: Option<SystemClient>,
    /// Reaches devices, where the page lets it.
    devices: Option<SystemClient>,
    /// May stop the machine.
    pub(crate) shutdown: SystemClient,
    /// Registers of the serial line and its interrupt, where no console has them.
    uart: Option<(MemoryClient, InterruptClient)>,
    /// The file system and its pipes, where there are such.
    files: Option<(DirectoryClient, PipesClient)>,
    /// The same registers, once the suite prints by itself.
    printer: Option<Printer>,
    /// All else that the page gave.
    start: Start,
    powers: BTreeMap<&'static str, Capability>,
}

impl World {
    /// Registers of a device.
    pub(crate) fn uart(&self) -> Result<&MemoryClient, Failure> {
        let uart = self.uart.as_ref().map(|(registers, _)| registers);
        uart.ok_or_else(|| Failure::new("the page gives no device"))
    }

    /// Prints by itself from now on, no more through the kernel's log.
    pub(crate) fn take_console(&mut self) -> Verdict {
        self.printer = Some(Printer::new(self.uart()?)?);
        Ok(())
    }

    /// A device's interrupt.
    pub(crate) fn uart_interrupt(&self) -> Result<&InterruptClient, Failure> {
        let uart = self.uart.as_ref().map(|(_, interrupt)| interrupt);
        uart.ok_or_else(|| Failure::new("the page gives no device"))
    }

    /// What makes reservations.
    pub(crate) fn time(&self) -> Result<&SystemClient, Failure> {
        let time = self.time.as_ref();
        time.ok_or_else(|| Failure::new("the page gives no time"))
    }

    /// What reaches devices.
    pub(crate) fn devices(&self) -> Result<&SystemClient, Failure> {
        let devices = self.devices.as_ref();
        devices.ok_or_else(|| Failure::new("the page gives no devices"))
    }

    /// The root of the file system.
    pub(crate) fn files(&self) -> Result<&DirectoryClient, Failure> {
        let files = self.files.as_ref().map(|(root, _)| root);
        files.ok_or_else(|| Failure::new("the page gives no files"))
    }

    /// Makes pipes.
    pub(crate) fn pipes(&self) -> Result<&PipesClient, Failure> {
        let files = self.files.as_ref().map(|(_, pipes)| pipes);
        files.ok_or_else(|| Failure::new("the page gives no pipes"))
    }

    /// A power of the supervisor, taken from what the page gave.
    pub(crate) fn power<C: From<Capability>>(&mut self, name: &'static str) -> Result<C, Failure> {
        if !self.powers.contains_key(name) {
            self.powers.insert(name, self.start.take(name)?);
        }
        Ok(C::from(self.powers[name].copy()?))
    }
}

/// A case: its name in the table, and what it does.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut World) -> Verdict,
}

/// The cases of a suite: each is named as its function.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        &[$($crate::run::Case { name: stringify!($case), run: $case }),*]
    };
}
pub(crate) use cases;

/// What the program does when the supervisor starts it.
pub(crate) fn main(mut start: Start) -> ExitCode {
    let mut take = |name| start.take::<SystemClient>(name);
    let (shutdown, counters, log) = (take("shutdown"), take("counters"), take("kernel-log"));
    let time = start.take::<SystemClient>("time").ok();
    let devices = start.take::<SystemClient>("devices").ok();
    let uart = start.take("uart").ok().zip(start.take("uart-irq").ok());
    let files = start.take("files").ok().zip(start.take("pipes").ok());
    let world = (|| {
        Ok::<_, Failure>(World {
            uart,
            time,
            devices,
            printer: None,
            files,
            powers: BTreeMap::new(),
            image: Image::new()?,
            counters: counters?,
            log: log?,
            shutdown: shutdown?,
            start,
        })
    })();
    match world {
        Ok(mut world) => {
            let good = match *world.start.arguments() {
                [_, "fuzz", count, seed, ..] => match (count.parse(), seed.parse()) {
                    (Ok(count), Ok(seed)) => fuzz::run(&world, count, seed),
                    _ => Err(Failure::new("count and seed are no numbers")),
                },
                [_, "outcomes", count, seed, ..] => match (count.parse(), seed.parse()) {
                    (Ok(count), Ok(seed)) => outcomes::run(&world, count, seed),
                    _ => Err(Failure::new("count and seed are no numbers")),
                },
                [_, suite, cases, ..] => run(&mut world, suite, cases),
                _ => Err(Failure::new("the page gives no suite and cases")),
            };
            if let Err(failure) = &good {
                say(&world, format_args!("[suite] cannot run: {failure}"));
            }
            stop(&world, good.is_ok())
        }
        Err(failure) => {
            libipc::println!("[suite] cannot begin: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(world: &mut World, suite: &str, cases: &str) -> Verdict {
    let table = Suite::find(suite).ok_or_else(|| Failure::new("there is no such suite"))?;
    let selection = Selection::parse(cases).ok_or_else(|| Failure::new("no selection"))?;
    let here = suites::find(suite).ok_or_else(|| Failure::new("the suite is not built in"))?;
    check!(
        here.iter()
            .map(|case| case.name)
            .eq(table.cases.iter().copied())
    );
    let (mut passed, mut failed) = (0, 0);
    for index in selection.iter().filter(|index| *index < here.len()) {
        let case = here[index].name;
        say(world, Line::Start { suite, case });
        match (here[index].run)(world) {
            Ok(()) => {
                passed += 1;
                say(world, Line::Passed { suite, case });
            }
            Err(failure) => {
                failed += 1;
                let reason = &format!("{failure}");
                say(
                    world,
                    Line::Failed {
                        suite,
                        case,
                        reason,
                    },
                );
            }
        }
    }
    say(
        world,
        Line::Done {
            suite,
            passed,
            failed,
        },
    );
    Ok(())
}

/// Writes a line to the kernel's log in one piece, so that no other writer's
/// text comes in between.
pub(crate) fn say(world: &World, line: impl core::fmt::Display) {
    let mut text = format!("{line}\n");
    if text.len() > 500 {
        text.truncate(
            (0..=496)
                .rev()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0),
        );
        text.push_str("...\n");
    }
    match &world.printer {
        Some(printer) => printer.print(&text),
        // Without a log there is nobody to tell.
        None => _ = world.log.log(&text),
    }
}

/// Stops the machine: the exit code says whether the suite came to its end.
fn stop(world: &World, good: bool) -> ExitCode {
    let how = if good {
        Shutdown::PowerOff
    } else {
        Shutdown::Fail
    };
    match world.shutdown.shutdown(how) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(world, format_args!("[suite] cannot stop: {error:?}"));
            ExitCode::FAILURE
        }
    }
}
